# SPDX-License-Identifier: Apache-2.0
"""A line with an entry, its index and its inclusion path, as governing.jsonl and keys.jsonl have it (spec/export.md)."""

from __future__ import annotations

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, parse_jcs
from ledger_verify.checkpoint import Checkpoint
from ledger_verify.entry import Entry, check_position, parse_entry
from ledger_verify.errors import VerificationError, step
from ledger_verify.merkle import verify_inclusion

MAX_LINE_BYTES = 150_000  # an entry of 60,000 bytes, each of which may need an escape, and 63 hashes

_MEMBERS = ("entry", "index", "path")


def read_proven_entry(line: bytes, file: str, checkpoint: Checkpoint, last: int) -> tuple[int, Entry]:
    """Index and entry of a line of `file`: included under the checkpoint, and after index `last`."""
    what = f"a line of {file}"
    members = shapes.members(parse_jcs(decode_utf8(line, what), what), _MEMBERS, what)
    index = shapes.integer(members["index"], "index")
    with step(f"entry {index}"):
        if not last < index < checkpoint.tree_size:
            raise VerificationError(
                "the index is out of order, or beyond the tree",
                got=index,
                want=f"{last + 1} to {checkpoint.tree_size - 1}",
            )
        entry = parse_entry(shapes.string(members["entry"], "entry"))
        if entry.source != checkpoint.origin:
            raise VerificationError("the entry is from another log", got=entry.source, want=checkpoint.origin)
        path = shapes.hashes(members["path"], "path")
        verify_inclusion(index, checkpoint.tree_size, entry.leaf_hash, path, checkpoint.root_hash)
        check_position(entry, index)
    return index, entry
