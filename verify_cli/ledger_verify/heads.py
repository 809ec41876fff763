# SPDX-License-Identifier: Apache-2.0
"""The way up from a log's checkpoint to the root log (spec/root-log.md; spec/receipt.md, `root` and step 7).

    entry ── inclusion_path ──> checkpoint of the log
                                    │ its line: SHA-256(origin), SHA-256(body)
                                    └── heads_path ──> `root` of a heads.committed entry
                                                           │
                                                           └── entry_path ──> checkpoint of the root log

Three proofs by the same function. The root log thereby commits to a head without showing whose it is.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import catalogue, shapes
from ledger_verify.checkpoint import Checkpoint, head_line_hash, parse_checkpoint
from ledger_verify.entry import Entry, check_position, demand_type, parse_shared_entry
from ledger_verify.errors import VerificationError
from ledger_verify.merkle import verify_inclusion
from ledger_verify.trust import TrustedKeys, verify_given_or_named

_MEMBERS = ("checkpoint", "entry", "entry_index", "entry_path", "heads_count", "heads_index", "heads_path")


class RootMember(NamedTuple):
    """The `root` of a receipt or a manifest, each member of its type."""

    checkpoint: Checkpoint
    entry: Entry
    entry_index: int
    entry_path: list[bytes]
    heads_count: int
    heads_index: int
    heads_path: list[bytes]


def parse_root_member(value: object) -> RootMember | None:
    """`root`: null, or exactly the members of the table."""
    if value is None:
        return None
    root = shapes.members(value, _MEMBERS, "root")
    entry = parse_shared_entry(shapes.string(root["entry"], "root.entry"), "root.entry")
    demand_type(entry, catalogue.HEADS, "root.entry")
    return RootMember(
        checkpoint=parse_checkpoint(shapes.string(root["checkpoint"], "root.checkpoint")),
        entry=entry,
        entry_index=shapes.integer(root["entry_index"], "root.entry_index"),
        entry_path=shapes.hashes(root["entry_path"], "root.entry_path"),
        heads_count=shapes.integer(root["heads_count"], "root.heads_count"),
        heads_index=shapes.integer(root["heads_index"], "root.heads_index"),
        heads_path=shapes.hashes(root["heads_path"], "root.heads_path"),
    )


def verify_root_member(root: RootMember, checkpoint: Checkpoint, keys: TrustedKeys) -> bool:
    """Step 7 for a log's `checkpoint`. Returns whether a trusted key of the root log signed."""
    if root.entry.source != root.checkpoint.origin:
        raise VerificationError(
            "root.entry is from another log than root.checkpoint", got=root.entry.source, want=root.checkpoint.origin
        )
    if root.checkpoint.origin == checkpoint.origin:
        raise VerificationError("a log is its own root log", got=checkpoint.origin)
    if root.entry.data["count"] != root.heads_count:
        raise VerificationError(
            "heads_count is not the entry's count", got=root.heads_count, want=root.entry.data["count"]
        )
    heads_root = shapes.hash_bytes(root.entry.data["root"], "root.entry: root")
    _included("heads_path", root.heads_index, root.heads_count, head_line_hash(checkpoint), root.heads_path, heads_root)
    check_position(root.entry, root.entry_index)
    tree = root.checkpoint
    _included("entry_path", root.entry_index, tree.tree_size, root.entry.leaf_hash, root.entry_path, tree.root_hash)
    return verify_given_or_named(root.checkpoint, keys.root, keys, "--root-key")


def _included(what: str, index: int, size: int, leaf: bytes, path: list[bytes], root_hash: bytes) -> None:
    try:
        verify_inclusion(index, size, leaf, path, root_hash)
    except VerificationError as error:
        error.problem = f"{what}: {error.problem}"
        raise
