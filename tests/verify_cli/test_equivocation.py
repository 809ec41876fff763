# SPDX-License-Identifier: Apache-2.0
"""Proofs of equivocation: a fork convinces whoever has the key, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError, trusted_keys
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.equivocation import EquivocationError, check_consistent, verify_equivocation, write_equivocation
from ledger_verify.merkle import consistency_ranges

from .conftest import Run
from .log_places import SIGNER, any_entries
from .textbook import Signer, b64, b64_list, consistency, file_bytes, leaf, mth

KEYS = trusted_keys([SIGNER.vkey])
HONEST = [leaf(entry) for entry in any_entries(80)]


def checkpoint_text(hashes: list[bytes], size: int, signer: Signer = SIGNER) -> str:
    return signer.sign(f"{signer.name}\n{size}\n{b64(mth(hashes[:size]))}\n")


def fork_at(index: int) -> list[bytes]:
    """Another history from `index` on."""
    return HONEST[:index] + [leaf(b"forked %d" % n) for n in range(index, len(HONEST))]


def proof(older: int, newer: int, fork: list[bytes], signer: Signer = SIGNER) -> dict[str, object]:
    """Made by the textbook: `older` of the honest history, `newer` of the forked one."""
    return {
        "consistency_path": b64_list(consistency(older, fork[:newer])),
        "format": "ledger-equivocation/v1",
        "newer": checkpoint_text(fork, newer, signer),
        "older": checkpoint_text(HONEST, older, signer),
        "origin": signer.name,
        "root": b64(mth(fork[:older])),
    }


sizes = st.tuples(st.integers(1, 80), st.integers(1, 80)).map(sorted)


@given(sizes, st.data())
@settings(max_examples=80, deadline=None)
def test_fork_within_the_older_tree_is_proved(pair: list[int], data: st.DataObject) -> None:
    older, newer = pair
    raw = file_bytes(proof(older, newer, fork_at(data.draw(st.integers(0, older - 1)))))
    found, signed = verify_equivocation(raw, KEYS)
    assert (found.older.tree_size, found.newer.tree_size, signed.tier) == (older, newer, "tamper-detecting")
    assert verify_equivocation(raw, trusted_keys())[1].tier is None
    # What is written from the same finding is the same file.
    with pytest.raises(EquivocationError) as caught:
        check_consistent(found.older, found.newer, found.root, found.path)
    assert write_equivocation(caught.value.found, KEYS.of_logs) == raw


@given(sizes)
@settings(max_examples=40, deadline=None)
def test_honest_log_is_not_accused(pair: list[int]) -> None:
    older, newer = pair
    with pytest.raises(VerificationError, match=r"step 5: .*nothing is wrong"):
        verify_equivocation(file_bytes(proof(older, newer, HONEST)), KEYS)
    # Nor one whose later entries are others than somebody remembers.
    with pytest.raises(VerificationError, match="step 5: "):
        verify_equivocation(file_bytes(proof(older, newer, fork_at(older))), KEYS)


@given(sizes, st.data())
@settings(max_examples=150, deadline=None)
def test_honest_log_is_not_accused_with_invented_hashes(pair: list[int], data: st.DataObject) -> None:
    older, newer = pair
    document = proof(older, newer, HONEST)
    invented = data.draw(st.binary(min_size=32, max_size=32))
    path = b64_list(consistency(older, HONEST[:newer]))
    assume(invented not in HONEST)
    change = data.draw(st.sampled_from(["root", "path", "extra", "both"]))
    if change in ("root", "both"):
        document["root"] = b64(invented)
    if path and change in ("path", "both"):
        path[data.draw(st.integers(0, len(path) - 1))] = b64(invented)
    if change == "extra":
        path.insert(data.draw(st.integers(0, len(path))), b64(invented))
    with pytest.raises(VerificationError):
        verify_equivocation(file_bytes({**document, "consistency_path": path}), KEYS)


@given(st.sampled_from([(7, 7), (8, 13), (13, 70), (5, 64)]), st.data())
@settings(max_examples=300, deadline=None)
def test_no_bit_of_a_proof_can_be_changed(pair: tuple[int, int], data: st.DataObject) -> None:
    raw = bytearray(file_bytes(proof(*pair, fork_at(2))))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError):
        verify_equivocation(bytes(raw), KEYS)


def test_members_are_those_of_the_page_and_no_others() -> None:
    good = proof(5, 9, fork_at(2))
    for name in good:
        for changed in (
            {k: v for k, v in good.items() if k != name},
            {**good, name: None},
            {**good, name: 1},
            {**good, name: ""},
            {**good, name: [good[name]]},
            {**good, f"{name}x": good[name]},
        ):
            with pytest.raises(VerificationError):
                verify_equivocation(file_bytes(changed), KEYS)
    for raw in (b"", b"{}\n", file_bytes(good)[:-1], b" " + file_bytes(good), json.dumps(good).encode() + b"\n"):
        with pytest.raises(VerificationError, match="step 1: "):
            verify_equivocation(raw, KEYS)


def test_both_must_be_signed_by_the_one_log() -> None:
    good = proof(5, 9, fork_at(2))
    strange, other = Signer(SIGNER.name, b"somebody"), Signer("example.com/other", b"other")
    unsigned = checkpoint_text(HONEST, 5, strange)
    with pytest.raises(VerificationError, match="step 3: older"):
        verify_equivocation(file_bytes({**good, "older": unsigned}), KEYS)
    with pytest.raises(VerificationError, match="step 3: newer"):
        verify_equivocation(file_bytes({**good, "newer": checkpoint_text(fork_at(2), 9, strange)}), KEYS)
    two = trusted_keys([SIGNER.vkey, other.vkey])
    with pytest.raises(VerificationError, match="step 2: "):
        verify_equivocation(file_bytes({**good, "newer": checkpoint_text(fork_at(2), 9, other)}), two)
    # A line that nobody checks could be changed by anybody.
    cosigned = str(good["older"]) + other.line(str(good["older"]))
    with pytest.raises(VerificationError, match="step 2: older has not one signature"):
        verify_equivocation(file_bytes({**good, "older": cosigned}), two)


def test_order_matters() -> None:
    good = proof(5, 9, fork_at(2))
    with pytest.raises(VerificationError, match="step 4: "):
        verify_equivocation(file_bytes({**good, "older": good["newer"], "newer": good["older"]}), KEYS)


def test_failing_proof_of_consistency_accuses_nobody() -> None:
    """A log, or whoever speaks for it, answers with hashes that are not those of its tree."""
    older, newer = (parse_checkpoint(checkpoint_text(HONEST, size)) for size in (5, 9))
    wrong = consistency(5, fork_at(2)[:9])
    for root in (mth(fork_at(2)[:5]), mth(HONEST[:5])):
        with pytest.raises(VerificationError) as caught:
            check_consistent(older, newer, root, wrong)
        assert not isinstance(caught.value, EquivocationError)


@given(sizes)
@settings(max_examples=100, deadline=None)
def test_ranges_of_a_proof_are_those_of_the_textbook(pair: list[int]) -> None:
    older, newer = pair
    hashes = HONEST[:newer]
    assert [mth(hashes[a:b]) for a, b in consistency_ranges(older, newer)] == consistency(older, hashes)


def test_exit_codes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fork").write_bytes(file_bytes(proof(5, 9, fork_at(2))))
    (tmp_path / "honest").write_bytes(file_bytes(proof(5, 9, HONEST)))
    key = ["--key", SIGNER.vkey]
    for code, name, options in (
        (0, "fork", key),
        (0, "fork", ["--root-key", SIGNER.vkey]),
        (0, "fork", [*key, "--root-key", SIGNER.vkey]),
        (3, "fork", []),
        (1, "fork", ["--key", Signer("x", b"x").vkey]),
        (1, "honest", key),
        (2, "missing", key),
    ):
        done = run("equivocation", tmp_path / name, *options)
        assert done.returncode == code, (name, options, done)
        assert ("equivocated" in done.stdout) == (code == 0) and "Traceback" not in done.stderr
    answer = json.loads(run("equivocation", tmp_path / "fork", *key, "--json").stdout)
    assert (answer["verdict"], answer["tier"]) == ("verified", None)
    [result] = answer["results"]
    assert (result["older"]["tree_size"], result["newer"]["tree_size"]) == (5, 9)
