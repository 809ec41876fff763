# SPDX-License-Identifier: Apache-2.0
"""The data keys in a PostgreSQL database of their own (`keys.py` has the contract)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from ledger.log.errors import ConfigurationError, UnavailableError
from ledger.log.store import named_sql
from ledger.log.store.keys import SealedKey
from ledger.log.store.postgres_connection import PATIENCE, Connection, KeptConnection, connect, opening, words

_SQL = named_sql.load("keys.sql")

_Result = TypeVar("_Result")


class PostgresKeys:
    """A database of its own, for services on several hosts. The keystore lets one thread in at a time."""

    remote = True

    def __init__(self, url: str) -> None:
        """Connect. Raises ConfigurationError when that fails, or when there is no keystore in the database."""
        self._connection = KeptConnection(url, PATIENCE, PATIENCE.read)
        with opening():
            found = self._connection.ask(
                lambda connection: connection.execute("select to_regclass('data_keys')").fetchone()
            )
        if found == (None,):
            raise ConfigurationError("--keystore-url names a database without a keystore: restore it from its backup")

    @classmethod
    def initialise(cls, url: str) -> "PostgresKeys":
        """Make the table where it is not there yet. Raises ConfigurationError."""
        with connect(url) as connection:
            try:
                connection.execute(named_sql.read("postgres_keys_schema.sql").encode())
            except psycopg.Error as error:
                raise ConfigurationError(f"the keystore cannot be made: {words(error)}") from error
        return cls(url)

    def of_bucket(self, log_number: int, bucket: bytes, day: int) -> tuple[bytes, bytes] | None:
        rows = self._ask("select_of_bucket", (log_number, bucket, day))
        return rows[0] if rows else None

    def of_id(self, key_id: bytes) -> SealedKey | None:
        rows = self._ask("select_of_id", (key_id,))
        return SealedKey(*rows[0]) if rows else None

    def after(self, key_id: bytes) -> list[SealedKey]:
        return [SealedKey(*row) for row in self._ask("select_after", (key_id,))]

    def insert(self, keys: Sequence[SealedKey]) -> None:
        def write(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_SQL["insert"], keys)

        # Whether the first try wrote them or not: keys that are there are left alone.
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
