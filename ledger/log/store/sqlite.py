# SPDX-License-Identifier: Apache-2.0
"""The store on SQLite: one file, one writing process, WAL, every commit synced to disk.

The writing connection is used by one thread at a time, under `_write_lock`; each thread that reads has a connection of
its own. That another process does not write is the service's business (`ledger/log/lock.py`); SQLite's own lock would
only turn the mistake into a delay.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from ledger.log.errors import ConfigurationError, ConflictError, DamagedError, OutcomeUnknownError, UnavailableError
from ledger.log.store import (
    INSTANCE,
    SEARCH_SPAN,
    Batch,
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
    SecretChange,
    SideRow,
    named_sql,
)
from ledger.log.store.id_search import IdSearch

SCHEMA_VERSION = 1
# Every event changes a page of the dedup index that no other event of its commit changes, and a changed page is written
# whole, to the WAL and later to the file: of what 32 events a commit write, that was seven tenths with pages of 4 kB.
# What does not fit on a small page of a table lies on pages of its own, which SQLite fills to the last byte. A file
# keeps the size it was made with.
PAGE_BYTES = 1024
# Pages that change often between two checkpoints are written to the file once; a journal of 32 MB.
CHECKPOINT_PAGES = 32_000
# Each statement lets another thread have the interpreter, and getting it back can take that thread's whole turn. So a
# statement takes many rows, and with these sizes each is prepared once.
PIECES = (256, 128, 64, 32, 16, 8, 4, 2, 1)


_SQL = named_sql.load("sqlite.sql")
_SQL["search_onward"] = _SQL["search"].replace(" desc ", " ")
_INDEX_MASK = (1 << 40) - 1
_TILE_MASK = (1 << 36) - 1
_columns, _values = _SQL["insert_entry"].split("values")
_INSERTS = {size: f"{_columns}values {', '.join([_values] * size)}" for size in PIECES}
_LOOKUPS = {size: _SQL["select_known"].replace("(?)", f"({', '.join('?' * size)})") for size in PIECES}
_row: Callable[[Any], Row] = partial(tuple.__new__, Row)


_Item = TypeVar("_Item")


def _position(log_number: int, index: int) -> int:
    return log_number << 40 | index


def _tile_position(log_number: int, level: int, number: int) -> int:
    return log_number << 40 | level << 36 | number


def _pieces(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """All items, in as few of the sizes as will do."""
    start = 0
    for size in PIECES:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size


class SqliteStore:
    shared = False

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the database at `path`. Raises ConfigurationError when it is not there or of another version."""
        self._path = path
        self._read_only = read_only
        self._local = threading.local()
        self._write_lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._by_id = IdSearch(self._row_at)
        # What a search by id begins with: logs only grow.
        self._sizes: dict[int, int] = {}
        self._under_way: set[str] = set()
        if not path.exists():
            raise ConfigurationError(f"no ledger at {path}: run `ledger init` first, or restore the file from a backup")
        version = self._reader().execute("pragma user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise ConfigurationError(f"{path} has format {version}, this program reads {SCHEMA_VERSION}")
        self._writer = None if read_only else self._connect()

    @classmethod
    def initialise(cls, path: Path) -> "SqliteStore":
        """Make a new, empty database. Raises ConflictError when the file exists."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise ConflictError(f"{path} exists already") from None
        schema = named_sql.read("sqlite_schema.sql")
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute(f"pragma page_size = {PAGE_BYTES}")
            connection.execute("pragma journal_mode = wal")
            connection.executescript(f"begin; {schema}; pragma user_version = {SCHEMA_VERSION}; commit;")
        except sqlite3.Error as error:
            raise ConfigurationError(f"{path} cannot be made: {error}") from error
        finally:
            connection.close()
        return cls(path)

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rw"
        try:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=10,
            )
            connection.executescript("pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -16384;")
            if not self._read_only:
                # As it is already, but for a file out of a backup: `seal` left it without a journal.
                connection.execute("pragma journal_mode = wal")
                connection.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
        except sqlite3.Error as error:
            raise ConfigurationError(f"{self._path} cannot be opened: {error}") from error
        self._connections.append(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def seal(self) -> None:
        """Close, and leave one file without a journal, which can be read where nothing can be written.

        Nobody else may have it open. Raises UnavailableError.
        """
        self.close()
        try:
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                [mode] = connection.execute("pragma journal_mode = delete").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise UnavailableError(f"{self._path} cannot be finished: {error}") from error
        assert mode == "delete", f"{self._path} is in use"

    # Writing

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        for _ in self.append_in_steps(log_numbers, dedup_keys, build):
            pass

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        with self._write_lock:
            connection = self._begin()
            try:
                heads = {number: self._head(connection, number) for number in log_numbers}
                batches = build(heads, self._known(connection, dedup_keys))
                for batch in batches:
                    self._write(connection, batch, heads.get(batch.log_number))
                yield
            except BaseException as error:
                self._rollback(connection)
                if isinstance(error, sqlite3.IntegrityError):
                    raise ConflictError(f"the store holds something of that name already: {error}") from error
                if isinstance(error, sqlite3.Error):
                    raise UnavailableError(f"the store refused a write: {error}", retry_after=5) from error
                raise
            self._commit(connection)
        self._sizes.update({batch.log_number: batch.head.size for batch in batches})

    def _begin(self) -> sqlite3.Connection:
        if self._writer is None:
            raise UnavailableError("the store is open for reading only")
        try:
            self._writer.execute("begin immediate")
        except sqlite3.Error as error:
            raise UnavailableError(f"the store cannot be written: {error}", retry_after=5) from error
        return self._writer

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("commit")
        except sqlite3.Error as error:
            # SQLite may have synced the commit before it failed; only the file knows.
            self._rollback(connection)
            raise OutcomeUnknownError(f"commit failed: {error}") from error

    @staticmethod
    def _rollback(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("rollback")

    def _write(self, connection: sqlite3.Connection, batch: Batch, before: Head | None) -> None:
        for side in batch.side:
            self._write_side(connection, side)
        head, number = batch.head, batch.log_number
        values = head.size, head.root, head.checkpoint, head.last_governing, _uuid(head.last_id)
        if before is None:
            connection.execute(_SQL["insert_head"], (number, *values))
        else:
            changed = connection.execute(_SQL["advance_head"], (*values, number, before.size)).rowcount
            assert changed == 1, f"head of log {number} moved under the lock"
        first = number << 40
        for piece in _pieces([(first | row[0], *row[1:]) for row in batch.rows]):
            connection.execute(_INSERTS[len(piece)], tuple(chain.from_iterable(piece)))
        for tile in batch.tiles:
            position = _tile_position(number, tile.level, tile.number)
            connection.execute(_SQL["insert_tile"], (position, tile.hashes[-32:], tile.hashes))

    def _write_side(self, connection: sqlite3.Connection, side: SideRow) -> None:
        match side:
            case CommittedHead():
                values: tuple[Any, ...] = (
                    side.root_index, side.position, side.log_number, side.size, side.checkpoint, side.line
                )  # fmt: skip
                connection.execute(_SQL["insert_committed_head"], values)
            case Day():
                connection.execute(_SQL["insert_day"], (side.date, side.entry_index, side.checkpoint))
            case Secret():
                connection.execute(_SQL["insert_secret"], (side.name, side.box))
            case SecretChange(name, None):
                connection.execute(_SQL["delete_secret"], (name,))
            case SecretChange():
                connection.execute(_SQL["keep_secret" if side.keep else "put_secret"], (side.name, side.box))
            case LogRecord():
                connection.execute(_SQL["insert_log"], (side.number, side.log_id, side.origin, side.tenant_id))

    @staticmethod
    def _known(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Known]:
        found = {}
        for piece in _pieces(keys):
            for dedup, position, event_id, request in connection.execute(_LOOKUPS[len(piece)], piece):
                found[dedup] = Known(position & _INDEX_MASK, event_id, request)
        return found

    # Reading

    def _all(self, name: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        try:
            return self._reader().execute(_SQL[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise UnavailableError(f"the store cannot be read: {error}", retry_after=5) from error

    def _one(self, name: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self._all(name, parameters)
        return rows[0] if rows else None

    @staticmethod
    def _head(connection: sqlite3.Connection, log_number: int) -> Head:
        row = connection.execute(_SQL["select_head"], (log_number,)).fetchone()
        if row is None:
            raise DamagedError(f"the head of log {log_number} is missing: restore the database from a backup")
        size, root, checkpoint, last_governing, last_id = row
        return Head(size, root, checkpoint, last_governing, int.from_bytes(last_id))

    def logs(self) -> list[LogRecord]:
        return [LogRecord(*row) for row in self._all("select_logs")]

    def heads(self) -> dict[int, Head]:
        return {
            number: Head(size, root, checkpoint, last_governing, int.from_bytes(last_id))
            for number, size, root, checkpoint, last_governing, last_id in self._all("select_heads")
        }

    def head(self, log_number: int) -> Head:
        try:
            return self._head(self._reader(), log_number)
        except sqlite3.Error as error:
            raise UnavailableError(f"the store cannot be read: {error}", retry_after=5) from error

    def positions(self, log_numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        return {
            number: (head.size, head.last_governing) for number, head in self.heads().items() if number in log_numbers
        }

    def leaves(self, log_number: int, start: int, stop: int) -> list[bytes]:
        return [
            row[0] for row in self._all("select_leaves", (_position(log_number, start), _position(log_number, stop)))
        ]

    def rows(self, log_number: int, start: int, stop: int) -> list[Row]:
        found = self._all("select_rows", (_position(log_number, start), _position(log_number, stop)))
        # Without a step of Python's for each row: a check reads them all.
        return list(map(_row, found))

    def governing(self, log_number: int, start: int) -> Iterator[tuple[int, bytes]]:
        while rows := self._all("select_governing", (_position(log_number, start), _position(log_number + 1, 0))):
            for position, leaf in rows:
                start = (position & _INDEX_MASK) + 1
                yield start - 1, leaf

    def find(self, log_number: int, event_id: bytes) -> Row | None:
        searched = self._sizes.get(log_number, 0)
        row = self._by_id.find(log_number, event_id, 0, searched)
        if row is None and (size := self.head(log_number).size) > searched:
            self._sizes[log_number] = size
            row = self._by_id.find(log_number, event_id, searched, size)
        return row

    def _row_at(self, log_number: int, index: int) -> Row:
        for row in self.rows(log_number, index, index + 1):
            return row
        raise DamagedError(f"entry {index} of log {log_number} is missing: run `ledger check`")

    def known(self, log_number: int, dedup_keys: Sequence[bytes]) -> dict[bytes, Known]:
        # A keyed digest differs between logs.
        try:
            return self._known(self._reader(), dedup_keys)
        except sqlite3.Error as error:
            raise UnavailableError(f"the store cannot be read: {error}", retry_after=5) from error

    def sealed(self, log_number: int, index: int) -> Sealed | None:
        row = self._one("select_sealed", (_position(log_number, index),))
        return None if row is None or row[0] is None else Sealed(*row)

    def under_keys(self, log_number: int, key_ids: Collection[bytes], start: int, stop: int) -> list[Row]:
        ids = json.dumps([key_id.hex().upper() for key_id in key_ids])
        between = _position(log_number, start), _position(log_number, stop)
        return list(map(_row, self._all("select_under_keys", (*between, ids))))

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
        found = self._all(
            name,
            {
                "start": _position(log_number, start),
                "stop": _position(log_number, stop),
                "types": json.dumps(list(wanted.types)) if wanted.types else None,
                "agents": json.dumps(list(wanted.agents)) if wanted.agents else None,
                "envs": json.dumps(list(wanted.envs)) if wanted.envs else None,
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
        return [(position & _INDEX_MASK, leaf) for position, leaf in found]

    def count_calls(self, log_number: int, types: Sequence[str], start: int, stop: int) -> list[CallCount]:
        between = _position(log_number, start), _position(log_number, stop)
        return [CallCount(*row) for row in self._all("count_calls", (*between, json.dumps(list(types))))]

    def tile(self, log_number: int, level: int, number: int) -> bytes | None:
        row = self._one("select_tile", (_tile_position(log_number, level, number),))
        return None if row is None else row[0]

    def tile_roots(self, log_number: int, level: int, start: int, stop: int) -> list[bytes]:
        first, last = _tile_position(log_number, level, start), _tile_position(log_number, level, stop)
        return [row[0] for row in self._all("select_tile_roots", (first, last))]

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
        return self.note(INSTANCE) or ""

    def next_entry(self, log_number: int, index: int) -> tuple[int, int] | None:
        row = self._one("select_next_entry", (_position(log_number, index),))
        return None if row is None else (row[0] >> 40, row[0] & _INDEX_MASK)

    def next_tile(self, log_number: int, level: int, number: int) -> tuple[int, int, int] | None:
        row = self._one("select_next_tile", (_tile_position(log_number, level, number),))
        return None if row is None else (row[0] >> 40, row[0] >> 36 & 15, row[0] & _TILE_MASK)

    def damage(self) -> str | None:
        try:
            found: str = self._reader().execute("pragma integrity_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            return str(error)
        return None if found == "ok" else found

    def put_note(self, name: str, text: str) -> None:
        self._write_rows("put_note", [(name, text)])

    def reseal(self, log_number: int, changes: Sequence[Resealed]) -> None:
        rows = [
            (change.data_key, change.sealed, change.forget, _position(log_number, change.leaf_index), change.before)
            for change in changes
        ]
        self._write_rows("reseal", rows)

    def _write_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """A statement by name with each of its rows, in a transaction of its own."""
        with self._write_lock:
            connection = self._begin()
            try:
                connection.executemany(_SQL[name], rows)
            except sqlite3.Error as error:
                self._rollback(connection)
                raise UnavailableError(f"the store refused a write: {error}", retry_after=5) from error
            self._commit(connection)

    @contextmanager
    def only_one(self, work: str) -> Iterator[None]:
        # No other process writes here.
        if work in self._under_way:
            raise ConflictError(f"another {work} is under way; try again when it is done")
        self._under_way.add(work)
        try:
            yield
        finally:
            self._under_way.discard(work)


def _uuid(value: int) -> bytes:
    return value.to_bytes(16, "big")
