# SPDX-License-Identifier: Apache-2.0
"""Receipts: their bytes, what they grow into, who may have them, and what the service says of those it is shown."""

import asyncio
import json
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError, verify_day_file, verify_receipt
from ledger_verify.canonical import parse_jcs_file

from ledger.tlog.note import parse_vkey
from ledger.tlog.proof import parse_tlog_proof, verify_tlog_proof
from tests.running import Service, event, eventually, run_ledger
from tests.web.asking import (
    API,
    NO_SUCH_EVENT,
    application,
    asgi_client,
    disclosed,
    locations,
    problem_of,
    report,
    trust,
    verified,
)


def rooted_receipt(client, event_id, **query):
    """Bytes of the event's receipt as soon as it leads up to the root log."""

    def look():
        answer = client.get(f"{API}/receipts/{event_id}", params=query).raise_for_status()
        return answer.content if answer.json()["root"] else None

    return eventually(look)


@pytest.fixture(scope="module")
def reported(owner):
    return report(owner, *(event(f"receipt-{n}") for n in range(5)))["items"]


@pytest.fixture(scope="module")
def closed(owner, reported):
    """Today's day document, closed over the reported events."""
    rooted_receipt(owner, reported[-1]["event_id"])
    return owner.post(f"{API}/transparency/roots").raise_for_status().content


# --------------------------------------------------------------------------------------------------------------- bytes


def test_receipt_is_a_file_that_the_verifier_takes(service, owner, reported):
    for item in reported:
        answer = owner.get(f"{API}/receipts/{item['event_id']}")
        assert answer.headers["content-type"] == "application/json"
        parse_jcs_file(answer.content, "the answer")
        receipt = verified(service, answer.content)
        assert (receipt.leaf_index, receipt.entry.data["call_id"]) == (item["leaf_index"], item["call_id"])
        assert receipt.disclosures == []


def test_answers_that_are_no_receipts_are_known_to_the_verifier(service, owner, agent, nobody):
    """Whoever keeps what came back in place of a receipt is told what it is."""
    asked = {"params": {"receipts": "full"}, "json": {"events": [event("kept-whole")]}}
    for answer, words in (
        (agent.post(f"{API}/events", **asked), "jq -c"),
        (agent.post(f"{API}/events", json=asked["json"]), "receipts=full"),
        (owner.get(f"{API}/receipts/{NO_SUCH_EVENT}"), "a refusal of a service"),
        (nobody.get(f"{API}/receipts/{NO_SUCH_EVENT}"), "a refusal of a service"),
    ):
        with pytest.raises(VerificationError, match=words):
            verified(service, answer.content)


def test_receipt_leads_to_the_root_log_after_an_interval(service, owner):
    [item] = report(owner, event("rooted"))["items"]
    receipt = verified(service, rooted_receipt(owner, item["event_id"]))
    assert receipt.signed.tier == "tamper-evident"
    assert receipt.root.checkpoint.origin == service.keys["root_vkey"].split("+")[0]


def test_receipt_has_the_day_once_it_is_closed(service, owner, reported, closed):
    for item in reported:
        content = owner.get(f"{API}/receipts/{item['event_id']}").content
        receipt = verified(service, content)
        assert receipt.day is not None
        assert receipt.signed.tier == "tamper-evident"
        assert json.loads(content)["daily_root"] == json.loads(closed)


def test_receipt_of_the_day_stays_true_while_the_root_log_grows(service, owner, reported, closed):
    old = owner.get(f"{API}/receipts/{reported[0]['event_id']}").content
    [item] = report(owner, event("after-the-day"))["items"]
    rooted_receipt(owner, item["event_id"])
    assert verified(service, old).day is not None
    assert owner.post(f"{API}/receipts/verify", content=old).json() == {"verified": True, "reason": ""}


def test_receipts_hold_while_heads_are_committed(fresh_ledger):
    """Readers must never meet the moment between a commit to the root log and its arrival in memory."""
    with Service(*fresh_ledger, "--root-interval", "0.05") as service, service.client() as writer:
        newest = [report(writer, event("busy"))["items"][0]["event_id"]]
        statuses, done = set(), threading.Event()

        def read():
            with service.client() as client:
                while not done.is_set():
                    statuses.add(client.get(f"{API}/receipts/{newest[0]}").status_code)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in readers:
            thread.start()
        for n in range(250):
            newest[0] = report(writer, event(f"busy-{n}"))["items"][0]["event_id"]
        done.set()
        for thread in readers:
            thread.join()
    assert statuses == {200}


