# SPDX-License-Identifier: Apache-2.0
"""What the root log promises: that each commitment is to heads which the logs really had, and that each closed day is
evidence that holds.

The trees of the logs are read from the stored tiles, which the walks have held against the leaves. Of a log that did
not pass nothing can be derived any more, so a commitment to one of its heads is held against the signature only; that
log has a finding of its own.
"""

from collections.abc import Mapping
from itertools import groupby

from ledger.log.check.findings import MismatchError
from ledger.log.check.trail import Trail
from ledger.log.days import document_of
from ledger.log.events.logs import HeadsCommitted
from ledger.log.evidence import KnownKeys, keys_in, verify_day
from ledger.log.receipts import heads_line
from ledger.log.store import ROOT_LOG, CommittedHead, Day, Store
from ledger.log.tree import TileCache, Tree
from ledger.tlog.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from ledger.tlog.errors import TlogError
from ledger.tlog.merkle import leaf_hash, root_hash
from ledger.tlog.text import format_base64

SPAN = 1000
"""Root-log entries whose commitments are read at once."""
END = 1 << 40
"""Beyond every entry."""


def check_promises(store: Store, trails: Mapping[int, Trail]) -> None:
    """Raises MismatchError. `trails` are those of all logs; the root log's has passed so far."""
    root = trails[ROOT_LOG]
    promises = _Promises(store, trails, keys_in(root.state, root.record.origin))
    promises.check_commitments(root.commitments, root.size)
    promises.check_days(root.days, root.size)


class _Promises:
    def __init__(self, store: Store, trails: Mapping[int, Trail], keys: KnownKeys) -> None:
        self._store = store
        self._trails = trails
        self._keys = keys
        cache = TileCache()
        self._trees = {number: Tree(store, number, cache) for number in trails}

    def check_commitments(self, commitments: list[tuple[int, HeadsCommitted]], size: int) -> None:
        """Each entry that commits to heads has its lines, and there are no other lines."""
        events = dict(commitments)
        for start in range(0, size, SPAN):
            stop = min(start + SPAN, size)
            heads = self._store.committed_heads(start or -END, stop)
            stored = {index: list(group) for index, group in groupby(heads, lambda head: head.root_index)}
            wanted = [index for index in range(start, stop) if index in events]
            for index in sorted({*wanted, *stored}):
                if index not in events:
                    raise MismatchError("commitments", index, "lines are stored for an entry that commits to no heads")
                self._check_lines(index, events[index], stored.get(index, []))
        beyond = self._store.committed_heads(size, END)
        # What a running service commits meanwhile has its entry.
        if beyond and beyond[-1].root_index >= self._store.head(ROOT_LOG).size:
            raise MismatchError("commitments", beyond[-1].root_index, "lines are stored for no entry at all")

    def _check_lines(self, index: int, event: HeadsCommitted, heads: list[CommittedHead]) -> None:
        lines = []
        for position, head in enumerate(heads):
            checkpoint = self._open(head.log_number, head.checkpoint, "commitments", index)
            if (head.position, head.size) != (position, checkpoint.size) or head.line != heads_line(
                checkpoint.origin, head.checkpoint
            ):
                raise MismatchError("commitments", index, f"line {position} is not that of its checkpoint")
            lines.append(head.line)
        root = format_base64(root_hash([leaf_hash(line) for line in lines]))
        if len(lines) != event.count or root != event.root or lines != sorted(lines):
            raise MismatchError("commitments", index, "the stored lines are not those that the entry commits to")

    def check_days(self, days: list[tuple[int, str]], size: int) -> None:
        stored = self._store.days()
        newer = [day.entry_index for day in stored if day.entry_index >= size]
        if newer and max(newer) >= self._store.head(ROOT_LOG).size:
            raise MismatchError("days", None, "a day is stored for no entry at all")
        stored = [day for day in stored if day.entry_index < size]
        if [(day.entry_index, day.date) for day in stored] != days:
            raise MismatchError("days", None, "the stored days are not those that the log closed")
        before: Day | None = None
        for day in stored:
            self._check_day(day, before)
            before = day

    def _check_day(self, day: Day, before: Day | None) -> None:
        index = day.entry_index
        size = self._open(ROOT_LOG, day.checkpoint, "days", index).size
        if size <= max(index, 0 if before is None else read_checkpoint(before.checkpoint).size):
            raise MismatchError("days", index, f"the checkpoint of {day.date} is older than its entry")
        document = document_of(day, before, self._store, self._trees[ROOT_LOG], self._trails[ROOT_LOG].edge)
        reason = verify_day(self._keys, document.text())
        if reason is not None:
            raise MismatchError("days", index, f"the document of {day.date} does not hold: {reason}")

    def _open(self, log_number: int, note: str, check: str, index: int) -> Checkpoint:
        """A checkpoint that a log really had."""
        trail = self._trails.get(log_number)
        if trail is None:
            raise MismatchError(check, index, f"there is no log {log_number}")
        try:
            # Of a log that did not pass not even the origin is sure.
            origin = trail.record.origin if trail.problem is None else read_checkpoint(note).origin
            checkpoint = open_checkpoint(note, self._keys.of(origin))
        except TlogError as error:
            raise MismatchError(check, index, f"a stored checkpoint does not open: {error}") from None
        if trail.problem is not None:
            return checkpoint
        if checkpoint.size > trail.size or self._root(log_number, checkpoint.size) != checkpoint.root:
            raise MismatchError(check, index, f"{origin} never had the head of size {checkpoint.size} stored here")
        return checkpoint

    def _root(self, log_number: int, size: int) -> bytes:
        return self._trees[log_number].root(self._trails[log_number].edge, size)
