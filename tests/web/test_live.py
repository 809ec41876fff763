# SPDX-License-Identifier: Apache-2.0
"""The live stream, over real connections: what it shows and to whom, and when it ends."""

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.running import Service, event, eventually
from tests.tenant.people_world import cookie_of
from tests.web.asking import API, locations, problem_of, report
from tests.web.event_stream import EVENT_STREAM, PATH, Listener, listen
from tests.web.wire import LEFT_OVER, Wire, complaints, is_open, process_of, request

numbers = count()


@pytest.fixture(scope="module")
def service(template_ledger, module_room):
    """A service that has no patience with silence, and few places for streams."""
    source, keys = template_ledger
    flags = ("--heartbeat", "0.2", "--idle-timeout", "0.3", "--request-timeout", "0.5", "--max-streams", "8")
    with Service(module_room.copy(source), keys, *flags, "--stranger-rate", "0") as running:
        yield running
        assert complaints(running) == []


def some(client, amount=1, **changes):
    """Report so many events; their leaf indexes."""
    made = [event(f"live-{next(numbers)}", **changes) for _ in range(amount)]
    return [item["leaf_index"] for item in report(client, *made)["items"]]


def all_entries(client):
    """Every entry of the log as lists show it, by index."""
    items = client.get(f"{API}/events", params={"limit": 200}).raise_for_status().json()["items"]
    return {item["leaf_index"]: item for item in items}


# -------------------------------------------------------------------------------------------------------- what it shows


@pytest.mark.parametrize("path", [PATH, f"{API}/stream/dashboard"])
def test_entries_come_as_they_are_committed_as_lists_show_them(service, owner, path):
    size = service.size()
    with listen(service, path=path) as stream:
        assert stream.answer.headers["content-type"].partition(";")[0] == EVENT_STREAM
        assert stream.answer.headers["cache-control"] == "no-store"
        assert stream.begin() == size - 1 and stream.retry > 0
        for amount in (1, 3):
            indexes = some(owner, amount)
            shown = stream.take(amount)
            assert [message.last_id for message in shown] == indexes
            entries = all_entries(owner)
            assert [message.data for message in shown] == [entries[index] for index in indexes]


def test_what_governs_is_shown_too(service, owner):
    with listen(service) as stream:
        stream.begin()
        key_id = service.create_key()["id"]
        [message] = stream.take(1)
        assert (message.data["type"], message.data["data"]["key_id"]) == ("key.created", key_id)


@pytest.mark.parametrize("how", ["header", "query", "both"])
def test_who_comes_back_gets_what_came_after_his_last_id(service, owner, how):
    indexes = some(owner, 4)
    place = str(indexes[1])
    headers = {} if how == "query" else {"last-event-id": place}
    # A browser that comes back asks under the URL that it began with.
    query = {"header": {}, "query": {"last_event_id": place}, "both": {"last_event_id": "0"}}[how]
    with listen(service, headers=headers, **query) as stream:
        assert stream.begin() == indexes[1]
        assert [message.last_id for message in stream.take(2)] == indexes[2:]
        [later] = some(owner)
        assert [message.last_id for message in stream.take(1)] == [later]


def test_whole_log_is_what_came_after_minus_one(service, owner):
    entries = all_entries(owner)
    with listen(service, last_event_id="-1") as stream:
        assert stream.begin() == -1
        assert {message.last_id: message.data for message in stream.take(len(entries))} == entries


