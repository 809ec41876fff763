# SPDX-License-Identifier: Apache-2.0
"""Portable proofs that a log equivocated: it signed two trees that no append-only log can both have had.

What convinces somebody who has seen neither log (spec/equivocation.md): two checkpoints of one origin, both signed, and a
consistency proof *from the newer tree itself* that its first leaves, as many as the older tree has, have another root hash
than the older checkpoint states. Each hash of such a proof has one place in the newer tree and so, SHA-256 being collision
resistant, one value: whoever holds the newer root can open it in no other way. An honest log can therefore not be accused.

At equal sizes the path is empty and the newer root itself is the other root. A consistency proof that merely fails proves
nothing, since anybody can write a wrong one.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_jcs_file, write_jcs
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint, signed_by
from ledger_verify.encodings import encode_base64
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.merkle import verify_consistency
from ledger_verify.note import VerifierKey, with_signature_of
from ledger_verify.trust import Signed, TrustedKeys, verify_log_key

FORMAT = "ledger-equivocation/v1"
_MEMBERS = ("consistency_path", "format", "newer", "older", "origin", "root")


class Equivocation(NamedTuple):
    """Two checkpoints, and `root`: the root hash over the newer tree's leaves up to the older size, with its proof."""

    older: Checkpoint
    newer: Checkpoint
    root: bytes
    path: list[bytes]


class EquivocationError(VerificationError):
    """The log has forked, and this is the evidence."""

    def __init__(self, found: Equivocation) -> None:
        super().__init__(
            f"the log has forked: its tree of {found.newer.tree_size} entries has another root hash over the first "
            f"{found.older.tree_size} than it signed before",
            got=found.root,
            want=found.older.root_hash,
        )
        self.found = found


def check_consistent(older: Checkpoint, newer: Checkpoint, root: bytes, path: list[bytes]) -> None:
    """Check that `newer` extends `older`, given what the newer tree's root over the older size is said to be.

    Raises EquivocationError where it is proved that it does not, and VerificationError where nothing is proved.
    """
    verify_consistency(older.tree_size, newer.tree_size, path, root, newer.root_hash)
    if root != older.root_hash:
        raise EquivocationError(Equivocation(older, newer, root, path))


def write_equivocation(found: Equivocation, keys: tuple[VerifierKey, ...]) -> bytes:
    """The file that proves it. Of each checkpoint it keeps one signature, by a key of the log among `keys`."""
    notes = [with_signature_of(c.note, signed_by(c, keys, "--key")[0]) for c in (found.older, found.newer)]
    value = {
        "consistency_path": [encode_base64(value) for value in found.path],
        "format": FORMAT,
        "newer": notes[1],
        "older": notes[0],
        "origin": found.older.origin,
        "root": encode_base64(found.root),
    }
    return write_jcs(value).encode("utf-8") + b"\n"


def verify_equivocation(raw: bytes, keys: TrustedKeys) -> tuple[Equivocation, Signed]:
    """Verify the bytes of a proof of equivocation. Returns normally if the log did equivocate.

    1. The file has the members of the format.
    2. Both notes are checkpoints of the one origin, with one signature each.
    3. A trusted key of that log signed each.
    4. The path proves which root hash the newer tree has over as many leaves as the older has.
    5. That is not the root hash that the older checkpoint states.
    """
    with step("step 1"):
        file = shapes.members(parse_jcs_file(raw, "the proof"), _MEMBERS, "the proof")
        shapes.exactly(file["format"], FORMAT, "format")
        root = shapes.hash_bytes(file["root"], "root")
        path = shapes.hashes(file["consistency_path"], "consistency_path")
    with step("step 2"):
        older = _checkpoint(file["older"], "older")
        newer = _checkpoint(file["newer"], "newer")
        shapes.exactly(file["origin"], older.origin, "origin")
        if newer.origin != older.origin:
            raise VerificationError("two logs do not contradict each other", got=newer.origin, want=older.origin)
    with step("step 3"):
        with step("older"):
            older_signed = verify_log_key(older, keys)
        with step("newer"):
            newer_signed = verify_log_key(newer, keys)
    with step("step 4"):
        try:
            verify_consistency(older.tree_size, newer.tree_size, path, root, newer.root_hash)
        except VerificationError as error:
            error.hint = (
                "The hashes are not the newer tree's, so nothing is proved. Make the proof again with pin check"
            )
            raise
    with step("step 5"):
        if root == older.root_hash:
            raise VerificationError(
                "the newer tree has the same root hash at the older size: it extends the older one, and nothing is wrong",
                got=root,
            )
    return Equivocation(older, newer, root, path), older_signed.weaker(newer_signed)


def _checkpoint(value: object, what: str) -> Checkpoint:
    checkpoint = parse_checkpoint(shapes.string(value, what), extensions=True)
    if len(checkpoint.note.signatures) != 1:  # what nobody checks has no place in evidence
        raise MalformedError(f"{what} has not one signature", got=len(checkpoint.note.signatures), want=1)
    return checkpoint
