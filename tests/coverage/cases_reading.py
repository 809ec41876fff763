# SPDX-License-Identifier: Apache-2.0
"""The live stream, the administration log, and links for auditors (CAPABILITIES L10, T07, C02)."""

from datetime import UTC, datetime, timedelta

from tests.coverage.cases import Apart, Ask, Cases
from tests.web.asking import API, Clock, problem_of
from tests.web.event_stream import EVENT_STREAM, Listener

CASES = Cases()
show = CASES.show


@show("002-058", "003-187")
def stream_tells_what_is_committed(ask: Ask) -> None:
    with Listener(ask.world.owner, ask.row.template) as stream:
        ask.asked += 1
        assert stream.answer.headers["content-type"].startswith(EVENT_STREAM)
        item = ask.world.reported()
        heard = next(message for message in stream if message.last_id >= item["leaf_index"])
    assert heard.data["event_id"] == item["event_id"]


@show("003-217")
def stream_asks_for_a_credential_itself(ask: Ask) -> None:
    for client, status, code in ((ask.world.nobody, 401, "UNAUTHORIZED"), (ask.world.agent, 403, "FORBIDDEN")):
        problem_of(ask(by=client, at=f"GET {API}/events/stream"), status, code)


@show("004-010")
def administration_log_is_filtered(ask: Ask) -> None:
    key = ask.world.key(label="one")
    for query in ({"action": "key.created"}, {"resource_type": "key"}, {"q": key["id"]}):
        items = ask(params=query | {"limit": 200}).json()["items"]
        assert key["id"] in [item["data"].get("key_id") for item in items]
        assert all(item["actor"] for item in items if item["type"] == "key.created")
    assert ask(params={"action": "call.reported"}).status_code in (200, 422)


@show("000-037")
def link_is_made_for_a_while(ask: Ask) -> None:
    made = ask(json={"label": "for the auditor"}).json()
    assert made["token"] and made["path"].endswith(made["token"])
    assert made["expires_at"] > made["created_at"]


@show("000-038")
def link_shows_the_log_without_an_account(ask: Ask) -> None:
    item = ask.world.reported()
    made = ask.world.owner.post(f"{API}/audit/shares", json={"types": ["call.reported"]}).json()
    shown = ask(by=ask.world.nobody, names={"token": made["token"]}).json()
    assert item["event_id"] in [entry["event_id"] for entry in shown["items"]]
    assert {entry["type"] for entry in shown["items"]} == {"call.reported"}


@show("000-061")
def link_ends(ask: Ask) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    clock = Clock(int(now.timestamp() * 1000))
    wanted = {"expires_at": (now + timedelta(hours=1)).isoformat()}

    async def look(apart: Apart) -> None:
        made = (await apart.client.post(f"{API}/audit/shares", json=wanted)).json()
        path = f"{API}/audit/shared/{made['token']}"
        nobody = {"authorization": ""}
        assert (await apart.client.get(path, headers=nobody)).status_code == 200
        clock.now += 3_600_000
        problem_of(await apart.client.get(path, headers=nobody), 404, "NOT_FOUND")
        ask.asked += 1

    ask.world.apart(look, clock=clock)
