# SPDX-License-Identifier: Apache-2.0
"""Heads, proofs, daily roots, keys and the self-check, each proof checked by the independent verifier."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from ledger_verify import trusted_keys
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.day import verify_day_file
from ledger_verify.merkle import CompactRange, leaf_hash, verify_consistency, verify_inclusion
from ledger_verify.note import open_note

from tests.running import event, eventually, run_verifier
from tests.web.asking import (
    API,
    NO_SUCH_EVENT,
    TIME,
    Clock,
    application,
    asgi_client,
    decode_hashes,
    locations,
    problem_of,
    report,
    trust,
)


def root_of(leaves):
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree.root()


@pytest.fixture(scope="module")
def entries(owner):
    """Every leaf of the log, taken from receipts, after 300 events."""
    report(owner, *(event(f"transparent-{n}") for n in range(300)))
    size = owner.get(f"{API}/transparency/head").json()["tree_size"]
    ids, query = [], {"limit": 200}
    while True:
        page = owner.get(f"{API}/events", params=query).json()
        ids += [item["event_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    ids.reverse()
    leaves = [owner.get(f"{API}/receipts/{event_id}").json()["entry"].encode() for event_id in ids]
    assert len(leaves) == size
    return list(zip(ids, leaves, strict=True))


# --------------------------------------------------------------------------------------------------------------- heads


def test_head_and_checkpoint_say_the_same_and_are_signed(service, owner, agent, auditor):
    for client in (owner, agent, auditor):
        head = client.get(f"{API}/transparency/head").json()
        answer = client.get(f"{API}/transparency/checkpoint")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == head["checkpoint"]
        assert open_note(answer.content, [service.keys["log_vkey"]]) == (
            f"{head['origin']}\n{head['tree_size']}\n{head['root_hash']}\n"
        )


def test_head_is_the_tree_of_the_entries(owner, entries):
    head = parse_checkpoint(owner.get(f"{API}/transparency/checkpoint").text)
    assert root_of(leaf for _, leaf in entries[: head.tree_size]) == head.root_hash


@pytest.mark.parametrize("path", ["head", "checkpoint", "inclusion?leaf_index=0", "consistency?from=1&to=1", "verify",
                                  f"inclusion/{NO_SUCH_EVENT}"])  # fmt: skip
def test_a_log_is_not_for_everybody(nobody, path):
    problem_of(nobody.get(f"{API}/transparency/{path}"), 401, "UNAUTHORIZED")


# -------------------------------------------------------------------------------------------------------------- proofs


def check_inclusion(proof, leaf):
    [root] = decode_hashes([proof["root_hash"]])
    path = decode_hashes(proof["inclusion_path"])
    verify_inclusion(proof["leaf_index"], proof["tree_size"], leaf_hash(leaf), path, root)
    return root


def test_inclusion_by_event_is_proved_under_the_newest_checkpoint(service, owner, entries):
    for index in [*range(0, len(entries), 37), 255, 256, len(entries) - 1]:
        event_id, leaf = entries[index]
        proof = owner.get(f"{API}/transparency/inclusion/{event_id}").json()
        assert proof["leaf_index"] == index
        root = check_inclusion(proof, leaf)
        open_note(proof["checkpoint"], [service.keys["log_vkey"]])
        assert parse_checkpoint(proof["checkpoint"]).root_hash == root


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 300])
def test_inclusion_by_index_is_proved_in_every_earlier_tree(owner, entries, size):
    for index in {0, size // 2, size - 1}:
        query = {"leaf_index": index, "tree_size": size}
        proof = owner.get(f"{API}/transparency/inclusion", params=query).json()
        assert (proof["leaf_index"], proof["tree_size"], proof["checkpoint"]) == (index, size, None)
        assert check_inclusion(proof, entries[index][1]) == root_of(leaf for _, leaf in entries[:size])


def test_inclusion_by_index_without_a_size_is_in_the_newest_tree(owner, entries):
    proof = owner.get(f"{API}/transparency/inclusion", params={"leaf_index": 5}).json()
    assert proof["tree_size"] == parse_checkpoint(proof["checkpoint"]).tree_size
    assert check_inclusion(proof, entries[5][1])


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1), (1, 2), (2, 3), (3, 300), (255, 256), (256, 257), (256, 300), (128, 256), (299, 300)]
)
def test_consistency_between_sizes_is_proved(owner, entries, old, new):
    proof = owner.get(f"{API}/transparency/consistency", params={"from": old, "to": new}).json()
    assert (proof["from"], proof["to"]) == (old, new)
    roots = decode_hashes([proof["root1"], proof["root2"]])
    assert roots == [root_of(leaf for _, leaf in entries[:size]) for size in (old, new)]
    verify_consistency(old, new, decode_hashes(proof["consistency_path"]), *roots)


@pytest.mark.parametrize(
    ("path", "status", "loc"),
    [
        ("inclusion", 422, ["query", "leaf_index"]),
        ("inclusion?leaf_index=x", 422, ["query", "leaf_index"]),
        ("inclusion?leaf_index=-1", 422, ["query", "leaf_index"]),
        ("inclusion?leaf_index=0&tree_size=0", 422, ["query", "tree_size"]),
        ("inclusion?leaf_index=0&tree_size=x", 422, ["query", "tree_size"]),
        ("inclusion?leaf_index=100000", 404, None),
        ("inclusion?leaf_index=" + "9" * 40, 404, None),
        ("inclusion?leaf_index=5&tree_size=5", 404, None),
        ("inclusion?leaf_index=0&tree_size=100000", 404, None),
        (f"inclusion/{NO_SUCH_EVENT}", 404, None),
        ("inclusion/x", 422, ["query", "agent_id"]),
        ("inclusion/x?agent_id=x", 404, None),
        ("consistency?to=1", 422, ["query", "from"]),
        ("consistency?from=1", 422, ["query", "to"]),
        ("consistency?from=0&to=1", 422, ["query", "from"]),
        ("consistency?from=3&to=2", 422, ["query", "from"]),
        ("consistency?from=1&to=100000", 404, None),
        ("consistency?from=1&to=" + "9" * 40, 404, None),
        ("consistency?from=2020-01-01&to=2020-01-02", 404, None),
        ("consistency?from=1&to=2020-01-02", 404, None),
        ("consistency?from=%D9%A1&to=%D9%A2", 404, None),
        ("roots/2020-01-01", 404, None),
        ("roots/x", 404, None),
        ("keys/current?purpose=x", 404, None),
        ("keys/current?purpose=", 404, None),
    ],
)  # fmt: skip
def test_what_cannot_be_proved_is_refused(owner, entries, path, status, loc):
    problem = problem_of(
        owner.get(f"{API}/transparency/{path}"), status, "VALIDATION_ERROR" if status == 422 else "NOT_FOUND"
    )
    if loc is not None:
        assert locations(problem) == [loc]


# --------------------------------------------------------------------------------------------------------- daily roots


def test_day_closed_twice_is_the_same_file(service, owner, nobody, tmp_path):
    first = owner.post(f"{API}/transparency/roots").raise_for_status()
    today = first.json()["date"]
    report(owner, event("after-closing"))
    for again in (
        owner.post(f"{API}/transparency/roots"),
        owner.post(f"{API}/transparency/roots", json={"date": today}),
        owner.post(f"{API}/transparency/roots", json={"date": None}),
        nobody.get(f"{API}/transparency/roots/{today}"),
    ):
        assert again.status_code == 200
        assert again.content == first.content
    day = verify_day_file(first.content, trust(service))
    assert (day.date, day.signed.tier) == (today, "tamper-evident")
    [listed] = nobody.get(f"{API}/transparency/roots").json()["items"]
    assert listed == {"date": today, "entry_index": day.entry_index, "checkpoint": first.json()["checkpoint"]}
    file = tmp_path / "day.json"
    file.write_bytes(first.content)
    assert run_verifier("root", str(file), "--root-key", service.keys["root_vkey"]).returncode == 0


def test_day_that_cannot_be_closed_is_refused(owner):
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    for date in (tomorrow, "2026-02-30", "20260301", "2026-W01-1", "", "x", "2026-03-01T00:00:00Z", "９999-01-01"):
        problem = problem_of(owner.post(f"{API}/transparency/roots", json={"date": date}), 422)
        assert locations(problem) == [["body", "date"]]


@pytest.mark.parametrize(
    ("body", "status", "loc"),
    [
        (b"{", 400, None),
        (b"[]", 422, ["body"]),
        (b'{"day":"2026-03-01"}', 422, ["body"]),
        (b'{"date":20260301}', 422, ["body", "date"]),
        (b'{"date":"x","date":null}', 422, ["body"]),
    ],
)
def test_wrong_request_to_close_a_day_is_refused(owner, body, status, loc):
    problem = problem_of(owner.post(f"{API}/transparency/roots", content=body), status)
    assert locations(problem) == [loc] if loc else "errors" not in problem


def test_only_the_operator_closes_days(agent, auditor, nobody):
    problem_of(agent.post(f"{API}/transparency/roots"), 403, "FORBIDDEN")
    problem_of(auditor.post(f"{API}/transparency/roots"), 403, "FORBIDDEN")
    problem_of(nobody.post(f"{API}/transparency/roots"), 401, "UNAUTHORIZED")


def test_days_that_were_missed_are_closed_in_order_and_linked(fresh_ledger):
    """Three days by a clock of the test's own; the proofs between days are about the root log."""
    place, keys = fresh_ledger
    clock = Clock(int(datetime.now(UTC).timestamp() * 1000))
    dates = [(datetime.now(UTC) + timedelta(days=n)).date().isoformat() for n in range(4)]

    async def live():
        async with application(place, clock) as app, asgi_client(app, keys["owner_key"]) as client:
            await client.post(f"{API}/transparency/roots")
            clock.now += 3 * 86_400_000
            await client.post(f"{API}/events", json={"events": [event("on another day")]})
            await client.post(f"{API}/transparency/roots")
            listed = (await client.get(f"{API}/transparency/roots")).json()["items"]
            files = [(await client.get(f"{API}/transparency/roots/{date}")).content for date in dates]
            proofs = [
                (await client.get(f"{API}/transparency/consistency", params={"from": dates[0], "to": later})).json()
                for later in dates
            ]
            backwards = await client.get(f"{API}/transparency/consistency", params={"from": dates[3], "to": dates[0]})
            past = await client.post(f"{API}/transparency/roots", json={"date": "2020-01-01"})
            return listed, files, proofs, backwards, past

    listed, files, proofs, backwards, past = asyncio.run(live())
    assert [item["date"] for item in listed] == dates[::-1]
    trusted = trusted_keys([keys["log_vkey"]], [keys["root_vkey"]])
    days = [verify_day_file(file, trusted) for file in files]
    assert [day.previous_checkpoint for day in days[1:]] == [day.checkpoint for day in days[:-1]]
    for day, proof in zip(days, proofs, strict=True):
        assert (proof["origin"], proof["from"], proof["to"]) == (
            day.checkpoint.origin,
            days[0].checkpoint.tree_size,
            day.checkpoint.tree_size,
        )
        roots = decode_hashes([proof["root1"], proof["root2"]])
        assert roots == [days[0].checkpoint.root_hash, day.checkpoint.root_hash]
        verify_consistency(proof["from"], proof["to"], decode_hashes(proof["consistency_path"]), *roots)
    problem_of(backwards, 422)
    assert locations(problem_of(past, 422)) == [["body", "date"]]


