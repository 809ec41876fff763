# SPDX-License-Identifier: Apache-2.0
"""Bodies and credentials that are refused: status, code, place, and that nothing was appended."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import event, eventually
from tests.web.asking import API, event_with, locations, problem_of, report, verified

EVENT = ["body", "events", 0]
PAYLOAD = [*EVENT, "payload"]
MIB = 1 << 20


@pytest.fixture
def unchanged(service):
    """The log has the same size after the test as before."""
    before = service.size()
    yield
    assert service.size() == before


def batch(call_id="refused", **changes):
    return json.dumps({"events": [event(call_id, **changes)]}).encode()


def without(name):
    return json.dumps({"events": [{k: v for k, v in event("refused").items() if k != name}]}).encode()


def manifest(**changes):
    rule = {"id": "r", "type": "t", "tool": "t", "mode": "enforce"}
    said = {"agent_id": "payments-agent", "policy_version": "1", "contracts": [rule]} | changes
    return json.dumps({"events": [event("refused")], "agent_manifest": said}).encode()


def rules(count):
    return [{"id": f"{n:0200}", "type": "t" * 200, "tool": "u" * 200, "mode": "enforce"} for n in range(count)]


# ---------------------------------------------------------------------------------------------------------- not JSON

NOT_JSON = {
    "empty": b"",
    "cut short": b'{"events":[{',
    "more than one value": batch() + b"{}",
    "trailing comma": b'{"events":[],}',
    "single quotes": b"{'events':[]}",
    "NaN": event_with("refused", tool_args='{"x":NaN}'),
    "Infinity": event_with("refused", tool_args='{"x":-Infinity}'),
    "leading zero": event_with("refused", tool_args='{"x":01}'),
    "control character in a string": event_with("refused", reason='"a\nb"'),
    "byte order mark": b"\xef\xbb\xbf" + batch(),
    "UTF-16": batch().decode().encode("utf-16"),
    "invalid UTF-8": batch().replace(b"GB123", b"\xff\xfe"),
    "surrogate as raw bytes": batch().replace(b"GB123", b"\xed\xa0\x80"),
    "overlong UTF-8": batch().replace(b"GB123", b"\xc0\xaf"),
    "nested 100,000 deep": b"[" * 100_000,
    "nested 100,000 deep in a sealed value": event_with("refused", reason="[" * 100_000 + "]" * 100_000),
    "nested 100,000 deep in objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_text_that_is_not_json_is_a_bad_request(owner, unchanged, body):
    problem_of(owner.post(f"{API}/events", content=body), 400)


# -------------------------------------------------------------------------------------------------------- wrong values

DUPLICATE = b'"mode": "observe", "verdict"'
WRONG = {
    "array": (b"[]", ["body"]),
    "null": (b"null", ["body"]),
    "string": (b'"events"', ["body"]),
    "no events": (b"{}", ["body"]),
    "events is an object": (b'{"events":{}}', ["body", "events"]),
    "0 events": (b'{"events":[]}', ["body", "events"]),
    "1,001 events": (json.dumps({"events": [event(str(n)) for n in range(1001)]}).encode(), ["body", "events"]),
    "an event is null": (b'{"events":[null]}', EVENT),
    "unknown member": (batch()[:-1] + b',"x":1}', ["body"]),
    "unknown member of an event": (batch(extra=1), EVENT),
    "unknown member of the payload": (batch(payload={"extra": 1}), PAYLOAD),
    "$ member of an event": (batch(**{"$schema": "x"}), EVENT),
    "$ member of the payload": (batch(payload={"$ref": "x"}), PAYLOAD),
    "no call_id": (without("call_id"), EVENT),
    "no verdict": (without("verdict"), EVENT),
    "call_id is null": (batch(call_id=None), [*EVENT, "call_id"]),
    "call_id is an integer": (batch(call_id=1), [*EVENT, "call_id"]),
    "call_id is a float": (batch(call_id=1.5), [*EVENT, "call_id"]),
    "call_id is an object": (batch(call_id={"$sealed": "x"}), [*EVENT, "call_id"]),
    "call_id is empty": (batch(call_id=""), [*EVENT, "call_id"]),
    "tool_name is an integer over 2^53": (batch(tool_name=2**53 + 1), [*EVENT, "tool_name"]),
    "reason for another type": (batch(payload={"policy_version": 9007199254740993}), [*PAYLOAD, "policy_version"]),
    "side_effect is a boolean": (batch(payload={"side_effect": True}), [*PAYLOAD, "side_effect"]),
    "call_id is too long": (batch(call_id="x" * 201), [*EVENT, "call_id"]),
    "agent_id is too long": (batch(agent_id="x" * 201), [*EVENT, "agent_id"]),
    "tool_name is too long": (batch(tool_name="x" * 201), [*EVENT, "tool_name"]),
    "bundle_name is too long": (batch(payload={"bundle_name": "x" * 201}), [*PAYLOAD, "bundle_name"]),
    "data_subject is too long": (batch(payload={"data_subject": "x" * 201}), [*PAYLOAD, "data_subject"]),
    "unknown verdict": (batch(verdict="Allow"), [*EVENT, "verdict"]),
    "unknown mode": (batch(mode="shadow"), [*EVENT, "mode"]),
    "unknown environment": (batch(payload={"environment": "all"}), [*PAYLOAD, "environment"]),
    "call_id is not ASCII": (batch(call_id="größe"), [*EVENT, "call_id"]),
    "agent_id has a newline": (batch(agent_id="a\nb"), [*EVENT, "agent_id"]),
    "tool_name has a NUL": (batch(tool_name="a\x00"), [*EVENT, "tool_name"]),
    "tool_name has a DEL": (batch(tool_name="a\x7f"), [*EVENT, "tool_name"]),
    "side_effect has an emoji": (batch(payload={"side_effect": "😀"}), [*PAYLOAD, "side_effect"]),
    "decision_name has a tab": (batch(payload={"decision_name": "a\tb"}), [*PAYLOAD, "decision_name"]),
    "tool_args is an array": (batch(payload={"tool_args": [1]}), [*PAYLOAD, "tool_args"]),
    "tool_args is a string": (batch(payload={"tool_args": "x"}), [*PAYLOAD, "tool_args"]),
    "tool_args is a number": (batch(payload={"tool_args": 1.5}), [*PAYLOAD, "tool_args"]),
    "tool_args is true": (batch(payload={"tool_args": True}), [*PAYLOAD, "tool_args"]),
    "sealed value over 1 MiB": (batch(payload={"result": "x" * MIB}), PAYLOAD),
    "sealed values over 1 MiB together": (
        batch(payload={"tool_args": {f"a{n}": "x" * (MIB // 32) for n in range(33)}}),
        PAYLOAD,
    ),
    "duplicate member": (batch().replace(b'"verdict"', DUPLICATE), ["body"]),
    "duplicate member of a sealed value": (event_with("refused", tool_args='{"a":1,"a":1}'), ["body"]),
    "duplicate member deep in a sealed value": (event_with("refused", result='[{"b":[{"a":1,"a":2}]}]'), ["body"]),
    "duplicate member, once escaped": (event_with("refused", reason='{"a":1,"\\u0061":2}'), ["body"]),
    "lone surrogate in an open value": (batch(call_id="\ud800"), [*EVENT, "call_id"]),
    "lone surrogate in a sealed value": (
        event_with("refused", tool_args='{"x":["\\udc00"]}'),
        [*PAYLOAD, "tool_args", "x", 0],
    ),
    "surrogates in the wrong order": (event_with("refused", reason='"\\ude00\\ud83d"'), [*PAYLOAD, "reason"]),
    "lone surrogate in a member's name": (
        event_with("refused", tool_args='{"\\ud800":1}'),
        [*PAYLOAD, "tool_args"],
    ),
    "lone surrogate in an unknown member's name": (b'{"\\udfff":1,"events":[]}', ["body"]),
    "date alone": (batch(timestamp="2026-03-01"), [*EVENT, "timestamp"]),
    "no zone": (batch(timestamp="2026-03-01T12:00:00"), [*EVENT, "timestamp"]),
    "no such month": (batch(timestamp="2026-13-01T12:00:00Z"), [*EVENT, "timestamp"]),
    "no such day": (batch(timestamp="2026-02-29T12:00:00Z"), [*EVENT, "timestamp"]),
    "leap second": (batch(timestamp="2026-06-30T23:59:60Z"), [*EVENT, "timestamp"]),
    "seconds since the epoch": (batch(timestamp=1772366400), [*EVENT, "timestamp"]),
    "before the calendar": (batch(timestamp="0001-01-01T00:00:00+10:00"), [*EVENT, "timestamp"]),
    "after the calendar": (batch(timestamp="9999-12-31T23:59:59-10:00"), [*EVENT, "timestamp"]),
    "manifest of another agent": (manifest(agent_id="other"), [*EVENT, "agent_id"]),
    "manifest with a newline": (manifest(policy_version="a\nb"), ["body", "agent_manifest"]),
    "manifest with an umlaut": (manifest(policy_version="ä"), ["body", "agent_manifest"]),
    "manifest's rule with a tab": (
        manifest(contracts=[{"id": "a\tb", "type": "t", "tool": "t", "mode": "enforce"}]),
        ["body", "agent_manifest"],
    ),
    "manifest's rule without a mode": (
        manifest(contracts=[{"id": "a", "type": "t", "tool": "t"}]),
        ["body", "agent_manifest", "contracts", 0],
    ),
    "manifest's rule in another mode": (
        manifest(contracts=[{"id": "a", "type": "t", "tool": "t", "mode": "shadow"}]),
        ["body", "agent_manifest", "contracts", 0, "mode"],
    ),
    "manifest of 1,001 rules": (manifest(contracts=rules(1001)), ["body", "agent_manifest", "contracts"]),
    "entry over 60,000 bytes": (manifest(contracts=rules(93)), ["body"]),
}


@pytest.mark.parametrize(("body", "loc"), WRONG.values(), ids=WRONG)
def test_wrong_body_is_refused_with_the_place(owner, unchanged, body, loc):
    problem = problem_of(owner.post(f"{API}/events", content=body), 422)
    assert locations(problem) == [loc]
    assert problem["errors"][0]["msg"]


def test_longest_values_are_taken(owner):
    payload = {"result": "x" * (MIB - 500), "bundle_name": " " * 200}
    assert report(owner, event("longest" + "x" * 193, agent_id="a" * 200, payload=payload))["accepted"] == 1
    largest = {"agent_id": "payments-agent", "policy_version": "1", "contracts": rules(91)}
    assert report(owner, event("largest-manifest"), agent_manifest=largest)["accepted"] == 1


def test_filter_with_a_slip_in_its_name_is_refused(owner):
    for name in ("agent", "verdcit", "call_id", "types", ""):
        problem = problem_of(owner.get(f"{API}/events", params={"limit": 1, name: "x"}), 422)
        assert locations(problem) == [["query", name]]


@pytest.mark.parametrize("query", ["receipts=all", "receipts="])
def test_unknown_kind_of_receipts_is_refused(owner, unchanged, query):
    problem = problem_of(owner.post(f"{API}/events?{query}", content=batch()), 422)
    assert locations(problem) == [["query", "receipts"]]


def chunks(size):
    for _ in range(size // MIB):
        yield b" " * MIB
    yield b" " * (size % MIB)


@pytest.mark.parametrize("path", ["events", "events/search", "keys", "receipts/verify"])
@pytest.mark.parametrize("whole", [True, False], ids=["content-length", "chunked"])
def test_body_over_16_mib_is_too_large(owner, unchanged, path, whole):
    size = 16 * MIB + 1
    answer = owner.post(f"{API}/{path}", content=b" " * size if whole else chunks(size))
    problem_of(answer, 413)


def test_body_of_exactly_16_mib_is_read(owner):
    text = batch(call_id="largest-body")
    answer = owner.post(f"{API}/events", content=text + b" " * (16 * MIB - len(text)))
    assert answer.json()["accepted"] == 1


def test_deepest_value_that_is_taken_can_be_read_and_verified(service, owner):
    """Whatever bound there is on nesting, it must be one that every reader can keep."""

    def take(depth):
        text = "[" * depth + "1.50" + "]" * depth
        return owner.post(f"{API}/events", content=event_with(f"deep-{depth}", result=text))

    low, high = 1, 2000
    while high - low > 1:
        middle = (low + high) // 2
        answer = take(middle)
        assert answer.status_code in (200, 400, 422)
        low, high = (middle, high) if answer.status_code == 200 else (low, middle)
    event_id = take(low).json()["items"][0]["event_id"]
    assert owner.get(f"{API}/events", params={"limit": 1, "disclose": "all"}).status_code == 200
    verified(service, owner.get(f"{API}/receipts/{event_id}", params={"disclose": "all"}).raise_for_status().content)


# --------------------------------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Basic bGVkZ2VyOmxlZGdlcg=="},
        {"authorization": "Bearer lk_production_" + "A" * 43},
        {"authorization": "Bearer größe".encode("latin-1")},
        {"authorization": "Bearer " + "x" * 4000},
        {"x-api-key": "lk_production_unknown"},
        {"x-agent-token": "unknown"},
        {"x-tenant-id": "01a20000-0000-7000-8000-000000000000"},
    ],
    ids=["none", "no secret", "basic", "unknown", "latin-1", "long", "x-api-key", "x-agent-token", "tenant"],
)
def test_without_a_live_credential_nothing_is_taken(nobody, unchanged, headers):
    answer = nobody.post(f"{API}/events", content=batch(), headers=headers)
    problem_of(answer, 401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_changed_key_is_not_known(service, nobody):
    secret = service.create_key()["key"]
    before = service.size()
    changed = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for wrong in (changed, secret[:-1], secret + "A", secret.upper(), secret.replace("production", "staging")):
        answer = nobody.post(f"{API}/events", content=batch(), headers={"authorization": f"Bearer {wrong}"})
        problem_of(answer, 401, "UNAUTHORIZED")
    problem_of(nobody.post(f"{API}/events", content=b"{}", headers={"authorization": f"bearer {secret}"}), 422)
    assert service.size() == before


def test_auditor_reports_nothing(auditor, unchanged):
    problem_of(auditor.post(f"{API}/events", content=batch()), 403, "FORBIDDEN")


def test_tenant_header_must_agree(service, owner, unchanged):
    other = {"x-tenant-id": "01a20000-0000-7000-8000-000000000000"}
    problem_of(owner.post(f"{API}/events", content=batch(), headers=other), 403, "TENANT_MISMATCH")
    own = {"x-tenant-id": service.keys["tenant_id"]}
    problem_of(owner.post(f"{API}/events", content=b"{}", headers=own), 422)


# ----------------------------------------------------------------------------------------------------------------- law

json_bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["events", "agent_manifest", "call_id", "payload", "tool_args", "$x"]), inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=20,
)
mutated = st.tuples(
    st.sampled_from(sorted(event("fuzzed"))), json_bodies | st.sampled_from([None, "\ud800", "x" * 201, 2**70, 1e308])
)


nearly_right = mutated.map(lambda change: {"events": [event("fuzzed") | dict([change])]})


@settings(max_examples=100, deadline=None)
@given(json_bodies | nearly_right | st.binary(max_size=60))
def test_no_body_makes_an_error_of_the_service(owner, value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    for path in ("events", "events/search", "keys/validate", "transparency/roots/verify", "receipts/verify"):
        assert owner.post(f"{API}/{path}", content=body).status_code in (200, 400, 409, 422), path


def test_service_is_still_whole_after_all_this(owner):
    assert eventually(lambda: owner.post(f"{API}/transparency/verify").json()["ok"])
