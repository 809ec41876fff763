# SPDX-License-Identifier: Apache-2.0
"""Reporting events: what is counted, sealed, put in order and proved."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import event
from tests.web.asking import (
    API,
    UUID7,
    disclosed,
    event_with,
    leaf_of,
    locations,
    problem_of,
    report,
    verified,
    verified_inline,
)


def sealed_value(service, client, answer, pointer):
    """JSON text of a disclosed value of an answer's first event, checked by the independent verifier."""
    event_id = answer["items"][0]["event_id"]
    receipt = client.get(f"{API}/receipts/{event_id}", params={"disclose": "all"}).raise_for_status()
    return disclosed(verified(service, receipt.content)).get(pointer)


# ------------------------------------------------------------------------------------------- counts, order, checkpoint


def test_batch_gets_items_in_its_order_under_the_answered_checkpoint(service, owner):
    before = service.size()
    calls = [f"order-{n}" for n in range(7)]
    answer = owner.post(f"{API}/events", json={"events": [event(call) for call in calls]})
    body = answer.json()
    assert (body["accepted"], body["duplicates"]) == (7, 0)
    assert [item["call_id"] for item in body["items"]] == calls
    assert [item["leaf_index"] for item in body["items"]] == list(range(before, before + 7))
    assert not any(item["duplicate"] for item in body["items"])
    ids = [item["event_id"] for item in body["items"]]
    assert all(map(UUID7.fullmatch, ids))
    assert ids == sorted(ids)
    origin, size, *_ = body["checkpoint"].split("\n")
    assert origin == service.keys["log_vkey"].split("+")[0]
    assert int(size) == before + 7
    assert "receipts" not in body
    assert answer.headers["ledger-event-id"] == ids[0]
    assert answer.headers["ledger-leaf-index"] == str(before)


def test_receipts_asked_for_verify_and_are_those_of_the_events(service, owner):
    answer = report(owner, *(event(f"full-{n}") for n in range(5)), receipts=True)
    for item, receipt in zip(answer["items"], answer["receipts"], strict=True):
        assert receipt["checkpoint"] == answer["checkpoint"]
        checked = verified_inline(service, receipt)
        assert checked.signed.tier == "tamper-detecting"
        assert checked.leaf_index == item["leaf_index"]
        assert checked.entry.data["call_id"] == item["call_id"]


def test_receipts_of_duplicates_verify_too(service, owner):
    report(owner, event("full-again"))
    answer = report(owner, event("full-again"), event("full-new"), receipts=True)
    checked = [verified_inline(service, receipt) for receipt in answer["receipts"]]
    assert [receipt.entry.data["call_id"] for receipt in checked] == ["full-again", "full-new"]


def test_thousand_events_are_one_batch(service, owner):
    before = service.size()
    answer = report(owner, *(event(f"thousand-{n}") for n in range(1000)))
    assert answer["accepted"] == 1000
    assert service.size() == before + 1000


# -------------------------------------------------------------------------------------------- duplicates and conflicts


def test_same_event_again_is_answered_with_the_same_entry(service, owner, agent):
    first = report(owner, event("again"), event("again"))
    assert (first["accepted"], first["duplicates"]) == (1, 1)
    size = service.size()
    for client in (owner, agent):
        later = report(client, event("again"))
        assert (later["accepted"], later["duplicates"]) == (0, 1)
        assert later["items"] == [first["items"][0] | {"duplicate": True}]
        assert first["items"][1] == later["items"][0]
    assert service.size() == size


def test_batch_with_old_and_new_events_takes_the_new_ones(service, owner):
    [old] = report(owner, event("mixed-old"))["items"]
    answer = report(owner, event("mixed-1"), event("mixed-old"), event("mixed-2"), event("mixed-1"))
    assert (answer["accepted"], answer["duplicates"]) == (2, 2)
    first, again, second, twice = answer["items"]
    assert again == old | {"duplicate": True}
    assert twice == first | {"duplicate": True}
    assert second["leaf_index"] == first["leaf_index"] + 1


