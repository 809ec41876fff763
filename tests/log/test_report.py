# SPDX-License-Identifier: Apache-2.0
"""Reports: what of a request becomes open fields, what is sealed, and where a refusal points."""

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_verify import verify_receipt

from ledger.log.entry import read_envelope
from ledger.log.errors import ForbiddenError, InvalidRequestError, LedgerError, MalformedRequestError
from ledger.log.events import read_event
from ledger.log.events.calls import AgentManifestReported, CallReported
from ledger.log.report import MAX_EVENTS, Reporter, draft_report, read_report
from ledger.log.working_copy import Draft
from tests.log.world import World, event
from tests.tables import dump

CONTRACT = {"id": "c", "type": "pre", "tool": "*", "mode": "enforce"}
MANIFEST = {"agent_id": "payments-agent", "policy_version": "v7", "contracts": [CONTRACT]}


def body(*events: Any, **members: Any) -> bytes:
    return json.dumps({"events": events, **members}).encode()


def drafted(world: World, *events: Any, env: Any = "production", **members: Any) -> list[Draft]:
    reporter = Reporter(key_id="a-key", env=env)
    return draft_report(world.ledger, world.log, read_report(body(*events, **members)), reporter, world.clock())


def place(world: World, *events: Any, **members: Any) -> list[Any]:
    """Where the refusal of a report points."""
    with pytest.raises(InvalidRequestError) as caught:
        drafted(world, *events, **members)
    [error] = caught.value.details["errors"]
    assert error["msg"]
    loc: list[Any] = error["loc"]
    return loc


def with_payload(**payload: Any) -> dict[str, Any]:
    return event("a", payload=payload)


# What is taken


def test_every_open_field_is_what_was_sent(world: World) -> None:
    payload = {
        "side_effect": "write",
        "decision_source": "policy",
        "decision_name": "limit",
        "policy_version": "v7",
        "bundle_name": "payments",
        "environment": "production",
    }
    [item] = world.report(
        "call-1", verdict="would_deny", mode="observe", timestamp="2026-03-01T13:00:00+01:00", payload=payload
    ).items
    assert item.leaf is not None
    envelope = read_envelope(item.leaf)
    said = read_event(envelope)
    assert isinstance(said, CallReported)
    assert (envelope.subject, envelope.time, envelope.recordedat) == (
        "payments-agent",
        "2026-03-01T12:00:00.000Z",
        "2026-03-01T12:00:00.000Z",
    )
    expected = payload | {
        "call_id": "call-1",
        "agent_id": "payments-agent",
        "tool_name": "send_money",
        "key_id": "a-key",
    }
    expected["env"] = expected.pop("environment")
    assert {name: getattr(said, name) for name in expected} == expected
    assert (said.verdict, said.mode) == ("would_deny", "observe")


@pytest.mark.parametrize(
    ("given_verdict", "verdict"), [("block", "deny"), ("ask", "pending"), ("allow", "allow"), ("redact", "redact")]
)
def test_verdicts_of_other_tools_are_translated(world: World, given_verdict: str, verdict: str) -> None:
    [draft] = drafted(world, event("a", verdict=given_verdict))
    assert isinstance(draft.event, CallReported) and draft.event.verdict == verdict


def test_environment_is_the_keys_or_else_the_events_or_else_production(world: World) -> None:
    def env(key: Any, given: Any) -> str:
        [draft] = drafted(world, with_payload(environment=given), env=key)
        assert isinstance(draft.event, CallReported)
        return draft.event.env

    assert [env(None, None), env(None, "staging"), env("staging", None), env("staging", "staging")] == [
        "production", "staging", "staging", "staging",
    ]  # fmt: skip
    with pytest.raises(ForbiddenError, match="event 0 is for development, the key is for staging"):
        env("staging", "development")


TIMES = ["0001-01-01T00:00:00Z", "0999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.500Z", "1970-01-01T00:00:00Z"]
TIMES += ["2026-03-01T12:00:00.123456Z", "2024-02-29T23:59:59.999999+14:00", "9999-12-31T23:59:59.999Z"]


@pytest.mark.parametrize("timestamp", TIMES)
def test_any_time_of_the_calendar_gives_an_entry_that_holds(world: World, timestamp: str) -> None:
    """Among them the zero time that Go programs send."""
    [item] = world.report("a", timestamp=timestamp).items
    assert world.problems() == []
    verify_receipt(world.receipt(item.leaf_index), world.keys)


TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=200)


@given(st.lists(TEXTS, min_size=4, max_size=4))
def test_any_printable_text_is_taken_and_holds(any_world: World, texts: list[str]) -> None:
    call_id, agent_id, tool_name, name = texts
    report = any_world.report(
        f"{any_world.size}{call_id}"[:200], agent_id=agent_id, tool_name=tool_name, payload={"decision_name": name}
    )
    [item] = report.items
    assert item.leaf is not None
    said = read_event(read_envelope(item.leaf))
    assert isinstance(said, CallReported)
    assert (said.agent_id, said.tool_name, said.decision_name) == (agent_id, tool_name, name)
    verify_receipt(any_world.fresh_receipt(item.leaf_index), any_world.keys)


@pytest.fixture(scope="module")
def any_world(open_world: Any) -> Any:
    with open_world() as world:
        yield world


def test_recorded_calls_are_taken_as_they_are(world: World, shared: Path) -> None:
    """Real tool calls of a published benchmark, with arguments of every shape."""
    with gzip.open(shared / "data" / "tau_bench_airline.jsonl.gz", "rt") as lines:
        calls = [json.loads(line) for line in islice(lines, 150)]
    events = [
        event(
            f"{call['trajectory_id']}#{call['step']}",
            tool_name=call["tool_name"],
            payload={"tool_args": call["arguments"]},
        )
        for call in calls
    ]
    items = world.append(*world.drafts(*events)).items
    assert len({item.leaf_index for item in items}) == len({e["call_id"] for e in events})
    for item, call in list(zip(items, calls, strict=True))[::15]:
        fields = verify_receipt(world.receipt(item.leaf_index, disclose=True), world.keys).disclosures
        assert {f.pointer.rsplit("/", 1)[1]: json.loads(f.value) for f in fields} in (
            call["arguments"],
            {"tool_args": call["arguments"]},
        )
    assert world.problems() == []


# What is refused, and where


@pytest.mark.parametrize("name", ["call_id", "agent_id", "tool_name"])
@pytest.mark.parametrize("text", ["", "x" * 201, "naïve", "a\nb", "\x7f", "\x00", "😂", 7, None])
def test_text_that_is_not_short_printable_ascii_is_refused_in_its_place(world: World, name: str, text: Any) -> None:
    assert place(world, event("fine"), event("a") | {name: text}) == ["body", "events", 1, name]


@pytest.mark.parametrize("name", ["side_effect", "decision_source", "decision_name", "policy_version", "bundle_name"])
@pytest.mark.parametrize("text", ["", "x" * 201, "é", "\t"])
def test_open_text_of_the_payload_is_refused_in_its_place(world: World, name: str, text: str) -> None:
    assert place(world, with_payload(**{name: text})) == ["body", "events", 0, "payload", name]


@pytest.mark.parametrize(
    ("changed", "loc"),
    [
        (event("a", verdict="maybe"), ["verdict"]),
        (event("a", mode="loud"), ["mode"]),
        (event("a", timestamp="yesterday"), ["timestamp"]),
        (event("a", timestamp="2026-03-01T12:00:00"), ["timestamp"]),
        (event("a", timestamp="0001-01-01T00:00:00+14:00"), ["timestamp"]),
        (event("a", timestamp="9999-12-31T23:59:59-14:00"), ["timestamp"]),
        (with_payload(environment="test"), ["payload", "environment"]),
        (with_payload(tool_args=[1]), ["payload", "tool_args"]),
        (with_payload(tool_args="text"), ["payload", "tool_args"]),
        (event("a", payload=7), ["payload"]),
    ],
)
def test_wrong_value_is_refused_in_its_place(world: World, changed: dict[str, Any], loc: list[str]) -> None:
    assert place(world, event("fine"), changed) == ["body", "events", 1, *loc]


@pytest.mark.parametrize("name", ["tool_args", "principal", "reason", "result"])
def test_values_that_nest_too_deeply_are_refused_in_their_place(world: World, name: str) -> None:
    deep: Any = {"a": 1}
    for _ in range(100):
        deep = {"a": deep}
    assert place(world, with_payload(**{name: deep})) == ["body", "events", 0, "payload", name]
    assert drafted(world, with_payload(**{name: deep["a"]}))[0].sealed is not None
    # Brackets in a text are no nesting.
    assert drafted(world, with_payload(reason="[{" * 500))[0].sealed is not None


