# SPDX-License-Identifier: Apache-2.0
"""Two doors to the hot routes, the front and Litestar's router: the same request gets the same answer."""

import asyncio
import json
import re

import pytest

from ledger.web.front import MAX_BODY_BYTES, read_query
from tests.running import event
from tests.web.asking import API, NO_SUCH_EVENT, UUID7, application, asgi_client, back_door

EVENTS = f"{API}/events"
OTHER_TENANT = {"x-tenant-id": "01a20000-0000-7000-8000-000000000000"}
LONG_CALL = "the id of a call, as long as a UUID."
"""As long as an event's, so that the front picks it."""
AGENT = "agent_id=payments-agent"
FOR_AGENT = {"headers": {"x-agent-id": "payments-agent"}}
VARYING = re.compile(
    rf"{UUID7.pattern}|\d{{4}}-\d\d-\d\dT[\d:.]+Z|[A-Za-z0-9+/]{{43}}=|[A-Za-z0-9_-]{{43}}|[0-9a-f]{{32}}"
    r"|— \S+ [A-Za-z0-9+/=]+|(?<=extra )\S+"
)


async def chunked(size):
    for _ in range(size >> 20):
        yield b" " * (1 << 20)
    yield b" "


def body(*events, **members):
    return json.dumps({"events": list(events), **members}).encode()


# Asked in this order of two copies of one ledger, one by each door. `{n}` is the id of the n-th reported event.
CASES = {
    "report": ("POST", EVENTS, {"content": body(event("a"), event("b"))}),
    "report with a long id": ("POST", EVENTS, {"content": body(event(LONG_CALL))}),
    "report again": ("POST", EVENTS, {"content": body(event("a"))}),
    "report with receipts": ("POST", f"{EVENTS}?receipts=full", {"content": body(event("c"), event("a"))}),
    "report with a manifest": (
        "POST",
        EVENTS,
        {
            "content": body(
                event("d"), agent_manifest={"agent_id": "payments-agent", "policy_version": "1", "contracts": []}
            )
        },
    ),
    "conflict": ("POST", EVENTS, {"content": body(event("a", verdict="deny"))}),
    "unknown kind of receipts": ("POST", f"{EVENTS}?receipts=x", {"content": body(event("e"))}),
    "repeated parameter": ("POST", f"{EVENTS}?receipts=x&receipts=none", {"content": body(event("f"))}),
    "not JSON": ("POST", EVENTS, {"content": b"{"}),
    "empty": ("POST", EVENTS, {}),
    "unknown member": ("POST", EVENTS, {"content": body(event("g", x=1))}),
    "duplicate member": ("POST", EVENTS, {"content": b'{"events":[],"events":[]}'}),
    "surrogate": ("POST", EVENTS, {"content": body(event("\ud800"))}),
    "other content type": ("POST", EVENTS, {"content": body(event("h")), "headers": {"content-type": "text/xml"}}),
    "form": ("POST", EVENTS, {"data": {"events": "x"}}),
    "no credential": ("POST", EVENTS, {"content": b"{}", "headers": {"authorization": ""}}),
    "unknown credential": ("POST", EVENTS, {"content": b"{}", "headers": {"authorization": "Bearer x"}}),
    "other tenant": ("POST", EVENTS, {"content": b"{}", "headers": OTHER_TENANT}),
    "too large": ("POST", EVENTS, {"content": b" " * (MAX_BODY_BYTES + 1)}),
    "too large, chunked": ("POST", EVENTS, {"content": lambda: chunked(MAX_BODY_BYTES)}),
    "receipt": ("GET", f"{API}/receipts/{{0}}", {}),
    "receipt with disclosures": ("GET", f"{API}/receipts/{{1}}?disclose=all", {}),
    "receipt, unknown disclosures": ("GET", f"{API}/receipts/{{1}}?disclose=", {}),
    "receipt as text": ("GET", f"{API}/receipts/{{0}}", {"headers": {"accept": "text/plain"}}),
    "receipt of nothing": ("GET", f"{API}/receipts/{NO_SUCH_EVENT}", {}),
    "receipt of a call": ("GET", f"{API}/receipts/{LONG_CALL}?{AGENT}", {}),
    "receipt of a call, other environment": (
        "GET",
        f"{API}/receipts/{LONG_CALL}?{AGENT}&env=staging",
        {},
    ),
    "receipt of a call, no environment": ("GET", f"{API}/receipts/{LONG_CALL}?{AGENT}&env=x", {}),
    "receipt of a call, for an agent": (
        "GET",
        f"{API}/receipts/{LONG_CALL}",
        FOR_AGENT,
    ),
    "receipt of a call of nobody": ("GET", f"{API}/receipts/{LONG_CALL}", {}),
    "receipt of a short call": ("GET", f"{API}/receipts/a?{AGENT}", {}),
    "inclusion of a call": ("GET", f"{API}/transparency/inclusion/{LONG_CALL}?{AGENT}", {}),
    "receipt of an odd id": ("GET", f"{API}/receipts/{'x' * 36}", {}),
    "receipt without credential": ("GET", f"{API}/receipts/{{0}}", {"headers": {"authorization": ""}}),
    "inclusion": ("GET", f"{API}/transparency/inclusion/{{1}}", {}),
    "inclusion of nothing": ("GET", f"{API}/transparency/inclusion/{NO_SUCH_EVENT}", {}),
    "inclusion without credential": (
        "GET",
        f"{API}/transparency/inclusion/{{0}}",
        {"headers": {"authorization": ""}},
    ),
    "longer path": ("GET", f"{API}/receipts/{{0}}/x", {}),
    "other method": ("PUT", EVENTS, {}),
}


