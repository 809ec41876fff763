# SPDX-License-Identifier: Apache-2.0
"""How many calls a tenant reported in the UTC month, and how many it still may.

Of each log there is one number in memory, with the index up to which it was counted; what came after, by whatever
process, is counted when somebody needs to know. That is rarely: as long as all later entries could be calls and the
limit were still not reached, nothing is read. What the batch of a transaction has added is counted from the batch, so
the limit is exact.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ledger.log.entry import format_date
from ledger.log.errors import LedgerError, RateLimitedError
from ledger.log.events.calls import CallReported
from ledger.log.events.tenants import UsageThresholdReached
from ledger.log.ledger import DAY_MS, Ledger
from ledger.log.store import Store
from ledger.log.working_copy import Draft, Log, Plan, WorkingCopy
from ledger.tenant.plans import monthly_calls
from ledger.tenant.state import TenantState

_log = structlog.get_logger("ledger.tenant")

CALLS = (CallReported.type,)
THRESHOLDS = (80, 100)
"""Per cent of what the plan allows, each of which is on record once it is reached."""
CHUNK = 5_000
"""Entries that are counted in one question."""
KEPT_LOGS = 10_000
"""Logs whose number is remembered, a few hundred bytes each."""


class QuotaExceededError(RateLimitedError):
    code = "QUOTA_EXCEEDED"


@dataclass(slots=True)
class Month:
    """The calls of a month, [start, end) in milliseconds, among the entries of a log before `index`. `told` are the
    thresholds of which the log knows.
    """

    start: int
    end: int
    index: int
    calls: int = 0
    told: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def at_most(self, size: int) -> int:
        """No more calls than this are among the first `size` entries."""
        return self.calls + size - self.index


def month_bounds(now: int) -> tuple[int, int]:
    """The UTC month that holds a moment; all in milliseconds since the epoch."""
    first = datetime.fromtimestamp(now // 1000, UTC).replace(day=1, hour=0, minute=0, second=0)
    year, month = (first.year + 1, 1) if first.month == 12 else (first.year, first.month + 1)
    return int(first.timestamp()) * 1000, int(first.replace(year=year, month=month).timestamp()) * 1000


def first_since(store: Store, log_number: int, moment: int, size: int) -> int:
    """From which of the first `size` entries on those lie that were recorded at or after a moment. An id begins with
    its time, never goes back, and is never older than the time in its entry. O(log n) questions.
    """
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        [row] = store.rows(log_number, middle, middle + 1)
        if int.from_bytes(row.event_id[:6]) < moment:
            low = middle + 1
        else:
            high = middle
    return low


class Usage:
    """Counts the calls of a ledger's tenants."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._months: OrderedDict[int, Month] = OrderedDict()
        self._lock = threading.Lock()

    def quota_of(self, log: Log) -> "TenantQuota | None":
        """The quota of a tenant, None for one without limit."""
        limit = monthly_calls(log.committed.state[TenantState])
        return None if limit is None else TenantQuota(self, log, limit)

    async def used(self, log: Log) -> Month:
        """The month with all calls that are known here, read in pieces beside the event loop."""
        size, now = log.committed.head.size, self._ledger.clock()
        while (month := await asyncio.to_thread(self.count, log, now, size, 1)).index < size:
            pass
        return month

    def known(self, log: Log, now: int) -> Month | None:
        """The month as far as it was counted, without asking the store."""
        month = self._months.get(log.number)
        return month if month is not None and month.start <= now < month.end else None

    def count(self, log: Log, now: int, size: int, pieces: int = -1) -> Month:
        """The month that holds `now`, counted up to `size` entries, or so many pieces further. Asks the store."""
        month = self.known(log, now) or self._begin(log, now, size)
        while month.index < size and pieces != 0:
            pieces -= 1
            with month.lock:
                start, stop = month.index, min(month.index + CHUNK, size)
                if start < stop:
                    counts = self._ledger.store.count_calls(log.number, CALLS, start, stop)
                    month.calls += sum(count.calls for count in counts if month.start <= count.day * DAY_MS < month.end)
                    month.index = stop
        return month

    def _begin(self, log: Log, now: int, size: int) -> Month:
        start, end = month_bounds(now)
        new = Month(start, end, first_since(self._ledger.store, log.number, start, size))
        with self._lock:
            if (month := self.known(log, now)) is None:
                month = self._months[log.number] = new
                if len(self._months) > KEPT_LOGS:
                    self._months.popitem(last=False)
        return month

    def repeated(self, log: Log, dedup_keys: Sequence[bytes]) -> int:
        """How many of these keys have an entry already. Asks the store."""
        return len(self._ledger.store.known(log.number, dedup_keys))

    async def tell(self, log: Log, month: Month, limit: int, percent: int) -> None:
        """Put on record that a threshold is reached, unless that was done by whatever process this month."""
        named = format_date(month.start)[:7]
        event = UsageThresholdReached(month=named, used=month.calls, quota=limit, percent=percent)
        dedup = log.digest(f"{event.type}\x00{named}\x00{percent}".encode())
        draft = Draft(event, dedup=dedup, request=dedup)
        await self._ledger.sequencer.submit(log, lambda moment: [draft], dedup_keys=[dedup])
        month.told.add(percent)

    @property
    def now(self) -> int:
        return self._ledger.clock()


@dataclass(frozen=True, slots=True)
class TenantQuota:
    """See `ledger.web.service.Quota`. `limit` are the calls that the tenant may report in a month."""

    usage: Usage
    log: Log
    limit: int

    async def ready(self, calls: int) -> None:
        month = self.usage.known(self.log, self.usage.now)
        if month is None or month.at_most(self.log.committed.head.size) + calls > self.limit:
            await self.usage.used(self.log)

    def admit(self, copy: WorkingCopy, plan: Plan) -> None:
        new = sum([row.type in CALLS for row in plan.rows])
        if not new:
            return
        # Under the lock, the log in memory is the one in the store.
        now, size = self.usage.now, self.log.committed.head.size
        month = self.usage.known(self.log, now)
        if month is not None and month.at_most(size) + len(copy.rows) + new <= self.limit:
            return
        month = self.usage.count(self.log, now, size)
        # A store may leave it to its index to find repetitions; they take nothing.
        new -= self.usage.repeated(self.log, [row.dedup for row in plan.rows if row.type in CALLS and row.dedup])
        used = month.calls + sum([row.type in CALLS for row in copy.rows])
        if new and used + new > self.limit:
            raise QuotaExceededError(
                f"of {self.limit} calls a month {used} are used, and these are {new}; nothing of them was taken",
                (month.end - now) * 1_000_000,
            )

    async def settle(self) -> None:
        try:
            for percent in THRESHOLDS:
                month = self.usage.known(self.log, self.usage.now)
                if month is None or percent in month.told or not self._reaches(month, percent):
                    continue
                month = await self.usage.used(self.log)
                if month.calls * 100 >= self.limit * percent:
                    await self.usage.tell(self.log, month, self.limit, percent)
        except LedgerError as error:
            # The next report tries again.
            _log.warning("threshold_not_recorded", log=self.log.origin, error=error.for_operator)

    def _reaches(self, month: Month, percent: int) -> bool:
        return month.at_most(self.log.committed.head.size) * 100 >= self.limit * percent
