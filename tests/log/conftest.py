# SPDX-License-Identifier: Apache-2.0
"""Ledgers to test with: made once, copied for each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from ledger.settings import Settings
from tests.ledgers import Room
from tests.log.world import World, make_ledger

# An example may write to disk, and the machine may be busy.
settings.register_profile("disk", deadline=None)
settings.load_profile("disk")


@pytest.fixture(scope="module")
def made_ledger(make_room: Callable[[], Room], store_kind: str, templates: dict[tuple[str, str], Any]) -> Settings:
    """A ledger with its first entries only; to be copied, never opened."""
    if ("make_ledger", store_kind) not in templates:
        templates["make_ledger", store_kind] = place = make_room().new()
        make_ledger(place)
    made: Settings = templates["make_ledger", store_kind]
    return made


@pytest.fixture(scope="module")
def open_world(made_ledger: Settings, module_room: Room) -> Callable[..., World]:
    """Opens a fresh ledger: `with open_world() as world`, also many times in one test."""

    def opened(**options: Any) -> World:
        place = module_room.copy(made_ledger)
        return World(place, left=lambda: module_room.remove(place), **options)

    return opened


@pytest.fixture
def world(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as opened:
        yield opened
