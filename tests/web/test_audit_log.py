# SPDX-License-Identifier: Apache-2.0
"""The administration log: the log without calls, by action, kind of thing, text and time."""

import pytest

from ledger.log.events import EventClass, catalogue
from tests.running import event
from tests.web.asking import API, locations, problem_of, report

CALLS = {name for name, kind in catalogue().items() if kind.event_class is EventClass.CALL}


@pytest.fixture(scope="module")
def entries(service, owner, agent):
    """All entries of a log with calls, a revoked key and a manifest in it, newest first."""
    contract = {"id": "c", "type": "pre", "tool": "t", "mode": "enforce"}
    manifest = {"agent_id": "payments-agent", "policy_version": "1", "contracts": [contract]}
    report(agent, event("a-call"), agent_manifest=manifest)
    made = service.create_key(label="to be revoked")
    owner.delete(f"{API}/keys/{made['id']}").raise_for_status()
    report(agent, event("another-call"))
    return owner.get(f"{API}/events", params={"limit": 200}).raise_for_status().json()["items"]


def listed(client, **filters):
    """All pages of the list, by twos."""
    found, query = [], {"limit": 2, **filters}
    while True:
        page = client.get(f"{API}/audit-log", params=query).raise_for_status().json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def test_it_is_the_log_without_calls_each_with_its_actor(owner, entries):
    wanted = [entry for entry in entries if entry["type"] not in CALLS]
    assert {"key.revoked", "agent.manifest_reported", "tenant.created"} <= {entry["type"] for entry in wanted}
    assert len(wanted) < len(entries)
    assert listed(owner) == [entry | {"actor": entry["data"].get("actor")} for entry in wanted]


@pytest.mark.parametrize("action", ["key.created", "key.revoked", "key", "agent", "log", "tenant.created"])
def test_action_is_a_type_or_what_it_begins_with(owner, entries, action):
    found = [entry["leaf_index"] for entry in listed(owner, action=action)]
    wanted = [e["leaf_index"] for e in entries if e["type"] == action or e["type"].startswith(action + ".")]
    assert found == wanted != []


def test_resource_type_is_what_stands_before_the_dot(owner, entries):
    for resource_type in {name.partition(".")[0] for name in catalogue()} - {"call"}:
        found = [entry["leaf_index"] for entry in listed(owner, resource_type=resource_type)]
        assert found == [e["leaf_index"] for e in entries if e["type"].startswith(resource_type + ".")]


@pytest.mark.parametrize(
    "filters",
    [
        {"action": "call.reported"},
        {"action": "call"},
        {"resource_type": "call"},
        {"action": "ke"},
        {"action": "key."},
        {"action": ""},
        {"resource_type": "key.created"},
        {"action": "key", "resource_type": "tenant"},
        {"q": "a-call"},
        {"until": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_fits_nothing_finds_nothing(owner, entries, filters):
    assert listed(owner, **filters) == []


def test_text_and_time_are_filters_together(owner, entries):
    [revoked] = listed(owner, action="key.revoked")
    key_id = revoked["data"]["key_id"]
    assert [entry["type"] for entry in listed(owner, q=key_id)] == ["key.revoked", "key.created"]
    assert listed(owner, q=key_id, resource_type="key", since="1h", until=revoked["recorded_at"])[1:] == []
    assert listed(owner, q=key_id, since=revoked["recorded_at"])[0] == revoked


def test_wrong_filters_are_named(owner):
    for query, name in (
        ({"actoin": "key"}, "actoin"),
        ({"type": "key.created"}, "type"),
        ({"since": "yesterday"}, "since"),
        ({"limit": 0}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ):
        refusal = problem_of(owner.get(f"{API}/audit-log", params=query), 422)
        assert locations(refusal) == [["query", name]]


def test_only_who_reads_the_log_may(auditor, agent, nobody):
    assert listed(auditor)
    problem_of(agent.get(f"{API}/audit-log"), 403, "FORBIDDEN")
    problem_of(nobody.get(f"{API}/audit-log"), 401, "UNAUTHORIZED")
