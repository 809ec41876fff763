# SPDX-License-Identifier: Apache-2.0
"""The sequencer: order, natural batches, one entry a call, a bounded queue, an end that loses nothing."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from ledger.log.events.logs import LedgerVerified
from ledger.log.report import dedup_keys
from ledger.log.sequencer import MAX_BATCH_EVENTS
from ledger.log.store import Batch, Build, Head, Known, Store
from ledger.log.submission import Appended, Part
from ledger.log.working_copy import Decide, Draft, Moment
from tests.log.stores import AroundStore
from tests.log.world import World, event, revoke


def checked(number: int) -> Draft:
    """A small draft that nothing folds."""
    return Draft(LedgerVerified(size=number, root="", actor="operator"))


def adding(count: int, first: int = 0) -> Decide:
    return lambda moment: [checked(first + i) for i in range(count)]


def transactions(world: World) -> list[int]:
    store = world.ledger.store
    assert isinstance(store, AroundStore)
    return store.transactions


@pytest.fixture
def counted(open_world: Callable[..., World]) -> Any:
    with open_world(wrap=AroundStore) as world:
        yield world


# Order


def test_entries_stand_in_the_order_of_their_submissions(world: World) -> None:
    size = world.size
    got = world.together(*(adding(3, first=3 * i) for i in range(20)))
    indexes = [item.leaf_index for outcome in got if isinstance(outcome, Appended) for item in outcome.items]
    assert indexes == list(range(size, size + 60))
    assert [b'"size":%d,' % i in leaf for i, leaf in enumerate(world.leaves()[size:])] == [True] * 60


def test_what_is_submitted_while_a_transaction_runs_shares_the_next_one(counted: World) -> None:
    counted.together(*(adding(1) for _ in range(50)))
    assert transactions(counted) == [1]
    counted.report("a")
    assert transactions(counted) == [1, 1]


class Watched(AroundStore):
    """Notes in which thread each step of writing runs."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.threads: list[str] = []

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        def watched(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> Sequence[Batch]:
            self.threads.append(threading.current_thread().name.split("_")[0])
            return build(heads, known)

        yield from super().append_in_steps(log_numbers, dedup_keys, watched)
        self.threads.append(threading.current_thread().name.split("_")[0])


def test_only_what_is_small_and_waits_for_nobody_is_written_by_the_loop_and_never_committed(
    open_world: Callable[..., World],
) -> None:
    writer, loop = "ledger-writer", threading.current_thread().name
    with open_world(wrap=Watched) as world:
        threads = world.ledger.store.threads
        here = writer if world.ledger.store.shared else loop
        world.report("a")  # makes a data key, which has to be durable first
        world.report("b")
        world.together(*(adding(1) for _ in range(100)))
        world.together(*(adding(1) for _ in range(200)))
        world.append(checked(1), log=world.ledger.root)
        assert threads == [writer, writer, here, writer, here, writer, writer, writer, writer, writer]


def test_decision_sees_clock_index_and_state_of_its_turn(world: World) -> None:
    seen: list[Moment] = []

    def look(moment: Moment) -> list[Draft]:
        seen.append(moment)
        return [checked(0)] * 2

    size = world.size
    world.together(look, look)
    assert [(moment.now, moment.next_index) for moment in seen] == [(world.clock(), size), (world.clock(), size + 2)]
    assert seen[0].state == world.log.committed.state


def test_result_names_the_head_that_was_committed_with_it(world: World) -> None:
    first, second = world.together(adding(1), adding(2))
    assert isinstance(first, Appended) and isinstance(second, Appended)
    assert first.committed is second.committed is world.log.committed
    assert world.ledger.store.head(1) == first.committed.head
    assert [item.leaf for item in second.items] == world.leaves()[-2:]


def test_empty_decision_writes_nothing(counted: World) -> None:
    before = counted.log.committed
    [outcome] = counted.together(lambda moment: [])
    assert outcome == Appended(before, []) and counted.log.committed is before


def test_logs_of_one_batch_are_written_in_one_transaction(counted: World) -> None:
    async def both() -> list[Any]:
        sequencer = counted.ledger.sequencer
        return await asyncio.gather(sequencer.submit(counted.log, adding(1)), sequencer.submit(counted.root, adding(1)))

    counted.run(both())
    assert transactions(counted) == [2]
    assert counted.problems() == []


def test_batch_takes_at_most_its_weight_and_a_large_submission_goes_alone(counted: World) -> None:
    size = counted.size

    async def submit() -> None:
        sequencer = counted.ledger.sequencer
        counts = [1000, 1000, 1000, 1000, 97, MAX_BATCH_EVENTS + 1, 5]
        await asyncio.gather(*(sequencer.submit(counted.log, adding(count), weight=count) for count in counts))

    counted.run(submit())
    assert transactions(counted) == [1, 1, 1, 1]
    assert counted.size == size + 4097 + MAX_BATCH_EVENTS + 1 + 5
    assert counted.problems() == []


# Refusals


def test_refused_submission_fails_alone(world: World) -> None:
    size = world.size
    got = world.together(adding(1), revoke("nobody"), adding(1))
    assert [type(outcome) for outcome in got] == [Appended, NotFoundError, Appended]
    assert world.size == size + 2 and world.problems() == []


def test_decision_with_a_bug_fails_alone(world: World) -> None:
    def broken(moment: Moment) -> list[Draft]:
        raise ZeroDivisionError

    size = world.size
    got = world.together(adding(1), broken, adding(1))
    assert [type(outcome) for outcome in got] == [Appended, ZeroDivisionError, Appended]
    assert world.size == size + 2 and world.problems() == []


def test_submission_to_two_logs_is_all_or_nothing(world: World) -> None:
    def refuse(moment: Moment) -> list[Draft]:
        raise ConflictError("no")

    async def submit(*parts: Part) -> Any:
        return await asyncio.gather(world.ledger.sequencer.submit_together(parts), return_exceptions=True)

    sizes = world.size, world.root.committed.head.size
    for parts in ([(world.root, adding(2)), (world.log, refuse)], [(world.log, refuse), (world.root, adding(2))]):
        [outcome] = world.run(submit(*(Part(*part) for part in parts)))
        assert isinstance(outcome, ConflictError)
        assert (world.size, world.root.committed.head.size) == sizes
    [[of_root, of_tenant]] = world.run(submit(Part(world.root, adding(2)), Part(world.log, adding(1))))
    assert (len(of_root.items), len(of_tenant.items)) == (2, 1)
    assert (world.size, world.root.committed.head.size) == (sizes[0] + 1, sizes[1] + 2)
    assert world.problems() == []


def test_entry_of_60000_bytes_fits_and_one_more_does_not(world: World) -> None:
    [draft] = world.drafts(event("a", payload={}))
    [item] = world.append(draft).items
    assert draft.data is not None and item.leaf is not None
    room = 60_000 - len(item.leaf)
    for extra, fits in ((room, True), (room + 1, False)):
        data = draft.data.replace(b'"a"', b'"a' + b"x" * extra + b'"', 1)
        long = Draft(draft.event, subject=draft.subject, data=data)
        [outcome] = world.together(lambda moment, long=long: [long])  # type: ignore[misc]
        assert isinstance(outcome, Appended if fits else InvalidRequestError)
    assert len(world.leaves()[-1]) == 60_000


# One entry a call


def test_same_report_again_is_the_same_entry(world: World) -> None:
    first = world.report("a", "b")
    size = world.size
    again = world.report("b", "c", "a")
    assert [(item.leaf_index, item.duplicate) for item in again.items] == [
        (first.items[1].leaf_index, True),
        (size, False),
        (first.items[0].leaf_index, True),
    ]
    assert [item.event_id for item in again.items[::2]] == [item.event_id for item in first.items[::-1]]
    assert world.size == size + 1


def test_submission_of_duplicates_only_changes_nothing(world: World) -> None:
    world.report("a")
    before = world.log.committed
    again = world.report("a")
    assert again.committed is before is world.log.committed and again.items[0].leaf is None


def test_same_report_twice_in_one_submission_and_in_one_batch_is_one_entry(world: World) -> None:
    size = world.size
    [one, two] = world.report("a", "a").items
    assert (one.leaf_index, two.leaf_index, one.duplicate, two.duplicate) == (size, size, False, True)

    async def race() -> list[Appended]:
        sequencer, drafts = world.ledger.sequencer, [world.drafts(event("b")) for _ in range(5)]
        waiting = (sequencer.submit(world.log, lambda _, d=d: d, dedup_keys=dedup_keys(d)) for d in drafts)
        return await asyncio.gather(*waiting)

    items = [outcome.items[0] for outcome in world.run(race())]
    assert {item.leaf_index for item in items} == {size + 1} and len({item.event_id for item in items}) == 1
    assert [item.duplicate for item in items] == [False, True, True, True, True]


@pytest.mark.parametrize("same_submission", [True, False])
def test_same_call_with_other_content_is_a_conflict_and_adds_nothing(world: World, same_submission: bool) -> None:
    changed = event("a", verdict="deny")
    if same_submission:
        given = world.drafts(event("z"), event("a"), changed)
    else:
        first = world.report("a").items[0]
        given = world.drafts(event("z"), changed)
    size = world.size
    with pytest.raises(ConflictError) as caught:
        world.append(*given)
    place = 2 if same_submission else 1
    assert caught.value.details["errors"][0]["loc"] == ["body", "events", place, "call_id"]
    if not same_submission:
        assert (caught.value.details["leaf_index"], caught.value.details["event_id"]) == (
            first.leaf_index,
            first.event_id,
        )
    assert world.size == size
    assert not world.report("z").items[0].duplicate


@pytest.mark.parametrize(
    "changes",
    [
        {"tool_name": "other"},
        {"mode": "observe"},
        {"timestamp": "2026-03-01T12:00:00Z"},
        {"payload": {"tool_args": {"amount": 98.70}}},
        {"payload": {"reason": "because"}},
    ],
)
def test_any_change_of_content_is_noticed(world: World, changes: dict[str, Any]) -> None:
    world.report("a")
    with pytest.raises(ConflictError):
        world.report("a", **changes)


def test_same_call_id_of_another_agent_or_environment_is_another_call(world: World) -> None:
    world.report("a")
    assert not world.report("a", agent_id="other-agent").items[0].duplicate
    [draft] = world.drafts(event("a"))
    staging = event("a", payload={"environment": "staging"})
    with pytest.raises(Exception, match="the key is for production"):
        world.drafts(staging)
    assert draft.dedup == world.drafts(event("a"))[0].dedup


@settings(max_examples=15)
@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5), min_size=1, max_size=8))
def test_each_call_has_one_entry_however_it_is_repeated(
    open_world: Callable[..., World], reports: list[list[str]]
) -> None:
    with open_world() as world:
        size, places = world.size, dict[str, int]()
        for calls in reports:
            for call, item in zip(calls, world.report(*calls).items, strict=True):
                assert places.setdefault(call, item.leaf_index) == item.leaf_index
        assert world.size == size + len(places)
        assert sorted(places.values()) == list(range(size, world.size))


