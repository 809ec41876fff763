# SPDX-License-Identifier: Apache-2.0
"""The ledger itself (CAPABILITIES L)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from ledger_verify import TrustedKeys, trusted_keys
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.day import verify_day_file
from ledger_verify.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger_verify.note import open_note
from ledger_verify.receipt import verify_receipt

from tests.coverage.cases import Apart, Ask, Cases, World
from tests.running import event
from tests.web.asking import API, Clock, decode_hashes, problem_of

CASES = Cases()
show = CASES.show


def vkeys(world: World) -> TrustedKeys:
    """The keys of both logs, former ones as well, since a case replaces one."""
    items = world.owner.get(f"{API}/transparency/keys").json()["items"]
    return trusted_keys(*([key["vkey"] for key in items if key["purpose"] == of] for of in ("log", "root")))


# ---------------------------------------------------------------------------------------------------- events (L01, L02)


def decision(call_id: str, **payload: Any) -> dict[str, Any]:
    """An event with every member that seed 002 names."""
    described = {
        "tool_args": {"path": "data.csv"}, "side_effect": "read", "environment": "production", "principal": None,
        "decision_source": "precondition", "decision_name": "no-secrets", "reason": None, "policy_version": "17",
        "bundle_name": "desk",
    }  # fmt: skip
    return {
        "call_id": call_id, "agent_id": "desk-agent", "tool_name": "read_file", "verdict": "allow", "mode": "enforce",
        "timestamp": "2026-03-01T12:00:00Z", "payload": described | payload,
    }  # fmt: skip


MANIFEST = {
    "agent_id": "desk-agent",
    "policy_version": "17",
    "contracts": [{"id": "no-secrets", "type": "pre", "tool": "read_file", "mode": "enforce"}],
}


@show("002-034")
def batch_is_taken_and_deduplicated_by_call_id(ask: Ask) -> None:
    batch = {"events": [decision(ask.world.name()) for _ in range(2)], "agent_manifest": MANIFEST}
    first, again = ask(by=ask.world.agent, json=batch), ask(by=ask.world.agent, json=batch)
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert (first.json()["accepted"], first.json()["duplicates"]) == (2, 0)
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 2)
    assert [item["event_id"] for item in first.json()["items"]] == [item["event_id"] for item in again.json()["items"]]


@show("002-101")
def event_has_the_members_of_the_seed(ask: Ask) -> None:
    wanted = decision(ask.world.name())
    answer = ask.world.agent.post(f"{API}/events", json={"events": [wanted]}).json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 0)
    kept = ask.world.owner.get(f"{API}/events/{answer['items'][0]['event_id']}", params={"disclose": "all"}).json()
    for name in ("call_id", "agent_id", "tool_name", "verdict", "mode"):
        assert kept["data"][name] == wanted[name]
    for name in ("side_effect", "decision_source", "decision_name", "policy_version", "bundle_name"):
        assert kept["data"][name] == wanted["payload"][name]
    assert kept["data"]["tool_args"] == {"path": "data.csv"}
    assert kept["timestamp"].startswith("2026-03-01T12:00:00")


@show("002-035", "002-103")
def events_are_found_by_every_filter(ask: Ask) -> None:
    world, name = ask.world, ask.world.name()
    found = world.reported(agent_id=name, tool_name=name, verdict="deny", mode="observe")
    world.reported(agent_id=name)

    def listed(**query: Any) -> list[str]:
        answer = ask(at=f"GET {API}/events", params=query)
        assert answer.status_code == 200, answer.text
        return [item["event_id"] for item in answer.json()["items"]]

    assert len(listed(agent_id=name)) == 2
    for query in (
        {"tool_name": name}, {"agent_id": name, "verdict": "deny"}, {"agent_id": name, "mode": "observe"},
        {"search": found["call_id"]}, {"agent_id": name, "tool_name": name, "since": "1h", "limit": 5},
    ):  # fmt: skip
        assert listed(**query) == [found["event_id"]], query
    assert listed(agent_id=name, until="2020-01-01T00:00:00Z") == []
    assert len(listed(limit=1)) == 1


# ------------------------------------------------------------------------------------------ heads and proofs (L03, L04)


def prove(proof: dict[str, Any], leaf: bytes) -> bytes:
    """The root under which an inclusion proof shows the leaf to be."""
    [root] = decode_hashes([proof["root_hash"]])
    path = decode_hashes(proof["inclusion_path"])
    verify_inclusion(proof["leaf_index"], proof["tree_size"], leaf_hash(leaf), path, root)
    return root


def entry_of(world: World, event_id: str) -> bytes:
    entry: str = json.loads(world.receipt(event_id))["entry"]
    return entry.encode()


@show("004-011")
def size_of_the_tree_is_told(ask: Ask) -> None:
    before = ask().json()["tree_size"]
    ask.world.reported()
    assert ask().json()["tree_size"] == before + 1


@show("004-012")
def tree_head_is_signed(ask: Ask) -> None:
    head = ask(by=ask.world.agent).json()
    vkey = ask.world.owner.get(f"{API}/receipts/key").json()["log_vkey"]
    text = open_note(head["checkpoint"], [vkey])
    assert text == f"{head['origin']}\n{head['tree_size']}\n{head['root_hash']}\n"


@show("004-013")
def leaf_is_proved_by_its_index(ask: Ask) -> None:
    item = ask.world.reported()
    leaf = entry_of(ask.world, item["event_id"])
    for query in ({}, {"tree_size": item["leaf_index"] + 1}):
        prove(ask(by=ask.world.agent, names={"leaf_index": item["leaf_index"]}, params=query).json(), leaf)
    for wrong in ("-1", "x", "9" * 30, 1 << 40):
        problem_of(ask(names={"leaf_index": wrong}), 404, "NOT_FOUND")
    problem_of(ask(names={"leaf_index": 0}, params={"tree_size": 0}), 422)


@show("004-045")
def tree_head_is_the_anchor_of_offline_verification(ask: Ask) -> None:
    """The head is fetched, then the proof; that the leaf is under the head follows without the service."""
    item = ask.world.reported()
    leaf = entry_of(ask.world, item["event_id"])
    trusted = [key["vkey"] for key in ask.world.owner.get(f"{API}/transparency/keys").json()["items"]]
    head = ask.world.owner.get(f"{API}/transparency-log/sth").json()
    query = {"tree_size": head["tree_size"]}
    proof = ask.world.owner.get(f"{API}/transparency-log/proof/{item['leaf_index']}", params=query).json()
    open_note(head["checkpoint"], trusted)
    assert prove(proof, leaf) == parse_checkpoint(head["checkpoint"]).root_hash


@show("003-086")
def event_is_proved_by_its_id(ask: Ask) -> None:
    item = ask.world.reported()
    for name in ("event_id", "call_id"):
        query = {"agent_id": "payments-agent"}
        proof = ask(by=ask.world.agent, names={"execution_id": item[name]}, params=query).json()
        assert prove(proof, entry_of(ask.world, item["event_id"])) == parse_checkpoint(proof["checkpoint"]).root_hash


async def two_days(client: httpx.AsyncClient, clock: Clock) -> list[str]:
    """Close today, and tomorrow."""
    dates = []
    for _ in range(2):
        await client.post(f"{API}/events", json={"events": [event(f"on a day {clock.now}")]})
        dates.append((await client.post(f"{API}/transparency/roots")).json()["date"])
        clock.now += 86_400_000
    return dates


def now() -> Clock:
    return Clock(round(datetime.now(UTC).timestamp() * 1000))


@show("003-087")
def a_day_s_root_log_begins_with_that_of_the_day_before(ask: Ask) -> None:
    clock = now()

    async def proofs(apart: Apart) -> list[httpx.Response]:
        client = apart.client
        answers = [await ask.through(client)]
        dates = await two_days(client, clock)
        query = dict(zip(("from", "to"), dates, strict=True))
        return [*answers, await ask.through(client), await ask.through(client, params=query)]

    none, newest, named = ask.world.apart(proofs, clock=clock)
    problem_of(none, 404, "NOT_FOUND")
    proof = newest.json()
    assert proof == named.json() and proof["from"] < proof["to"]
    roots = decode_hashes([proof["root1"], proof["root2"]])
    verify_consistency(proof["from"], proof["to"], decode_hashes(proof["consistency_path"]), *roots)


# ------------------------------------------------------------------------------------ receipts, days, keys (L05 to L07)


@show("003-082")
def receipt_of_a_call_verifies(ask: Ask) -> None:
    item = ask.world.reported()
    for name in ("event_id", "call_id"):
        query = {"agent_id": "payments-agent"}
        answer = ask(by=ask.world.agent, names={"execution_id": item[name]}, params=query)
        assert verify_receipt(answer.content, vkeys(ask.world)).leaf_index == item["leaf_index"]


def judged(ask: Ask, evidence: bytes) -> dict[str, Any]:
    return ask(by=ask.world.nobody, content=evidence, headers={"content-type": "application/json"}).json()


@show("003-083")
def archived_receipt_is_judged(ask: Ask) -> None:
    receipt = ask.world.receipt(ask.world.reported()["event_id"])
    assert judged(ask, receipt) == {"verified": True, "reason": ""}
    refused = judged(ask, receipt.replace(b"send_money", b"send_honey"))
    assert refused["verified"] is False and refused["reason"]


@show("003-081")
def key_of_receipts_is_public(ask: Ask) -> None:
    assert ask(by=ask.world.nobody).json() == {"root_vkey": ask.world.service.keys["root_vkey"], "log_vkey": None}


def day_of(world: World) -> bytes:
    return world.nobody.get(f"{API}/transparency/roots/{world.day}").raise_for_status().content


@show("003-084")
def daily_roots_are_listed(ask: Ask) -> None:
    assert ask.world.day in [item["date"] for item in ask(by=ask.world.nobody).json()["items"]]


@show("003-085")
def root_of_a_date_verifies(ask: Ask) -> None:
    answer = ask(by=ask.world.nobody, names={"date": ask.world.day})
    assert verify_day_file(answer.content, vkeys(ask.world)).date == ask.world.day
    problem_of(ask(names={"date": "2020-01-01"}), 404, "NOT_FOUND")


@show("003-089")
def archived_root_is_judged(ask: Ask) -> None:
    document = day_of(ask.world)
    assert judged(ask, document) == {"verified": True, "reason": ""}
    assert judged(ask, document.replace(ask.world.day.encode(), b"2020-01-01", 1))["verified"] is False


@show("003-090")
def operator_has_today_s_root_made(ask: Ask) -> None:
    first, again = ask(), ask()
    assert (first.status_code, again.content) == (200, first.content)
    assert verify_day_file(first.content, vkeys(ask.world)).date == first.json()["date"]
    problem_of(ask(by=ask.world.agent), 403, "FORBIDDEN")


@show("003-215")
def archived_evidence_is_judged_when_the_log_has_grown(ask: Ask) -> None:
    world = ask.world
    archived = {
        "receipts/verify": world.receipt(world.reported()["event_id"]),
        "transparency/verify-root": day_of(world),
    }
    world.reported()
    for path, evidence in archived.items():
        answer = world.nobody.post(f"{API}/{path}", content=evidence)
        assert answer.json()["verified"] is True
    assert verify_receipt(archived["receipts/verify"], vkeys(world))


@show("003-216")
def each_day_names_the_one_before(ask: Ask) -> None:
    clock = now()

    async def documents(apart: Apart) -> list[dict[str, Any]]:
        dates = await two_days(apart.client, clock)
        return [(await apart.client.get(f"{API}/transparency/roots/{date}")).json() for date in dates]

    first, second = ask.world.apart(documents, clock=clock)
    assert second["previous_checkpoint"] == first["checkpoint"]
    assert date_of(second) - date_of(first) == timedelta(days=1)


def date_of(document: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(document["date"])


@show("003-088")
def keys_are_listed_with_former_ones(ask: Ask) -> None:
    items = ask(by=ask.world.nobody).json()["items"]
    assert {"purpose", "vkey", "since", "current"} <= items[0].keys()
    assert ask.world.service.keys["root_vkey"] in [key["vkey"] for key in items]
    assert ask.world.service.keys["log_vkey"] in [key["vkey"] for key in ask().json()["items"]]


@show("003-091")
def key_that_signs_roots_is_public(ask: Ask) -> None:
    key = ask(by=ask.world.nobody, at=f"GET {API}/transparency/key").json()
    assert (key["purpose"], key["current"]) == ("root", True)
    assert open_note(json.loads(day_of(ask.world))["checkpoint"], [key["vkey"]])


@show("002-064")
def signing_key_is_replaced_and_older_evidence_holds(ask: Ask) -> None:
    world = ask.world
    before, archived = ask.world.owner.get(f"{API}/receipts/key").json()["log_vkey"], world.reported()["event_id"]
    receipt = world.receipt(archived)
    replaced = ask().json()
    assert replaced["previous_vkey"] == before != replaced["vkey"]
    world.reported()
    assert open_note(world.owner.get(f"{API}/transparency/checkpoint").text, [replaced["vkey"]])
    assert verify_receipt(receipt, vkeys(world))
    problem_of(ask(by=world.agent), 403, "FORBIDDEN")


# ------------------------------------------------------------------------------------ self-check and erasure (L08, L11)


@show("003-038")
def log_is_checked_on_demand(ask: Ask) -> None:
    result = ask(by=ask.world.auditor).json()
    assert (result["ok"], result["problem"]) == (True, None) and result["tree_size"] > 0
    assert ask.world.owner.get(f"{API}/transparency/verify").json() == result
    problem_of(ask(by=ask.world.agent), 403, "FORBIDDEN")


@show("002-065")
def payloads_of_old_calls_are_destroyed(ask: Ask) -> None:
    clock = now()

    async def purged(apart: Apart) -> tuple[list[Any], list[Any]]:
        client = apart.client

        async def data() -> Any:
            listed = await client.get(f"{API}/events", params={"type": "call.reported", "disclose": "all"})
            return listed.json()["items"][0]["data"]

        await client.post(f"{API}/events", json={"events": [event("old")]})
        answers = [(await ask.through(client, params={"older_than_days": 1})).json()]
        shown = [await data()]
        clock.now += 3 * 86_400_000
        answers.append((await ask.through(client, params={"older_than_days": 1})).json())
        return answers, [*shown, await data()]

    answers, (before, after) = ask.world.apart(purged, clock=clock)
    assert [answer["entries"] for answer in answers] == [0, 1]
    assert before["tool_args"]["recipient"] == "GB123" and after["tool_args"]["recipient"] != "GB123"
    assert after["call_id"] == "old"
    problem_of(ask(by=ask.world.agent, params={"older_than_days": 1}), 403, "FORBIDDEN")
