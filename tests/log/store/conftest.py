# SPDX-License-Identifier: Apache-2.0
"""Stores to test: a new one of each kind, and the same one opened again."""

from collections.abc import Iterator

import pytest

from ledger.deployment import open_store
from ledger.log.store import Store
from ledger.log.store.postgres import PostgresStore
from ledger.log.store.sqlite import SqliteStore
from ledger.settings import Settings
from tests.ledgers import Room
from tests.log.store.rows import make


class Kind:
    """Makes stores, and opens the newest one again."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.place: Settings | None = None

    def new(self) -> Store:
        if self.place is not None:
            # Only the newest one is ever opened again.
            self._room.remove(self.place)
        self.place = place = self._room.new()
        place.data.mkdir()
        url = place.database_url
        return SqliteStore.initialise(place.database) if url is None else PostgresStore.initialise(url)

    def again(self, *, read_only: bool = False) -> Store:
        assert self.place is not None
        return open_store(self.place, read_only=read_only)


@pytest.fixture(scope="module")
def kind(module_room: Room) -> Kind:
    return Kind(module_room)


@pytest.fixture
def store(kind: Kind) -> Iterator[Store]:
    """A store with a root log and a tenant's, each with its first entry."""
    opened = kind.new()
    make(opened)
    yield opened
    opened.close()
