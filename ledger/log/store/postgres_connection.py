# SPDX-License-Identifier: Apache-2.0
"""Connections to PostgreSQL as this program wants them: bounded waits, and nothing that weakens a commit.

The server bounds what it does itself (`statement_timeout`, `lock_timeout`). That is no help against a network that
swallows what is sent, where neither side hears of the other again: every wait here has an end of its own, too, and a
connection that was silent for so long is given up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from ledger.log.errors import ConfigurationError

APPLICATION_NAME = "decision-ledger"
_OTHERS = """select count(*) from pg_stat_activity
where datname = current_database() and application_name = %s and pid <> pg_backend_pid()"""

# The file that is written to begins with the timeline in eight hex digits, from the moment of a promotion on.
_SERVER = """
select case when not pg_is_in_recovery()
    then system_identifier::text || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) end
from pg_control_system()
"""

_Result = TypeVar("_Result")


@contextmanager
def opening() -> Iterator[None]:
    """While a database is opened or made, whatever it says is for the operator: ConfigurationError."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:
            # The library itself could not read the URL; it quotes the part, which may be the password.
            raise ConfigurationError(
                "the database cannot be used: got a URL that is none, want postgresql://user:password@host/name, with "
                "every special character of the password percent-encoded"
            ) from None
        raise ConfigurationError(f"the database cannot be used: {words(error)}") from error
    except psycopg.Error as error:
        # The text names host, user and database, never the password.
        raise ConfigurationError(f"the database cannot be used: {words(error)}") from error


def words(error: psycopg.Error) -> str:
    """What the server or the library said, in one line."""
    return " ".join(str(error).split())


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something is waited for, in seconds."""

    connect: int = 5
    lock: float = 10
    """For another process's batch on the same log."""
    write: float = 30
    """For each statement of a batch."""
    read: float = 10
    poll: float = 1
    """For word of what other processes did; what comes later is out of date already (log/currency.py)."""


PATIENCE = Patience()


class SilentError(psycopg.OperationalError):
    """The server did not answer in time, and neither is it known to be gone."""


class Connection(psycopg.Connection[Any]):
    """A connection that waits for no answer longer than `answer_seconds`."""

    answer_seconds: float = PATIENCE.connect

    def wait(self, gen: PQGen[_Result], interval: float = 0.1, timeout: float | None = None) -> _Result:
        try:
            return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            # What still comes would be taken for the answer to the next question.
            self.close()
            raise SilentError(f"the server was silent for {self.answer_seconds:g} s") from error


def connect(url: str, patience: Patience = PATIENCE, statement: float | None = None) -> Connection:
    """A connection of one's own. Raises ConfigurationError when there is none to be had."""
    with opening():
        connection = Connection.connect(
            url, autocommit=True, connect_timeout=patience.connect, application_name=APPLICATION_NAME
        )
        settle(connection, patience, patience.write if statement is None else statement)
    return connection


def other_connections(url: str) -> int:
    """How many connections programs of this kind have to a database. Raises ConfigurationError."""
    with opening(), connect(url) as connection:
        row = connection.execute(_OTHERS, (APPLICATION_NAME,)).fetchone()
    return 0 if row is None else int(row[0])


def settle(connection: Connection, patience: Patience, statement: float) -> None:
    """What every connection is set to, also behind a connection pooler that takes no start-up options; `statement` is
    how long the server may work on each.
    """
    wanted = {
        "statement_timeout": f"{statement * 1000:.0f}ms",
        "lock_timeout": f"{patience.lock * 1000:.0f}ms",
        # A process that hangs in the middle of a batch must not hold the log's head for long. One whose machine or
        # network is gone is noticed by packets it does not answer; over a Unix socket there are none.
        "idle_in_transaction_session_timeout": f"{patience.lock * 1000:.0f}ms",
        "tcp_keepalives_idle": "5s",
        "tcp_keepalives_interval": "2s",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "15s",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
    }
    set_all = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in wanted.items())
    # Only `off` acknowledges what is not on disk; a stronger setting than ours is the operator's choice.
    connection.execute(
        f"select {set_all}, case current_setting('synchronous_commit') when 'off' "
        "then set_config('synchronous_commit', 'on', false) end"
    )
    # The server has the first word: that a statement took too long says more than that there was no answer.
    connection.answer_seconds = 1.2 * statement


class KeptConnection:
    """A connection that is made when it is needed, and again when it was lost. For one thread at a time."""

    def __init__(self, url: str, patience: Patience, statement: float) -> None:
        self._url = url
        self._patience = patience
        self._statement = statement
        self._connection: Connection | None = None

    def ask(self, question: Callable[[Connection], _Result]) -> _Result:
        """What somebody finds out who does no harm by asking twice: that a connection broke since its last use, as
        after a restart of the server, is noticed by the first question. Raises ConfigurationError and psycopg.Error.
        """
        used_before = self._connection is not None
        connection = self._connected()
        try:
            return question(connection)
        except psycopg.OperationalError as error:
            if not used_before or not connection.closed or isinstance(error, SilentError):
                raise
        return question(self._connected())

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = None
            self._connection = connect(self._url, self._patience, self._statement)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def server_identity(connection: psycopg.Connection[Any]) -> str:
    """The cluster and its timeline, which is another one after a standby was promoted or an older state restored.

    Empty where the server does not say: a service in the cloud that hides it, or a standby.
    """
    try:
        row = connection.execute(_SERVER).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction, psycopg.NotSupportedError):
        return ""
    return "" if row is None or row[0] is None else str(row[0])
