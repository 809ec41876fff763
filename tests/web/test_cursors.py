# SPDX-License-Identifier: Apache-2.0
"""Listing events, page by page: nothing shifts, nothing is missing, and filters mean what they say."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.log.errors import InvalidRequestError
from ledger.web.cursors import Cursor, read_cursor
from tests.running import event
from tests.web.asking import API, TIME, locations, problem_of, report

LOC = ["query", "cursor"]
counter = iter(range(10**9))


@pytest.fixture(scope="module", autouse=True)
def listed(owner):
    """Events to list, of two agents."""
    report(owner, *(event(f"listed-{n}", agent_id=f"lister-{n % 2}", verdict="deny" if n % 3 else "warn")
                    for n in range(30)))  # fmt: skip


def pages(client, between=lambda: None, **filters):
    """All pages of a listing, with something happening after each."""
    found = []
    query = dict(filters)
    while True:
        page = client.get(f"{API}/events", params=query).raise_for_status().json()
        found.append(page)
        between()
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def indexes(found):
    return [item["leaf_index"] for page in found for item in page["items"]]


# --------------------------------------------------------------------------------------------------------------- pure


@given(st.integers(0, (1 << 40) - 1).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size))))
def test_cursor_read_is_the_cursor_formatted(numbers):
    cursor = Cursor(*numbers)
    assert read_cursor(cursor.format(), LOC) == cursor


@given(st.text(max_size=30) | st.from_regex(r"[A-Za-z0-9_-]{0,24}=?", fullmatch=True))
@example("WzEsMV0=")
@example("WzEsM V0")
@example("WyAxLDFd")
@example("WzEsMl0")
@example("Wy0xLC0xXQ")
@example("W3RydWUsMV0")
@example("WzEsMSxb" + "W1tb" * 1500)
@example("WzEsMS4wXQ")
def test_text_that_is_no_cursor_is_refused_at_its_place(text):
    try:
        cursor = read_cursor(text, LOC)
    except InvalidRequestError as refusal:
        assert refusal.details["errors"][0]["loc"] == LOC
    else:
        assert cursor.format() == text


# --------------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("limit", [1, 7, 30, 31, 200])
def test_pages_put_together_are_the_list_newest_first(service, owner, limit):
    found = pages(owner, limit=limit)
    assert indexes(found) == list(reversed(range(service.size())))
    assert {page["tree_size"] for page in found} == {service.size()}
    assert all(len(page["items"]) <= limit for page in found)


@settings(max_examples=12, deadline=None)
@given(limit=st.integers(4, 40), arriving=st.integers(1, 4), agent=st.sampled_from([None, "lister-0", "nobody"]))
def test_pages_do_not_shift_while_events_arrive(service, owner, limit, arriving, agent):
    filters = {"limit": limit, "since": "30d"} | ({"agent_id": agent} if agent else {})
    whole = indexes(pages(owner, **filters | {"limit": 200}))

    def arrive():
        report(owner, *(event(f"arriving-{next(counter)}", agent_id=agent or "lister-1") for _ in range(arriving)))

    found = pages(owner, between=arrive, **filters)
    assert indexes(found) == whole
    assert len({page["tree_size"] for page in found}) == 1


def test_search_with_a_body_gives_the_pages_of_the_list(owner):
    filters = {"agent_id": "lister-0", "verdict": "deny", "limit": 4}
    for page in pages(owner, **filters):
        body = filters | ({"cursor": page["next_cursor"]} if page["next_cursor"] else {})
        listed = owner.get(f"{API}/events", params=body).json()
        assert owner.post(f"{API}/events/search", json=body).json() == listed
    assert owner.post(f"{API}/events/search").json()["items"]


# ------------------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"agent_id": "lister-0", "verdict": "warn"}, 5),
        ({"agent_id": "lister-1", "verdict": "block"}, 10),
        ({"tool_name": "send_money", "agent_id": "lister-0", "mode": "enforce", "env": "production"}, 15),
        ({"mode": "observe"}, 0),
        ({"env": "staging"}, 0),
        ({"type": "tenant.created"}, 1),
        ({"type": ["log.genesis", "tenant.created"]}, 2),
        ({"type": "no.such"}, 0),
        ({"search": '"call_id":"listed-17"'}, 1),
        ({"search": "GB123"}, 0),
        ({"search": "%"}, 0),
        ({"search": "ü\x01"}, 0),
        ({"agent_id": "lister-0", "since": "1h"}, 15),
        ({"agent_id": "lister-0", "until": "1h"}, 0),
        ({"agent_id": "lister-0", "since": "2020-01-01T00:00:00Z", "until": "2999-01-01T00:00:00+14:00"}, 15),
        ({"agent_id": "lister-0", "since": "2999-01-01T00:00:00Z"}, 0),
    ],
)
def test_filter_finds_what_it_names(service, owner, filters, count):
    with service.client() as client:
        before = indexes(pages(client, **filters))
    named = [i for i in before if i < 33]  # the entries of a new ledger and those of this file's fixture
    assert len(named) == count


def test_time_filters_hold_at_the_millisecond(owner):
    [item] = owner.get(f"{API}/events", params={"search": '"call_id":"listed-9"'}).json()["items"]
    moment = item["recorded_at"]
    assert TIME.fullmatch(moment)
    same = {"search": '"call_id":"listed-9"'}
    assert indexes(pages(owner, since=moment, **same)) == [item["leaf_index"]]
    assert indexes(pages(owner, until=moment, **same)) == []


def test_list_shows_what_the_event_itself_shows(owner):
    page = owner.get(f"{API}/events", params={"limit": 5, "disclose": "all", "agent_id": "lister-0"}).json()
    for item in page["items"]:
        assert item == owner.get(f"{API}/events/{item['event_id']}", params={"disclose": "all"}).json()
        assert item["data"]["tool_args"]["recipient"] == "GB123"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "201"), ("limit", "x"), ("limit", "1.5"), ("limit", "9" * 40), ("since", "yesterday"),
        ("since", "2026-03-01"), ("until", "2026-03-01T12:00:00"), ("cursor", "x"), ("cursor", "WzEsMV0="),
        ("disclose", "some"),
    ],
)  # fmt: skip
def test_wrong_parameter_is_refused_by_name(owner, name, value):
    problem = problem_of(owner.get(f"{API}/events", params={name: value}), 422)
    assert locations(problem) == [["query", name]]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"limit": 0}, ["body", "limit"]),
        ({"limit": 201}, ["body", "limit"]),
        ({"limit": "5"}, ["body", "limit"]),
        ({"limit": 2**53 + 1}, ["body", "limit"]),
        ({"since": "x"}, ["body", "since"]),
        ({"until": "24"}, ["body", "until"]),
        ({"cursor": "x"}, ["body", "cursor"]),
        ({"disclose": "x"}, ["body", "disclose"]),
        ({"type": ["call.reported"]}, ["body"]),
        ({"types": [1]}, ["body", "types", 0]),
        ({"search": "\ud800"}, ["body", "search"]),
    ],
    ids=str,
)
def test_wrong_member_of_a_search_is_refused_by_place(owner, body, loc):
    problem = problem_of(owner.post(f"{API}/events/search", content=json.dumps(body)), 422)
    assert locations(problem) == [loc]
