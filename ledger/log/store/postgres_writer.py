# SPDX-License-Identifier: Apache-2.0
"""One transaction of the log on PostgreSQL, in three questions.

    begin; select … for update; copy entries from stdin     the heads are locked and here, and the server wants rows
    (build) rows, end of data                               the entries are in, or a dedup key was taken
    update heads …; insert tiles …; commit                  it is done, refused, or unknown

The heads come back in the same answer that opens the COPY, so that the lock is held for no longer than it takes to
build. Dedup keys are not looked up beforehand: the unique index finds a repetition, the transaction is rolled back, and
the batch is built again with what is known then. While repetitions keep coming they are looked up first.

What a failure means depends on how far the conversation came. Until the last question nothing can have been committed,
whatever broke: the server rolls back what a lost connection leaves. Once the last question is sent, only the server's
own refusal (severity ERROR) says that nothing was; a lost connection leaves it unknown.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import structlog
from psycopg import generators
from psycopg.errors import Diagnostic, error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from ledger.log.errors import (
    ConfigurationError,
    ConflictError,
    DamagedError,
    OutcomeUnknownError,
    RollbackError,
    UnavailableError,
)
from ledger.log.store import (
    Batch,
    Build,
    CommittedHead,
    Day,
    Head,
    Known,
    LogRecord,
    Secret,
    SecretChange,
    SideRow,
    named_sql,
)
from ledger.log.store.copy_format import copy_buffer
from ledger.log.store.postgres_connection import Connection, Patience, SilentError, connect, server_identity, words

LOOK_UP_AFTER_REPETITION = 100
"""Batches for which dedup keys are looked up first after one that held a repetition."""
COPY_CHUNK = 1 << 16

_SQL = named_sql.load("postgres.sql")

_log = structlog.get_logger("ledger.postgres")


class _RepetitionError(Exception):
    """A dedup key of the batch is taken."""


class _HeldError(UnavailableError):
    """Another writer held a head for too long."""


class _LostError(UnavailableError):
    """The connection broke before anything can have been committed."""


class Writer:
    """The writing connection, made when it is needed and again when it was lost."""

    def __init__(self, url: str, patience: Patience) -> None:
        self._url = url
        self._patience = patience
        self._connection: Connection | None = None
        self._server: str | None = None
        self._look_up = 0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        """See the contract in `ledger/log/store`."""
        used_before = self._connection is not None
        try:
            self._append(log_numbers, dedup_keys, build)
        except _LostError:
            # That a connection is gone since its last use, as after a restart of the server, is noticed only now.
            if not used_before:
                raise
            self._append(log_numbers, dedup_keys, build)

    def _append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        connection = self._connected()
        known: dict[bytes, Known] = {}
        if self._look_up and dedup_keys:
            self._look_up -= 1
            known = self._known(connection, log_numbers, dedup_keys)
        while True:
            try:
                return self._transact(connection, log_numbers, known, build)
            except _HeldError:
                self._end_hung_writers(connection)
                raise
            except _RepetitionError as repetition:
                self._look_up = LOOK_UP_AFTER_REPETITION
                before, known = known, self._known(connection, log_numbers, dedup_keys)
                if known == before:
                    raise ConflictError(f"the store holds something of that name already: {repetition}") from None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = None
            try:
                self._connection = connect(self._url, self._patience)
            except ConfigurationError as error:
                raise UnavailableError("the database cannot be reached", retry_after=5, cause=error.message) from error
            self._require_same_server(self._connection)
        return self._connection

    def _require_same_server(self, connection: Connection) -> None:
        """Behind the same address there may be another server by now, and nobody here knows what it lacks."""
        try:
            server = server_identity(connection)
        except psycopg.Error as error:
            connection.close()
            raise UnavailableError("the database cannot be reached", retry_after=5, cause=error) from error
        if self._server is not None and self._server != server:
            connection.close()
            raise RollbackError(
                "the database server was failed over, or is another one than before. Make sure that it has what the "
                "other had and that the other is gone; then: ledger guard confirm, and start the service again"
            )
        self._server = server

    def _end_hung_writers(self, connection: Connection) -> None:
        """A process that stands still with its rows half sent would hold the heads for as long as it does."""
        with suppress(psycopg.Error):
            [(ended,)] = connection.execute(_SQL["end_hung_writers"], (self._patience.lock,)).fetchall()
            if ended:
                _log.warning("hung_writers_ended", sessions=ended)

    def _known(self, connection: Connection, log_numbers: Sequence[int], keys: Sequence[bytes]) -> dict[bytes, Known]:
        with _nothing_written(connection):
            parameters = {"numbers": list(log_numbers), "keys": list(keys)}
            found = connection.execute(_SQL["select_known"], parameters, binary=True).fetchall()
        return {dedup: Known(index, event_id, request) for dedup, index, event_id, request in found}

    def _transact(
        self,
        connection: Connection,
        log_numbers: Sequence[int],
        known: dict[bytes, Known],
        build: Build,
    ) -> None:
        with _nothing_written(connection):
            heads = _lock(connection, log_numbers)
            try:
                batches = build(heads, known)
                closing = _closing(connection, batches, heads)
            except BaseException:
                _copy(connection, b"", "the batch was not built")
                raise
            if not batches:
                _copy(connection, b"", "nothing to write")
                return
            _copy(connection, copy_buffer((batch.log_number, row) for batch in batches for row in batch.rows))
        _commit(connection, closing)


@contextmanager
def _nothing_written(connection: Connection) -> Iterator[None]:
    """Whatever fails in here left nothing in the database, and the connection is ready again or closed."""
    try:
        yield
    except BaseException as error:
        _roll_back(connection)
        match error:
            case psycopg.errors.UniqueViolation() if error.diag.constraint_name == "entries_dedup":
                raise _RepetitionError(str(error)) from None
            case psycopg.errors.UniqueViolation():
                raise ConflictError(f"the store holds something of that name already: {words(error)}") from error
            case psycopg.errors.LockNotAvailable():
                raise _HeldError("another process holds the log", retry_after=5, cause=error) from error
            case psycopg.OperationalError() if connection.closed and not isinstance(error, SilentError):
                raise _LostError("the database was lost during a write", retry_after=5, cause=error) from error
            case psycopg.Error():
                raise UnavailableError("the database refused a write", retry_after=5, cause=error) from error
        raise
    if connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.INTRANS:
        _roll_back(connection)


def _roll_back(connection: Connection) -> None:
    if connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        return
    try:
        _ask(connection, b"rollback")
    except psycopg.Error:
        # The server rolls back what a closed connection leaves.
        connection.close()


def _ask(connection: Connection, sql: bytes) -> list[PGresult]:
    """The results of a text of statements, up to the first that failed. Raises psycopg.Error for that one."""
    connection.pgconn.send_query(sql)
    results: list[PGresult] = connection.wait(generators.execute(connection.pgconn))
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding="utf-8")
    return results


def _lock(connection: Connection, log_numbers: Sequence[int]) -> dict[int, Head]:
    """Begin, lock the heads, and open the COPY."""
    numbers = b"'{" + ",".join(map(str, log_numbers)).encode() + b"}'"
    lock = _SQL["lock_heads"].encode().replace(b"%(numbers)s", numbers)
    begin = b"begin isolation level read committed; "
    _, locked, opened = _ask(connection, begin + lock + b"; " + _SQL["copy_entries"].encode())
    assert opened.status == ExecStatus.COPY_IN
    heads = {}
    for row in range(locked.ntuples):
        number, size, root, checkpoint, governing, last_id = (
            locked.get_value(row, column) or b"" for column in range(6)
        )
        # Text format: bytes come as \x and hex digits.
        heads[int(number)] = Head(
            int(size), bytes.fromhex(root[2:].decode()), checkpoint.decode(), int(governing), int(last_id[2:], 16)
        )
    for missing in set(log_numbers) - heads.keys():
        raise DamagedError(f"the head of log {missing} is missing: restore the database from a backup")
    return heads


def _copy(connection: Connection, data: bytes, refusal: str | None = None) -> None:
    """Send the rows and end the COPY; with `refusal`, have the server drop the transaction."""
    if connection.pgconn.status != psycopg.pq.ConnStatus.OK:
        return
    for start in range(0, len(data), COPY_CHUNK):
        connection.wait(generators.copy_to(connection.pgconn, data[start : start + COPY_CHUNK], flush=False))
    if refusal is None:
        connection.wait(generators.copy_end(connection.pgconn, None))
    else:
        with suppress(psycopg.Error):
            connection.wait(generators.copy_end(connection.pgconn, refusal.encode()))


def _closing(connection: Connection, batches: Sequence[Batch], heads: dict[int, Head]) -> bytes:
    """The statements after the entries. Side rows come first: a new log's head refers to its record."""
    cursor = psycopg.ClientCursor(connection)
    statements = []
    for batch in batches:
        statements += [cursor.mogrify(*_side(side)) for side in batch.side]
        head, number = batch.head, batch.log_number
        values = head.size, head.root, head.checkpoint, head.last_governing, head.last_id.to_bytes(16, "big"), number
        statements.append(cursor.mogrify(_SQL["advance_head" if number in heads else "insert_head"], values))
        for tile in batch.tiles:
            row = number, tile.level, tile.number, tile.hashes[-32:], tile.hashes
            statements.append(cursor.mogrify(_SQL["insert_tile"], row))
    return "; ".join([*statements, "commit"]).encode()


