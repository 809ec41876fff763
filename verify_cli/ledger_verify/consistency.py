# SPDX-License-Identifier: Apache-2.0
"""That one checkpoint's tree is a prefix of another's (spec/consistency.md).

The proof is the answer of `GET /transparency/consistency`, as it came. It is not signed and need not be: between two signed
checkpoints nothing but the true hashes leads from one root to the other.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_json
from ledger_verify.checkpoint import Checkpoint
from ledger_verify.checkpoint_files import checkpoint_of
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.merkle import verify_consistency
from ledger_verify.trust import Signed, TrustedKeys, verify_log_key, verify_signatures

_MEMBERS = ("consistency_path", "from", "origin", "root1", "root2", "to")


class ConsistencyProof(NamedTuple):
    """The service's answer, each member of its type, nothing proved."""

    origin: str
    old_size: int
    new_size: int
    old_root: bytes
    new_root: bytes
    path: list[bytes]


class Consistency(NamedTuple):
    """Two checkpoints of one log, the newer of which extends the older; `signed` says what vouches for both."""

    old: Checkpoint
    new: Checkpoint
    signed: Signed


def parse_consistency_proof(raw: bytes) -> ConsistencyProof:
    """The answer of `GET /transparency/consistency`."""
    what = "the consistency proof"
    answer = shapes.members(parse_json(raw, what), _MEMBERS, what)
    proof = ConsistencyProof(
        origin=shapes.string(answer["origin"], "origin"),
        old_size=shapes.integer(answer["from"], "from"),
        new_size=shapes.integer(answer["to"], "to"),
        old_root=shapes.hash_bytes(answer["root1"], "root1"),
        new_root=shapes.hash_bytes(answer["root2"], "root2"),
        path=shapes.hashes(answer["consistency_path"], "consistency_path"),
    )
    if not 0 < proof.old_size <= proof.new_size:
        raise MalformedError("want 0 < from <= to", got=f"from {proof.old_size} to {proof.new_size}")
    return proof


def verify_consistency_files(proof_raw: bytes, old_raw: bytes, new_raw: bytes, keys: TrustedKeys) -> Consistency:
    """Verify a proof between the checkpoints in two files.

    1. The proof has the members of the service's answer.
    2. Each file has the checkpoint that the proof speaks of.
    3. Trusted keys signed both, and a policy's quorum cosigned the newer.
    4. The path leads from the older root hash to the newer.
    """
    with step("step 1"):
        proof = parse_consistency_proof(proof_raw)
    with step("step 2"):
        old = checkpoint_of(old_raw, "the older file", proof.origin, proof.old_size, proof.old_root)
        new = checkpoint_of(new_raw, "the newer file", proof.origin, proof.new_size, proof.new_root)
    with step("step 3"):
        with step("older"):
            old_signed = verify_log_key(old, keys)
        with step("newer"):
            new_signed = verify_signatures(new, keys)
    with step("step 4"):
        try:
            verify_consistency(old.tree_size, new.tree_size, proof.path, old.root_hash, new.root_hash)
        except VerificationError as error:
            error.hint = (
                "Ask for the proof again. If it stays wrong, `ledger-verify pin add` the older checkpoint and run "
                "`pin check` on the log itself: that tells a fork from a wrong answer"
            )
            raise
    return Consistency(old, new, new_signed.weaker(old_signed))
