# SPDX-License-Identifier: Apache-2.0
"""Checkpoints (C2SP tlog-checkpoint v1.0.0): the signed statement "this log has this size and this root hash".

The text of the note has three lines. Our logs write no extension lines, and a reader of ours refuses them
(spec/receipt.md, step 3), because nothing would say what they mean. Other people's logs may have some; a reader of any log
leaves them unread.

    localhost/log/5f0c…                                                origin: the name of the log
    18                                                                 tree size
    OGLKkmRSG2kqXG7ap1Rr0T4GO04zj7k7uDjt6Ssy2vc=                       root hash
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ledger_verify.encodings import HASH_BYTES, decode_base64, encode_base64, parse_decimal
from ledger_verify.errors import MalformedError, VerificationError
from ledger_verify.merkle import empty_root, leaf_hash
from ledger_verify.note import Note, VerifierKey, is_key_name, parse_note, verified_keys


class Checkpoint(NamedTuple):
    """A parsed checkpoint. It is a claim until `signed_by` has found a trusted key under it."""

    origin: str
    tree_size: int
    root_hash: bytes
    note: Note
    text: str  # of the whole note

    @property
    def body(self) -> bytes:
        """The note's text, final newline included: what is signed, and what the root log commits to."""
        return self.note.text.encode("utf-8")


@lru_cache(maxsize=256)
def parse_checkpoint(text: str, extensions: bool = False) -> Checkpoint:
    """The checkpoint in a signed note; `extensions` allows for extension lines, which say nothing that is read here."""
    note = parse_note(text)
    lines = note.text[:-1].split("\n")
    if len(lines) < 3:
        raise MalformedError("the checkpoint has fewer than three lines", got=len(lines))
    if len(lines) > 3 and not extensions:
        raise MalformedError("the checkpoint has extension lines", got=lines[3], want="three lines")
    if "" in lines:
        raise MalformedError("the checkpoint has an empty line")
    origin, size, root = lines[:3]
    if not is_key_name(origin):  # our logs' keys have the origin as their name, so no other origin can be verified
        raise MalformedError(
            "the checkpoint's origin is not an origin", got=origin, want="at most 255 bytes, no space, +"
        )
    tree_size = parse_decimal(size, "the checkpoint's tree size")
    root_hash = decode_base64(root, "the checkpoint's root hash", HASH_BYTES)
    if tree_size == 0 and root_hash != empty_root():
        raise MalformedError("the checkpoint of an empty tree has another root than SHA-256 of nothing", got=root)
    return Checkpoint(origin, tree_size, root_hash, note, text)


def signed_by(checkpoint: Checkpoint, keys: Iterable[VerifierKey], option: str) -> tuple[VerifierKey, ...]:
    """Those of `keys` with the checkpoint's origin as their name that signed it: at least one (spec/receipt.md, step 5)."""
    given = tuple(keys)
    if not any(key.name == checkpoint.origin for key in given):
        raise VerificationError(
            f"no {option} was given for the log that this is from",
            got=", ".join(sorted({key.name for key in given})),
            want=checkpoint.origin,
            hint="The file is from another log, or the wrong key was given",
        )
    signers = verified_keys(checkpoint.note, given)
    own = tuple(key for key in signers if key.name == checkpoint.origin)
    if not own:
        raise VerificationError(
            "the checkpoint is signed, but not under its origin's name",
            got=", ".join(key.name for key in signers),
            want=checkpoint.origin,
        )
    return own


def same_tree(one: Checkpoint, other: Checkpoint) -> None:
    """Two checkpoints of one origin and size must have one root: otherwise the log has shown two histories."""
    if one.origin == other.origin and one.tree_size == other.tree_size and one.root_hash != other.root_hash:
        raise VerificationError(
            f"two root hashes for size {one.tree_size} of one log",
            got=other.root_hash,
            want=one.root_hash,
            hint="If both are signed, keep this file: it proves that the log showed two histories",
        )


def head_line_hash(checkpoint: Checkpoint) -> bytes:
    """Leaf hash of a checkpoint's line in the tree of heads (spec/root-log.md, "Heads tree")."""
    origin_digest = encode_base64(hashlib.sha256(checkpoint.origin.encode("utf-8")).digest())
    body_digest = encode_base64(hashlib.sha256(checkpoint.body).digest())
    return leaf_hash(f"{origin_digest} {body_digest}\n".encode("ascii"))
