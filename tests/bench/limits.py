# SPDX-License-Identifier: Apache-2.0
"""What SQLite itself can do with our rows: bulk load into the real schema, and a commit of one row.

The rows are real ones, sealed and encrypted, made once. For every run they get positions and dedup keys of their own,
so that the indexes grow as they do in service; that happens before the clock runs.
"""

import os
import sqlite3
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from ledger.log.store import Row, named_sql
from ledger.log.store.sqlite import SqliteStore

ROWS_A_TRANSACTION = 4096
LOG_NUMBER = 1


class Limits(Protocol):
    def bulk_load(self, wanted: int) -> float:
        """Load so many rows in transactions of 4096; rows a second."""
        ...

    def commit_one(self, times: int) -> list[float]:
        """Insert and commit one row, so many times; the seconds each took."""
        ...

    def close(self) -> None: ...


class SqliteLimits:
    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        SqliteStore.initialise(path).close()
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(
            "pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -16384;"
        )
        self._insert = named_sql.load("sqlite.sql")["insert_entry"]
        self._rows = [tuple(row) for row in rows]
        self._indexes = count()

    def bulk_load(self, wanted: int) -> float:
        chunks = [self._take(min(ROWS_A_TRANSACTION, wanted - at)) for at in range(0, wanted, ROWS_A_TRANSACTION)]
        started = time.perf_counter()
        for chunk in chunks:
            self._connection.execute("begin immediate")
            self._connection.executemany(self._insert, chunk)
            self._connection.execute("commit")
        return wanted / (time.perf_counter() - started)

    def commit_one(self, times: int) -> list[float]:
        seconds = []
        for row in self._take(times):
            started = time.perf_counter()
            self._connection.execute("begin immediate")
            self._connection.execute(self._insert, row)
            self._connection.execute("commit")
            seconds.append(time.perf_counter() - started)
        return seconds

    def _take(self, wanted: int) -> list[tuple[Any, ...]]:
        dedup = Row._fields.index("dedup")
        fresh = []
        for index in (next(self._indexes) for _ in range(wanted)):
            row = self._rows[index % len(self._rows)]
            fresh.append((LOG_NUMBER << 40 | index, *row[1:dedup], os.urandom(16), *row[dedup + 1 :]))
        return fresh

    def close(self) -> None:
        self._connection.close()
