# SPDX-License-Identifier: Apache-2.0
"""A ledger to measure: made by `ledger init`, served by `ledger serve`, kept in a folder of the run or of the cache."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from ledger.settings import Settings
from tests.bench.processes import Server
from tests.running import guarded, run_ledger

KEYS_FILE = "bench-keys.json"


class BenchLedger(Protocol):
    """One ledger on one kind of store. `keys` is what `ledger init` printed."""

    store: str
    keys: dict[str, str]
    settings: Settings

    def serve(self, name: str) -> Server:
        """A service process on it."""
        ...

    def check_command(self) -> list[str]:
        """Arguments of `ledger` that check it."""
        ...

    def bytes_at_rest(self) -> int:
        """What the database takes on disk, indexes included, after a checkpoint."""
        ...

    def writers(self, server: Server) -> list[int]:
        """The processes that write to disk when the service does."""
        ...

    def checkpoint(self) -> None:
        """Bring to its files what the database has in a journal only."""
        ...


class SqliteLedger:
    """In a data directory of its own, which is made when it is not there."""

    store = "sqlite"

    def __init__(self, data: Path) -> None:
        self.settings = Settings(data=data, guard=Path(guarded(data)["LEDGER_GUARD"]))
        keys = data / KEYS_FILE
        if not keys.exists():
            made = run_ledger("init", "--json", data=data)
            if made.returncode != 0:
                raise RuntimeError(made.stderr)
            keys.write_text(made.stdout)
        self.keys: dict[str, str] = json.loads(keys.read_bytes())

    def serve(self, name: str) -> Server:
        return Server(name, "ledger", "serve", "--data", str(self.settings.data), *self._guard(), "--port", "0")

    def check_command(self) -> list[str]:
        return ["check", "--data", str(self.settings.data), *self._guard()]

    def _guard(self) -> list[str]:
        return ["--guard", str(self.settings.guard)]

    def bytes_at_rest(self) -> int:
        self.checkpoint()
        return self.settings.database.stat().st_size

    def writers(self, server: Server) -> list[int]:
        return [server.process.pid]

    def checkpoint(self) -> None:
        with closing(sqlite3.connect(self.settings.database)) as connection:
            busy, _, _ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        if busy:
            raise RuntimeError("the database is in use: its journal cannot be emptied")
