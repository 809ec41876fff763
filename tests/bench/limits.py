# SPDX-License-Identifier: Apache-2.0
"""What the database itself can do with our rows: bulk load into the real table, and a commit of one row.

The rows are real ones, sealed and encrypted, made once. For every run they get positions and dedup keys of their own,
so that the indexes grow as they do in service; that happens before the clock runs.
"""

import os
import sqlite3
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Protocol

import psycopg

from ledger.log.store import Row, named_sql
from ledger.log.store.copy_format import copy_buffer
from ledger.log.store.postgres import PostgresStore
from ledger.log.store.postgres_connection import connect
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


class _Rows:
    """An endless supply of rows that differ where an index looks."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._indexes = count()

    def take(self, wanted: int) -> list[Row]:
        indexes = [next(self._indexes) for _ in range(wanted)]
        return [
            self._rows[index % len(self._rows)]._replace(leaf_index=index, dedup=os.urandom(16)) for index in indexes
        ]

    def chunks(self, wanted: int) -> list[list[Row]]:
        return [self.take(min(ROWS_A_TRANSACTION, wanted - at)) for at in range(0, wanted, ROWS_A_TRANSACTION)]


class SqliteLimits:
    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        SqliteStore.initialise(path).close()
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(
            "pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -16384;"
        )
        self._insert = named_sql.load("sqlite.sql")["insert_entry"]
        self._rows = _Rows(rows)

    def bulk_load(self, wanted: int) -> float:
        chunks = [[(LOG_NUMBER << 40 | row[0], *row[1:]) for row in chunk] for chunk in self._rows.chunks(wanted)]
        started = time.perf_counter()
        for chunk in chunks:
            self._connection.execute("begin immediate")
            self._connection.executemany(self._insert, chunk)
            self._connection.execute("commit")
        return wanted / (time.perf_counter() - started)

    def commit_one(self, times: int) -> list[float]:
        seconds = []
        for row in self._rows.take(times):
            values = (LOG_NUMBER << 40 | row[0], *row[1:])
            started = time.perf_counter()
            self._connection.execute("begin immediate")
            self._connection.execute(self._insert, values)
            self._connection.execute("commit")
            seconds.append(time.perf_counter() - started)
        return seconds

    def close(self) -> None:
        self._connection.close()


class PostgresLimits:
    """Bulk load is the binary COPY of buffers that were made before; a row alone is a prepared INSERT."""

    def __init__(self, url: str, rows: Sequence[Row]) -> None:
        PostgresStore.initialise(url).close()
        self._connection = connect(url)
        self._connection.prepare_threshold = 0
        self._copy = named_sql.load("postgres.sql")["copy_entries"].encode()
        self._rows = _Rows(rows)

    def bulk_load(self, wanted: int) -> float:
        buffers = [copy_buffer((LOG_NUMBER, row) for row in chunk) for chunk in self._rows.chunks(wanted)]
        started = time.perf_counter()
        for buffer in buffers:
            with self._connection.cursor() as cursor, cursor.copy(self._copy) as copy:
                copy.write(buffer)
        return wanted / (time.perf_counter() - started)

    def commit_one(self, times: int) -> list[float]:
        insert = psycopg.sql.SQL("insert into entries (log_number, {}) values ({})").format(
            psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, Row._fields)),
            psycopg.sql.SQL(", ").join([psycopg.sql.Placeholder()] * (len(Row._fields) + 1)),
        )
        seconds = []
        for row in self._rows.take(times):
            started = time.perf_counter()
            self._connection.execute(insert, (LOG_NUMBER, *row), binary=True)
            seconds.append(time.perf_counter() - started)
        return seconds

    def close(self) -> None:
        self._connection.close()
