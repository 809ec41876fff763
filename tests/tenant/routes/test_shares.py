# SPDX-License-Identifier: Apache-2.0
"""Links for auditors: what they show to whom and for how long, and that looking is on record."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.commands.outcomes import done
from tests.running import Service, event, eventually, run_ledger
from tests.web.asking import (
    API,
    NO_SUCH_EVENT,
    TIME,
    UUID7,
    Clock,
    application,
    asgi_client,
    locations,
    problem_of,
    report,
    verified_inline,
)

SHARES, SHARED = f"{API}/audit/shares", f"{API}/audit/shared"
MINUTE = 60_000


@pytest.fixture(scope="module")
def nobody(service):
    with service.client("") as client:
        yield client


@pytest.fixture(scope="module")
def entries(service, owner):
    """A log with events of two agents in two environments, newest first."""
    report(owner, event("shared-1"), event("shared-2", agent_id="another-agent"))
    with service.client(service.create_key(env="staging")["key"]) as staging:
        report(staging, event("shared-3"), event("shared-4", agent_id="another-agent"))
    return everything(owner)


def everything(owner):
    return owner.get(f"{API}/events", params={"limit": 200}).raise_for_status().json()["items"]


def share(owner, **wanted):
    answer = owner.post(SHARES, json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


def look(client, made, **query):
    return client.get(made["path"], params=query)


def shown(client, made):
    """All that a link shows, by twos."""
    found, query = [], {"limit": 2}
    while True:
        page = look(client, made, **query).raise_for_status().json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def moment(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ------------------------------------------------------------------------------------------------------------- making


@pytest.mark.parametrize("path", [SHARES, f"{API}/audit/share"])
def test_new_link_is_listed_without_its_secret(service, owner, path):
    filters = {
        "types": ["key.created"],
        "agents": ["b", "a", "b"],
        "envs": ["staging"],
        "since": "2026-01-01T00:00:00Z",
    }
    answer = owner.post(path, json={"label": "für die Prüfer 😀", **filters})
    assert answer.status_code == 201
    made = answer.json()
    token, made_path = made.pop("token"), made.pop("path")
    assert token.startswith("lsh_") and len(token) > 40
    assert made_path == f"{SHARED}/{token}"
    assert UUID7.fullmatch(made["id"]) and TIME.fullmatch(made["created_at"])
    assert answer.headers["cache-control"] == "no-store"
    week = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert abs(week - timedelta(days=7)) < timedelta(seconds=5)
    assert (made["agents"], made["types"], made["envs"]) == (["a", "b"], ["key.created"], ["staging"])
    assert (made["since"], made["until"]) == ("2026-01-01T00:00:00.000Z", None)
    assert made["label"] == "für die Prüfer 😀" and made["actor"].startswith("key:")
    listing = owner.get(SHARES)
    assert made in listing.json()["items"]
    assert token[4:] not in listing.text
    [entry] = [e for e in everything(owner) if e["event_id"] == answer.headers["ledger-event-id"]]
    assert entry["type"] == "share.created"
    assert "Prüfer" not in json.dumps(entry, ensure_ascii=False) and token not in json.dumps(entry)


def test_repeated_request_makes_no_second_link(owner):
    for wanted, status in (({"label": "once"}, 201), ({"label": "once"}, 200), ({"label": "twice"}, 409)):
        answer = owner.post(SHARES, json=wanted, headers={"idempotency-key": "share-1"})
        assert answer.status_code == status
        assert status == 409 or (answer.json()["token"] is None) == (answer.json()["path"] is None) == (status == 200)


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ({"types": ["key.creatd"]}, ["body", "types", 0]),
        ({"types": []}, ["body", "types"]),
        ({"agents": ["ä"]}, ["body", "agents", 0]),
        ({"envs": ["all"]}, ["body", "envs", 0]),
        ({"expires_at": "soon"}, ["body", "expires_at"]),
        ({"expires_at": moment(days=91)}, ["body", "expires_at"]),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, ["body", "until"]),
        ({"label": ""}, ["body", "label"]),
    ],
)
def test_wrong_wishes_are_named(owner, wanted, place):
    assert locations(problem_of(owner.post(SHARES, json=wanted), 422)) == [place]


def test_who_may_make_list_and_revoke_links(service, owner):
    made = share(owner)
    for role, env, write, read in (
        ("owner", "all", True, True),
        ("dpo", "all", True, True),
        ("owner", "staging", False, True),
        ("auditor", "all", False, True),
        ("readonly", "all", False, False),
        ("agent", "all", False, False),
    ):
        with service.client(service.create_key(role=role, env=env)["key"]) as client:
            assert client.post(SHARES, json={}).status_code == (201 if write else 403)
            assert client.get(SHARES).status_code == (200 if read else 403)
            revoked = client.delete(f"{SHARES}/{made['id']}").status_code
            assert revoked == ((204 if role == "owner" else 409) if write else 403)


# ------------------------------------------------------------------------------------------------------------- looking


@pytest.mark.parametrize(
    "filters",
    [
        {"types": ["call.reported"]},
        {"types": ["call.reported", "key.created"]},
        {"agents": ["another-agent"]},
        {"agents": ["another-agent", "payments-agent"]},
        {"envs": ["staging", "development"]},
        {"types": ["call.reported"], "agents": ["another-agent"], "envs": ["production"]},
        {"agents": ["nobody"]},
        {"until": "2020-01-01T00:00:00Z"},
    ],
)
def test_link_shows_what_it_is_for_as_lists_do_and_nothing_sealed(owner, nobody, entries, filters):
    made = share(owner, **filters)
    wanted = [
        entry
        for entry in entries
        if "until" not in filters
        and entry["type"] in filters.get("types", [entry["type"]])
        and ("agents" not in filters or entry["data"].get("agent_id") in filters["agents"])
        and ("envs" not in filters or ("agent_id" in entry["data"] and entry["data"]["env"] in filters["envs"]))
    ]
    newest = entries[0]["leaf_index"]
    found = shown(nobody, made)
    assert [entry for entry in found if entry["leaf_index"] <= newest] == wanted
    assert "GB123" not in json.dumps(found)


def test_link_of_a_time_shows_that_time(owner, nobody, entries):
    time = entries[2]["recorded_at"]
    before, since = share(owner, until=time), share(owner, since=time)
    assert [e for e in entries if e["recorded_at"] < time] == shown(nobody, before)
    newest = entries[0]["leaf_index"]
    found = [e for e in shown(nobody, since) if e["leaf_index"] <= newest]
    assert [e for e in entries if e["recorded_at"] >= time] == found != []


def test_page_has_what_it_takes_to_verify(service, owner, nobody, entries):
    made = share(owner, types=["call.reported"])
    answer = look(nobody, made, receipts="full", limit=3)
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    page = answer.json()
    assert (page["vkey"], page["root_vkey"]) == (service.keys["log_vkey"], service.keys["root_vkey"])
    assert page["checkpoint"].splitlines()[:2] == [page["origin"], str(page["tree_size"])]
    assert page["expires_at"] == made["expires_at"]
    assert page["filters"] == {name: made[name] for name in ("types", "agents", "envs", "since", "until")}
    for item in page["items"]:
        assert item["receipt"]["disclosures"] == []
        assert verified_inline(service, item["receipt"]).leaf_index == item["leaf_index"]
        assert json.loads(item["receipt"]["entry"])["id"] == item["event_id"]


def test_wrong_questions_are_named(owner, nobody):
    made = share(owner)
    for query, name in (({"type": "x"}, "type"), ({"limit": 0}, "limit"), ({"cursor": "x"}, "cursor")):
        assert locations(problem_of(look(nobody, made, **query), 422)) == [["query", name]]
    problem_of(look(nobody, made, receipts="some"), 422)


def test_whatever_opens_nothing_is_refused_alike(service, owner, nobody):
    revoked, expiring = share(owner), share(owner, expires_at=moment(seconds=1))
    owner.delete(f"{SHARES}/{revoked['id']}").raise_for_status()
    eventually(lambda: look(nobody, expiring).status_code == 404, "the end of a link")
    assert expiring["id"] not in owner.get(SHARES).text and revoked["id"] not in owner.get(SHARES).text
    refusals = set()
    key = service.create_key(role="auditor", env="all")["key"]
    for token in (revoked["token"], expiring["token"], "lsh_unknown", key, "x"):
        body = problem_of(nobody.get(f"{SHARED}/{token}"), 404, "NOT_FOUND")
        refusals.add((body["detail"], body["title"]))
    assert len(refusals) == 1
    problem_of(owner.delete(f"{SHARES}/{revoked['id']}"), 409, "CONFLICT")
    problem_of(owner.delete(f"{SHARES}/{NO_SUCH_EVENT}"), 404, "NOT_FOUND")


def test_link_of_a_tenant_shows_its_own_log(service, owner, nobody):
    tenant = owner.post(f"{API}/admin/tenants", json={"name": "another"}).raise_for_status().json()
    with service.client(tenant["owner_key"]) as client:
        made = share(client)
        page = look(nobody, made).raise_for_status().json()
        assert page["vkey"] == tenant["log_vkey"] != service.keys["log_vkey"]
        assert [entry["leaf_index"] for entry in page["items"]] == list(reversed(range(page["tree_size"])))
        assert {entry["event_id"] for entry in page["items"]} <= {entry["event_id"] for entry in everything(client)}
        assert made["id"] not in owner.get(SHARES).text
        problem_of(owner.delete(f"{SHARES}/{made['id']}"), 404, "NOT_FOUND")


def test_link_is_no_key(service, owner):
    made = share(owner)
    with service.client(made["token"]) as client:
        problem_of(client.get(f"{API}/events"), 401, "UNAUTHORIZED")


@pytest.mark.any_store("the store is not asked")
def test_guessing_links_is_slow(fresh_ledger):
    place, keys = fresh_ledger

    async def ask():
        async with application(place, stranger_rate=0.2) as app:
            async with asgi_client(app, keys["owner_key"]) as owner:
                made = (await owner.post(SHARES, json={})).json()
            async with asgi_client(app) as client, asgi_client(app, remote="192.0.2.1") as another:
                guesses = [(await client.get(f"{SHARED}/lsh_{number}")).status_code for number in range(4)]
                return guesses, (await another.get(made["path"])).status_code

    assert asyncio.run(ask()) == ([404, 404, 429, 429], 200)


@pytest.mark.any_store("the store is not asked")
def test_secret_of_a_link_is_in_no_log_of_requests(fresh_ledger):
    place, keys = fresh_ledger
    with Service(place, keys, "--access-log") as service, service.client() as owner, service.client("") as nobody:
        made = share(owner)
        look(nobody, made).raise_for_status()
        nobody.get(f"{SHARED}/{made['token']}x")
        eventually(lambda: service.log_path.read_text().count("/audit/shared/-") == 2, "lines of both requests")
        assert made["token"][4:] not in service.log_path.read_text()


# ------------------------------------------------------------------------------------------------------------ on record


def test_looks_are_counted_once_a_minute_and_none_is_lost(fresh_ledger):
    """Of two links, looked at now and then, while what was counted is written now and then."""
    place, keys = fresh_ledger
    clock = Clock(1_800_000_000_000)

    async def run():
        looked, minutes = {}, {}
        async with application(place, clock) as app:
            tallies = app.litestar.state["tenancy"].tallies
            async with asgi_client(app, keys["owner_key"]) as owner, asgi_client(app) as client:
                made = [(await owner.post(SHARES, json={})).json() for _ in range(2)]
                for step in range(60):
                    clock.now += 7_000 + 1_000 * (step % 5)
                    for link in made[: 1 + step % 2]:
                        await see(client, link)
                        looked[link["id"]] = looked.get(link["id"], 0) + 1
                    if step % 3 == 0:
                        await tallies.flush()
                before = await viewed(owner)
        async with application(place, clock) as app, asgi_client(app, keys["owner_key"]) as owner:
            after = await viewed(owner)
        for entry in before:
            place_of = entry["data"]["share_id"], entry["recorded_at"][:16]
            minutes[place_of] = minutes.get(place_of, 0) + 1
        return looked, before, after, minutes

    looked, before, after, minutes = asyncio.run(run())
    assert len(before) > 10 and set(minutes.values()) == {1}
    assert len(after) - len(before) <= 2
    assert looked == {
        share_id: sum(entry["data"]["count"] for entry in after if entry["data"]["share_id"] == share_id)
        for share_id in looked
    }
    done(run_ledger("check", "--replay", data=place))


async def see(client, made):
    """Look at what a link shows, again where a busy database has not been heard of for a second."""
    while (answer := await client.get(made["path"])).status_code == 503:
        assert "other processes" in answer.json()["detail"]
    assert answer.status_code == 200


async def viewed(client):
    query = {"type": "share.viewed", "limit": 200}
    return (await client.get(f"{API}/events", params=query)).json()["items"]


@pytest.mark.only_on("postgres", why="a data directory is served by one process")
def test_processes_on_one_database_count_together(fresh_ledger):
    place, keys = fresh_ledger
    clock = Clock(1_800_000_000_000)

    async def run():
        async with (
            application(place, clock) as first,
            application(place, clock) as second,
            asgi_client(first, keys["owner_key"]) as owner,
            asgi_client(first) as one,
            asgi_client(second) as another,
        ):
            made = (await owner.post(SHARES, json={})).json()
            for client in (one, another, another):
                await see(client, made)
            for app in (first, second):
                await app.litestar.state["tenancy"].tallies.flush()
            early = [entry["data"]["count"] for entry in await viewed(owner)]
            clock.now += MINUTE
            for app in (second, first):
                await app.litestar.state["tenancy"].tallies.flush()
            await first.service.ledger.refresh(first.service.ledger.log(1))
            return early, [entry["data"]["count"] for entry in await viewed(owner)]

    assert asyncio.run(run()) == ([1], [2, 1])
