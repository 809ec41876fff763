# SPDX-License-Identifier: Apache-2.0
"""Connections to PostgreSQL as this program wants them: bounded waits, and nothing that weakens a commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from ledger.log.errors import ConfigurationError

CONNECT_SECONDS = 5
APPLICATION_NAME = "decision-ledger"
STATEMENT_SECONDS = 30
LOCK_SECONDS = 10
"""How long a batch waits for another process's batch on the same log."""

_SETTINGS = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": f"{LOCK_SECONDS}s",
    # A process that hangs in the middle of a batch must not hold the log's head for long.
    "idle_in_transaction_session_timeout": f"{LOCK_SECONDS}s",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
}
# The file that is written to begins with the timeline in eight hex digits, from the moment of a promotion on.
_SERVER = """
select case when not pg_is_in_recovery()
    then system_identifier::text || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) end
from pg_control_system()
"""


@contextmanager
def opening() -> Iterator[None]:
    """While a database is opened or made, whatever it says is for the operator: ConfigurationError."""
    try:
        yield
    except psycopg.Error as error:
        # The text names host, user and database, never the password.
        raise ConfigurationError(f"the database cannot be used: {words(error)}") from error


def words(error: psycopg.Error) -> str:
    """What the server or the library said, in one line."""
    return " ".join(str(error).split())


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection of one's own. Raises ConfigurationError when there is none to be had."""
    with opening():
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=APPLICATION_NAME
        )
        settle(connection)
    return connection


def settle(connection: psycopg.Connection[Any]) -> None:
    """What every connection is set to, also behind a connection pooler that takes no start-up options."""
    wanted = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items())
    # Only `off` acknowledges what is not on disk; a stronger setting than ours is the operator's choice.
    connection.execute(
        f"select {wanted}, case current_setting('synchronous_commit') when 'off' "
        "then set_config('synchronous_commit', 'on', false) end"
    )


def server_identity(connection: psycopg.Connection[Any]) -> str:
    """The cluster and its timeline, which is another one after a standby was promoted or an older state restored.

    Empty where the server does not say: a service in the cloud that hides it, or a standby.
    """
    try:
        row = connection.execute(_SERVER).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction, psycopg.NotSupportedError):
        return ""
    return "" if row is None or row[0] is None else str(row[0])
