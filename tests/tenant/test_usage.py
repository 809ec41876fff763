# SPDX-License-Identifier: Apache-2.0
"""Counting calls, and the quota: exact whatever is asked when, by however many, and over however many processes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.entry import parse_time
from ledger.log.errors import LedgerError
from ledger.log.events.tenants import TenantChanged
from ledger.log.report import dedup_keys
from ledger.log.submission import Appended, Part
from ledger.log.working_copy import Draft
from ledger.tenant import usage as usage_module
from ledger.tenant.usage import QuotaExceededError, TenantQuota, Usage, first_since, month_bounds
from tests.log.conftest import made_ledger, open_world  # noqa: F401
from tests.log.world import DAY, HOUR, NOON, World, event

MONTH_END = parse_time("2026-04-01T00:00:00.000Z")


@pytest.fixture
def world(open_world: Callable[..., World]) -> Iterator[World]:  # noqa: F811
    with open_world() as opened:
        yield opened


@contextmanager
def limited(world: World, limit: int) -> Iterator[TenantQuota]:
    """The quota of the world's tenant, of which nothing is known in memory yet."""
    world.append(Draft(TenantChanged(actor="operator", monthly_calls=limit)))
    quota = Usage(world.ledger).quota_of(world.log)
    assert quota is not None and quota.limit == limit
    yield quota


def report_all(world: World, quota: TenantQuota, *batches: list[str]) -> list[Appended | BaseException]:
    """Report batches of calls at once, as the service does."""

    def submit(names: list[str]) -> asyncio.Future[list[Appended]]:
        drafts = world.drafts(*(event(name) for name in names))
        part = Part(world.log, lambda moment: drafts, admit=quota.admit)
        return world.ledger.sequencer.submit_together([part], dedup_keys=dedup_keys(drafts), weight=len(drafts))

    async def together() -> list[Appended | BaseException]:
        for names in batches:
            await quota.ready(len(names))
        outcomes = await asyncio.gather(*map(submit, batches), return_exceptions=True)
        await quota.settle()
        return [outcome if isinstance(outcome, BaseException) else outcome[0] for outcome in outcomes]

    return world.run(together())


def calls_of(world: World) -> int:
    return sum(b'"type":"call.reported"' in leaf for leaf in world.leaves())


def thresholds(world: World) -> list[int]:
    rows = world.ledger.store.rows(world.log.number, 0, world.size)
    leaves = [row.leaf for row in rows if row.type == "usage.threshold_reached"]
    return [percent for leaf in leaves for percent in (80, 100) if f'"percent":{percent},'.encode() in leaf]


@pytest.mark.parametrize(
    ("now", "month"),
    [
        ("2026-03-01T00:00:00.000Z", ("2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z")),
        ("2026-03-31T23:59:59.999Z", ("2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z")),
        ("2024-02-29T12:00:00.000Z", ("2024-02-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z")),
        ("2026-12-31T12:00:00.000Z", ("2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z")),
    ],
)
def test_month_is_that_of_the_calendar(now: str, month: tuple[str, str]) -> None:
    assert month_bounds(parse_time(now)) == tuple(map(parse_time, month))


def test_month_begins_where_the_first_of_its_entries_is(world: World) -> None:
    for days in (0, 0, 3, 40, 41):
        world.clock.now = NOON + days * DAY
        world.report(f"on-day-{days}-{world.size}")
    rows = world.ledger.store.rows(1, 0, world.size)
    for moment in (0, NOON, NOON + 1, NOON + 3 * DAY, NOON + 39 * DAY, NOON + 41 * DAY, NOON + 50 * DAY):
        expected = next((row.leaf_index for row in rows if row.recorded_at >= moment), world.size)
        assert first_since(world.ledger.store, 1, moment, world.size) == expected


