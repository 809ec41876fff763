# SPDX-License-Identifier: Apache-2.0
"""Logs are loaded on first use, and forgotten again when there are many and nobody asks for them."""

import os

import pytest
from msgspec import UNSET

from ledger.deployment import TENANT_PARTS
from ledger.log.entry import ENTRY_RULE
from ledger.log.errors import NotFoundError
from ledger.log.events.logs import LogCreated, LogGenesis
from ledger.log.fold import empty_state
from ledger.log.keys import create_signing_key
from ledger.log.ledger import IDLE_MS
from ledger.log.store import Head, LogRecord, Secret
from ledger.log.tree import TileCache, Tree
from ledger.log.working_copy import Committed, Draft, Log, WorkingCopy
from ledger.tlog.edge import Edge
from ledger.tlog.merkle import EMPTY_ROOT
from tests.log.world import World


def add_log(world: World, number: int) -> None:
    """Another tenant's log, as another process may have made it: with its first entry, announced in the root log."""
    ledger = world.ledger
    log_id = f"{number:016x}"
    record = LogRecord(number, log_id, f"localhost/log/{log_id}", f"tenant-{number}")
    signer, secret = create_signing_key(record.origin, ledger.vault)
    pepper, name = os.urandom(32), f"pepper/{number}"
    created = LogCreated(origin=record.origin, vkey=signer.vkey.format())
    world.append(Draft(created, subject=record.origin), log=world.root)
    empty = Committed(Head(0, EMPTY_ROOT, "", -1, 0), Edge(), empty_state(TENANT_PARTS))
    log = Log(record, Tree(ledger.store, number, TileCache()), signer, pepper, empty)
    genesis = LogGenesis(
        origin=record.origin,
        kind="tenant",
        entry_rule=ENTRY_RULE,
        vkey=signer.vkey.format(),
        max_commit_delay=UNSET,
    )
    side = (record, secret, Secret(name, ledger.vault.seal(name, pepper)))
    copy = WorkingCopy(log, world.clock(), {})
    copy.add(copy.plan(lambda moment: [Draft(genesis, subject=record.origin, side=side)]))
    ledger.store.append([], [], lambda heads, known: [copy.finish()])


@pytest.fixture
def many(world: World) -> World:
    """A ledger with five tenants' logs, opened anew so that only the first is loaded."""
    for number in range(2, 6):
        add_log(world, number)
    return world.reopened()


def loaded(world: World) -> set[int]:
    return {number for number in range(6) if world.ledger.loaded(number) is not None}


def test_log_is_loaded_by_its_first_use(many: World) -> None:
    assert many.ledger.loaded(4) is None
    log = many.ledger.log(4)
    assert log.committed.head.size == 1
    assert many.ledger.loaded(4) is log is many.ledger.log(4)
    with pytest.raises(NotFoundError):
        many.ledger.log(6)
    many.close()


def test_idle_logs_are_forgotten_where_too_many_are_loaded(many: World) -> None:
    many.ledger.keep_loaded = 3
    many.ledger.log(2)
    many.clock.now += IDLE_MS + 1
    kept = many.ledger.log(3)
    # Within the limit nobody goes; beyond it those go that were idle, the root log never.
    many.ledger.log(4)
    assert loaded(many) == {0, 3, 4}
    many.ledger.log(5)
    assert loaded(many) == {0, 3, 4, 5}, "in use a moment ago"
    assert many.ledger.log(3) is kept
    many.close()


def test_forgotten_log_comes_back_as_it_was(many: World) -> None:
    many.report("a", "b")
    before = many.log.committed
    many.ledger.keep_loaded = 1
    many.clock.now += IDLE_MS + 1
    many.ledger.log(2)
    assert many.ledger.loaded(many.log.number) is None
    again = many.ledger.log(many.log.number)
    assert again is not many.log
    assert (again.committed.head, again.committed.state) == (before.head, before.state)
    assert again.digest(b"x") == many.log.digest(b"x")
    many.close()


@pytest.mark.any_store("what is in memory is the same on every store")
def test_a_thousand_tenants_one_after_another_do_not_stay_in_memory(world: World) -> None:
    """Each is asked for once, two seconds after the one before: what stays is what was used in the last minutes."""
    tenants, kept, apart = 1000, 50, 2_000
    for number in range(2, tenants + 2):
        add_log(world, number)
    world = world.reopened()
    world.ledger.keep_loaded = kept
    most = 0
    for number in range(1, tenants + 2):
        world.clock.now += apart
        assert world.ledger.log(number).number == number
        most = max(most, len(world.ledger._logs))
    assert most <= max(kept, IDLE_MS // apart + 1) + 2
    world.close()
