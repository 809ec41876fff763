# SPDX-License-Identifier: Apache-2.0
"""Nothing is decided from knowledge that the store has not confirmed lately."""

import time
from collections.abc import Iterator

import pytest

from ledger.log import currency
from ledger.log.errors import UnavailableError
from ledger.settings import Settings
from tests.ledgers import Room
from tests.log.stores import AroundStore
from tests.log.world import World, revoke
from tests.running import eventually


class SharedStore(AroundStore):
    """A store that others may write to, and that can fall silent."""

    shared = True
    silent = False

    def positions(self, log_numbers: list[int]) -> dict[int, tuple[int, int]]:
        if self.silent:
            raise UnavailableError("no answer")
        return self.store.positions(log_numbers)


def store_of(world: World) -> SharedStore:
    store = world.ledger.store
    assert isinstance(store, SharedStore)
    return store


def is_current(world: World) -> bool:
    try:
        world.ledger.require_current()
    except UnavailableError as refusal:
        assert refusal.retry_after > 0
        return False
    return True


@pytest.fixture
def pair(made_ledger: Settings, module_room: Room, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, World]]:
    """A world, and another one on the same files that polls as a process does, only faster."""
    monkeypatch.setattr(currency, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(currency, "MAX_AGE_SECONDS", 0.3)
    place = module_room.copy(made_ledger)
    with World(place) as one, World(place, wrap=SharedStore) as other:
        other.ledger.start_following()
        yield one, other
        other.ledger.stop_following()


def test_poll_brings_what_another_process_committed(pair: tuple[World, World]) -> None:
    one, other = pair
    one.report("a", "b")
    eventually(lambda: other.log.committed.head == one.log.committed.head)
    key_id = one.create_key()
    one.together(revoke(key_id))
    eventually(lambda: other.log.committed.state == one.log.committed.state)
    assert is_current(other)


def test_silent_store_makes_every_decision_wait_until_it_speaks_again(pair: tuple[World, World]) -> None:
    _, other = pair
    assert is_current(other)
    store_of(other).silent = True
    began = time.monotonic()
    eventually(lambda: not is_current(other))
    assert time.monotonic() - began > 0.2
    store_of(other).silent = False
    eventually(lambda: is_current(other))


def test_sole_writer_is_always_current(world: World) -> None:
    world.ledger.start_following()
    assert is_current(world)
