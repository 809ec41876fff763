# SPDX-License-Identifier: Apache-2.0
"""The root log: it commits to exactly the heads that changed, and closes days once, in order, never ahead of time."""

import asyncio
import base64
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import verify_day_file, verify_receipt

from ledger.deployment import TENANT_PARTS
from ledger.log.entry import ENTRY_RULE, format_date, read_envelope
from ledger.log.errors import InvalidRequestError
from ledger.log.events import read_event
from ledger.log.events.logs import DayClosed, HeadsCommitted, LedgerVerified, LogCreated, LogGenesis
from ledger.log.fold import empty_state
from ledger.log.keys import create_signing_key
from ledger.log.roots import CLOCK_TOLERANCE, MAX_MISSED_DAYS, RootLog
from ledger.log.store import CommittedHead, Head, LogRecord, Secret
from ledger.log.tree import TileCache, Tree
from ledger.log.working_copy import Committed, Draft, Log, WorkingCopy
from ledger.tlog.checkpoint import read_checkpoint
from ledger.tlog.edge import Edge
from ledger.tlog.merkle import EMPTY_ROOT
from tests.log.formats import heads_line
from tests.log.stores import AroundStore
from tests.log.world import DAY, NOON, TENANT, World
from tests.tlog.vectors import textbook


def committed(world: World) -> list[list[CommittedHead]]:
    """The heads of each commitment, in order."""
    found = []
    for index, leaf in enumerate(world.leaves(world.root)):
        if isinstance(read_event(read_envelope(leaf)), HeadsCommitted):
            found.append(world.ledger.store.committed_heads(index))
    return found


def kinds(world: World) -> list[str]:
    """Types of the root log's entries after those that made it."""
    return [read_envelope(leaf).type for leaf in world.leaves(world.root)][3:]


# Commitments


def test_commitment_covers_the_head_that_changed(world: World) -> None:
    world.report("a")
    index = world.commit_heads()
    assert index is not None
    [head] = world.ledger.store.committed_heads(index)
    assert (head.root_index, head.position, head.log_number, head.size) == (index, 0, TENANT, world.size)
    assert head.checkpoint == world.log.committed.head.checkpoint
    assert head.line == heads_line(world.log.origin, head.checkpoint)
    event = read_event(read_envelope(world.leaves(world.root)[index]))
    assert event == HeadsCommitted(count=1, root=base64.b64encode(textbook.leaf(head.line)).decode())


def test_nothing_is_written_when_nothing_changed(open_world: Callable[..., World]) -> None:
    with open_world(wrap=AroundStore) as world:
        assert world.commit_heads() is not None, "the head that init signed"
        before = world.root.committed
        for _ in range(3):
            assert world.commit_heads() is None
        assert world.root.committed is before
        world.report("a")
        assert world.commit_heads() is not None and world.commit_heads() is None
        assert kinds(world) == ["heads.committed"] * 2


def test_many_entries_between_two_commitments_are_one_head(world: World) -> None:
    sizes = []
    for batch in ("ab", "cdef", "g"):
        for call in batch:
            world.report(call)
        world.commit_heads()
        sizes.append(world.size)
    assert [[head.size for head in heads] for heads in committed(world)] == [[size] for size in sizes]


def test_commitments_at_the_same_time_leave_nothing_uncovered(world: World) -> None:
    async def race() -> list[int | None]:
        return await asyncio.gather(*(RootLog(world.ledger).commit_heads() for _ in range(4)))

    world.report("a")
    assert any(index is not None for index in world.run(race()))
    assert world.commit_heads() is None
    assert world.problems() == []


