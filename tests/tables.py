# SPDX-License-Identifier: Apache-2.0
"""The tables of a ledger, read and changed behind its back, in words that both databases understand.

In a statement `?` stands for a value. Rows of `entries` and `tiles` are named by the methods, since the two databases
number them differently.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

import psycopg
from psycopg import sql

from ledger.settings import Settings

TENANT = 1
"""Number of the first tenant's log."""


_NAMES = "select tablename from pg_tables where schemaname = current_schema()"


class Tables(Protocol):
    def ask(self, statement: str, *values: object) -> list[Any]:
        """The rows of a question."""
        ...

    def change(self, statement: str, *values: object) -> int:
        """How many rows a statement changed."""
        ...

    def entry(self, index: int, log: int = TENANT) -> str:
        """The condition that an entry's row meets."""
        ...

    def entries(self, log: int = TENANT) -> str:
        """The condition that all entries of a log meet."""
        ...

    def tile(self, number: int, log: int = TENANT) -> str:
        """The condition that a full tile of the lowest level meets."""
        ...

    def place(self, index: int, log: int = TENANT) -> dict[str, int]:
        """The columns that say which entry a row is."""
        ...


class SqliteTables:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def ask(self, statement: str, *values: object) -> list[Any]:
        return self.connection.execute(statement, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        return self.connection.execute(statement, values).rowcount

    def place(self, index: int, log: int = TENANT) -> dict[str, int]:
        return {"position": log << 40 | index}

    def entry(self, index: int, log: int = TENANT) -> str:
        return f"position = {log << 40 | index}"

    def entries(self, log: int = TENANT) -> str:
        return f"position >> 40 = {log}"

    def tile(self, number: int, log: int = TENANT) -> str:
        return self.entry(number, log)


class PostgresTables:
    """Without the foreign keys: who may change the rows may drop them too."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def ask(self, statement: str, *values: object) -> list[Any]:
        return self._run(statement, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        self._run("alter table if exists committed_heads drop constraint if exists committed_heads_log_number_fkey", ())
        return self._run(statement, values).rowcount

    def _run(self, statement: str, values: tuple[object, ...]) -> psycopg.Cursor[Any]:
        return self.connection.execute(statement.replace("%", "%%").replace("?", "%s").encode(), values)

    def place(self, index: int, log: int = TENANT) -> dict[str, int]:
        return {"log_number": log, "leaf_index": index}

    def entry(self, index: int, log: int = TENANT) -> str:
        return f"log_number = {log} and leaf_index = {index}"

    def entries(self, log: int = TENANT) -> str:
        return f"log_number = {log}"

    def tile(self, number: int, log: int = TENANT) -> str:
        return f"log_number = {log} and level = 0 and number = {number}"


@contextmanager
def opened(place: Settings) -> Iterator[Tables]:
    """The tables, as the operator's own tools see them. Every statement is a transaction."""
    if place.database_url is None:
        with closing(sqlite3.connect(place.database, isolation_level=None)) as file:
            yield SqliteTables(file)
    else:
        with psycopg.connect(place.database_url, autocommit=True) as connection:
            yield PostgresTables(connection)


def alter(place: Settings, change: Callable[[Tables], object]) -> None:
    """Change something in one transaction."""
    with opened(place) as tables:
        tables.ask("select 1")
        tables.change("begin")
        change(tables)
        tables.change("commit")


@contextmanager
def refusing_writes(place: Settings) -> Iterator[None]:
    """Have PostgreSQL refuse every write to this database, as a standby does, or a server whose disk is full."""
    assert place.database_url is not None
    with psycopg.connect(place.database_url, autocommit=True) as ours:
        database = sql.Identifier(ours.info.dbname)

        def turn(setting: str) -> None:
            # The setting is for new sessions, so that the old ones are ended.
            ours.execute(sql.SQL("alter database {} set default_transaction_read_only = {}").format(database, setting))
            ours.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                "and pid <> pg_backend_pid()"
            )

        turn("on")
        yield
        turn("off")


def contents(place: Settings) -> dict[str, list[Any]]:
    """All rows of all tables, as one would find them in a dump."""
    with opened(place) as tables:
        if place.database_url is None:
            names = tables.ask("select name from sqlite_schema where type = 'table'")
        else:
            names = tables.ask(_NAMES)
        return {name: sorted(tables.ask(f"select * from {name}"), key=repr) for (name,) in names}


def copy_rows(source_url: str, target_url: str) -> None:
    """All rows of all tables, as of one moment, to the tables of another database."""
    with psycopg.connect(source_url) as source, psycopg.connect(target_url) as target:
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # `logs` first: others refer to it.
        names = source.execute(f"{_NAMES} order by tablename <> 'logs'").fetchall()
        for (name,) in names:
            table = sql.Identifier(name)
            target.execute(sql.SQL("truncate {} cascade").format(table))
            with (
                source.cursor().copy(sql.SQL("copy {} to stdout (format binary)").format(table)) as rows,
                target.cursor().copy(sql.SQL("copy {} from stdin (format binary)").format(table)) as taken,
            ):
                for data in rows:
                    taken.write(data)


def dump(place: Settings) -> bytes:
    """All values in the tables, bytes as they are."""
    values = (value for rows in contents(place).values() for row in rows for value in row)
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
