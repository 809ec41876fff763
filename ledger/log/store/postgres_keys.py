# SPDX-License-Identifier: Apache-2.0
"""The data keys in a PostgreSQL database of their own (`keys.py` has the contract)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from ledger.log.errors import ConfigurationError, UnavailableError
from ledger.log.store import named_sql
from ledger.log.store.keys import KeyQuestions
from ledger.log.store.postgres_connection import PATIENCE, Connection, KeptConnection, connect, opening, words

_SQL = named_sql.load("keys.sql")
_SCHEMA = named_sql.read("postgres_keys_schema.sql").encode()

_Result = TypeVar("_Result")


class PostgresKeys(KeyQuestions):
    """A database of its own, for services on several hosts. The keystore lets one thread in at a time."""

    remote = True

    def __init__(self, url: str) -> None:
        """Connect. Raises ConfigurationError when that fails, or when there is no keystore in the database."""
        self._connection = KeptConnection(url, PATIENCE, PATIENCE.read)
        with opening():
            [(keys, retired)] = self._connection.ask(
                lambda connection: connection.execute(
                    "select to_regclass('data_keys'), to_regclass('retired_keys')"
                ).fetchall()
            )
            if keys is not None and retired is None:
                # From before there was any erasure.
                self._connection.ask(lambda connection: connection.execute(_SCHEMA))
        if keys is None:
            raise ConfigurationError("--keystore-url names a database without a keystore: restore it from its backup")

    @classmethod
    def initialise(cls, url: str) -> "PostgresKeys":
        """Make the table where it is not there yet. Raises ConfigurationError."""
        with connect(url) as connection:
            try:
                connection.execute(_SCHEMA)
            except psycopg.Error as error:
                raise ConfigurationError(f"the keystore cannot be made: {words(error)}") from error
        return cls(url)

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        super().destroy(key_ids)
        # What was deleted stays in the table's file until the server cleans up.
        self._try("the keystore cannot be cleaned up", lambda connection: connection.execute("vacuum data_keys"))

    def _write(self, *statements: tuple[str, Sequence[Sequence[Any]]]) -> None:
        def write(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                for name, rows in statements:
                    cursor.executemany(_SQL[name], rows)

        # Whether the first try wrote or not: each statement leaves alone what it finds done.
        self._try("the keystore cannot be written", write)

    def _ask(self, name: str, parameters: Sequence[Any]) -> list[Any]:
        return self._try(
            "the keystore cannot be read",
            lambda connection: connection.execute(_SQL[name], parameters, binary=True).fetchall(),
        )

    def _try(self, problem: str, work: Callable[[Connection], _Result]) -> _Result:
        try:
            return self._connection.ask(work)
        except (ConfigurationError, psycopg.Error) as error:
            raise UnavailableError(problem, retry_after=5, cause=error) from error

    def close(self) -> None:
        self._connection.close()