def with_more_logs(world: World, count: int) -> World:
    """The ledger with more tenants' logs, as an explicit command would make them, of one entry each."""
    ledger = world.ledger
    for number in range(TENANT + 1, TENANT + 1 + count):
        origin = f"localhost/log/{number:016x}"
        signer, secret = create_signing_key(origin, ledger.vault)
        pepper = Secret(f"pepper/{number}", ledger.vault.seal(f"pepper/{number}", bytes(32)))
        record = LogRecord(number, f"{number:016x}", origin, f"tenant-{number}")
        created = LogCreated(origin=origin, vkey=signer.vkey.format())
        world.append(Draft(created, subject=origin, side=(record, secret, pepper)), log=world.root)
        before = Committed(Head(0, EMPTY_ROOT, "", -1, 0), Edge(), empty_state(TENANT_PARTS))
        copy = WorkingCopy(Log(record, Tree(ledger.store, number, TileCache()), signer, b"", before), NOON, {})
        genesis = LogGenesis(origin=origin, kind="tenant", entry_rule=ENTRY_RULE, vkey=signer.vkey.format())
        copy.add(copy.plan(lambda _, genesis=genesis: [Draft(genesis, subject=genesis.origin)]))  # type: ignore[misc]
        batch = copy.finish()
        ledger.store.append([], [], lambda heads, known, batch=batch: [batch])  # type: ignore[misc]
    return world.reopened()


def checked(number: int) -> Draft:
    return Draft(LedgerVerified(size=number, root="", actor="operator"))


@settings(max_examples=8)
@given(st.integers(1, 6), st.lists(st.sets(st.integers(1, 7), max_size=7), min_size=1, max_size=4))
def test_commitment_covers_exactly_the_logs_that_changed(
    open_world: Callable[..., World], logs: int, rounds: list[set[int]]
) -> None:
    """Lines sorted and distinct, root that of the textbook, and each log's receipt leads up to the root log."""
    with with_more_logs(open_world(), logs) as world:
        origins = {record.number: record.origin for record in world.ledger.records()}
        world.commit_heads()
        for number, changed in enumerate(rounds):
            changed = {log for log in changed if log <= logs}
            for log in changed:
                world.append(checked(number), log=world.ledger.log(log))
            index = world.commit_heads()
            assert (index is None) == (not changed)
            if index is None:
                continue
            heads = world.ledger.store.committed_heads(index)
            assert {head.log_number for head in heads} == changed
            lines = [head.line for head in heads]
            assert lines == sorted(set(lines)) == sorted(heads_line(origins[h.log_number], h.checkpoint) for h in heads)
            event = read_event(read_envelope(world.leaves(world.root)[index]))
            root = textbook.Tree([textbook.leaf(text) for text in lines]).root(len(lines))
            assert event == HeadsCommitted(count=len(lines), root=textbook.b64(root))
        assert world.problems() == []
        assert verify_receipt(world.receipt(0), world.keys).signed.tier == "tamper-evident"


# Days


def test_closed_day_gives_the_same_bytes_for_ever(world: World) -> None:
    world.report("a")
    document = world.close_day().text()
    size = world.root.committed.head.size
    world.report("b")
    world.commit_heads()
    world.wake_at(NOON + DAY)
    assert world.close_day("2026-03-01").text() == document
    with world.reopened() as reopened:
        assert reopened.close_day("2026-03-01").text() == document
        assert reopened.root.committed.head.size == size + 1
    verify_day_file(document, world.keys)


def test_day_covers_every_log_also_the_unchanged(open_world: Callable[..., World]) -> None:
    with with_more_logs(open_world(), 2) as world:
        world.commit_heads()
        world.report("a")
        world.close_day()
        assert [{head.log_number for head in heads} for heads in committed(world)] == [{1, 2, 3}, {1, 2, 3}]


def test_day_is_two_consecutive_entries_of_one_append(open_world: Callable[..., World]) -> None:
    with open_world(wrap=AroundStore) as world:
        store = world.ledger.store
        assert isinstance(store, AroundStore)
        document = world.close_day()
        assert store.transactions == [1]
        assert kinds(world) == ["heads.committed", "day.closed"]
        assert document.entry_index == world.root.committed.head.size - 1
        assert read_checkpoint(document.checkpoint).size == document.entry_index + 1


FUTURE = ["2026-03-02", "2027-01-01", "9999-12-31"]
NO_DATES = ["2026-3-1", "2026-03-01T00:00:00Z", "today", "2026-02-29", "20260301", "2026-W09-7", "-"]


