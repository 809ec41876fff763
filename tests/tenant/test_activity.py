# SPDX-License-Identifier: Apache-2.0
"""Calls by agent and day, and the rule by which an agent is named that calls unlike itself."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tenant import activity as activity_module
from ledger.tenant.activity import (
    CONNECTED_MS,
    LEAST_DAYS,
    LEAST_MORE,
    OTHERS,
    PAST_DAYS,
    Activities,
    Activity,
    connected_agents,
)
from tests.log.conftest import made_ledger, open_world  # noqa: F401
from tests.log.world import DAY, NOON, World, event

TODAY = NOON // DAY


@pytest.fixture
def world(open_world: Callable[..., World]) -> Iterator[World]:  # noqa: F811
    with open_world() as opened:
        yield opened


def calling(agent: str, today: int, *past: int) -> Activity:
    """An agent with so many calls today, and on the days before, yesterday's first."""
    activity = Activity(0)
    activity.add(agent, TODAY, today)
    for before, calls in enumerate(past, 1):
        activity.add(agent, TODAY - before, calls)
    return activity


@pytest.mark.parametrize(
    ("today", "past", "named"),
    [
        (100, [10] * LEAST_DAYS, True),
        (31, [10] * LEAST_DAYS, True),
        (30, [10] * LEAST_DAYS, False),  # three times as often is not more than three times
        (100, [10] * (LEAST_DAYS - 1), False),
        (1 + LEAST_MORE, [1] * LEAST_DAYS, True),
        (LEAST_MORE, [1] * LEAST_DAYS, False),
        (100, [0, 0, 10, 10, 10, 10, 10], True),
        (100, [10, 10, 90, 90, 90], False),
        (1, [1000] * PAST_DAYS, False),
    ],
)
def test_agent_is_named_by_the_rule(today: int, past: list[int], named: bool) -> None:
    anomalies = calling("robot", today, *past).anomalies(NOON)
    assert [anomaly.agent_id for anomaly in anomalies] == ["robot"] * named


@given(calls=st.integers(0, 1000), days=st.integers(0, PAST_DAYS))
def test_agent_that_calls_as_ever_is_never_named(calls: int, days: int) -> None:
    assert calling("robot", calls, *[calls] * days).anomalies(NOON) == []


def test_older_days_and_agents_without_a_name_say_nothing() -> None:
    activity = Activity(0)
    for before in range(PAST_DAYS + 1, PAST_DAYS + 20):
        activity.add("robot", TODAY - before, 1)
    activity.add("robot", TODAY, 1000)
    for before in range(20):
        activity.add(OTHERS, TODAY - before, 1000 if before == 0 else 1)
    assert activity.anomalies(NOON) == []


def test_agents_beyond_the_bound_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_module, "MAX_AGENTS", 3)
    activity = Activity(0)
    for number in range(10):
        activity.add(f"agent-{number}", TODAY, 2)
    activity.add("agent-0", TODAY, 1)
    assert activity.days == {TODAY: Counter({"agent-0": 3, "agent-1": 2, "agent-2": 2, OTHERS: 14})}


def test_counts_are_those_of_the_log_while_it_grows_and_days_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_module, "CHUNK", 5)
    activities, told = Activities(world.ledger), Counter[tuple[int, str]]()
    for step in range(12):
        world.clock.now = NOON + step * 4 * DAY
        calls = [event(f"call-{step}-{n}", agent_id=f"agent-{n % 3}") for n in range(step + 1)]
        world.append(*world.drafts(*calls))
        told.update((world.clock.now // DAY, call["agent_id"]) for call in calls)
        known = world.run(activities.of(world.log))
        first = world.clock.now // DAY - PAST_DAYS
        counted = {(day, agent): n for day, agents in known.days.items() for agent, n in agents.items()}
        assert {place: n for place, n in counted.items() if place[0] >= first} == {
            place: n for place, n in told.items() if place[0] >= first
        }
        assert len(known.days) <= 31
        fresh = world.run(Activities(world.ledger).of(world.log))
        assert fresh.days == known.days


def test_agents_are_connected_for_five_minutes_after_they_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_module, "CHUNK", 3)
    told: dict[str, int] = {}
    for step in range(40):
        world.clock.now = NOON + step * CONNECTED_MS // 7
        calls = [event(f"call-{step}-{n}", agent_id=f"agent-{(step * n) % 11}") for n in range(step % 4)]
        if calls:
            world.append(*world.drafts(*calls))
        told.update((call["agent_id"], world.clock.now) for call in calls)
        live = [agent for agent, last in told.items() if last >= world.clock.now - CONNECTED_MS]
        assert connected_agents(world.ledger.store, world.log, world.clock.now) == len(live)
    world.clock.now += CONNECTED_MS + 1
    assert connected_agents(world.ledger.store, world.log, world.clock.now) == 0


def test_no_more_than_the_last_entries_are_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.append(*world.drafts(*(event(f"call-{n}", agent_id=f"agent-{n}") for n in range(10))))
    monkeypatch.setattr(activity_module, "MOST_LOOKED_AT", 4)
    assert connected_agents(world.ledger.store, world.log, world.clock.now) == 4