@pytest.mark.parametrize("accept", ["text/plain", "text/plain;q=0.9, text/html", "text/html, text/plain; q=1"])
def test_receipt_as_tlog_proof_verifies(service, owner, reported, accept):
    for item in reported:
        answer = owner.get(f"{API}/receipts/{item['event_id']}", headers={"accept": accept})
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        proof = parse_tlog_proof(answer.text)
        head = verify_tlog_proof(proof, proof.extra, [parse_vkey(service.keys["log_vkey"])])
        assert proof.index == item["leaf_index"] < head.size
        assert json.loads(proof.extra)["id"] == item["event_id"]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/plain, application/json", "text/html", ""])
def test_receipt_is_json_unless_only_text_will_do(owner, reported, accept):
    answer = owner.get(f"{API}/receipts/{reported[0]['event_id']}", headers={"accept": accept})
    assert answer.json()["format"] == "ledger-receipt/v1"


# ---------------------------------------------------------------------------------------------------------- disclosing


def test_disclosures_come_for_those_who_may_read_payloads(service, owner, auditor, reported):
    for client in (owner, auditor):
        answer = client.get(f"{API}/receipts/{reported[0]['event_id']}", params={"disclose": "all"})
        assert disclosed(verified(service, answer.content)) == {
            "/data/principal": '{"user_id":"ada"}',
            "/data/tool_args/amount": "98.7",
            "/data/tool_args/recipient": '"GB123"',
        }


def test_agent_gets_no_disclosures_not_even_of_its_own(agent):
    [item] = report(agent, event("own-payload"))["items"]
    for path in (f"receipts/{item['event_id']}", f"events/{item['event_id']}", "events"):
        problem_of(agent.get(f"{API}/{path}", params={"disclose": "all"}), 403, "FORBIDDEN")
    problem_of(agent.post(f"{API}/events/search", json={"disclose": "all"}), 403, "FORBIDDEN")
    assert agent.get(f"{API}/receipts/{item['event_id']}", params={"disclose": "none"}).status_code == 200


@pytest.mark.parametrize("wanted", ["", "ALL", "some"])
def test_unknown_wish_for_disclosures_is_refused(owner, reported, wanted):
    answer = owner.get(f"{API}/receipts/{reported[0]['event_id']}", params={"disclose": wanted})
    assert locations(problem_of(answer, 422)) == [["query", "disclose"]]


@pytest.mark.parametrize(
    "event_id", [NO_SUCH_EVENT, "x" * 201, "é" * 36, "..%2f" + "a" * 31, NO_SUCH_EVENT.upper(), "%01" * 36]
)
def test_receipt_of_no_event_is_not_found(owner, event_id):
    problem_of(owner.get(f"{API}/receipts/{event_id}"), 404, "NOT_FOUND")


def test_key_is_public_and_the_log_s_own_with_a_credential(service, owner, nobody):
    root, log = service.keys["root_vkey"], service.keys["log_vkey"]
    assert nobody.get(f"{API}/receipts/key").json() == {"root_vkey": root, "log_vkey": None}
    assert owner.get(f"{API}/receipts/key").json() == {"root_vkey": root, "log_vkey": log}
    by_header = nobody.get(f"{API}/receipts/key", headers={"x-api-key": service.keys["owner_key"]})
    assert by_header.json()["log_vkey"] == log
    wrong = nobody.get(f"{API}/receipts/key", headers={"authorization": "Bearer wrong"})
    problem_of(wrong, 401, "UNAUTHORIZED")


# ---------------------------------------------------------------------------------------------- what the service says


@pytest.fixture(scope="module")
def full(owner, reported, closed):
    """A receipt with everything that a receipt can have."""
    content = owner.get(f"{API}/receipts/{reported[2]['event_id']}", params={"disclose": "all"}).content
    assert json.loads(content)["daily_root"]
    return content


def says(client, path, content):
    answer = client.post(f"{API}/{path}/verify", content=content)
    assert answer.status_code == 200, (content, answer.text)
    said = answer.json()
    assert said["verified"] == (said["reason"] == "")
    return said["verified"]


def accepted(verify, content, keys):
    try:
        return verify(content, keys) is not None
    except VerificationError:
        return False


def test_good_evidence_is_verified_without_a_credential(nobody, full, closed):
    assert says(nobody, "receipts", full)
    assert says(nobody, "transparency/roots", closed)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_changed_byte_is_never_verified_and_both_verifiers_agree(service, nobody, full, closed, data):
    path, content, verify = data.draw(
        st.sampled_from([("receipts", full, verify_receipt), ("transparency/roots", closed, verify_day_file)])
    )
    position = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.sampled_from(list(b'09azA+/= "\\\n{}[],\x00\xff')) | st.integers(0, 255))
    changed = content[:position] + bytes([byte]) + content[position + 1 :]
    kind = data.draw(st.sampled_from(["replace", "insert", "delete", "cut"]))
    if kind == "insert":
        changed = content[:position] + bytes([byte]) + content[position:]
    elif kind != "replace":
        changed = content[:position] + (content[position + 1 :] if kind == "delete" else b"")
    assert says(nobody, path, changed) == (changed == content) == accepted(verify, changed, trust(service))