def test_sealed_values_have_a_limit(world: World) -> None:
    assert place(world, with_payload(result="x" * (1 << 20))) == ["body", "events", 0, "payload"]
    assert drafted(world, with_payload(result="x" * ((1 << 20) - 200)))[0].sealed is not None


def test_unknown_members_and_no_events_are_refused(world: World) -> None:
    assert place(world, event("a") | {"more": 1})[:3] == ["body", "events", 0]
    assert place(world, with_payload(more=1))[:3] == ["body", "events", 0]
    assert place(world) == ["body", "events"]
    assert place(world, event("a"), more=1) == ["body"]
    assert place(world, *[event("a")] * (MAX_EVENTS + 1)) == ["body", "events"]
    assert len(drafted(world, *[event("a")] * MAX_EVENTS)) == MAX_EVENTS


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b'{"events":7}', b'{"events":[{}]}', b"\xff", b'{"events":[],"events":[]}', b"[" * 10_000],
)
def test_body_that_is_no_report_is_a_typed_refusal(text: bytes) -> None:
    with pytest.raises((InvalidRequestError, MalformedRequestError)):
        read_report(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_report_or_a_typed_refusal(text: bytes) -> None:
    with pytest.raises(LedgerError):
        read_report(text)


# Whose data it is


def test_data_key_follows_the_subject_and_the_day(world: World) -> None:
    def key(**payload: Any) -> bytes | None:
        return drafted(world, with_payload(reason="r", **payload))[0].data_key

    ada, bob = key(principal={"user_id": "ada"}), key(principal={"user_id": "bob"})
    nobody = key()
    assert len({ada, bob, nobody}) == 3
    assert key(principal={"user_id": "ada", "name": "Ada"}) == ada
    assert key(data_subject="ada") == key(data_subject="ada", principal={"user_id": "bob"}) == ada
    assert key(principal="ada") == key(principal={"user_id": 7}) == key(principal={"user_id": ""}) == nobody
    world.clock.now += 24 * 3_600_000
    assert key(principal={"user_id": "ada"}) not in (ada, bob, nobody)


def test_data_subject_is_kept_nowhere(world: World) -> None:
    [draft] = drafted(world, with_payload(reason="r", data_subject="subject-of-this-call"))
    [item] = world.append(draft).items
    for file in filter(Path.is_file, world.settings.data.rglob("*")):
        assert b"subject-of-this-call" not in file.read_bytes()
    assert b"subject-of-this-call" not in dump(world.settings)
    assert b"subject-of-this-call" not in world.receipt(item.leaf_index, disclose=True)


# Manifests


def test_manifest_is_an_entry_behind_its_events(world: World) -> None:
    items = world.append(*drafted(world, event("a"), event("b"), agent_manifest=MANIFEST)).items
    assert [item.duplicate for item in items] == [False] * 3
    assert items[2].leaf is not None
    said = read_event(read_envelope(items[2].leaf))
    assert isinstance(said, AgentManifestReported) and said.contracts[0].id == "c"
    again = world.append(*drafted(world, event("a"), event("b"), agent_manifest=MANIFEST)).items
    assert [item.leaf_index for item in again] == [item.leaf_index for item in items]
    other = world.append(*drafted(world, event("c"), agent_manifest=MANIFEST)).items
    assert not other[1].duplicate
    assert world.problems() == []


def test_manifest_of_another_agent_is_refused(world: World) -> None:
    manifest = MANIFEST | {"agent_id": "other"}
    assert place(world, event("a", agent_id="other"), event("b"), agent_manifest=manifest) == [
        "body",
        "events",
        1,
        "agent_id",
    ]


@pytest.mark.parametrize("text", ["é", "\n", "\x7f"])
def test_manifest_holds_printable_text_only(world: World, text: str) -> None:
    assert place(world, event("a"), agent_manifest=MANIFEST | {"policy_version": text}) == ["body", "agent_manifest"]
    contracts = [CONTRACT | {"tool": text}]
    assert place(world, event("a"), agent_manifest=MANIFEST | {"contracts": contracts}) == ["body", "agent_manifest"]
    backslash = MANIFEST | {"policy_version": 'a\\"b'}
    assert len(drafted(world, event("a"), agent_manifest=backslash)) == 2
