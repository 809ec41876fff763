# SPDX-License-Identifier: Apache-2.0
"""Making tenants while a ledger runs: whole or not at all, whatever fails, and however many processes do it."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger.log.check import Holdings, check_holdings
from ledger.log.errors import ConflictError, ForbiddenError, UnavailableError
from ledger.log.events.tenants import TenantChanged
from ledger.log.fold import LogsState
from ledger.log.store import LogRecord
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.boxes import KeyBoxes
from ledger.tenant.keys import KeyResolver
from ledger.tenant.secrets import Secrets
from ledger.tenant.state import TenantState
from ledger.tenant.tenants import NewTenant, Tenants
from tests.log.conftest import made_ledger, open_world  # noqa: F401
from tests.log.stores import FailingStore
from tests.log.world import World, event

WAYS = pytest.mark.parametrize("way", FailingStore.WAYS)


@pytest.fixture
def world(open_world: Callable[..., World]) -> Iterator[World]:  # noqa: F811
    with open_world(wrap=FailingStore) as opened:
        yield opened


def tenants_of(world: World) -> Tenants:
    return Tenants(world.ledger, secrets_of(world))


def secrets_of(world: World) -> Secrets:
    return Secrets(world.ledger.store, world.ledger.vault)


def allowed(world: World) -> Part:
    return Part(world.log, lambda moment: [])


def make(world: World, *tenant_ids: str, guard: Part | None = None) -> list[NewTenant | BaseException]:
    """Make tenants, all at once."""
    tenants = tenants_of(world)

    async def all_of_them() -> list[NewTenant | BaseException]:
        making = [tenants.create(name, f"Company {name}", "free", guard or allowed(world)) for name in tenant_ids]
        return await asyncio.gather(*making, return_exceptions=True)

    return world.run(all_of_them())


def records(world: World) -> dict[str | None, LogRecord]:
    return {record.tenant_id: record for record in world.ledger.store.logs()}


def problems(world: World) -> list[str]:
    """What `ledger check` finds, with the vault and the data keys."""
    ledger = world.ledger
    ledger.keystore.flush()
    holdings = Holdings(ledger.store, ledger.keystore, ledger.vault, ledger.parts, (KeyBoxes(),))
    return [report.problem for report in check_holdings(holdings) if report.problem is not None]


def lets_in(world: World, made: NewTenant | BaseException) -> bool:
    """Whether the new tenant's owner key is good, for its own log."""
    assert isinstance(made, NewTenant), made
    log, key = KeyResolver(world.ledger, secrets_of(world)).resolve(made.owner.secret)
    return (log.record, key.role, key.env) == (made.founded.record, "owner", "all")


def test_new_tenant_has_a_log_of_its_own_and_a_key_at_once(world: World) -> None:
    [made] = make(world, "tenant-a")
    assert isinstance(made, NewTenant)
    assert lets_in(world, made)
    log = world.ledger.log(made.founded.record.number)
    state = log.committed.state[TenantState]
    assert (state.tenant_id, state.plan, state.keys.keys()) == ("tenant-a", "free", {made.owner.key_id})
    types = [row.type for row in world.ledger.store.rows(log.number, 0, 9)]
    assert types == ["log.genesis", "tenant.created", "tenant.changed", "key.created"]
    assert world.root.committed.state[LogsState].current_vkey(log.origin) == log.signer.vkey.format()
    world.append(*world.drafts(event("in-the-first-log")))
    assert world.commit_heads() is not None
    assert world.ledger.store.committed_sizes()[log.number] == 4
    world.close_day()
    assert problems(world) == []


def test_tenants_made_at_once_have_logs_apart(world: World) -> None:
    made = make(world, *(f"tenant-{number}" for number in range(5)))
    assert all(lets_in(world, one) for one in made)
    assert sorted(record.number for record in records(world).values()) == list(range(7))
    assert problems(world) == []


def test_tenant_is_made_once(world: World) -> None:
    first, second = make(world, "tenant-a", "tenant-a")
    assert isinstance(first, NewTenant)
    assert isinstance(second, ConflictError)
    [third] = make(world, "tenant-a")
    assert isinstance(third, ConflictError)
    assert len(records(world)) == 3
    assert problems(world) == []


def test_operator_who_may_no_longer_makes_nothing(world: World) -> None:
    def refuse(moment: Moment) -> list[Draft]:
        raise ForbiddenError("no longer")

    roots = world.root.committed.head.size
    [refused] = make(world, "tenant-a", guard=Part(world.log, refuse))
    assert isinstance(refused, ForbiddenError)
    assert len(records(world)) == 2
    assert world.root.committed.head.size == roots
    assert problems(world) == []
    [made] = make(world, "tenant-a")
    assert lets_in(world, made)


@WAYS
def test_creation_that_failed_leaves_nothing_or_all(world: World, way: str) -> None:
    assert isinstance(world.ledger.store, FailingStore)
    world.ledger.store.faults = [way]
    [failed] = make(world, "tenant-a")
    assert isinstance(failed, UnavailableError)
    persisted = way == "unknown, persisted"
    assert ("tenant-a" in records(world)) == persisted
    assert problems(world) == []
    assert world.ledger.log(2).record.tenant_id == "tenant-a" if persisted else True
    [again] = make(world, "tenant-a")
    assert isinstance(again, ConflictError) if persisted else lets_in(world, again)
    [other] = make(world, "tenant-b")
    assert lets_in(world, other)
    assert problems(world) == []


@WAYS
def test_crash_leaves_nothing_or_all(world: World, way: str) -> None:
    assert isinstance(world.ledger.store, FailingStore)
    world.ledger.store.faults = [way]
    make(world, "tenant-a")
    with world.reopened() as after:
        assert ("tenant-a" in records(after)) == (way == "unknown, persisted")
        assert problems(after) == []
        [other] = make(after, "tenant-b")
        assert lets_in(after, other)
        assert problems(after) == []


@pytest.mark.only_on("postgres", why="a data directory is written by one process")
def test_another_process_knows_the_tenant_on_first_use(world: World) -> None:
    with World(world.settings, world.clock) as other:
        [made] = make(world, "tenant-a")
        # It has not heard of the root log's new entry either.
        assert lets_in(other, made)
        log = other.ledger.log(2)
        world.append(Draft(TenantChanged(actor="operator", plan="starter")), log=world.ledger.log(2))
        other.run(other.ledger.refresh(log))
        assert other.root.committed.head == world.root.committed.head
        assert log.committed.head.size == 5


@pytest.mark.only_on("postgres", why="a data directory is written by one process")
def test_processes_that_make_tenants_at_once_get_numbers_apart(world: World) -> None:
    with World(world.settings, world.clock) as other, ThreadPoolExecutor(1) as beside:
        submit, first = world.ledger.sequencer.submit_together, list[NewTenant | BaseException]()

        def submit_late(*arguments: Any, **options: Any) -> Any:
            """While one process is on its way to the lock, the other makes a tenant."""
            if not first:
                first.extend(beside.submit(make, other, "tenant-a").result())
            return submit(*arguments, **options)

        world.ledger.sequencer.submit_together = submit_late  # type: ignore[method-assign]
        [second] = make(world, "tenant-b")
        assert (records(world)["tenant-a"].number, records(world)["tenant-b"].number) == (2, 3)
        assert lets_in(other, second)
        assert lets_in(world, first[0])
        assert problems(world) == []
        [taken] = make(world, "tenant-a")
        assert isinstance(taken, ConflictError)