@pytest.mark.parametrize("date", [*FUTURE, *NO_DATES, "", " ", "2026-03-01\n", "２０２６-03-01"])
def test_future_date_and_no_date_are_refused(world: World, date: str) -> None:
    with pytest.raises(InvalidRequestError):
        world.close_day(date)
    assert kinds(world) == [] and world.ledger.store.days() == []


def test_date_before_the_ledger_is_refused(world: World) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match="before this ledger's first day, 2026-03-01"):
            world.close_day("2026-02-28")
        world.close_day()
    assert kinds(world) == ["heads.committed", "day.closed"]


def test_today_can_be_closed_and_what_follows_falls_under_the_next_day(world: World) -> None:
    world.report("a")
    world.close_day()
    world.report("b")
    world.wake_at(NOON + DAY)
    world.close_day()
    first, second = (verify_receipt(world.receipt(index), world.keys) for index in (3, 4))
    assert first.day is not None and second.day is not None
    assert (first.day.date, second.day.date) == ("2026-03-01", "2026-03-02")


def test_closing_a_date_closes_the_missed_ones_before_it(world: World) -> None:
    world.wake_at(NOON + 3 * DAY)
    world.close_day("2026-03-03")
    assert [day.date for day in world.ledger.store.days()] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    world.close_day()
    assert [day.date for day in world.ledger.store.days()][-1] == "2026-03-04"
    assert world.problems() == []


@settings(max_examples=10)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_past_days_are_closed_once_in_order_up_to_yesterday(
    open_world: Callable[..., World], pauses: list[int]
) -> None:
    with open_world() as world:
        for days in pauses:
            world.wake_at(world.clock() + days * DAY)
            assert len(world.close_past_days()) == days
            assert world.close_past_days() == []
        dates = [day.date for day in world.ledger.store.days()]
        assert dates == [format_date(NOON + i * DAY) for i in range(sum(pauses))]
        assert world.problems() == []
        for date, before in zip(dates, [None, *dates], strict=False):
            entry = verify_day_file(world.close_day(date).text(), world.keys).entry
            assert entry.data.get("previous") == before


def test_clock_that_jumped_ahead_closes_nothing(world: World) -> None:
    """The wall clock ran away from the monotonic one. A pause, which both saw, is something else."""
    world.clock.now += int(CLOCK_TOLERANCE * 1000) + DAY
    assert world.close_past_days() == []
    assert kinds(world) == []
    world.clock.now = NOON + 1000
    assert world.close_past_days() == []
    world.wake_at(NOON + DAY)
    assert world.close_past_days() == ["2026-03-01"]


def test_clock_that_is_set_back_closes_nothing(world: World) -> None:
    world.wake_at(NOON + 2 * DAY)
    world.close_past_days()
    world.wake_at(NOON)
    assert world.close_past_days() == []
    with pytest.raises(InvalidRequestError):
        world.close_day("2026-03-02" if world.ledger.store.day("2026-03-02") is None else "2026-03-03")
    assert len(world.ledger.store.days()) == 2


def test_more_missed_days_than_a_pause_can_last_are_left_to_the_operator(world: World) -> None:
    world.wake_at(NOON + (MAX_MISSED_DAYS + 1) * DAY)
    assert world.close_past_days() == [] and kinds(world) == []
    world.wake_at(NOON + MAX_MISSED_DAYS * DAY)
    assert len(world.close_past_days()) == MAX_MISSED_DAYS


def test_two_processes_close_a_day_once(world: World) -> None:
    async def race() -> list[str]:
        documents = await asyncio.gather(*(RootLog(world.ledger).close_day() for _ in range(4)))
        return [document.date for document in documents]

    assert world.run(race()) == ["2026-03-01"] * 4
    assert kinds(world) == ["heads.committed", "day.closed"]
    events = [read_event(read_envelope(leaf)) for leaf in world.leaves(world.root)]
    assert [event.date for event in events if isinstance(event, DayClosed)] == ["2026-03-01"]
    assert next(event.previous for event in events if isinstance(event, DayClosed)) == msgspec.UNSET