def test_only_calls_of_the_month_are_counted_as_they_come(world: World) -> None:
    usage = Usage(world.ledger)
    world.report("a", "b")
    assert world.run(usage.used(world.log)).calls == 2
    world.create_key()
    world.report("b", "c", "d")
    assert world.run(usage.used(world.log)).calls == 4
    world.clock.now = MONTH_END - 1
    assert world.run(usage.used(world.log)).calls == 4
    world.clock.now = MONTH_END
    assert world.run(usage.used(world.log)).calls == 0
    world.report("e")
    assert world.run(usage.used(world.log)).calls == 1
    assert world.run(Usage(world.ledger).used(world.log)).calls == 1


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_more_calls_than_allowed_are_taken_and_none_is_refused_that_fits(
    open_world: Callable[..., World],  # noqa: F811
    data: st.DataObject,
) -> None:
    """Whatever comes at once, and again: what is taken is what fits in the order in which it comes."""
    limit = data.draw(st.integers(1, 12), "limit")
    with open_world() as world, limited(world, limit) as quota:
        used = set[str]()
        for _ in range(data.draw(st.integers(1, 4), "rounds")):
            names = st.lists(st.sampled_from("abcdefghijklmnopq"), min_size=1, max_size=6, unique=True)
            batches = data.draw(st.lists(names, min_size=1, max_size=4), "batches")
            for batch, outcome in zip(batches, report_all(world, quota, *batches), strict=True):
                fits = len(used | set(batch)) <= limit or set(batch) <= used
                assert isinstance(outcome, Appended if fits else QuotaExceededError), (used, batch, outcome)
                used |= set(batch) if fits else set()
            assert calls_of(world) == len(used)
        reached = [percent for percent in (80, 100) if len(used) * 100 >= limit * percent]
        assert thresholds(world) == reached
        assert world.problems() == []


def test_refusal_says_when_the_month_ends(world: World) -> None:
    with limited(world, 1) as quota:
        world.clock.now = MONTH_END - 2 * HOUR - 1
        [first, second] = report_all(world, quota, ["a"], ["b"])
        assert isinstance(first, Appended)
        assert isinstance(second, QuotaExceededError)
        assert (second.code, second.retry_after) == ("QUOTA_EXCEEDED", 7201)
        world.clock.now = MONTH_END
        [taken] = report_all(world, quota, ["b"])
        assert isinstance(taken, Appended)
        assert thresholds(world) == [80, 100, 80, 100]


def test_counting_is_done_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "CHUNK", 7)
    world.fill(50)
    with limited(world, 50) as quota:
        asked: list[tuple[int, int]] = []
        real = world.ledger.store.count_calls

        def noted(number: int, types: Any, start: int, stop: int) -> Any:
            asked.append((start, stop))
            return real(number, types, start, stop)

        world.ledger.store.count_calls = noted  # type: ignore[method-assign]
        assert world.run(quota.usage.used(world.log)).calls == calls_of(world)
        assert all(stop - start <= 7 for start, stop in asked)
        assert [start for start, _ in asked[1:]] == [stop for _, stop in asked[:-1]], "nothing is read twice"


def test_far_from_the_limit_nothing_is_read(world: World) -> None:
    with limited(world, 1_000) as quota:
        report_all(world, quota, ["a"])
        world.ledger.store.count_calls = None  # type: ignore[method-assign,assignment]
        assert all(isinstance(outcome, Appended) for outcome in report_all(world, quota, ["b"], ["c"], ["a", "d"]))


@pytest.mark.only_on("postgres", why="a data directory is written by one process")
def test_processes_share_one_quota_and_tell_a_threshold_once(world: World) -> None:
    with limited(world, 5) as quota, World(world.settings, world.clock) as other:
        elsewhere = Usage(other.ledger).quota_of(other.log)
        assert elsewhere is not None
        assert isinstance(report_all(world, quota, ["a", "b"])[0], Appended)
        assert isinstance(report_all(other, elsewhere, ["c", "d"])[0], Appended)
        # Neither has heard of what the other did last.
        refused = report_all(world, quota, ["e", "f"])[0]
        assert isinstance(refused, QuotaExceededError)
        assert isinstance(report_all(other, elsewhere, ["e"])[0], Appended)
        for each, its in ((world, quota), (other, elsewhere)):
            assert isinstance(report_all(each, its, ["g"])[0], LedgerError)
        world.run(world.ledger.refresh(world.log))
        assert thresholds(world) == [80, 100]
        assert calls_of(world) == 5


def test_tenant_without_a_limit_has_no_quota(world: World) -> None:
    usage = Usage(world.ledger)
    assert usage.quota_of(world.log) is None
    world.append(Draft(TenantChanged(actor="operator", plan="free")))
    quota = usage.quota_of(world.log)
    assert quota is not None and quota.limit == 10_000
    world.append(Draft(TenantChanged(actor="operator", monthly_calls=0)))
    assert usage.quota_of(world.log) is None
