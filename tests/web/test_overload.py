# SPDX-License-Identifier: Apache-2.0
"""A full queue: callers are told to come back, and what was acknowledged is there exactly once."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.running import Service, event, eventually
from tests.web.asking import API, application, asgi_client, problem_of

CALLERS = 8
ROUNDS = 12
BATCH = 20


def test_full_queue_refuses_and_keeps_what_it_acknowledged(fresh_ledger):
    with Service(*fresh_ledger, "--max-queued", "1") as service:
        before = service.size()

        def call(caller):
            answers = []
            with service.client() as client:
                for n in range(ROUNDS):
                    events = [event(f"queue-{caller}-{n}-{k}") for k in range(BATCH)]
                    answers.append(client.post(f"{API}/events", json={"events": events}))
            return answers

        with ThreadPoolExecutor(CALLERS) as pool:
            answers = [answer for several in pool.map(call, range(CALLERS)) for answer in several]
        taken = [answer.json() for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert taken
        assert refused
        for answer in refused:
            problem = problem_of(answer, 503, "LEDGER_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) == problem["retry_after"] >= 1
        assert service.size() == before + BATCH * len(taken)
        items = {item["call_id"]: item["leaf_index"] for answer in taken for item in answer["items"]}
        assert sorted(items.values()) == list(range(before, service.size()))
        assert Counter(listed_calls(service)) == Counter(items.keys())

        def retry():
            """Whoever was refused comes back until everything is there."""
            with service.client() as client:
                again = [client.post(f"{API}/events", content=answer.request.content) for answer in refused]
            return all(answer.status_code == 200 for answer in again)

        assert eventually(retry)
        assert service.size() == before + BATCH * CALLERS * ROUNDS
        assert max(Counter(listed_calls(service)).values()) == 1


def listed_calls(service):
    calls, query = [], {"type": "call.reported", "limit": 200}
    with service.client() as client:
        while True:
            page = client.get(f"{API}/events", params=query).json()
            calls += [item["data"]["call_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return calls
            query["cursor"] = page["next_cursor"]


def test_small_queue_still_takes_a_batch_larger_than_itself(fresh_ledger):
    place, keys = fresh_ledger

    async def ask():
        async with application(place, max_queued=1) as app, asgi_client(app, keys["owner_key"]) as client:
            return await client.post(f"{API}/events", json={"events": [event(str(n)) for n in range(1000)]})

    assert asyncio.run(ask()).json()["accepted"] == 1000
