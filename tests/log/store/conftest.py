# SPDX-License-Identifier: Apache-2.0
"""Stores to test: a second one is one more parameter of the fixture `kind`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.log.store import Store
from ledger.log.store.sqlite import SqliteStore
from tests.log.store.rows import make


class Sqlite:
    """Makes SQLite stores in folders of their own, and opens the same one again."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._paths: list[Path] = []

    def new(self) -> Store:
        self._paths.append(self._parent / f"{len(self._paths)}.db")
        return SqliteStore.initialise(self._paths[-1])

    def again(self, *, read_only: bool = False) -> Store:
        return SqliteStore(self._paths[-1], read_only=read_only)


@pytest.fixture(scope="module", params=[Sqlite])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return request.param(tmp_path_factory.mktemp("stores"))


@pytest.fixture
def store(kind: Any) -> Iterator[Store]:
    """A store with a root log and a tenant's, each with its first entry."""
    opened = kind.new()
    make(opened)
    yield opened
    opened.close()