# The queue


def test_full_queue_refuses_at_once_and_takes_nothing(open_world: Callable[..., World]) -> None:
    with open_world(max_queued=4) as world:
        size = world.size

        async def crowd() -> None:
            sequencer = world.ledger.sequencer
            taken = [sequencer.submit_together([Part(world.log, adding(2))], weight=2) for _ in range(2)]
            assert sequencer.queued == 4
            for weight in (1, 100):
                with pytest.raises(UnavailableError, match="nothing of yours was taken") as caught:
                    sequencer.submit_together([Part(world.log, adding(weight))], weight=weight)
                assert caught.value.retry_after >= 1
            assert sequencer.queued == 4
            await asyncio.gather(*taken)
            assert sequencer.queued == 0

        world.run(crowd())
        assert world.size == size + 4
        # What is larger than the queue is taken when nothing waits.
        world.append(*adding(10)(Moment(world.log.committed.state, 0, 0)))
        assert world.size == size + 14


def test_stop_commits_what_is_queued_and_refuses_what_comes_later(open_world: Callable[..., World]) -> None:
    with open_world() as world:
        size = world.size

        async def end() -> list[Appended]:
            sequencer = world.ledger.sequencer
            waiting = [sequencer.submit_together([Part(world.log, adding(3))], weight=3) for _ in range(100)]
            await sequencer.stop()
            assert all(future.done() for future in waiting)
            with pytest.raises(UnavailableError, match="shutting down"):
                sequencer.submit_together([Part(world.log, adding(1))])
            return [future.result()[0] for future in waiting]

        results = world.run(end())
        assert [item.leaf_index for result in results for item in result.items] == list(range(size, size + 300))
        assert world.ledger.store.head(1).size == size + 300


def test_caller_that_went_away_does_not_hold_up_the_others(world: World) -> None:
    """A cancelled request is written all the same: it was taken, and the caller may ask again."""
    size = world.size

    async def submit() -> Appended:
        sequencer = world.ledger.sequencer
        gone = sequencer.submit_together([Part(world.log, adding(1))])
        stays = sequencer.submit(world.log, adding(1))
        gone.cancel()
        return await stays

    assert world.run(submit()).items[0].leaf_index == size + 1
    assert world.size == size + 2
