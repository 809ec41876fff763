# SPDX-License-Identifier: Apache-2.0
"""Room for ledgers, on whichever store a test runs.

A ledger is a data directory, and with PostgreSQL a database that goes with it. Making one takes half a second, so that
tests copy: the directory as files, the database by the server from a template.
"""

import shutil
from itertools import count
from pathlib import Path

from ledger.log.store.postgres import PostgresStore
from ledger.settings import Settings
from tests.postgres import Postgres
from tests.tables import copy_rows

STORES = ("sqlite", "postgres")

Ledger = tuple[Settings, dict[str, str]]
"""Where a ledger is, and what `ledger init --json` printed of it."""


class Room:
    """Places for new and copied ledgers, with databases of `server` or without, until `clear`."""

    def __init__(self, folder: Path, server: Postgres | None) -> None:
        self._folder = folder
        self._server = server
        self._numbers = count()
        self._databases: set[str] = set()

    def new(self) -> Settings:
        """A place without a ledger: no directory yet, and a database without tables."""
        return self._place(None)

    def copy(self, source: Settings) -> Settings:
        """The same ledger once more. Nobody may be connected to the database of `source` at the moment."""
        place = self._place(source.database_url)
        shutil.copytree(source.data, place.data)
        return place

    def copy_beside(self, source: Settings) -> Settings:
        """The same of a ledger that is open at the moment, which a server does not take as a template."""
        place = self.new()
        shutil.copytree(source.data, place.data)
        if source.database_url is not None and place.database_url is not None:
            PostgresStore.initialise(place.database_url).close()
            copy_rows(source.database_url, place.database_url)
        return place

    def _place(self, template_url: str | None) -> Settings:
        data = self._folder / f"data-{next(self._numbers)}"
        if self._server is None:
            return Settings(data, guard=data / "guard")
        url = self._server.new_database(template_url)
        self._databases.add(url)
        return Settings(data, guard=data / "guard", database_url=url)

    def remove(self, place: Settings) -> None:
        """Give a place's database back early; its folder is left to pytest."""
        if place.database_url in self._databases:
            self._drop(place.database_url)

    def clear(self) -> None:
        for url in list(self._databases):
            self._drop(url)

    def _drop(self, url: str) -> None:
        assert self._server is not None
        self._server.drop_database(self._server.name(url))
        self._databases.discard(url)