# -------------------------------------------------------------------------------------------------- keys, self-check


def test_signing_keys_are_public(service, nobody):
    vkey = service.keys["root_vkey"]
    want = {"purpose": "root", "origin": vkey.split("+")[0], "vkey": vkey, "since": 0, "current": True}
    assert nobody.get(f"{API}/transparency/keys").json() == {"items": [want]}
    assert nobody.get(f"{API}/transparency/keys", params={"purpose": "root"}).json()["items"] == [want]
    assert nobody.get(f"{API}/transparency/keys", params={"purpose": "bundle"}).json()["items"] == []
    assert nobody.get(f"{API}/transparency/keys/current").json() == want


def test_self_check_is_an_entry_and_is_remembered(service, owner, auditor, agent):
    problem_of(agent.post(f"{API}/transparency/verify"), 403, "FORBIDDEN")
    problem_of(agent.get(f"{API}/transparency/verify"), 403, "FORBIDDEN")
    before = service.size()
    result = auditor.post(f"{API}/transparency/verify").json()
    assert (result["ok"], result["tree_size"], result["problem"], result["first_index"]) == (True, before, None, None)
    assert TIME.fullmatch(result["checked_at"])
    assert owner.get(f"{API}/transparency/verify").json() == result
    [entry] = owner.get(f"{API}/events", params={"type": "ledger.verified", "limit": 1}).json()["items"]
    assert entry["leaf_index"] == before
    assert (entry["data"]["size"], entry["data"]["root"]) == (before, result["root_hash"])
    assert eventually(lambda: service.size() == before + 1)


def test_self_check_before_the_first_is_not_found(fresh_ledger):
    place, keys = fresh_ledger

    async def ask():
        async with application(place) as app, asgi_client(app, keys["owner_key"]) as client:
            return await client.get(f"{API}/transparency/verify")

    problem_of(asyncio.run(ask()), 404, "NOT_FOUND")
