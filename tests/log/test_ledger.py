# SPDX-License-Identifier: Apache-2.0
"""Logs are loaded on first use, and forgotten again when there are many and nobody asks for them."""

from collections.abc import Iterable

import pytest

from ledger.deployment import TENANT_PARTS
from ledger.log.errors import NotFoundError
from ledger.log.events.logs import LogCreated
from ledger.log.ledger import IDLE_MS, genesis, new_log
from ledger.log.store import Batch, LogRecord
from ledger.log.working_copy import Draft, WorkingCopy
from tests.log.world import World


def add_logs(world: World, numbers: Iterable[int]) -> None:
    """Other tenants' logs, as another process may have made them: with their first entries, announced in the root
    log.
    """
    ledger, announced, batches = world.ledger, list[Draft](), list[Batch]()
    for number in numbers:
        log_id = f"{number:016x}"
        record = LogRecord(number, log_id, f"localhost/log/{log_id}", f"tenant-{number}")
        log, secrets = new_log(ledger.store, ledger.vault, record, TENANT_PARTS)
        announced.append(Draft(LogCreated(origin=log.origin, vkey=log.signer.vkey.format()), subject=log.origin))
        copy = WorkingCopy(log, world.clock(), {})
        first = genesis(log, "tenant", (record, *secrets))
        copy.add(copy.plan(lambda moment, first=first: [first]))  # type: ignore[misc]
        batches.append(copy.finish())
    world.append(*announced, log=world.root)
    ledger.store.append([], [], lambda heads, known: batches)


@pytest.fixture
def many(world: World) -> World:
    """A ledger with five tenants' logs, opened anew so that only the first is loaded."""
    add_logs(world, range(2, 6))
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
    add_logs(world, range(2, tenants + 2))
    world = world.reopened()
    world.ledger.keep_loaded = kept
    most = 0
    for number in range(1, tenants + 2):
        world.clock.now += apart
        assert world.ledger.log(number).number == number
        most = max(most, len(world.ledger._logs))
    assert most <= max(kept, IDLE_MS // apart + 1) + 2
    world.close()
