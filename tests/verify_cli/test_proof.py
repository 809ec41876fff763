# SPDX-License-Identifier: Apache-2.0
"""tlog-proofs: what holds is verified, and what is changed by one bit anywhere is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import CannotTellError, VerificationError, trusted_keys
from ledger_verify.proof import verify_proof

from .conftest import Run
from .log_places import SIGNER, any_entries
from .textbook import Signer, b64, inclusion, leaf, mth
from .world import World

KEYS = trusted_keys([SIGNER.vkey])


def tlog_proof(signer: Signer, entries: list[bytes], index: int, extra: bytes | None = None) -> bytes:
    hashes = [leaf(entry) for entry in entries]
    lines = ["c2sp.org/tlog-proof@v1"]
    lines += [] if extra is None else [f"extra {b64(extra)}"]
    lines += [f"index {index}", *map(b64, inclusion(index, hashes))]
    return ("\n".join(lines) + "\n\n" + signer.sign(f"{signer.name}\n{len(entries)}\n{b64(mth(hashes))}\n")).encode()


def our_proof(world: World, index: int) -> bytes:
    entries = [entry.encode() for entry in world.log.entries]
    return tlog_proof(world.log.signer, entries, index, entries[index])


@given(st.integers(1, 70), st.data())
@settings(max_examples=60, deadline=None)
def test_every_leaf_of_every_tree(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    entries = any_entries(size)
    raw = tlog_proof(SIGNER, entries, index)
    proof = verify_proof(raw, KEYS, entries[index])
    assert (proof.leaf_index, proof.checkpoint.tree_size, proof.entry) == (index, size, None)
    with pytest.raises(VerificationError):
        verify_proof(raw, KEYS, entries[index] + b"x")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_bit_can_be_changed(world: World, keys: object, data: st.DataObject) -> None:
    raw = bytearray(our_proof(world, 9))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError):
        verify_proof(bytes(raw), trusted_keys([world.log.signer.vkey]))


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: b"c2sp.org/tlog-proof@v1\n" + text.encode()))
def test_junk_is_refused_and_never_an_accident(raw: bytes) -> None:
    with pytest.raises(VerificationError, match="step 1: "):
        verify_proof(raw, KEYS, b"")


def test_entry_of_ours_is_checked_as_such(world: World) -> None:
    keys = trusted_keys([world.log.signer.vkey])
    proof = verify_proof(our_proof(world, 9), keys)
    assert proof.entry is not None and proof.entry.type == "call.reported"
    entries = [entry.encode() for entry in world.log.entries]
    entries[9] = entries[9].replace(b'"verdict":"allow"', b'"verdict":"maybe"')
    raw = tlog_proof(world.log.signer, entries, 9, entries[9])
    with pytest.raises(VerificationError, match=r"step 5: .*verdict"):
        verify_proof(raw, keys)
    assert verify_proof(raw, keys, entries="any").entry is None
    # The genesis belongs at index 0 (E2).
    moved = [*entries[1:4], entries[0]]
    with pytest.raises(VerificationError, match=r"step 5: .*E2"):
        verify_proof(tlog_proof(world.log.signer, moved, 3, moved[3]), keys)


def test_what_the_leaf_is_must_be_said() -> None:
    raw = tlog_proof(SIGNER, any_entries(5), 2)
    with pytest.raises(CannotTellError, match="--entry"):
        verify_proof(raw, KEYS)
    with pytest.raises(VerificationError, match="newline"):
        verify_proof(raw, KEYS, any_entries(5)[2] + b"\n")
    with pytest.raises(VerificationError, match="its own extra data"):
        verify_proof(tlog_proof(SIGNER, any_entries(5), 2, any_entries(5)[2]), KEYS, b"other")


def test_exit_codes(run: Run, world: World, tmp_path: Path) -> None:
    raw = our_proof(world, 9)
    (tmp_path / "good").write_bytes(raw)
    (tmp_path / "bad").write_bytes(raw.replace(b"index 9", b"index 8"))
    (tmp_path / "plain").write_bytes(tlog_proof(SIGNER, any_entries(5), 2))
    (tmp_path / "leaf").write_bytes(any_entries(5)[2])
    key, other = ["--key", world.log.signer.vkey], ["--key", SIGNER.vkey]
    for code, name, options in (
        (0, "good", key),
        (0, "good", [*key, "--entries", "ledger"]),
        (3, "good", []),
        (1, "good", other),
        (1, "bad", key),
        (1, "leaf", key),
        (2, "missing", key),
        (2, "plain", other),
        (2, "plain", [*other, "--entry", tmp_path / "missing"]),
        (0, "plain", [*other, "--entry", tmp_path / "leaf"]),
        (1, "plain", [*other, "--entry", tmp_path / "good"]),
        (1, "plain", [*other, "--entry", tmp_path / "leaf", "--entries", "ledger"]),
    ):
        done = run("proof", tmp_path / name, *options)
        assert done.returncode == code, (name, options, done)
        assert "Traceback" not in done.stderr
    [result] = json.loads(run("proof", tmp_path / "good", *key, "--json").stdout)["results"]
    assert (result["leaf_index"], result["type"], result["tier"]) == (9, "call.reported", "tamper-detecting")
    assert result["checked"] == ["inclusion", "entry"]
