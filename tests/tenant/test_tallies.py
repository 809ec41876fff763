# SPDX-License-Identifier: Apache-2.0
"""Refusals are counted, and written as few entries that lose none and count none twice."""

from collections import Counter

import pytest

from ledger.log.errors import UnavailableError
from ledger.tenant import tallies
from ledger.tenant.tallies import Tallies
from tests.tenant.people_world import apart
from tests.web.asking import API, asgi_client

pytestmark = pytest.mark.any_store("what is counted is the same on every store")


async def written(app, owner):
    """Counts in the log: of each what, and how often in all."""
    found: Counter[tuple[str, ...]] = Counter()
    for kind in ("access.denied", "login.failed"):
        query = {"type": kind, "limit": 200}
        while True:
            page = (await owner.get(f"{API}/events", params=query)).json()
            for item in page["items"]:
                data = item["data"]
                found[kind, data.get("actor", ""), data.get("permission", ""), data.get("member_id", "")] += data[
                    "count"
                ]
            if not page["next_cursor"]:
                break
            query["cursor"] = page["next_cursor"]
    return found


def size_of(app):
    return app.service.ledger.log(1).committed.head.size


def test_counts_are_written_once(fresh_ledger):
    async def act(app, owner, nobody):
        counted = Tallies(app.service.ledger)
        before, want = size_of(app), Counter()
        for number in range(60):
            member = None if number % 3 == 0 else f"m-{number % 2}"
            counted.failed_login(1, member)
            want["login.failed", "", "", member or ""] += 1
            counted.denied(1, f"key:{number % 4}", "members:write")
            want["access.denied", f"key:{number % 4}", "members:write", ""] += 1
        assert size_of(app) == before
        for _ in range(3):
            await counted.flush()
        assert size_of(app) == before + len(want) == before + 7
        counted.denied(1, "key:0", "members:write")
        want["access.denied", "key:0", "members:write", ""] += 1
        await counted.flush()
        assert size_of(app) == before + 8
        assert await written(app, owner) == want

    apart(fresh_ledger, act)


def test_what_cannot_be_written_is_counted_on_and_nothing_twice(fresh_ledger, monkeypatch):
    """A flush may fail after some of its entries were written."""
    monkeypatch.setattr(tallies, "MAX_ENTRIES", 2)

    async def act(app, owner, nobody):
        ledger = app.service.ledger
        counted, want, submit = Tallies(ledger), Counter(), ledger.sequencer.submit
        calls = 0

        async def sometimes(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls % 3 == 2:
                raise UnavailableError("the store is away")
            return await submit(*arguments, **options)

        monkeypatch.setattr(ledger.sequencer, "submit", sometimes)
        for turn in range(4):
            for number in range(7):
                counted.denied(1, f"key:{(number + turn) % 9}", "log:export")
                want["access.denied", f"key:{(number + turn) % 9}", "log:export", ""] += 1
            await counted.flush()
            # What is left over is not more than was counted.
            assert (await written(app, owner)) <= want
        monkeypatch.setattr(ledger.sequencer, "submit", submit)
        await counted.flush()
        assert await written(app, owner) == want
        assert calls > 8

    apart(fresh_ledger, act)


def test_no_more_kinds_are_remembered_than_fit(fresh_ledger, monkeypatch):
    monkeypatch.setattr(tallies, "MAX_KINDS", 5)

    async def act(app, owner, nobody):
        counted, before = Tallies(app.service.ledger), size_of(app)
        for number in range(20):
            counted.denied(1, f"key:{number}", "log:export")
            counted.denied(1, "key:0", "log:export")
        await counted.flush()
        assert size_of(app) == before + 5
        assert (await written(app, owner))["access.denied", "key:0", "log:export", ""] == 21
        # There is room again.
        counted.denied(1, "key:19", "log:export")
        await counted.flush()
        assert size_of(app) == before + 6

    apart(fresh_ledger, act)


def test_counts_left_are_written_when_the_service_stops(fresh_ledger):
    async def denied(app, owner, nobody):
        app._tenancy.tallies.denied(1, "key:x", "log:export")
        return size_of(app)

    async def found(app, owner, nobody):
        return size_of(app), await written(app, owner)

    before = apart(fresh_ledger, denied)
    after, counts = apart(fresh_ledger, found)
    assert (after, counts) == (before + 1, {("access.denied", "key:x", "log:export", ""): 1})


def test_key_for_one_environment_is_counted_where_all_are_needed(fresh_ledger):
    async def act(app, owner, nobody):
        made = (await owner.post(f"{API}/keys", json={"env": "staging", "label": "x", "role": "owner"})).json()
        async with asgi_client(app, made["key"]) as client:
            assert (await client.post(f"{API}/members", json={})).status_code == 403
        await app._tenancy.tallies.flush()
        return await written(app, owner), made["id"]

    counts, key_id = apart(fresh_ledger, act)
    assert counts == {("access.denied", f"key:{key_id}", "members:write", ""): 1}