@pytest.mark.parametrize(
    "changes", [{"agent_id": "other-agent"}, {"payload": {"environment": "staging"}}], ids=["agent", "environment"]
)
def test_call_id_of_another_agent_or_environment_is_another_call(owner, changes):
    report(owner, event("scoped"))
    assert report(owner, event("scoped", **changes))["accepted"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "deny"},
        {"mode": "observe"},
        {"tool_name": "other"},
        {"timestamp": "2026-03-01T12:00:01Z"},
        {"payload": {"tool_args": {"amount": 98.71, "recipient": "GB123"}}},
        {"payload": {"reason": "late"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_same_call_with_other_content_is_a_conflict_and_takes_nothing(service, owner, changes):
    call_id = f"conflict-{json.dumps(changes).encode().hex()[:60]}"
    [item] = report(owner, event(call_id))["items"]
    before = service.size()
    answer = owner.post(f"{API}/events", json={"events": [event(f"{call_id}-new"), event(call_id, **changes)]})
    problem = problem_of(answer, 409, "CONFLICT")
    assert locations(problem) == [["body", "events", 1, "call_id"]]
    assert (problem["leaf_index"], problem["event_id"]) == (item["leaf_index"], item["event_id"])
    assert service.size() == before
    assert report(owner, event(f"{call_id}-new"))["accepted"] == 1


def test_other_content_in_one_batch_is_a_conflict_and_takes_nothing(service, owner):
    before = service.size()
    body = {"events": [event("torn"), event("torn-2"), event("torn", verdict="deny")]}
    problem = problem_of(owner.post(f"{API}/events", json=body), 409, "CONFLICT")
    assert locations(problem) == [["body", "events", 2, "call_id"]]
    assert "leaf_index" not in problem
    assert service.size() == before


def test_one_bad_event_keeps_all_others_out(service, owner):
    before = service.size()
    events = [event(f"atomic-{n}") for n in range(20)] + [event("atomic-bad", verdict="maybe")]
    problem = problem_of(owner.post(f"{API}/events", json={"events": events}), 422)
    assert locations(problem) == [["body", "events", 20, "verdict"]]
    assert service.size() == before


# ------------------------------------------------------------------------------------------------- what the entry says


def test_entry_has_what_was_reported_and_nothing_that_is_sealed(owner):
    payload = {
        "side_effect": "payment",
        "decision_source": "rules",
        "decision_name": "limit",
        "policy_version": "7",
        "bundle_name": "finance",
        "reason": "below the limit",
        "result": {"ok": True},
        "data_subject": "subject-of-this-event",
    }
    [item] = report(owner, event("entry", timestamp="2026-03-01T14:00:00.5+02:00", payload=payload))["items"]
    leaf = leaf_of(owner, item["event_id"])
    data = leaf["data"]
    assert (leaf["type"], leaf["subject"], leaf["time"]) == (
        "call.reported",
        "payments-agent",
        "2026-03-01T12:00:00.500Z",
    )
    for name in ("side_effect", "decision_source", "decision_name", "policy_version", "bundle_name"):
        assert data[name] == payload[name]
    assert set(data["tool_args"]) == {"amount", "recipient"}
    for commitment in (*data["tool_args"].values(), data["principal"], data["reason"], data["result"]):
        assert list(commitment) == ["$sealed"]
    text = json.dumps(leaf)
    for secret in ("subject-of-this-event", "data_subject", "GB123", "ada", "below the limit"):
        assert secret not in text


@pytest.mark.parametrize(("given", "kept"), [("block", "deny"), ("ask", "pending"), ("warn", "warn")])
def test_verdicts_of_other_gateways_are_read_as_ours(owner, given, kept):
    [item] = report(owner, event(f"verdict-{given}", verdict=given))["items"]
    assert leaf_of(owner, item["event_id"])["data"]["verdict"] == kept


def test_null_counts_as_absent(owner):
    nothing = dict.fromkeys(
        ["tool_args", "side_effect", "environment", "principal", "decision_source", "decision_name", "reason",
         "result", "policy_version", "bundle_name", "data_subject"]
    )  # fmt: skip
    [item] = report(owner, event("nulls", timestamp=None, payload=nothing))["items"]
    leaf = leaf_of(owner, item["event_id"])
    assert "time" not in leaf
    assert set(leaf["data"]) == {"agent_id", "call_id", "env", "key_id", "mode", "tool_name", "v", "verdict"}
    bare = {name: value for name, value in event("nulls").items() if name not in ("payload", "timestamp")}
    assert report(owner, bare)["duplicates"] == 1


def test_environment_is_the_key_s_own(service, owner, agent):
    with service.client(service.create_key(env="staging")["key"]) as staging:
        [item] = report(staging, event("env-of-key"))["items"]
        assert leaf_of(staging, item["event_id"])["data"]["env"] == "staging"
        assert report(staging, event("env-said", payload={"environment": "staging"}))["accepted"] == 1
        before = service.size()
        body = {"events": [event("env-other", payload={"environment": "production"})]}
        problem_of(staging.post(f"{API}/events", json=body), 403, "FORBIDDEN")
        assert service.size() == before


@pytest.mark.parametrize("env", ["production", "staging", "development", None])
def test_key_for_all_environments_says_which_and_production_by_default(owner, env):
    [item] = report(owner, event(f"env-all-{env}", payload={"environment": env}))["items"]
    assert leaf_of(owner, item["event_id"])["data"]["env"] == (env or "production")


def test_manifest_is_an_entry_of_its_own_once_a_batch(service, owner):
    rules = [{"id": "r-1", "type": "precondition", "tool": 'C:\\users "x"', "mode": "enforce"}]
    manifest = {"agent_id": "payments-agent", "policy_version": "v-9", "contracts": rules}
    before = service.size()
    answer = report(owner, event("manifest-1"), event("manifest-2"), agent_manifest=manifest)
    assert (answer["accepted"], len(answer["items"]), service.size()) == (2, 2, before + 3)
    [entry] = owner.get(f"{API}/events", params={"type": "agent.manifest_reported"}).json()["items"]
    assert entry["subject"] == "payments-agent"
    assert entry["data"]["contracts"] == rules
    report(owner, event("manifest-1"), event("manifest-2"), agent_manifest=manifest)
    assert service.size() == before + 3
    report(owner, event("manifest-3"), agent_manifest=manifest)
    assert service.size() == before + 5


# ------------------------------------------------------------------------------------------------------- sealed fields


@pytest.mark.parametrize(
    "text",
    ["98.70", "1e3", "-0.0", "1E+2", "1e999", "123456789012345678901234567890", "9" * 5000, '"a\\u0062\\/"', '"é😀"',
     "[ 1 ,2 ]", '{"b":1, "a" :{}}', "true", "null", '""', '"\\ud83d\\ude00"'],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_sealed_value_is_kept_byte_for_byte(service, owner, text):
    body = event_with(f"bytes-{text.encode().hex()[:80]}", tool_args=f'{{"value" : {text}}}', reason=text)
    answer = owner.post(f"{API}/events", content=body).raise_for_status().json()
    assert sealed_value(service, owner, answer, "/data/tool_args/value") == text
    assert sealed_value(service, owner, answer, "/data/reason") == (None if text == "null" else text)


@pytest.mark.parametrize(
    "arguments",
    [
        {f"a{n}": n for n in range(65)},
        {"two words": 1},
        {"größe": 1},
        {"a/b": 1, "c~d": 2},
        {"": 1},
        {"x" * 65: 1},
        {"$sealed": "7" * 43},
        {"$ref": "#/definitions/x", "amount": 1},
        {"plain": 1, "😀": 2},
    ],
    ids=["65 members", "space", "umlaut", "pointer signs", "empty", "long", "$sealed", "$ref", "one odd"],
)
def test_arguments_with_many_or_odd_names_are_sealed_as_a_whole(service, owner, arguments):
    text = json.dumps(arguments, ensure_ascii=False)
    answer = owner.post(f"{API}/events", content=event_with(f"whole-{text[:40].encode().hex()}", tool_args=text))
    data = leaf_of(owner, answer.raise_for_status().json()["items"][0]["event_id"])["data"]
    assert list(data["tool_args"]) == ["$sealed"]
    assert sealed_value(service, owner, answer.json(), "/data/tool_args") == text


@pytest.mark.parametrize("arguments", [{}, {f"A-z_0.{n}": n for n in range(64)}], ids=["none", "64"])
def test_arguments_with_plain_names_are_sealed_by_member(service, owner, arguments):
    [item] = report(owner, event(f"members-{len(arguments)}", payload={"tool_args": arguments}))["items"]
    data = leaf_of(owner, item["event_id"])["data"]
    assert set(data["tool_args"]) == set(arguments)
    receipt = owner.get(f"{API}/receipts/{item['event_id']}", params={"disclose": "all"}).content
    values = disclosed(verified(service, receipt))
    for name, value in arguments.items():
        assert values[f"/data/tool_args/{name}"] == str(value)


@pytest.mark.parametrize("disclose", ["all", "none"])
def test_event_shows_sealed_values_only_when_asked(owner, disclose):
    [item] = report(owner, event(f"shown-{disclose}"))["items"]
    shown = owner.get(f"{API}/events/{item['event_id']}", params={"disclose": disclose}).json()["data"]
    if disclose == "all":
        assert shown["tool_args"] == {"amount": 98.7, "recipient": "GB123"}
        assert shown["principal"] == {"user_id": "ada"}
    else:
        assert list(shown["tool_args"]["amount"]) == list(shown["principal"]) == ["$sealed"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.text(st.sampled_from(string.ascii_letters + "$ /~é😀"), max_size=6)
counter = iter(range(10**9))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, json_values, max_size=5), st.booleans())
def test_any_arguments_are_disclosed_as_they_came(service, owner, arguments, ascii_only):
    text = json.dumps(arguments, ensure_ascii=ascii_only)
    answer = owner.post(f"{API}/events", content=event_with(f"law-{next(counter)}", tool_args=text))
    event_id = answer.raise_for_status().json()["items"][0]["event_id"]
    receipt = verified(service, owner.get(f"{API}/receipts/{event_id}", params={"disclose": "all"}).content)
    values = disclosed(receipt)
    if "/data/tool_args" in values:
        assert values["/data/tool_args"] == text
    else:
        given_back = {name.removeprefix("/data/tool_args/"): value for name, value in values.items() if "args" in name}
        assert given_back == {n: json.dumps(v, ensure_ascii=ascii_only) for n, v in arguments.items()}
