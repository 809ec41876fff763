# SPDX-License-Identifier: Apache-2.0
"""The root log at work (spec/root-log.md, spec/day.md): committing the heads of all logs, and closing days.

Both run under the root log's lock, so several processes may try at once: whoever comes second finds the heads committed
or the day closed, and writes nothing.
"""

import time
from datetime import date, timedelta

import structlog

from ledger.log.days import DayDocument, closed_day, day_document
from ledger.log.entry import format_date
from ledger.log.errors import ConflictError, InvalidRequestError
from ledger.log.events.logs import DayClosed, HeadsCommitted
from ledger.log.fold import LogsState
from ledger.log.ledger import Ledger
from ledger.log.receipts import heads_line
from ledger.log.store import ROOT_LOG, CommittedHead, Day
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Moment
from ledger.tlog.merkle import leaf_hash, root_hash
from ledger.tlog.text import format_base64

_log = structlog.get_logger("ledger.roots")

_COMMITTING = (HeadsCommitted.type, DayClosed.type)
MAX_MISSED_DAYS = 400
"""More missed days than this at once look like a wrong clock, not like a pause."""
CLOCK_TOLERANCE = 300.0
"""Seconds the wall clock may run ahead of the monotonic one before it counts as having jumped."""


class RootLog:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._started = ledger.clock() / 1000 - time.monotonic()

    async def commit_heads(self, apart: int = 0) -> int | None:
        """Cover every head that changed since the last commitment. Returns the entry's index, None when nothing
        changed, or when another process made a commitment less than `apart` milliseconds ago.
        """

        def decide(moment: Moment) -> list[Draft]:
            for newest in self._ledger.store.rows(ROOT_LOG, moment.next_index - 1, moment.next_index):
                if newest.type in _COMMITTING and 0 <= moment.now - newest.recorded_at < apart:
                    return []
            return self._heads(moment, all=False)

        appended = await self._ledger.sequencer.submit(self._ledger.root, decide, weight=0)
        return appended.items[0].leaf_index if appended.items else None

    async def close_day(self, wanted: str | None = None, guard: Part | None = None) -> DayDocument:
        """Close a date, by default today's, after the missed ones before it; a closed one gives its document again.

        `guard` is the part of a caller who must still be allowed to, under the lock.

        Raises InvalidRequestError for a future date or none at all, ConflictError for one that can no longer be closed.
        """
        today = format_date(self._ledger.clock())
        day = today if wanted is None else wanted
        try:
            if date.fromisoformat(day).isoformat() != day:
                raise ValueError
        except ValueError:
            raise InvalidRequestError.at(["body", "date"], f"not a date YYYY-MM-DD: {day[:40]!r}") from None
        if day > today:
            raise InvalidRequestError.at(["body", "date"], f"{day} has not begun; today is {today} (UTC)")
        document = await self._ledger.reading(lambda: self._document(day))
        if document is None:
            first = await self._ledger.reading(self._first_day)
            if day < first:
                raise InvalidRequestError.at(["body", "date"], f"{day} lies before this ledger's first day, {first}")
            for missed in [*self._missed(first, day), day]:
                await self._close(missed, guard)
            document = await self._ledger.reading(lambda: self._document(day))
            assert document is not None
        return document

    async def close_past_days(self) -> list[str]:
        """Close every date up to yesterday that is not closed, in order; nothing when the clock has jumped ahead."""
        ahead = self._ledger.clock() / 1000 - time.monotonic() - self._started
        if ahead > CLOCK_TOLERANCE:
            _log.error("clock_jumped_ahead", seconds=round(ahead), consequence="no day is closed until it is set right")
            return []
        yesterday = date.fromisoformat(format_date(self._ledger.clock())) - timedelta(days=1)
        first = await self._ledger.reading(self._first_day)
        missed = self._missed(first, (yesterday + timedelta(days=1)).isoformat())
        if len(missed) > MAX_MISSED_DAYS:
            _log.error("too_many_missed_days", days=len(missed), next="check the clock, then run `ledger root close`")
            return []
        for day in missed:
            await self._close(day)
        return missed

    def _document(self, day: str) -> DayDocument | None:
        stored = closed_day(self._ledger, day)
        return None if stored is None else day_document(self._ledger, stored)

    def _first_day(self) -> str:
        [genesis] = self._ledger.store.rows(ROOT_LOG, 0, 1)
        return format_date(genesis.recorded_at)

    def _missed(self, first: str, until: str) -> list[str]:
        """Dates before `until` that are not closed: those after the last closed one, or since the ledger's `first`."""
        state = self._ledger.root.committed.state[LogsState]
        if state.last_day is not None:
            current = date.fromisoformat(state.last_day) + timedelta(days=1)
        else:
            current = date.fromisoformat(first)
        days = []
        while current.isoformat() < until:
            days.append(current.isoformat())
            current += timedelta(days=1)
        return days

    async def _close(self, day: str, guard: Part | None = None) -> None:
        close = Part(self._ledger.root, lambda moment: self._closing(moment, day))
        await self._ledger.sequencer.submit_together([close] if guard is None else [close, guard], weight=0)

    def _closing(self, moment: Moment, day: str) -> list[Draft]:
        last = moment.state[LogsState].last_day
        # Closed by somebody else, in the store or earlier in this very batch.
        if day == last or self._ledger.store.day(day) is not None:
            return []
        if last is not None and day < last:
            raise ConflictError(f"{day} can no longer be closed: {last} is closed, and dates only go forward")
        heads = self._heads(moment, all=True)
        index = moment.next_index + len(heads)
        closed = DayClosed(date=day) if last is None else DayClosed(date=day, previous=last)
        return [*heads, Draft(closed, subject=day, side=(lambda checkpoint: Day(day, index, checkpoint),))]

    def _heads(self, moment: Moment, *, all: bool) -> list[Draft]:
        """A commitment to the heads that changed, or to all: the draft, with its lines beside it."""
        # Read in this order: a head that moves in between is newer than the size it is compared with, never older.
        sizes = self._ledger.store.committed_sizes()
        heads = self._ledger.store.heads()
        lines = sorted(
            (heads_line(record.origin, heads[record.number].checkpoint), record.number)
            for record in self._ledger.records()
            if record.number != ROOT_LOG and (all or heads[record.number].size > sizes.get(record.number, 0))
        )
        if not lines:
            return []
        side = tuple(
            CommittedHead(moment.next_index, position, number, heads[number].size, heads[number].checkpoint, line)
            for position, (line, number) in enumerate(lines)
        )
        root = root_hash([leaf_hash(line) for line, _ in lines])
        return [Draft(HeadsCommitted(count=len(lines), root=format_base64(root)), side=side)]
