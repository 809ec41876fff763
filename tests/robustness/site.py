# SPDX-License-Identifier: Apache-2.0
"""A ledger as it stands in a data centre: its service processes, and where it is kept in PostgreSQL a server of its own
behind a network that can be cut. Everything here can be killed.
"""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from ledger.settings import Settings
from tests.postgres import PostgresServer
from tests.robustness.proxy import Proxy
from tests.running import Service, run_ledger

FLAGS = ("--root-interval", "0.05")


class Site:
    """`settings` is the ledger as an operator's command opens it; the services reach the database by way of `proxy`."""

    def __init__(self, folder: Path, store: str, processes: int = 1) -> None:
        self.store = store
        self._stack = ExitStack()
        self.server: PostgresServer | None = None
        self.proxy: Proxy | None = None
        data = folder / "data"
        self.settings = there = Settings(data, guard=data / "guard")
        try:
            if store == "postgres":
                self.server = self._stack.enter_context(PostgresServer())
                self.settings = replace(there, database_url=self.server.create_database("ledger"))
                self.proxy = self._stack.enter_context(Proxy(self.server.url("ledger")))
                there = replace(there, database_url=self.proxy.url)
            made = run_ledger("init", "--json", data=self.settings)
            assert made.returncode == 0, made.stderr
            self.keys: dict[str, Any] = json.loads(made.stdout)
            self.services = [
                self._stack.enter_context(Service(there, self.keys, *FLAGS, log_name=f"service-{number}.stderr"))
                for number in range(processes)
            ]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Services first: they end as on a SIGTERM."""
        self._stack.close()

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> str | None:
        """What `ledger check --replay` finds wrong, beside whatever runs."""
        checked = run_ledger("check", "--replay", data=self.settings)
        return None if checked.returncode == 0 else f"ledger check: {checked.stdout}{checked.stderr}"

    def ask(self, statement: str) -> list[Any]:
        """What an operator asks the database."""
        assert self.settings.database_url is not None
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def bugs(self) -> list[str]:
        """Whatever the services themselves took for one: exceptions with where they came from, in our words or not."""
        found = []
        for service in self.services:
            lines = service.log_path.read_text().splitlines()
            found += [f"{service.log_path.name}: {line[:300]}" for line in lines if "Traceback" in line]
            found += [f"{service.log_path.name}: {line[:300]}" for line in lines if '"exception": ' in line]
        return found