def _side(side: SideRow) -> tuple[str, tuple[Any, ...]]:
    match side:
        case CommittedHead():
            values = side.root_index, side.position, side.log_number, side.size, side.checkpoint, side.line
            return _SQL["insert_committed_head"], values
        case Day():
            return _SQL["insert_day"], (side.date, side.entry_index, side.checkpoint)
        case Secret():
            return _SQL["insert_secret"], (side.name, side.box)
        case SecretChange(name, None):
            return _SQL["delete_secret"], (name,)
        case SecretChange():
            return _SQL["keep_secret" if side.keep else "put_secret"], (side.name, side.box)
        case LogRecord():
            return _SQL["insert_log"], (side.number, side.log_id, side.origin, side.tenant_id)


def _commit(connection: Connection, closing: bytes) -> None:
    """The last question. Raises ConflictError or UnavailableError when the server refused it, OutcomeUnknownError when
    it did not say.
    """
    try:
        results = _ask(connection, closing)
    except BaseException as error:
        if not isinstance(error, psycopg.Error) or not _is_refusal(error.diag):
            connection.close()
            raise OutcomeUnknownError(f"the connection was lost during a commit: {error}") from error
        _roll_back(connection)
        if isinstance(error, psycopg.errors.UniqueViolation):
            raise ConflictError(f"the store holds something of that name already: {words(error)}") from error
        raise UnavailableError("the database refused a write", retry_after=5, cause=error) from error
    # A transaction that cannot be committed is answered with ROLLBACK, and that is no error.
    if results[-1].command_status != b"COMMIT":
        raise UnavailableError("the database rolled the batch back", retry_after=5)


def _is_refusal(diagnostic: Diagnostic) -> bool:
    """Whether it is the server's own word that the statement failed, and the session goes on."""
    return diagnostic.severity_nonlocalized == "ERROR"
