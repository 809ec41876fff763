# SPDX-License-Identifier: Apache-2.0
"""Day documents: the first, a later one, each step broken by itself, and every byte changed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import TrustedKeys, VerificationError, trusted_keys, verify_day_file

from .textbook import Signer, b64, consistency, file_bytes, jcs
from .world import Log, World, commit_heads, genesis

Document = dict[str, object]


def refused(document: object, keys: TrustedKeys) -> str:
    raw = document if isinstance(document, bytes) else file_bytes(document)
    with pytest.raises(VerificationError) as caught:
        verify_day_file(raw, keys)
    return str(caught.value)


def heads(document: Document) -> Document:
    value = document["heads"]
    assert isinstance(value, dict)
    return value


def test_good_documents(world: World, keys: TrustedKeys) -> None:
    first, second = verify_day_file(file_bytes(world.first_day()), keys), verify_day_file(file_bytes(world.day()), keys)
    assert (first.date, first.previous_checkpoint, first.signed.tier) == ("2026-11-21", None, "tamper-evident")
    assert second.previous_checkpoint is not None
    assert second.previous_checkpoint.root_hash == first.checkpoint.root_hash


def test_without_a_root_key_it_is_self_consistent_only(world: World) -> None:
    for given_keys in (TrustedKeys(), trusted_keys(world.keys["log"])):
        assert verify_day_file(file_bytes(world.day()), given_keys).signed.tier is None


BROKEN: list[tuple[str, Callable[[World, Document], object]]] = [
    ("step 1", lambda w, d: d.pop("date")),
    ("step 1", lambda w, d: d.update(x=1)),
    ("step 1", lambda w, d: d.update(format="ledger-day/v2")),
    ("step 1", lambda w, d: d.update(date="2026-11-31")),
    ("step 1", lambda w, d: d.update(entry_index=None)),
    ("step 1", lambda w, d: d.update(heads=None)),
    ("step 1", lambda w, d: heads(d).update(x=1)),
    ("step 1", lambda w, d: d.update(checkpoint="x")),
    ("step 1", lambda w, d: d.update(previous_checkpoint="x")),
    ("step 1", lambda w, d: d.update(consistency_path=["x"])),
    ("step 2", lambda w, d: d.update(date="2026-11-23")),
    ("step 2", lambda w, d: d.update(entry=w.root.entries[w.heads_entry])),
    ("step 2", lambda w, d: heads(d).update(entry=d["entry"])),
    ("step 2", lambda w, d: d.update(entry=str(d["entry"]).replace("localhost/root", "localhost/rood"))),
    ("step 2", lambda w, d: heads(d).update(entry=w.root.entries[w.day_entry + 1])),
    ("step 2", lambda w, d: d.update(entry_index=0)),
    ("step 2", lambda w, d: d.update(entry_index=1)),
    ("step 2", lambda w, d: d.update(checkpoint=w.log.checkpoint())),
    ("step 3", lambda w, d: d.update(entry_index=w.day_entry + 1)),
    ("step 3", lambda w, d: d.update(inclusion_path=[])),
    ("step 3", lambda w, d: heads(d).update(inclusion_path=[])),
    ("step 3", lambda w, d: heads(d).update(entry=w.root.entries[w.heads_entry - 1])),
    ("step 3", lambda w, d: d.update(checkpoint=w.root.checkpoint(w.day_entry))),
    ("step 4", lambda w, d: d.update(previous_checkpoint=None)),
    ("step 4", lambda w, d: d.update(consistency_path=[])),
    ("step 4", lambda w, d: d.update(previous_checkpoint=d["checkpoint"], consistency_path=[])),
    ("step 4", lambda w, d: d.update(previous_checkpoint=w.log.checkpoint(2))),
    ("step 4", lambda w, d: d.update(previous_checkpoint=w.root.checkpoint(w.previous_root_size - 1))),
    ("step 4", lambda w, d: d.update(previous_checkpoint=w.root.checkpoint())),
    ("step 4", lambda w, d: d.update(previous_checkpoint=w.root.checkpoint(0), consistency_path=[])),
    ("step 5", lambda w, d: d.update(checkpoint=Signer("localhost/root", b"x").sign(w.root.body(w.day_entry + 1)))),
    (
        "step 5",
        lambda w, d: d.update(
            previous_checkpoint=Signer("localhost/root", b"x").sign(w.root.body(w.previous_root_size))
        ),
    ),
]


@pytest.mark.parametrize(("step", "change"), BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_each_step_refuses(
    step: str, change: Callable[[World, Document], object], world: World, keys: TrustedKeys
) -> None:
    document = copy.deepcopy(world.day())
    change(world, document)
    assert refused(document, keys).startswith(step + ": ")


def test_nothing_stands_before_the_first_entry(world: World, keys: TrustedKeys) -> None:
    assert "(D2)" in refused(world.day() | {"entry_index": 0}, keys)


def test_first_day_has_no_consistency_proof(world: World, keys: TrustedKeys) -> None:
    document = world.first_day()
    document["consistency_path"] = [b64(bytes(32))]
    assert "step 4" in refused(document, keys)
    document = world.first_day() | {"previous_checkpoint": world.root.checkpoint(1)}
    assert "step 4" in refused(document, keys)


def test_the_day_before_cannot_be_denied_or_invented(world: World, keys: TrustedKeys) -> None:
    """The entry says whether a day was closed before, and the document must agree."""
    denied = world.day() | {"previous_checkpoint": None, "consistency_path": []}
    assert "step 4: previous_checkpoint is null if and only if" in refused(denied, keys)
    size = world.previous_root_size
    invented = world.first_day() | {
        "previous_checkpoint": world.root.checkpoint(size - 1),
        "consistency_path": [b64(x) for x in consistency(size - 1, world.root.hashes[:size])],
    }
    assert "step 4: previous_checkpoint is null if and only if" in refused(invented, keys)


def test_the_day_before_is_of_the_same_log(world: World, keys: TrustedKeys) -> None:
    """A checkpoint of another origin over the very same tree."""
    other = Signer("localhost/rood", b"rood")
    body = world.root.body(world.previous_root_size).replace("localhost/root", other.name)
    for given_keys in (TrustedKeys(), trusted_keys((), [*world.keys["root"], other.vkey])):
        document = world.day() | {"previous_checkpoint": other.sign(body)}
        assert "step 4: previous_checkpoint is of another log" in refused(document, given_keys)


def test_history_that_was_rewritten_since_the_day_before_is_refused(world: World, keys: TrustedKeys) -> None:
    """Everything is signed and proved, but the older tree is not a prefix of the newer."""
    fork = copy.deepcopy(world.root)
    fork.entries[1] = fork.entries[1].replace("08:00:01", "08:00:02")
    document = world.day()
    document["previous_checkpoint"] = fork.checkpoint(world.previous_root_size)
    assert "step 4" in refused(document, keys)


@pytest.mark.parametrize(("as_of", "swap"), [(4, False), (5, False), (99, False), (3, True)])
def test_rules_between_the_two_entries(as_of: int, swap: bool) -> None:
    """`as_of` leads to a governing entry before both (E4), and ids increase (E1), even if all of it was signed."""
    root = Log(Signer("localhost/root", b"root"))
    tenant = Log(Signer("localhost/log/a", b"a"))
    genesis(root, "root")
    genesis(tenant, "tenant")
    for _ in range(3):
        root.govern("log.created", {"origin": tenant.origin, "vkey": tenant.signer.vkey}, tenant.origin)
    good = as_of == 3
    commit_heads(root, [(tenant, 1)])
    root.append("day.closed", {"as_of": as_of, "date": "2026-11-22"}, "2026-11-22")
    if swap:
        first, second = (entry.split('"id":"')[1][:36] for entry in root.entries[4:])
        root.entries[4] = root.entries[4].replace(first, second)
    document = {
        "checkpoint": root.checkpoint(),
        "consistency_path": [],
        "date": "2026-11-22",
        "entry": root.entries[5],
        "entry_index": 5,
        "format": "ledger-day/v1",
        "heads": {"entry": root.entries[4], "inclusion_path": root.path(4)},
        "inclusion_path": root.path(5),
        "previous_checkpoint": None,
    }
    keys = trusted_keys((), [root.signer.vkey])
    assert refused(document, keys).startswith("step 2: ")
    if good:
        assert "E1" in refused(document, keys)


def test_every_changed_byte_is_refused(world: World, keys: TrustedKeys) -> None:
    raw = file_bytes(world.day())
    for i in range(len(raw)):
        for mutation in (
            raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :],
            raw[:i] + bytes([raw[i] ^ 0x20]) + raw[i + 1 :],
            raw[:i] + raw[i : i + 1] + raw[i:],
            raw[:i] + raw[i + 1 :],
            raw[:i],
        ):
            assert refused(mutation, keys)


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_any_bytes_are_refused_with_our_error(raw: bytes) -> None:
    assert refused(raw, TrustedKeys())


def test_the_textbook_proof_is_the_one_in_the_document(world: World) -> None:
    proof = consistency(world.previous_root_size, world.root.hashes[: world.day_entry + 1])
    assert jcs([b64(x) for x in proof]) in jcs(world.day())
