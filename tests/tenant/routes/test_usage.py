# SPDX-License-Identifier: Apache-2.0
"""Usage over HTTP: what was reported, against what the plan allows."""

import asyncio

import pytest

from tests.running import event
from tests.web.asking import API, Clock, application, asgi_client, back_door, problem_of

NOON = 1_772_366_400_000
DAY = 86_400_000


def ask(fresh_ledger, act):
    """What `act` gives with a service in this process, and its clock."""
    place, keys = fresh_ledger

    async def live():
        clock = Clock(NOON + 10 * 365 * DAY)
        async with application(place, clock) as app, asgi_client(app, keys["owner_key"]) as client:
            return await act(app, client, clock, keys)

    return asyncio.run(live())


async def send(client, *names, **changes):
    return await client.post(f"{API}/events", json={"events": [event(name, **changes) for name in names]})


async def limit(client, keys, calls):
    answer = await client.patch(f"{API}/admin/tenants/{keys['tenant_id']}", json={"monthly_calls": calls})
    assert answer.status_code == 200, answer.text


async def read(client, path):
    answer = await client.get(f"{API}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_usage_is_what_was_reported_under_every_name(fresh_ledger):
    async def act(app, client, clock, keys):
        await send(client, "a", "b")
        await send(client, "a", "c", agent_id="robot")
        return [await read(client, path) for path in ("usage", "tenant/usage", "usage/summary", "tenant/quota")]

    usage, *others = ask(fresh_ledger, act)
    assert others == [usage] * 3
    assert (usage["calls"], usage["limit"], usage["remaining"], usage["percent"]) == (4, None, None, None)
    assert usage["plan"] == "enterprise"


@pytest.mark.parametrize("door", ["front", "back"])
def test_calls_over_the_quota_are_refused_whole_at_either_door(fresh_ledger, door):
    async def act(app, client, clock, keys):
        await limit(client, keys, 3)
        async with asgi_client(app if door == "front" else back_door(app), keys["owner_key"]) as caller:
            answers = [await send(caller, *names) for names in ("ab", "cd", "c", "abc", "d")]
        return answers, await read(client, "usage"), await read(client, "events?type=usage.threshold_reached")

    answers, usage, told = ask(fresh_ledger, act)
    assert [answer.status_code for answer in answers] == [200, 429, 200, 200, 429]
    for refused in (answers[1], answers[4]):
        problem = problem_of(refused, 429, "QUOTA_EXCEEDED")
        assert int(refused.headers["retry-after"]) == problem["retry_after"] > 0
    assert (usage["calls"], usage["remaining"], usage["percent"]) == (3, 0, 100)
    assert sorted(item["data"]["percent"] for item in told["items"]) == [80, 100]


def test_dashboard_shows_days_agents_and_who_is_unlike_himself(fresh_ledger):
    async def act(app, client, clock, keys):
        for day in range(6):
            await send(client, *(f"quiet-{day}-{n}" for n in range(2)), agent_id="quiet")
            await send(client, *(f"wild-{day}-{n}" for n in range(2 if day < 5 else 60)), agent_id="wild")
            clock.now += DAY if day < 5 else 0
        names = ("usage/dashboard", "usage/by-agent", "usage/anomalies")
        return [await read(client, name) for name in names]

    dashboard, by_agent, anomalies = ask(fresh_ledger, act)
    assert dashboard["usage"]["calls"] == sum(day["calls"] for day in dashboard["days"])
    assert dashboard["agents"] == by_agent["items"]
    assert sum(item["calls"] for item in by_agent["items"]) == dashboard["usage"]["calls"]
    [wild] = anomalies["items"]
    assert wild == dashboard["anomalies"][0]
    assert wild == {"agent_id": "wild", "calls_today": 60, "usual": 2, "days": 5}
    assert "median" in anomalies["rule"]


def test_key_of_one_environment_does_not_see_all_agents(service):
    with service.client(service.create_key(role="auditor", env="staging")["key"]) as client:
        assert client.get(f"{API}/usage").status_code == 200
        for path in ("usage/by-agent", "usage/anomalies", "usage/dashboard"):
            problem_of(client.get(f"{API}/{path}"), 403, "FORBIDDEN")
