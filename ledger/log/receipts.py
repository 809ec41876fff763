# SPDX-License-Identifier: Apache-2.0
"""Receipts (spec/receipt.md): evidence of one entry in one file.

A receipt given with the write stands under the head of that very commit. Later, when the root log has committed a head
that holds the entry, the receipt is made under that head and leads up to the root log; once a day has been closed over
it, up to the daily root.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec

from ledger.log import canonical
from ledger.log.days import DayDocument, day_document
from ledger.log.ledger import Ledger
from ledger.log.sealed import decrypt
from ledger.log.store import CommittedHead
from ledger.log.working_copy import Committed, Log
from ledger.tlog.checkpoint import read_checkpoint
from ledger.tlog.merkle import inclusion_ranges, leaf_hash, root_hash
from ledger.tlog.note import split_note
from ledger.tlog.proof import TlogProof
from ledger.tlog.text import format_base64


class RootProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way from a committed head up to the root log."""

    checkpoint: str
    entry: str
    entry_index: int
    entry_path: list[str]
    heads_count: int
    heads_index: int
    heads_path: list[str]


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["ledger-receipt/v1"]
    entry: str
    leaf_index: int
    inclusion_path: list[str]
    checkpoint: str
    disclosures: list[str]
    root: RootProof | None
    daily_root: DayDocument | None

    def text(self) -> bytes:
        """The receipt as a file: strict JCS and one final newline."""
        return canonical.encode(self) + b"\n"


def fresh_receipt(log: Log, committed: Committed, index: int, leaf: bytes) -> Receipt:
    """The receipt of an entry under the newest head, as given with a write."""
    return Receipt(
        format="ledger-receipt/v1",
        entry=leaf.decode(),
        leaf_index=index,
        inclusion_path=log.tree.newest_path(committed.edge, index),
        checkpoint=committed.head.checkpoint,
        disclosures=[],
        root=None,
        daily_root=None,
    )


def receipt(ledger: Ledger, log: Log, index: int, leaf: bytes, *, disclose: bool = False) -> Receipt:
    """The strongest receipt there is for an entry now."""
    disclosures = disclosures_of(ledger, log, index) if disclose else []
    covering = covering_head(ledger, log, index)
    # Only now: the log may have grown meanwhile, and a head is proved from a tree that is no smaller.
    committed = log.committed
    if covering is None:
        return msgspec.structs.replace(fresh_receipt(log, committed, index, leaf), disclosures=disclosures)
    head, day = covering
    size = read_checkpoint(head.checkpoint).size
    return Receipt(
        format="ledger-receipt/v1",
        entry=leaf.decode(),
        leaf_index=index,
        inclusion_path=base64_path(log.tree.inclusion_path(committed.edge, index, size)),
        checkpoint=head.checkpoint,
        disclosures=disclosures,
        root=root_proof(ledger, head),
        daily_root=day,
    )


def tlog_proof(log: Log, index: int, leaf: bytes) -> TlogProof:
    """The same evidence as a C2SP tlog-proof, under the newest head, with the entry as `extra`."""
    committed = log.committed
    path = log.tree.inclusion_path(committed.edge, index, committed.head.size)
    return TlogProof(index, tuple(path), committed.head.checkpoint, leaf)


def covering_head(ledger: Ledger, log: Log, index: int) -> tuple[CommittedHead, DayDocument | None] | None:
    """The committed head to prove an entry under: that of the first day closed over it, else the first of any
    interval.
    """
    first = ledger.store.covering_head(log.number, index)
    # For a moment the store is a commit ahead of what is in memory, and proofs are made from memory.
    root_size = ledger.root.committed.head.size
    if first is None or log.committed.head.size < first.size or root_size <= first.root_index:
        return None
    for day in ledger.store.days():
        if first.root_index < day.entry_index < root_size:
            # A day's commitment covers every log, at the leaf before the day's own.
            for head in ledger.store.committed_heads(day.entry_index - 1):
                if head.log_number == log.number and head.size <= log.committed.head.size:
                    return head, day_document(ledger, day)
    return first, None


def root_proof(ledger: Ledger, head: CommittedHead) -> RootProof:
    """The way up from a committed head, under the newest checkpoint of the root log."""
    root = ledger.root
    committed = root.committed
    leaves = _heads_leaves(tuple(line.line for line in ledger.store.committed_heads(head.root_index)))
    path = [root_hash(leaves[lo:hi]) for lo, hi in inclusion_ranges(head.position, len(leaves))]
    [entry] = ledger.store.leaves(root.number, head.root_index, head.root_index + 1)
    return RootProof(
        checkpoint=committed.head.checkpoint,
        entry=entry.decode(),
        entry_index=head.root_index,
        entry_path=base64_path(root.tree.inclusion_path(committed.edge, head.root_index, committed.head.size)),
        heads_count=len(leaves),
        heads_index=head.position,
        heads_path=base64_path(path),
    )


@lru_cache(maxsize=64)
def _heads_leaves(lines: tuple[bytes, ...]) -> list[bytes]:
    return [leaf_hash(line) for line in lines]


def disclosures_of(ledger: Ledger, log: Log, index: int) -> list[str]:
    """All disclosures of an entry that can still be opened, in pointer order."""
    sealed = ledger.store.sealed(log.number, index)
    if sealed is None:
        return []
    key = ledger.keystore.find(sealed.data_key)
    if key is None:
        # Erasing something else under that key has sealed it anew just now; or it was erased itself.
        sealed = ledger.store.sealed(log.number, index)
        key = None if sealed is None else ledger.keystore.find(sealed.data_key)
    return [] if sealed is None or key is None else decrypt(sealed.blob, key, log.origin.encode())


def heads_line(origin: str, note: str) -> bytes:
    """A line of the heads tree (spec/root-log.md) for a log's signed checkpoint."""
    body = split_note(note)[0]
    digests = (format_base64(sha256(part.encode()).digest()) for part in (origin, body))
    return " ".join(digests).encode() + b"\n"


def base64_path(path: list[bytes]) -> list[str]:
    return [format_base64(value) for value in path]
