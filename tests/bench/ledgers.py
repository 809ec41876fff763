# SPDX-License-Identifier: Apache-2.0
"""A ledger to measure: made by `ledger init`, served by `ledger serve`, kept in a folder of the run or of the cache."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg

from ledger.deployment import FIRST_TENANT
from ledger.settings import Settings
from tests.bench.processes import Server, family
from tests.postgres import PostgresServer
from tests.running import guarded, run_ledger

KEYS_FILE = "bench-keys.json"
LOG_SIZE = f"select size from heads where log_number = {FIRST_TENANT}"


class BenchLedger(Protocol):
    """One ledger on one kind of store. `keys` is what `ledger init` printed."""

    settings: Settings
    keys: dict[str, str]
    environment: dict[str, str]
    """What a command of `ledger` must know to find it."""

    def log_size(self) -> int:
        """Entries of the tenant's log, as they are stored."""
        ...

    def bytes_at_rest(self) -> int:
        """What the database takes on disk, indexes included, once everything is in its files."""
        ...

    def checkpoint(self) -> None:
        """Bring to its files what the database has in a journal only."""
        ...

    def writers(self, server: Server) -> list[int]:
        """The processes that write to disk when this service does."""
        ...


def serve(ledger: BenchLedger, name: str) -> Server:
    """A service process on a ledger."""
    return Server(name, "ledger", "serve", "--port", "0", **ledger.environment)


def made_keys(data: Path, environment: dict[str, str]) -> dict[str, str]:
    """What `ledger init` printed when the ledger was made, which may be now."""
    keys = data / KEYS_FILE
    if not keys.exists():
        made = run_ledger("init", "--json", data=None, **environment)
        if made.returncode != 0:
            raise RuntimeError(made.stderr)
        keys.write_text(made.stdout)
    told: dict[str, str] = json.loads(keys.read_bytes())
    return told


class SqliteLedger:
    """In a data directory of its own, which is made when it is not there."""

    def __init__(self, data: Path) -> None:
        self.environment = {"LEDGER_DATA": str(data), **guarded(data)}
        self.settings = Settings(data=data, guard=Path(self.environment["LEDGER_GUARD"]))
        self.keys = made_keys(data, self.environment)

    def log_size(self) -> int:
        with closing(sqlite3.connect(self.settings.database)) as connection:
            return int(connection.execute(LOG_SIZE).fetchone()[0])

    def bytes_at_rest(self) -> int:
        self.checkpoint()
        return self.settings.database.stat().st_size

    def checkpoint(self) -> None:
        with closing(sqlite3.connect(self.settings.database)) as connection:
            busy, _, _ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        if busy:
            raise RuntimeError("the database is in use: its journal cannot be emptied")

    def writers(self, server: Server) -> list[int]:
        return [server.process.pid]


class PostgresLedger:
    """In the database at `url`, with its keys in a data directory."""

    def __init__(self, postgres: PostgresServer, url: str, data: Path) -> None:
        self._postgres = postgres
        self.environment = {"LEDGER_DATA": str(data), "LEDGER_DATABASE_URL": url, **guarded(data)}
        self.settings = Settings(data=data, database_url=url, guard=Path(self.environment["LEDGER_GUARD"]))
        self.keys = made_keys(data, self.environment)

    def log_size(self) -> int:
        return self._ask(LOG_SIZE)[0]

    def bytes_at_rest(self) -> int:
        self.checkpoint()
        return self._ask("select pg_database_size(current_database())")[0]

    def checkpoint(self) -> None:
        self._ask("checkpoint")

    def writers(self, server: Server) -> list[int]:
        return [server.process.pid, *family(self._postgres.pid)]

    def _ask(self, question: str) -> tuple[int, ...]:
        assert self.settings.database_url is not None
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            cursor = connection.execute(question.encode())
            return (cursor.fetchone() or ()) if cursor.description else ()