async def ask_all(place, key, door):
    answers = {}
    async with application(place) as app:
        asgi = app if door == "front" else back_door(app)
        async with asgi_client(asgi, key) as client:
            reported = []
            for name, (method, path, options) in CASES.items():
                given = dict(options)
                if callable(given.get("content")):
                    given["content"] = given["content"]()
                answers[name] = answer = await client.request(method, path.format(*reported), **given)
                if name == "report":
                    reported = [item["event_id"] for item in answer.json()["items"]]
    return answers


@pytest.fixture(scope="module")
def doors(template_ledger, module_room):
    source, keys = template_ledger
    return [asyncio.run(ask_all(module_room.copy(source), keys["owner_key"], door)) for door in ("front", "router")]


@pytest.mark.parametrize("name", CASES)
def test_both_doors_give_the_same_answer(doors, name):
    front, router = (answers[name] for answers in doors)
    assert front.status_code == router.status_code < 500
    assert front.headers["content-type"] == router.headers["content-type"]
    shared = {"ledger-event-id", "ledger-leaf-index", "www-authenticate", "x-request-id", "x-trace-id"}
    assert shared & front.headers.keys() == shared & router.headers.keys()
    texts = [VARYING.sub("*", answer.text.replace("\\n", "\n")) for answer in (front, router)]
    if front.status_code == 413:
        # Litestar finds it out itself and has words of its own.
        texts = [re.sub('"detail":"[^"]*"', "", text) for text in texts]
    assert texts[0] == texts[1]


def test_the_cases_cover_every_kind_of_answer(doors):
    assert {answer.status_code for answer in doors[0].values()} == {200, 400, 401, 403, 404, 405, 409, 413, 422}


def test_front_measures_by_template(fresh_ledger):
    place, keys = fresh_ledger

    async def ask():
        async with application(place) as app, asgi_client(app, keys["owner_key"]) as client:
            await client.post(EVENTS, content=body(event("x")))
            await client.get(f"{API}/receipts/{NO_SUCH_EVENT}")
            await client.get(f"{API}/receipts/key")
            await client.get(f"{API}/events/{NO_SUCH_EVENT}")
            return (await client.get("/metrics")).text

    text = asyncio.run(ask())
    for method, route, status in (
        ("POST", EVENTS, 200),
        ("GET", f"{API}/receipts/{{event_id}}", 404),
        ("GET", f"{API}/receipts/key", 200),
        ("GET", f"{API}/events/{{event_id}}", 404),
    ):
        assert f'ledger_http_requests_total{{method="{method}",route="{route}",status="{status}"}} 1.0' in text
    assert NO_SUCH_EVENT not in text


@pytest.mark.parametrize(
    ("query", "read"),
    [(b"", {}), (b"a=1&b=", {"a": "1", "b": ""}), (b"a=1&a=2", {"a": "2"}), (b"a=%C3%A9+x", {"a": "é x"}), (b"&&", {})],
)
def test_query_is_read(query, read):
    assert read_query(query) == read
