# SPDX-License-Identifier: Apache-2.0
"""A store without a disk: what the service costs when writing costs nothing.

It keeps the contract as far as a service under load can see it: heads move under a lock, dedup keys are found, tiles
and side rows are kept. Of entries that are not governing only the newest are kept, so that a long run measures the
service and not a growing heap; who asks for an older one is told so.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from ledger.log.errors import ConflictError, DamagedError, UnavailableError
from ledger.log.store import (
    Batch,
    Build,
    CommittedHead,
    Day,
    Filter,
    Head,
    Known,
    LogRecord,
    Onward,
    Page,
    Row,
    Sealed,
    Secret,
)

KEPT_ROWS = 8192


class _Log:
    """What is kept of one log."""

    def __init__(self) -> None:
        self.recent: deque[Sequence[Row]] = deque()
        self.kept = 0
        self.size = 0
        self.governing: dict[int, Row] = {}
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.known: dict[bytes, Known] = {}

    def add(self, rows: Sequence[Row]) -> None:
        self.recent.append(rows)
        self.kept += len(rows)
        self.size += len(rows)
        for row in rows:
            if row.dedup is not None:
                self.known[row.dedup] = Known(row.leaf_index, row.event_id, row.request)
            if row.governing:
                self.governing[row.leaf_index] = row
        while self.kept - len(self.recent[0]) >= KEPT_ROWS:
            oldest = self.recent.popleft()
            self.kept -= len(oldest)
            for row in oldest:
                if row.dedup is not None:
                    del self.known[row.dedup]

    def rows(self, start: int, stop: int) -> list[Row]:
        """Rows [start, stop), as many as exist. Raises UnavailableError for those that were let go."""
        stop = min(stop, self.size)
        first = self.size - self.kept
        if start < min(first, stop) and any(index not in self.governing for index in range(start, min(first, stop))):
            raise UnavailableError(f"a store without a disk keeps the newest {KEPT_ROWS} entries only")
        older = [self.governing[index] for index in range(start, min(first, stop))]
        return older + [row for row in chain.from_iterable(self.recent) if start <= row.leaf_index < stop]


class NullStore:
    """See the module's text, and `ledger.log.store.Store` for what each method promises."""

    shared = False

    def __init__(self) -> None:
        # A decision under the lock may read.
        self._lock = threading.RLock()
        self._heads: dict[int, Head] = {}
        self._logs: dict[int, _Log] = {}
        self._records: dict[int, LogRecord] = {}
        self._secrets: dict[str, bytes] = {}
        self._committed: dict[int, list[CommittedHead]] = {}
        self._days: dict[str, Day] = {}
        self._notes: dict[str, str] = {}

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        with self._lock:
            heads = {number: self.head(number) for number in log_numbers}
            known = {key: log.known[key] for log in self._logs.values() for key in dedup_keys if key in log.known}
            for batch in build(heads, known):
                self._write(batch, heads)

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        self.append(log_numbers, dedup_keys, build)
        yield from ()

    def _write(self, batch: Batch, heads: Mapping[int, Head]) -> None:
        for side in batch.side:
            match side:
                case LogRecord():
                    if side.number in self._records:
                        raise ConflictError(f"log {side.number} exists already")
                    self._records[side.number] = side
                case Secret():
                    self._secrets[side.name] = side.box
                case CommittedHead():
                    self._committed.setdefault(side.root_index, []).append(side)
                case Day():
                    self._days[side.date] = side
        log = self._logs.setdefault(batch.log_number, _Log())
        before = heads[batch.log_number].size if batch.log_number in heads else 0
        assert before == log.size == batch.head.size - len(batch.rows), "the head moved under the lock"
        log.add(batch.rows)
        for tile in batch.tiles:
            log.tiles[tile.level, tile.number] = tile.hashes
        self._heads[batch.log_number] = batch.head

    def logs(self) -> list[LogRecord]:
        return [self._records[number] for number in sorted(self._records)]

    def heads(self) -> dict[int, Head]:
        return dict(self._heads)

    def head(self, log_number: int) -> Head:
        head = self._heads.get(log_number)
        if head is None:
            raise DamagedError(f"the head of log {log_number} is missing")
        return head

    def positions(self, log_numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        heads = self.heads()
        return {number: (heads[number].size, heads[number].last_governing) for number in log_numbers}

    def leaves(self, log_number: int, start: int, stop: int) -> list[bytes]:
        return [row.leaf for row in self.rows(log_number, start, stop)]

    def rows(self, log_number: int, start: int, stop: int) -> list[Row]:
        with self._lock:
            return self._logs[log_number].rows(start, stop)

    def governing(self, log_number: int, start: int) -> Iterator[tuple[int, bytes]]:
        with self._lock:
            kept = sorted(self._logs[log_number].governing.items())
        return ((index, row.leaf) for index, row in kept if index >= start)

    def find(self, log_number: int, event_id: bytes) -> Row | None:
        with self._lock:
            log = self._logs[log_number]
            return {row.event_id: row for row in chain(log.governing.values(), *log.recent)}.get(event_id)

    def sealed(self, log_number: int, index: int) -> Sealed | None:
        for row in self.rows(log_number, index, index + 1):
            if row.sealed is not None and row.data_key is not None:
                return Sealed(row.sealed, row.data_key)
        return None

    def search(self, log_number: int, wanted: Filter, below: int, limit: int) -> Page:
        raise UnavailableError("a store without a disk is not searched")

    def search_onward(self, log_number: int, wanted: Filter, start: int, stop: int, limit: int) -> Onward:
        raise UnavailableError("a store without a disk is not searched")

    def tile(self, log_number: int, level: int, number: int) -> bytes | None:
        return self._logs[log_number].tiles.get((level, number))

    def tile_roots(self, log_number: int, level: int, start: int, stop: int) -> list[bytes]:
        tiles = self._logs[log_number].tiles
        return [tiles[level, number][-32:] for number in range(start, stop) if (level, number) in tiles]

    def secret(self, name: str) -> bytes | None:
        return self._secrets.get(name)

    def secrets(self) -> list[Secret]:
        return [Secret(name, box) for name, box in sorted(self._secrets.items())]

    def committed_sizes(self) -> dict[int, int]:
        sizes: dict[int, int] = {}
        for head in chain.from_iterable(list(self._committed.values())):
            sizes[head.log_number] = max(head.size, sizes.get(head.log_number, 0))
        return sizes

    def committed_heads(self, root_index: int, stop: int | None = None) -> list[CommittedHead]:
        indexes = range(root_index, root_index + 1 if stop is None else stop)
        return [head for index in indexes for head in self._committed.get(index, [])]

    def covering_head(self, log_number: int, index: int) -> CommittedHead | None:
        heads = chain.from_iterable(list(self._committed.values()))
        covering = [head for head in heads if head.log_number == log_number and head.size > index]
        return min(covering, key=lambda head: (head.size, head.root_index), default=None)

    def days(self) -> list[Day]:
        return [self._days[date] for date in sorted(self._days)]

    def day(self, date: str) -> Day | None:
        return self._days.get(date)

    def note(self, name: str) -> str | None:
        return self._notes.get(name)

    def put_note(self, name: str, text: str) -> None:
        self._notes[name] = text

    def notes(self) -> dict[str, str]:
        return dict(self._notes)

    def identity(self) -> str:
        return ""

    def damage(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is held open."""
