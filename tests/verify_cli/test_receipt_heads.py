# SPDX-License-Identifier: Apache-2.0
"""What receipts under one checkpoint share is verified once, and no file gets another verdict by it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_verify import TrustedKeys, VerificationError, canonical, receipt, trusted_keys, verify_receipt

from .textbook import Signer, file_bytes
from .world import World

STEPS = ("parse_checkpoint", "verify_log_signature", "verify_root", "verify_daily_root")


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    receipt._heads.clear()
    yield
    receipt._heads.clear()


def verdict(raw: bytes, keys: TrustedKeys) -> object:
    try:
        return verify_receipt(raw, keys)
    except VerificationError as error:
        return str(error)


def by_itself(raw: bytes, keys: TrustedKeys) -> object:
    """The verdict of a reader who has seen no other receipt."""
    receipt._heads.clear()
    return verdict(raw, keys)


def test_steps_of_the_head_run_once(world: World, keys: TrustedKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: (calls.append(name), real(*arguments))[1]

    for name in STEPS:
        monkeypatch.setattr(receipt, name, counted(name, getattr(receipt, name)))
    files = [file_bytes(world.receipt(index)) for index in range(world.log_size)]
    found = [verify_receipt(raw, keys) for raw in files]
    assert sorted(calls) == sorted(STEPS)
    assert found == [by_itself(raw, keys) for raw in files]


@pytest.mark.parametrize("parts", [{}, {"day": False}, {"day": False, "root": False}, {"disclose": False}])
def test_a_changed_byte_anywhere_is_found_as_by_whoever_sees_it_first(
    world: World, keys: TrustedKeys, parts: dict[str, bool]
) -> None:
    good, other = (file_bytes(world.receipt(index, **parts)) for index in (7, 9))
    rng = random.Random(7)
    verify_receipt(other, keys)
    [head] = receipt._heads.items()
    for position in range(rng.randrange(5), len(good), 5):
        changed = bytearray(good)
        changed[position] ^= 1 << rng.randrange(7)
        receipt._heads.update([head])
        warm = verdict(bytes(changed), keys)
        assert isinstance(warm, str), f"byte {position}"
        assert warm == by_itself(bytes(changed), keys)


def test_a_piece_cut_out_or_put_in_is_found_as_by_whoever_sees_it_first(world: World, keys: TrustedKeys) -> None:
    good = file_bytes(world.receipt(7))
    before, own, after = receipt._cut(good)
    pieces = [b"", b",", b" ", b"\n", b"{", b"}", b"[]", b'"a":1,', b'"root":null,', b'"checkpoint":"",', own, after]
    files = [before + piece + own + after for piece in pieces[1:]] + [before + own + piece + after for piece in pieces]
    files += [before + own + after + piece for piece in pieces[1:]] + [piece + good for piece in pieces[1:]]
    files += [before + own.replace(b'"format"', piece + b'"format"') + after for piece in pieces[1:]]
    files += [before + after, own, before + own, before + b'"x":0' + after, before + own[:-1] + after]
    for raw in files:
        receipt._heads.clear()
        verify_receipt(good, keys)
        warm = verdict(raw, keys)
        assert warm == by_itself(raw, keys)
        assert isinstance(warm, str) or raw == good


def test_a_head_counts_for_the_keys_it_was_verified_with(world: World, keys: TrustedKeys) -> None:
    raw = file_bytes(world.receipt(7))
    stranger = Signer(world.log.origin, b"a stranger").vkey
    given_keys = [
        TrustedKeys(),
        trusted_keys(log=world.keys["log"]),
        trusted_keys(root=world.keys["root"]),
        trusted_keys(log=[stranger]),
        trusted_keys(log=[stranger], root=world.keys["root"]),
    ]
    alone = [by_itself(raw, some) for some in given_keys]
    verify_receipt(raw, keys)
    assert [verdict(raw, some) for some in given_keys] == alone
    assert {type(found) for found in alone} == {receipt.Receipt, str}


def test_an_entry_of_another_log_is_refused_under_a_known_head(world: World, keys: TrustedKeys) -> None:
    good = file_bytes(world.receipt(7))
    before, _, after = receipt._cut(good)
    foreign = file_bytes({**world.receipt(7), "entry": world.root.entries[1]})
    verify_receipt(good, keys)
    warm = verdict(before + receipt._cut(foreign)[1] + after, keys)
    assert isinstance(warm, str) and warm.startswith("step ")
    assert warm == by_itself(foreign, keys)


def test_few_and_short_heads_are_kept(world: World, keys: TrustedKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        file_bytes(world.receipt(7, day=day, root=root)) for day, root in ((True, True), (False, True), (False, False))
    ]
    monkeypatch.setattr(receipt, "_MAX_HEADS", 2)
    sizes = []
    for raw in files:
        verify_receipt(raw, keys)
        sizes.append(len(receipt._heads))
    assert sizes == [1, 2, 1]
    receipt._heads.clear()
    monkeypatch.setattr(receipt, "_MAX_HEAD_BYTES", 100)
    verify_receipt(files[0], keys)
    assert not receipt._heads


def test_a_refused_file_leaves_no_head(world: World, keys: TrustedKeys) -> None:
    for change in ({"leaf_index": 8}, {"inclusion_path": []}, {"disclosures": ["WzEsMiwzXQ"]}, {"format": "x"}):
        assert isinstance(verdict(file_bytes({**world.receipt(7), **change}), keys), str)
    assert not receipt._heads


# --- the quick way to strict JCS --------------------------------------------------------------------------------------

TEXT = st.text(
    alphabet=st.sampled_from('ab"\\/\n\t\x00\x1f\x7fé—\u2028\ud7ff\ue000\uffff\U00010000\U0001f600'), max_size=6
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def read(parse: Callable[[str, str], object], text: str) -> object:
    try:
        return repr(parse(text, "it"))
    except VerificationError as error:
        return str(error)


@given(VALUES)
def test_both_ways_to_read_strict_jcs_take_what_our_writer_writes(value: object) -> None:
    text = canonical.write_jcs(value)
    assert read(canonical.parse_jcs, text) == read(canonical.parse_jcs_carefully, text)


@given(
    VALUES,
    st.integers(0, 200),
    st.sampled_from([*'{}[]",:\\0129.eE+- \n\tntf', '"a":1,', "\\ud800", "\ue000", "NaN", "1.0"]),
)
def test_both_ways_refuse_the_same_with_the_same_words(value: object, position: int, piece: str) -> None:
    text = canonical.write_jcs(value)
    for changed in (text[:position] + piece + text[position:], text[:position] + piece + text[position + 1 :]):
        assert read(canonical.parse_jcs, changed) == read(canonical.parse_jcs_carefully, changed)


@pytest.mark.parametrize(
    "text",
    [
        '{"\ue000":1,"\U00010000":2}',
        '{"\U00010000":2,"\ue000":1}',
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        "[" * 99 + "{}" + "]" * 99,
        "[" * 100 + "{}" + "]" * 100,
        "[" * 100_000,
        "[9007199254740992]",
        "[1" + "0" * 5000 + "]",
        "[-0]",
        "[1.5]",
        "[1e400]",
        '["\\u00e9"]',
        '["\\u001F"]',
        '["\\u001f"]',
        '["\x7f"]',
        '["\ud800"]',
        '["\\ud800"]',
        "NaN",
        "",
    ],
)  # fmt: skip
def test_both_ways_say_the_same_of_the_edges(text: str) -> None:
    assert read(canonical.parse_jcs, text) == read(canonical.parse_jcs_carefully, text)


def test_names_beyond_the_surrogates_are_sorted_as_utf_16() -> None:
    assert canonical.parse_jcs('{"\U00010000":2,"\ue000":1}', "it") == {"\U00010000": 2, "\ue000": 1}
    with pytest.raises(VerificationError, match="not strict JCS"):
        canonical.parse_jcs('{"\ue000":1,"\U00010000":2}', "it")