def test_nothing_is_lost_or_doubled_however_often_one_is_cut_off(service, owner):
    """A reader is cut off at every number of messages, while two write all the time."""
    first = service.size()
    stopping = threading.Event()

    def keep_writing():
        with service.client() as client:
            while not stopping.is_set():
                some(client, 1 + next(numbers) % 3)

    writers = [threading.Thread(target=keep_writing) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        seen, last_id = [], first - 1
        for amount in range(1, 25):
            with listen(service, last_event_id=str(last_id)) as stream:
                assert stream.begin() == last_id
                seen += [message.last_id for message in stream.take(amount)]
            last_id = seen[-1]
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    assert seen == list(range(first, last_id + 1))


@pytest.mark.parametrize(
    "filters",
    [
        {"type": "call.reported"},
        {"type": ["key.created", "key.revoked"]},
        {"agent_id": "another-agent"},
        {"env": "staging"},
        {"type": "call.reported", "agent_id": "another-agent", "env": "production"},
    ],
)
def test_filters_are_those_of_the_list(service, owner, filters):
    staging = service.create_key(env="staging")["key"]
    some(owner, 2)
    with listen(service, last_event_id=str(service.size() - 3), **filters) as stream:
        began = stream.begin()
        some(owner)
        some(owner, agent_id="another-agent")
        with service.client(staging) as client:
            some(client)
        service.create_key()
        size = service.size()
        listed = owner.get(f"{API}/events", params={"limit": 200, **filters}).json()["items"]
        wanted = sorted(item["leaf_index"] for item in listed if item["leaf_index"] > began)
        found = []
        for message in stream:
            found += [message.last_id] if message.data is not None else []
            # Beside a heartbeat it says how far it has looked, so that nobody looks there again.
            if message.comment and message.last_id == size - 1:
                break
    assert found == wanted != []


def test_silence_is_broken_by_comments(service):
    with listen(service) as stream:
        began = stream.begin()
        for message, _ in zip(stream, range(5), strict=False):
            assert message == (began, None, True)


def test_stream_outlives_the_bounds_of_connections(service, owner):
    """Longer than a connection may be idle, a head may take, or a reader may be slow."""
    with listen(service) as stream:
        stream.begin()
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert next(iter(stream)).comment
        [index] = some(owner)
        assert [message.last_id for message in stream.take(1)] == [index]


# ---------------------------------------------------------------------------------------------------------- who may see


def test_stream_is_for_those_who_read_the_log(service, auditor, agent, nobody):
    problem_of(agent.get(PATH), 403, "FORBIDDEN")
    problem_of(nobody.get(PATH), 401, "UNAUTHORIZED")
    with Listener(auditor) as stream:
        assert stream.begin() == service.size() - 1


def test_wrong_queries_are_named(owner):
    for query, name in (
        ({"last_event_id": "x"}, "last_event_id"),
        ({"last_event_id": "-2"}, "last_event_id"),
        ({"last_event_id": "1.0"}, "last_event_id"),
        ({"last_event_id": "9" * 30}, "last_event_id"),
        ({"last_event_id": "99999"}, "last_event_id"),
        ({"agent": "a"}, "agent"),
        ({"types": "call.reported"}, "types"),
    ):
        assert locations(problem_of(owner.get(PATH, params=query), 422)) == [["query", name]]


def test_key_for_an_environment_sees_that_and_what_is_of_none(service, owner):
    reader = service.create_key(role="readonly", env="staging")["key"]
    staging = service.create_key(env="staging")["key"]
    with listen(service, reader) as stream:
        began = stream.begin()
        some(owner, 2)
        with service.client(staging) as client:
            [seen] = some(client)
        key_id = service.create_key()["id"]
        shown = stream.take(2)
    assert began < shown[0].last_id == seen
    assert shown[1].data["data"]["key_id"] == key_id


def test_each_tenant_sees_its_own_log(service, owner):
    other = owner.post(f"{API}/admin/tenants", json={"name": "another"}).raise_for_status().json()["owner_key"]
    with listen(service) as mine, listen(service, other) as theirs, service.client(other) as client:
        mine.begin()
        began = theirs.begin()
        some(owner, 2)
        assert some(client) == [began + 1]
        [shown] = theirs.take(1)
        assert shown.last_id == began + 1
        [last] = some(owner)
        seen = mine.take(3)
        assert seen[-1].last_id == last and seen[-1].data["leaf_index"] == last
        assert shown.data["event_id"] not in {message.data["event_id"] for message in seen}


# --------------------------------------------------------------------------------------------------------- when it ends


def test_stream_ends_with_its_key(service, owner):
    made = service.create_key(role="auditor", env="all")
    with listen(service, made["key"]) as stream:
        stream.begin()
        owner.delete(f"{API}/keys/{made['id']}").raise_for_status()
        revoked = time.monotonic()
        some(owner, 3)
        # Nor does it show what was committed from then on.
        assert [message.data for message in stream if message.data is not None] == []
        assert time.monotonic() - revoked < 1


def test_stream_ends_with_its_member(service, owner):
    account = {"email": "grace@example.org", "password": "a password for grace"}
    made = owner.post(f"{API}/members", json={**account, "role": "readonly"}).raise_for_status().json()
    token = owner.post(f"{API}/auth/token", json=account).raise_for_status().json()["access_token"]
    with listen(service, token) as stream:
        stream.begin()
        owner.delete(f"{API}/members/{made['id']}").raise_for_status()
        removed = time.monotonic()
        assert [message.data for message in stream if message.data is not None] == []
        assert time.monotonic() - removed < 1


def test_browser_follows_with_its_cookie_alone(service, owner):
    """An EventSource sends no headers of its own."""
    account = {"email": "edsger@example.org", "password": "a password for edsger"}
    owner.post(f"{API}/members", json={**account, "role": "readonly"}).raise_for_status()
    cookie = cookie_of(owner.post(f"{API}/auth/login", json=account).raise_for_status())
    with service.client("") as browser, Listener(browser, headers={"cookie": cookie}) as stream:
        stream.begin()
        assert stream.answer.status_code == 200


def test_stream_ends_when_its_key_expires(service):
    until = datetime.now(UTC) + timedelta(seconds=3)
    made = service.create_key(role="auditor", env="all", expires_at=until.isoformat())
    # Of one type, since what is counted becomes an entry at any time.
    with listen(service, made["key"], type="key.created") as stream:
        stream.begin()
        assert all(message.comment for message in stream)
    assert 0 <= (datetime.now(UTC) - until).total_seconds() < 1.5


def test_number_of_streams_is_bounded_and_places_are_free_again(service, owner):
    for _ in range(3):
        held = [eventually(lambda: opened(service), "a free place") for _ in range(8)]
        refused = owner.get(PATH)
        problem_of(refused, 503, "LEDGER_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) >= 1
        for stream in held:
            stream.__exit__(None, None, None)


def opened(service):
    """An open stream, None where there is no room for it."""
    stream = listen(service).__enter__()
    if stream.answer.status_code == 200:
        stream.begin()
        return stream
    assert stream.answer.status_code == 503
    stream.__exit__(None, None, None)
    return None


def fill(client):
    """So many entries that no buffer between a service and who does not read holds them."""
    long = dict.fromkeys(("decision_source", "decision_name", "policy_version"), "x" * 200)
    for _ in range(16):
        some(client, 500, payload=long)


def everything(keys):
    """A request for the whole log."""
    return request(target=PATH + "?last_event_id=-1", authorization=f"Bearer {keys['owner_key']}")


def test_who_does_not_read_is_dropped_and_costs_next_to_nothing(service, owner):
    fill(owner)
    begin = process_of(service).memory_info().rss
    with Wire(service) as wire:
        wire.send(everything(service.keys))
        eventually(lambda: not is_open(service, wire.port), "the end of the stream")
    assert process_of(service).memory_info().rss - begin < LEFT_OVER


@pytest.mark.parametrize("reading", [True, False])
def test_service_that_stops_ends_streams_at_once(fresh_ledger, reading):
    place, keys = fresh_ledger
    with Service(place, keys) as service, service.client() as client:
        if reading:
            with listen(service) as stream:
                stream.begin()
                began = time.monotonic()
                assert service.terminate() == 0
                # It ends as an answer does that is whole.
                assert all(message.comment for message in stream)
        else:
            fill(client)
            with Wire(service) as wire:
                wire.send(everything(keys))
                with listen(service, last_event_id="-1") as other:
                    # Whoever began earlier has been sent by now what there is room for.
                    other.take(service.size())
                began = time.monotonic()
                assert service.terminate() == 0
        assert time.monotonic() - began < 5
        assert complaints(service) == []
