# SPDX-License-Identifier: Apache-2.0
"""Erasing over HTTP: what is gone is gone for every route, and every receipt from before still holds."""

import json

import pytest
from ledger_verify.receipt import verify_receipt

from tests.running import event, eventually
from tests.web.asking import API, NO_SUCH_EVENT, locations, problem_of, report, trust


def of(call_id, subject):
    payload = {"tool_args": {"amount": 1.5}, "reason": "because", "data_subject": subject}
    return event(call_id, payload=payload)


def erase(client, **body):
    answer = client.post(f"{API}/erasures", json={"grounds": "subject_request"} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def disclosed(client, event_id):
    return client.get(f"{API}/receipts/{event_id}?disclose=all").json()["disclosures"]


def test_subject_is_erased_and_all_evidence_still_holds(service, owner, auditor):
    items = report(owner, of("mine", "eve"), of("yours", "not eve"))["items"]
    mine, yours = items[0]["event_id"], items[1]["event_id"]
    kept = owner.get(f"{API}/receipts/{mine}?disclose=all").content
    assert len(json.loads(kept)["disclosures"]) == len(disclosed(owner, yours)) > 1
    would = erase(owner, subject="eve", dry_run=True)
    assert would == {"entries": 1, "dry_run": True, "items": []}
    done = erase(owner, subject="eve", legal_basis="GDPR Art. 17(1)(b)")
    [record] = done["items"]
    assert done["entries"] == 1
    entry = owner.get(f"{API}/events/{record['event_id']}").json()
    assert entry["type"] == "disclosure.erased" and entry["leaf_index"] == record["leaf_index"]
    index = items[0]["leaf_index"]
    assert entry["data"] == {
        "actor": entry["data"]["actor"], "as_of": entry["data"]["as_of"], "grounds": "subject_request",
        "legal_basis": "GDPR Art. 17(1)(b)", "ranges": [[index, index + 1]], "v": 1,
    }  # fmt: skip
    for client in (owner, auditor):
        assert disclosed(client, mine) == []
        assert len(disclosed(client, yours)) == len(json.loads(kept)["disclosures"])
        shown = client.get(f"{API}/events/{mine}?disclose=all").json()["data"]
        assert set(shown["reason"]) == set(shown["tool_args"]["amount"]) == {"$sealed"}
    # What somebody was shown before still proves what it said.
    eventually(lambda: verify_receipt(kept, trust(service)), "the receipt")
    assert erase(owner, subject="eve") == {"entries": 0, "dry_run": False, "items": []}


def test_single_fields_are_erased(owner):
    [item] = report(owner, of("field", "fay"))["items"]
    erase(owner, event_ids=[item["event_id"]], pointers=["/data/reason"], grounds="legal_order")
    shown = owner.get(f"{API}/events/{item['event_id']}?disclose=all").json()["data"]
    assert shown["tool_args"] == {"amount": 1.5} and set(shown["reason"]) == {"$sealed"}


def test_old_payloads_are_erased_by_either_path(owner):
    for path in ("events/payloads", "settings/purge-events"):
        answer = owner.delete(f"{API}/{path}?older_than_days=1")
        assert answer.status_code == 200 and answer.json() == {"entries": 0, "dry_run": False, "items": []}
    for wrong in ("", "?older_than_days=0", "?older_than_days=x", "?older_than_days=99999999"):
        problem_of(owner.delete(f"{API}/events/payloads{wrong}"), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["body"]),
        ({"subject": "a", "older_than_days": 3}, ["body"]),
        ({"subject": "a", "pointers": ["/data/reason"]}, ["body", "pointers"]),
        ({"subject": ""}, ["body", "subject"]),
        ({"older_than_days": 0}, ["body", "older_than_days"]),
        ({"event_ids": ["x"]}, ["body", "event_ids", 0]),
        ({"subject": "a", "grounds": "because"}, ["body", "grounds"]),
        ({"subject": "a", "legal_basis": "\u00a7 17"}, ["body", "legal_basis"]),
        ({"subject": "a", "more": 1}, ["body"]),
    ],
)
def test_wrong_body_is_refused(owner, body, where):
    size = owner.get(f"{API}/transparency/head").json()["tree_size"]
    answer = owner.post(f"{API}/erasures", json={"grounds": "other"} | body)
    assert where in locations(problem_of(answer, 422, "VALIDATION_ERROR"))
    assert owner.get(f"{API}/transparency/head").json()["tree_size"] == size


def test_unknown_event_is_not_found(owner):
    answer = owner.post(f"{API}/erasures", json={"grounds": "other", "event_ids": [NO_SUCH_EVENT]})
    problem_of(answer, 404, "NOT_FOUND")


def test_key_of_one_environment_erases_nothing(service):
    with service.client(service.create_key(env="staging", role="owner")["key"]) as client:
        problem_of(client.post(f"{API}/erasures", json={"grounds": "other", "subject": "a"}), 403, "FORBIDDEN")
