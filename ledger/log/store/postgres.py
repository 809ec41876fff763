# SPDX-License-Identifier: Apache-2.0
"""The store on PostgreSQL 15 or later: several processes on several hosts write to the same logs.

Reading goes through a small pool of connections. Writing has a connection of its own (`postgres_writer.py`), used by
one thread at a time. What several processes write at once is put in order by the locks on the rows of `heads`.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from ledger.log.errors import ConfigurationError, ConflictError, DamagedError, UnavailableError
from ledger.log.store import (
    INSTANCE,
    SEARCH_SPAN,
    Build,
    CallCount,
    CommittedHead,
    Day,
    Filter,
    Head,
    Known,
    LogRecord,
    Onward,
    Page,
    Resealed,
    Row,
    Sealed,
    Secret,
    named_sql,
)
from ledger.log.store.postgres_connection import (
    APPLICATION_NAME,
    PATIENCE,
    Connection,
    KeptConnection,
    Patience,
    connect,
    opening,
    server_identity,
    settle,
)
from ledger.log.store.postgres_writer import Writer

SCHEMA_VERSION = 1
OLDEST_SERVER = 150000
READERS = 8
POLL_CONNECT_SECONDS = 2

_SQL = named_sql.load("postgres.sql")
_SQL["search_onward"] = _SQL["search"].replace(" desc ", " ")
_MIGRATION_LOCK = 0x6C6564676572
"""Key of the advisory lock under which the schema is made or changed ("ledger")."""

_Result = TypeVar("_Result")
_row: Callable[[Any], Row] = partial(tuple.__new__, Row)


class PostgresStore:
    shared = True

    def __init__(
        self, url: str, *, read_only: bool = False, empty: bool = False, patience: Patience = PATIENCE
    ) -> None:
        """Open the database at `url`; `empty` where no ledger is in it yet.

        Raises ConfigurationError when it cannot be reached, is of a newer format, or holds no ledger.
        """
        with opening(), connect(url) as connection:
            _require_server(connection)
            version = _schema_version(connection)
            if version is None or (not empty and _is_empty(connection)):
                raise ConfigurationError("there is no ledger in this database: run `ledger init` first, or restore it")
            if version > SCHEMA_VERSION or (version < SCHEMA_VERSION and read_only):
                raise ConfigurationError(f"the database has format {version}, this program reads {SCHEMA_VERSION}")
            if version < SCHEMA_VERSION:
                _migrate(connection)
        self._url = url
        self._read_only = read_only
        self._patience = patience
        self._pool = ConnectionPool(
            url,
            connection_class=Connection,
            min_size=1,
            max_size=READERS,
            kwargs={"autocommit": True, "connect_timeout": patience.connect, "application_name": APPLICATION_NAME},
            configure=lambda connection: settle(connection, patience, patience.read),
            timeout=patience.connect,
            # After that a reader in need tries at once, while the pool by itself would wait longer and longer.
            reconnect_timeout=1,
            name="ledger-readers",
            open=True,
        )
        self._writer = Writer(url, patience)
        self._write_lock = threading.Lock()
        self._poller = KeptConnection(url, replace(patience, connect=POLL_CONNECT_SECONDS), patience.poll)
        self._poll_lock = threading.Lock()

    @classmethod
    def initialise(cls, url: str) -> "PostgresStore":
        """Make the tables, or use those that an earlier try left without a ledger in them.

        Raises ConflictError when a ledger is there, ConfigurationError when the database cannot be used.
        """
        with opening(), connect(url) as connection:
            _require_server(connection)
            with connection.transaction():
                connection.execute("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
                if _schema_version(connection) is None:
                    _run_script(connection, named_sql.read("postgres_schema.sql"))
                    connection.execute("insert into schema_version values (%s)", (SCHEMA_VERSION,))
                elif not _is_empty(connection):
                    raise ConflictError("there is a ledger in this database already; nothing was changed")
        return cls(url, empty=True)

    def close(self) -> None:
        self._writer.close()
        self._poller.close()
        self._pool.close()

    # Writing

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        if self._read_only:
            raise UnavailableError("the store is open for reading only")
        with self._write_lock:
            self._writer.append(log_numbers, dedup_keys, build)

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        self.append(log_numbers, dedup_keys, build)
        yield from ()

    def put_note(self, name: str, text: str) -> None:
        if self._read_only:
            raise UnavailableError("the store is open for reading only")
        self._all("put_note", (name, text))

    def reseal(self, log_number: int, changes: Sequence[Resealed]) -> None:
        if self._read_only:
            raise UnavailableError("the store is open for reading only")
        rows = [
            (change.data_key, change.sealed, change.forget, log_number, change.leaf_index, change.before)
            for change in changes
        ]

        def write(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_SQL["reseal"], rows)

        # Done twice, it finds other keys and changes nothing.
        self._ask(write)

    @contextmanager
    def only_one(self, work: str) -> Iterator[None]:
        # On a connection of its own, whose end is the end of the lock, however it comes.
        try:
            connection = connect(self._url, self._patience)
            [(mine,)] = connection.execute(_SQL["lock_work"], (f"decision ledger: {work}",)).fetchall()
        except (ConfigurationError, psycopg.Error) as error:
            raise UnavailableError("the database cannot be reached", retry_after=5, cause=error) from error
        with closing(connection):
            if not mine:
                raise ConflictError(f"another {work} is under way; try again when it is done")
            yield

    # Reading

    def _all(self, name: str, parameters: Any = ()) -> list[Any]:
        """The rows of a named question."""
        return self._ask(lambda connection: _rows(connection.execute(_SQL[name], parameters, binary=True)))

    def _ask(self, question: Callable[[Connection], _Result]) -> _Result:
        """What somebody finds out who does no harm by asking twice: where a connection broke since it was last used,
        the next one is asked.
        """
        deadline = time.monotonic() + self._patience.connect
        while True:
            lost = False
            try:
                with self._pool.connection(timeout=deadline - time.monotonic()) as connection:
                    try:
                        return question(connection)
                    except psycopg.OperationalError:
                        lost = connection.closed
                        raise
            except psycopg.Error as error:
                if not lost or time.monotonic() > deadline:
                    raise UnavailableError("the database cannot be read", retry_after=5, cause=error) from error

    def _one(self, name: str, parameters: Any = ()) -> Any:
        rows = self._all(name, parameters)
        return rows[0] if rows else None

    def logs(self) -> list[LogRecord]:
        return [LogRecord(*row) for row in self._all("select_logs")]

    def heads(self) -> dict[int, Head]:
        return {row[0]: _head(*row[1:]) for row in self._all("select_heads")}

    def head(self, log_number: int) -> Head:
        row = self._one("select_head", (log_number,))
        if row is None:
            raise DamagedError(f"the head of log {log_number} is missing: restore the database from a backup")
        return _head(*row[1:])

    def positions(self, log_numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        numbers = (list(log_numbers),)
        # On a connection of its own, so that a process is not out of date because its readers are busy.
        with self._poll_lock:
            try:
                found = self._poller.ask(
                    lambda connection: _rows(connection.execute(_SQL["select_positions"], numbers, binary=True))
                )
            except (ConfigurationError, psycopg.Error) as error:
                raise UnavailableError("the database cannot be reached", retry_after=5, cause=error) from error
        return {number: (size, last) for number, size, last in found}

    def leaves(self, log_number: int, start: int, stop: int) -> list[bytes]:
        return [row[0] for row in self._all("select_leaves", (log_number, start, stop))]

    def rows(self, log_number: int, start: int, stop: int) -> list[Row]:
        # Without a step of Python's for each row: a check reads them all.
        return list(map(_row, self._all("select_rows", (log_number, start, stop))))

    def governing(self, log_number: int, start: int) -> Iterator[tuple[int, bytes]]:
        while rows := self._all("select_governing", (log_number, start)):
            yield from rows
            start = rows[-1][0] + 1

    def find(self, log_number: int, event_id: bytes) -> Row | None:
        row = self._one("find", {"log": log_number, "id": event_id})
        return None if row is None else _row(row)

    def known(self, log_number: int, dedup_keys: Sequence[bytes]) -> dict[bytes, Known]:
        found = self._all("select_known", {"numbers": [log_number], "keys": list(dedup_keys)})
        return {dedup: Known(*entry) for dedup, *entry in found}

    def sealed(self, log_number: int, index: int) -> Sealed | None:
        row = self._one("select_sealed", (log_number, index))
        return None if row is None or row[0] is None else Sealed(*row)

    def under_keys(self, log_number: int, key_ids: Collection[bytes], start: int, stop: int) -> list[Row]:
        return list(map(_row, self._all("select_under_keys", (log_number, start, stop, list(key_ids)))))

    def search(self, log_number: int, wanted: Filter, below: int, limit: int) -> Page:
        start = max(0, below - SEARCH_SPAN)
        entries = self._search("search", log_number, wanted, start, below, limit)
        next_below = entries[-1][0] if len(entries) == limit else start
        return Page(entries, next_below or None)

    def search_onward(self, log_number: int, wanted: Filter, start: int, stop: int, limit: int) -> Onward:
        stop = min(stop, start + SEARCH_SPAN)
        entries = self._search("search_onward", log_number, wanted, start, stop, limit)
        return Onward(entries, entries[-1][0] + 1 if len(entries) == limit else stop)

    def _search(
        self, name: str, log_number: int, wanted: Filter, start: int, stop: int, limit: int
    ) -> list[tuple[int, bytes]]:
        return self._all(
            name,
            {
                "log": log_number,
                "start": start,
                "stop": stop,
                "types": list(wanted.types) or None,
                "agents": list(wanted.agents) or None,
                "envs": list(wanted.envs) or None,
                "key_id": wanted.key_id,
                "tool_name": wanted.tool_name,
                "verdict": wanted.verdict,
                "mode": wanted.mode,
                "only_env": wanted.only_env,
                "since": wanted.since,
                "until": wanted.until,
                "text": None if wanted.text is None else wanted.text.encode(),
                "limit": limit,
            },
        )

    def count_calls(self, log_number: int, types: Sequence[str], start: int, stop: int) -> list[CallCount]:
        return [CallCount(*row) for row in self._all("count_calls", (log_number, start, stop, list(types)))]

    def tile(self, log_number: int, level: int, number: int) -> bytes | None:
        row = self._one("select_tile", (log_number, level, number))
        return None if row is None else row[0]

    def tile_roots(self, log_number: int, level: int, start: int, stop: int) -> list[bytes]:
        return [row[0] for row in self._all("select_tile_roots", (log_number, level, start, stop))]

    def secret(self, name: str) -> bytes | None:
        row = self._one("select_secret", (name,))
        return None if row is None else row[0]

    def secrets(self) -> list[Secret]:
        return [Secret(*row) for row in self._all("select_secrets")]

    def committed_sizes(self) -> dict[int, int]:
        return dict(self._all("select_committed_sizes"))

    def committed_heads(self, root_index: int, stop: int | None = None) -> list[CommittedHead]:
        between = root_index, root_index + 1 if stop is None else stop
        return [CommittedHead(*row) for row in self._all("select_committed_heads", between)]

    def covering_head(self, log_number: int, index: int) -> CommittedHead | None:
        row = self._one("select_covering_head", (log_number, index))
        return None if row is None else CommittedHead(*row)

    def days(self) -> list[Day]:
        return [Day(*row) for row in self._all("select_days")]

    def day(self, date: str) -> Day | None:
        row = self._one("select_day", (date,))
        return None if row is None else Day(*row)

    def note(self, name: str) -> str | None:
        row = self._one("select_note", (name,))
        return None if row is None else row[0]

    def notes(self) -> dict[str, str]:
        return dict(self._all("select_notes"))

    def identity(self) -> str:
        return f"{self.note(INSTANCE) or ''}/{self._ask(server_identity)}"

    def next_entry(self, log_number: int, index: int) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._one("select_next_entry", (log_number, index))
        return found

    def next_tile(self, log_number: int, level: int, number: int) -> tuple[int, int, int] | None:
        found: tuple[int, int, int] | None = self._one("select_next_tile", (log_number, level, number))
        return found

    def damage(self) -> str | None:
        try:
            invalid = self._all("select_invalid_indexes")
        except UnavailableError as error:
            return error.for_operator
        return f"index {invalid[0][0]} is not valid: run reindex" if invalid else None


def _rows(cursor: psycopg.Cursor[Any]) -> list[Any]:
    return [] if cursor.description is None else cursor.fetchall()


def _head(size: int, root: bytes, checkpoint: str, last_governing: int, last_id: bytes) -> Head:
    return Head(size, root, checkpoint, last_governing, int.from_bytes(last_id))


def _require_server(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise ConfigurationError(
            f"the server is PostgreSQL {connection.info.server_version // 10000}; "
            f"this program needs {OLDEST_SERVER // 10000} or later"
        )


def _schema_version(connection: psycopg.Connection[Any]) -> int | None:
    if connection.execute("select to_regclass('schema_version')").fetchone() == (None,):
        return None
    row = connection.execute("select max(version) from schema_version").fetchone()
    return None if row is None else row[0]


def _is_empty(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("select from heads limit 1").fetchone() is None


def _migrate(connection: psycopg.Connection[Any]) -> None:
    """Bring an older database up to date, one numbered file after the other, all in one transaction."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        # Asked again under the lock: another process may have been faster.
        current = _schema_version(connection) or 0
        for version, script in named_sql.migrations():
            if version > current:
                _run_script(connection, script)
                connection.execute("insert into schema_version values (%s)", (version,))


def _run_script(connection: psycopg.Connection[Any], script: str) -> None:
    # Without parameters a text of several statements goes to the server as it is.
    connection.execute(script.encode())
