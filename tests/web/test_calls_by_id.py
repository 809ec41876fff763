# SPDX-License-Identifier: Apache-2.0
"""Events, receipts and proofs by the id of the call instead of the event's: the same answers, to the same callers."""

import uuid

import pytest

from tests.running import event
from tests.web.asking import API, locations, problem_of, report

PLACES = ("events", "receipts", "transparency/inclusion")
AGENT = "payments-agent"
# Of any length, and one that is as long as an event's id; none with a slash, which no path holds.
CALL_IDS = ("short", "x" * 200, str(uuid.UUID(int=7)), "with a space", "a?b&c=%41#", "..")


def ask(client, place, name, **query):
    return client.get(f"{API}/{place}/{quoted(name)}", params=query)


def quoted(name):
    return "".join(f"%{byte:02x}" for byte in name.encode())


@pytest.fixture(scope="module")
def reported(owner):
    return report(owner, *(event(call_id) for call_id in CALL_IDS))["items"]


@pytest.mark.parametrize("place", PLACES)
def test_call_is_found_as_its_event_is(owner, reported, place):
    for item in reported:
        by_event, by_call = (ask(owner, place, item[name], agent_id=AGENT) for name in ("event_id", "call_id"))
        assert by_event.status_code == by_call.status_code == 200, item
        # Proof and receipt are of the moment; what they are about is the same.
        for name in ("leaf_index", "entry", "event_id", "data"):
            assert by_event.json().get(name) == by_call.json().get(name)
        assert by_call.json()["leaf_index"] == item["leaf_index"]


@pytest.mark.parametrize("place", PLACES)
def test_call_of_no_agent_is_asked_back(owner, reported, place):
    for item in reported:
        problem = problem_of(ask(owner, place, item["call_id"]), 422)
        assert locations(problem) == [["query", "agent_id"]]
    problem_of(ask(owner, place, "short", agent_id="somebody-else"), 404, "NOT_FOUND")
    problem = problem_of(ask(owner, place, reported[0]["event_id"], env="elsewhere"), 422)
    assert locations(problem) == [["query", "env"]]


@pytest.mark.parametrize("place", PLACES)
def test_whoever_acts_for_one_agent_need_not_name_it(service, place):
    key = service.create_key(env="staging", agents=["one-agent"])["key"]
    with service.client(key) as client:
        [item] = report(client, event(f"for {place[0]}", agent_id="one-agent"))["items"]
        assert ask(client, place, f"for {place[0]}").json()["leaf_index"] == item["leaf_index"]
        problem_of(ask(client, place, f"for {place[0]}", agent_id=AGENT), 404, "NOT_FOUND")
    wide = service.create_key(env="staging")["key"]
    with service.client(wide) as client:
        [item] = report(client, event(place[0], agent_id="another"))["items"]
        problem_of(ask(client, place, place[0]), 422)
        named = client.get(f"{API}/{place}/{place[0]}", headers={"x-agent-id": "another"})
        assert named.json()["leaf_index"] == item["leaf_index"]


@pytest.mark.parametrize("place", PLACES)
def test_environment_is_the_credential_s_or_production(service, owner, place):
    found = {}
    for env in ("production", "staging"):
        body = event("in-both", agent_id="both", payload={"environment": env})
        [found[env]] = report(owner, body)["items"]
        assert ask(owner, place, "in-both", agent_id="both", env=env).json()["leaf_index"] == found[env]["leaf_index"]
    assert ask(owner, place, "in-both", agent_id="both").json()["leaf_index"] == found["production"]["leaf_index"]
    with service.client(service.create_key(role="auditor", env="staging")["key"]) as auditor:
        mine = ask(auditor, place, "in-both", agent_id="both").json()
        assert mine["leaf_index"] == found["staging"]["leaf_index"]
        # What it may not see is not there.
        problem_of(ask(auditor, place, "in-both", agent_id="both", env="production"), 404, "NOT_FOUND")
        problem_of(ask(auditor, place, found["production"]["event_id"]), 404, "NOT_FOUND")


@pytest.mark.parametrize("place", PLACES)
def test_agents_find_only_calls_that_they_reported(service, agent, place):
    report(agent, event("not-yours", agent_id="mine"))
    with service.client(service.create_key()["key"]) as other:
        problem_of(ask(other, place, "not-yours", agent_id="mine"), 404, "NOT_FOUND")
    assert ask(agent, place, "not-yours", agent_id="mine").status_code == 200


def test_id_that_looks_like_an_event_s_is_one_first(owner):
    [first] = report(owner, event("first", agent_id="mimic"))["items"]
    unused = first["event_id"][:-4] + ("0000" if first["event_id"][-4:] != "0000" else "1111")
    mimics = [event(first["event_id"], agent_id="mimic"), event(unused, agent_id="mimic")]
    second, third = report(owner, *mimics)["items"]
    for place in PLACES:
        assert ask(owner, place, first["event_id"], agent_id="mimic").json()["leaf_index"] == first["leaf_index"]
        assert ask(owner, place, unused, agent_id="mimic").json()["leaf_index"] == third["leaf_index"]
        problem_of(ask(owner, place, unused), 404, "NOT_FOUND")
    assert second["leaf_index"] != first["leaf_index"]


def test_call_whose_values_were_erased_is_still_found(owner):
    [item] = report(owner, event("of-erased", payload={"reason": "because", "data_subject": "wes"}))["items"]
    owner.post(f"{API}/erasures", json={"grounds": "subject_request", "subject": "wes"}).raise_for_status()
    for place in PLACES:
        assert ask(owner, place, "of-erased", agent_id=AGENT).json()["leaf_index"] == item["leaf_index"]
