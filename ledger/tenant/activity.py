# SPDX-License-Identifier: Apache-2.0
"""How many calls each agent made on which day, and which agents call unlike themselves today.

Of a log that somebody looks at, the days of the month and of the four weeks before today are counted once, in pieces
beside the event loop, and after that only what is new.
"""

import asyncio
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from statistics import median_low
from typing import NamedTuple

from ledger.log.ledger import DAY_MS, Ledger
from ledger.log.store import Store
from ledger.log.working_copy import Log
from ledger.tenant.usage import CALLS, CHUNK, first_since, month_bounds

KEPT_LOGS = 32
MAX_AGENTS = 2_000
"""Agents of a day that are counted by name; those that come later are counted together."""
OTHERS = ""

PAST_DAYS = 28
LEAST_DAYS = 5
TIMES = 3
LEAST_MORE = 20
RULE = (
    f"An agent is named when it called on at least {LEAST_DAYS} of the {PAST_DAYS} days before today (UTC), and has "
    f"called today more than {TIMES} times as often as on the median of those days, and at least {LEAST_MORE} times "
    "more often."
)


CONNECTED_MS = 5 * 60_000
MOST_LOOKED_AT = 20 * CHUNK
"""Entries that are looked at for agents that reported lately."""


def connected_agents(store: Store, log: Log, now: int) -> int:
    """How many agents reported a call in the five minutes before `now`, among the last entries of a log."""
    size = log.committed.head.size
    first = max(first_since(store, log.number, now - CONNECTED_MS, size), size - MOST_LOOKED_AT)
    pieces = (store.count_calls(log.number, CALLS, at, min(at + CHUNK, size)) for at in range(first, size, CHUNK))
    return len({count.agent_id for piece in pieces for count in piece})


class Anomaly(NamedTuple):
    """An agent with its calls today, and those on the median of `days` earlier days on which it called."""

    agent_id: str
    today: int
    usual: int
    days: int


@dataclass(slots=True)
class Activity:
    """Calls by day and agent, among the entries of a log before `index`; days are counted from the epoch."""

    index: int
    days: dict[int, Counter[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of_days(self, first: int, stop: int) -> Counter[str]:
        """The calls of each agent on the days [first, stop)."""
        total = Counter[str]()
        for day in self.days:
            if first <= day < stop:
                total.update(self.days[day])
        return total

    def of_month(self, now: int) -> Counter[str]:
        start, end = month_bounds(now)
        return self.of_days(start // DAY_MS, end // DAY_MS)

    def anomalies(self, now: int) -> list[Anomaly]:
        """By `RULE`, the most calls first."""
        today = now // DAY_MS
        found = []
        for agent_id, calls in self.days.get(today, Counter()).items():
            past = [self.days.get(day, Counter())[agent_id] for day in range(today - PAST_DAYS, today)]
            called = [count for count in past if count]
            if agent_id == OTHERS or len(called) < LEAST_DAYS:
                continue
            usual = median_low(called)
            if calls > TIMES * usual and calls >= usual + LEAST_MORE:
                found.append(Anomaly(agent_id, calls, usual, len(called)))
        return sorted(found, key=lambda anomaly: (-anomaly.today, anomaly.agent_id))

    def add(self, agent_id: str, day: int, calls: int) -> None:
        agents = self.days.setdefault(day, Counter())
        agents[agent_id if agent_id in agents or len(agents) < MAX_AGENTS else OTHERS] += calls

    def forget(self, first: int) -> None:
        """Days before this one are nobody's business any more."""
        for day in [day for day in self.days if day < first]:
            del self.days[day]


class Activities:
    """Those of the logs that were looked at last."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: OrderedDict[int, Activity] = OrderedDict()
        self._lock = threading.Lock()

    async def of(self, log: Log) -> Activity:
        """A log's, with all entries that are known here."""
        size, now = log.committed.head.size, self._ledger.clock()
        while (activity := await asyncio.to_thread(self._count, log, now, size)).index < size:
            pass
        return activity

    def _count(self, log: Log, now: int, size: int) -> Activity:
        """A piece further."""
        first = min(month_bounds(now)[0] // DAY_MS, now // DAY_MS - PAST_DAYS)
        activity = self._known.get(log.number) or self._begin(log, first * DAY_MS, size)
        with activity.lock:
            start, stop = activity.index, min(activity.index + CHUNK, size)
            if start < stop:
                for count in self._ledger.store.count_calls(log.number, CALLS, start, stop):
                    activity.add(*count)
                activity.index = stop
            activity.forget(first)
        return activity

    def _begin(self, log: Log, since: int, size: int) -> Activity:
        new = Activity(first_since(self._ledger.store, log.number, since, size))
        with self._lock:
            activity = self._known.setdefault(log.number, new)
            if len(self._known) > KEPT_LOGS:
                self._known.popitem(last=False)
        return activity