def edited(content, edit):
    value = json.loads(content)
    edit(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r["disclosures"].reverse(),
        lambda r: r["disclosures"].append(r["disclosures"][-1]),
        lambda r: r.update(root=None),
        lambda r: r.update(leaf_index=r["leaf_index"] - 1),
        lambda r: r.update(inclusion_path=[*r["inclusion_path"], r["inclusion_path"][0]]),
        lambda r: r.update(checkpoint=r["root"]["checkpoint"]),
        lambda r: r.update(entry=r["root"]["entry"]),
        lambda r: r["root"].update(entry=r["daily_root"]["entry"]),
        lambda r: r["root"].update(heads_count=r["root"]["heads_count"] + 1),
        lambda r: r["root"].update(heads_index=2**53),
        lambda r: r["daily_root"].update(date="2020-01-01"),
        lambda r: r["daily_root"].update(entry_index=0),
        lambda r: r["daily_root"].update(consistency_path=r["daily_root"]["inclusion_path"]),
        lambda r: r.update(extra=1),
        lambda r: r.pop("root"),
        lambda r: r.update(format="ledger-receipt/v2"),
        lambda r: r.update(disclosures=["x"]),
        lambda r: r.update(checkpoint=r["checkpoint"].replace("\n\n", "\nextension\n\n")),
        lambda r: r.update(checkpoint=r["checkpoint"] + r["checkpoint"].splitlines()[-1] + "\n"),
    ],
)  # fmt: skip
def test_edited_receipt_is_judged_as_the_verifier_judges_it(service, nobody, full, edit):
    changed = edited(full, edit)
    assert changed != full
    assert says(nobody, "receipts", changed) == accepted(verify_receipt, changed, trust(service))


def test_receipt_without_its_day_or_disclosures_still_holds(service, nobody, full):
    for names in (["daily_root"], ["daily_root", "root"]):
        changed = edited(full, lambda r, names=names: r.update(dict.fromkeys(names)))
        assert says(nobody, "receipts", changed)
        assert accepted(verify_receipt, changed, trust(service))


def test_evidence_of_another_ledger_is_not_verified(nobody, room):
    other = room.new()
    made = run_ledger("init", "--json", data=other)
    key = json.loads(made.stdout)["owner_key"]

    async def collect():
        async with application(other) as app, asgi_client(app, key) as client:
            reported = await client.post(f"{API}/events", json={"events": [event("foreign")]})
            day = (await client.post(f"{API}/transparency/roots")).content
            receipt = (await client.get(f"{API}/receipts/{reported.json()['items'][0]['event_id']}")).content
            judged = [
                (await client.post(f"{API}/{path}/verify", content=content)).json()["verified"]
                for path, content in (("receipts", receipt), ("transparency/roots", day))
            ]
            return receipt, day, judged

    receipt, day, judged = asyncio.run(collect())
    assert judged == [True, True]
    assert not says(nobody, "receipts", receipt)
    assert not says(nobody, "transparency/roots", day)


def test_kinds_of_evidence_are_not_confused(nobody, full, closed):
    assert not says(nobody, "receipts", closed)
    assert not says(nobody, "transparency/roots", full)


garbage = random.Random(1).randbytes(300)


@pytest.mark.parametrize("path", ["receipts", "transparency/roots"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}\n", b"null\n", b"[]\n", b"1e400\n", garbage, b"[" * 200_000 + b"\n", b'{"a":' * 5000 + b"\n",
     b'{"format":"ledger-receipt/v1"}\n', b'"\\ud800"\n', b"9" * 5000 + b"\n", b"\x00" * 100, b" " * (1 << 20)],
    ids=lambda content: content[:12].hex() or "empty",
)  # fmt: skip
def test_garbage_is_not_verified_and_says_why(nobody, path, content):
    assert not says(nobody, path, content)


@pytest.mark.parametrize("path", ["receipts", "transparency/roots"])
def test_evidence_too_long_to_be_any_is_refused_unread(nobody, path):
    """Anybody may ask, so a body is refused by its length before it is read strictly."""
    answer = nobody.post(f"/api/v1/{path}/verify", content=b"[" + b"1," * (3 << 20) + b"1]\n")
    assert problem_of(answer, 413)["detail"].startswith("evidence has at most")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_receipt_key_with_a_wrong_credential_is_refused(nobody, header):
    value = "Bearer lk_all_x" if header == "Authorization" else "lk_all_x"
    problem_of(nobody.get("/api/v1/receipts/key", headers={header: value}), 401, "UNAUTHORIZED")
