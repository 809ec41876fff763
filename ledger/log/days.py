# SPDX-License-Identifier: Apache-2.0
"""Day documents (spec/day.md), made from what the root log holds.

Only the date, the index of the `day.closed` entry and the checkpoint signed by its append are stored. The rest follows
from the log, which never changes, so a document asked for again is the same to the byte.
"""

from typing import Literal

import msgspec

from ledger.log import canonical
from ledger.log.ledger import Ledger
from ledger.log.store import ROOT_LOG, Day, Store
from ledger.log.tree import Tree
from ledger.tlog.checkpoint import read_checkpoint
from ledger.tlog.edge import Edge
from ledger.tlog.text import format_base64


class HeadsProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    entry: str
    inclusion_path: list[str]


class DayDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["ledger-day/v1"]
    date: str
    heads: HeadsProof
    entry: str
    entry_index: int
    inclusion_path: list[str]
    checkpoint: str
    previous_checkpoint: str | None
    consistency_path: list[str]

    def text(self) -> bytes:
        """The document as a file: strict JCS and one final newline."""
        return canonical.encode(self) + b"\n"


def closed_day(ledger: Ledger, date: str) -> Day | None:
    """A closed day that can be proved now: for a moment the store is a commit ahead of the root log in memory."""
    day = ledger.store.day(date)
    return None if day is None or day.entry_index >= ledger.root.committed.head.size else day


def day_document(ledger: Ledger, day: Day) -> DayDocument:
    earlier = [other for other in ledger.store.days() if other.date < day.date]
    previous = earlier[-1] if earlier else None
    return document_of(day, previous, ledger.store, ledger.root.tree, ledger.root.committed.edge)


def document_of(day: Day, day_before: Day | None, store: Store, tree: Tree, edge: Edge) -> DayDocument:
    """The document of a day, after the one that was closed before it, from the root log's tree with this edge."""
    size = read_checkpoint(day.checkpoint).size
    heads, entry = store.leaves(ROOT_LOG, day.entry_index - 1, day.entry_index + 1)
    previous = None if day_before is None else day_before.checkpoint

    def path(index: int) -> list[str]:
        return [format_base64(value) for value in tree.inclusion_path(edge, index, size)]

    consistency = [] if previous is None else tree.consistency_path(edge, read_checkpoint(previous).size, size)
    return DayDocument(
        format="ledger-day/v1",
        date=day.date,
        heads=HeadsProof(entry=heads.decode(), inclusion_path=path(day.entry_index - 1)),
        entry=entry.decode(),
        entry_index=day.entry_index,
        inclusion_path=path(day.entry_index),
        checkpoint=day.checkpoint,
        previous_checkpoint=previous,
        consistency_path=[format_base64(value) for value in consistency],
    )
