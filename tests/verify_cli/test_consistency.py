# SPDX-License-Identifier: Apache-2.0
"""Consistency of two signed checkpoints: the service's answer as it comes, checkpoints in whatever holds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError, trusted_keys
from ledger_verify.checkpoint_files import checkpoints_in
from ledger_verify.consistency import verify_consistency_files

from .conftest import Run
from .log_places import SIGNER, any_entries
from .textbook import Signer, b64, b64_list, consistency, file_bytes, leaf, mth
from .world import World

KEYS = trusted_keys([SIGNER.vkey])
HASHES = [leaf(entry) for entry in any_entries(70)]


def note(size: int, hashes: list[bytes] = HASHES, signer: Signer = SIGNER) -> bytes:
    return signer.sign(f"{signer.name}\n{size}\n{b64(mth(hashes[:size]))}\n").encode()


def answer(old: int, new: int, hashes: list[bytes] = HASHES) -> dict[str, object]:
    return {
        "origin": SIGNER.name,
        "from": old,
        "to": new,
        "root1": b64(mth(hashes[:old])),
        "root2": b64(mth(hashes[:new])),
        "consistency_path": b64_list(consistency(old, hashes[:new])),
    }


def answer_bytes(*sizes: int) -> bytes:
    """As the service writes it: no final newline, members in its own order."""
    return json.dumps(answer(*sizes), separators=(",", ":")).encode()


@given(st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=80, deadline=None)
def test_every_two_trees_of_one_log(one: int, other: int) -> None:
    old, new = sorted((one, other))
    found = verify_consistency_files(answer_bytes(old, new), note(old), note(new), KEYS)
    assert (found.old.tree_size, found.new.tree_size, found.signed.tier) == (old, new, "tamper-detecting")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_nothing_can_be_changed(data: st.DataObject) -> None:
    old, new = sorted((data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))))
    files = [bytearray(answer_bytes(old, new)), bytearray(note(old)), bytearray(note(new))]
    file = files[data.draw(st.integers(0, 2))]
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises(VerificationError):
        verify_consistency_files(*map(bytes, files), KEYS)  # type: ignore[call-arg]


def test_another_history_is_inconsistent() -> None:
    forked = [leaf(b"x"), *HASHES[1:]]
    for old, new in ((5, 5), (5, 9), (8, 9), (64, 70)):
        # The service proves the history that it shows now; the older checkpoint is of the other.
        raw = json.dumps(answer(old, new, forked)).encode()
        with pytest.raises(VerificationError, match="step 2: the older file has another root hash"):
            verify_consistency_files(raw, note(old), note(new, forked), KEYS)
        lying = json.dumps({**answer(old, new, forked), "root1": b64(mth(HASHES[:old]))}).encode()
        with pytest.raises(VerificationError, match="step 4: "):
            verify_consistency_files(lying, note(old), note(new, forked), KEYS)


def test_signature_is_needed_on_both() -> None:
    strange = Signer(SIGNER.name, b"somebody")
    with pytest.raises(VerificationError, match="step 3: older"):
        verify_consistency_files(answer_bytes(5, 9), note(5, signer=strange), note(9), KEYS)
    with pytest.raises(VerificationError, match="step 3: newer"):
        verify_consistency_files(answer_bytes(5, 9), note(5), note(9, signer=strange), KEYS)
    unsigned = verify_consistency_files(answer_bytes(5, 9), note(5), note(9), trusted_keys())
    assert unsigned.signed.tier is None


def test_checkpoints_are_found_in_what_the_service_answers(world: World) -> None:
    receipt = file_bytes(world.receipt(9))
    found = {(c.origin, c.tree_size) for c in checkpoints_in(receipt, "a receipt")}
    root, log = world.root.origin, world.log.origin
    assert {(log, world.log_size), (root, len(world.root.entries)), (root, world.previous_root_size)} <= found
    head = {"origin": log, "tree_size": 4, "root_hash": "x", "checkpoint": world.log.checkpoint(4)}
    assert [c.tree_size for c in checkpoints_in(json.dumps(head).encode(), "a head")] == [4]
    days = {"items": [{"date": "x", "entry_index": 1, "checkpoint": world.root.checkpoint(5)}], "next_cursor": None}
    assert [c.tree_size for c in checkpoints_in(json.dumps(days).encode(), "days")] == [5]
    for junk in (b"{}", b"[]", b"{", b"", b"[" * 5000, b'{"checkpoint":"x"}', b'{"checkpoint":1}', b"\xff"):
        with pytest.raises(VerificationError):
            checkpoints_in(junk, "junk")


def test_exit_codes(run: Run, tmp_path: Path) -> None:
    for name, content in {
        "answer": answer_bytes(5, 9),
        "bad": answer_bytes(5, 9).replace(b'"to":9', b'"to":8'),
        "from 0": answer_bytes(5, 9).replace(b'"from":5', b'"from":0'),
        "old": note(5),
        "new": json.dumps({"checkpoint": note(9).decode()}).encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    old, new, key = ["--old", tmp_path / "old"], ["--new", tmp_path / "new"], ["--key", SIGNER.vkey]
    for code, name, options in (
        (0, "answer", [*old, *new, *key]),
        (3, "answer", [*old, *new]),
        (1, "answer", ["--old", tmp_path / "new", "--new", tmp_path / "old", *key]),
        (1, "bad", [*old, *new, *key]),
        (1, "from 0", [*old, *new, *key]),
        (1, "answer", [*old, *new, "--key", Signer("x", b"x").vkey]),
        (2, "answer", [*old, *key]),
        (2, "answer", [*old, "--new", tmp_path / "missing", *key]),
        (2, "missing", [*old, *new, *key]),
    ):
        done = run("consistency", tmp_path / name, *options)
        assert done.returncode == code, (name, options, done)
        assert "Traceback" not in done.stderr
    [result] = json.loads(run("consistency", tmp_path / "answer", *old, *new, *key, "--json").stdout)["results"]
    assert (result["tree_size"], result["previous"]["tree_size"], result["checked"]) == (9, 5, ["consistency"])
