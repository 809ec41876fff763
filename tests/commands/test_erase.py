# SPDX-License-Identifier: Apache-2.0
"""`ledger erase`: beside a running service, and in a directory that nobody serves."""

import json

from tests.commands.outcomes import checked_sizes, done, misused, refused
from tests.ledgers import Ledger
from tests.running import Service, event, run_ledger


def _reported(service: Service, call_id: str, subject: str) -> str:
    payload = {"tool_args": {"amount": 1}, "data_subject": subject}
    with service.client(service.keys["owner_key"]) as client:
        answer = client.post("/api/v1/events", json={"events": [event(call_id, payload=payload)]})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["items"][0]["event_id"])


def _disclosures(service: Service, event_id: str) -> list[str]:
    with service.client(service.keys["owner_key"]) as client:
        shown: list[str] = client.get(f"/api/v1/receipts/{event_id}?disclose=all").json()["disclosures"]
        return shown


def test_erase_beside_a_service(service: Service) -> None:
    event_id = _reported(service, "to-be-erased", "zoe")
    flags = ("erase", "--subject", "zoe", "--grounds", "subject_request")
    assert "of 1 entries; nothing was erased" in done(run_ledger(*flags, "--dry-run", data=service.settings))
    assert _disclosures(service, event_id) != []
    result = run_ledger(*flags, "--yes", "--json", data=service.settings)
    answer = json.loads(done(result))
    assert answer["entries"] == 1 and len(answer["items"]) == 1
    assert _disclosures(service, event_id) == []
    assert "of 0 entries; nothing was erased" in done(run_ledger(*flags, "--yes", data=service.settings))


def test_erase_asks_first(service: Service) -> None:
    event_id = _reported(service, "to-be-kept", "yan")
    result = run_ledger("erase", "--event", event_id, "--grounds", "other", data=service.settings)
    assert result.returncode == 1 and "Destroy sealed values of 1 entries for ever?" in result.stderr
    assert _disclosures(service, event_id) != []


def test_erase_where_nobody_serves(fresh_ledger: Ledger) -> None:
    place, keys = fresh_ledger
    with Service(place, keys) as service:
        event_id = _reported(service, "to-be-erased", "xia")
    flags = ("--event", event_id, "--pointer", "/data/tool_args/amount", "--grounds", "legal_order", "--yes")
    assert "of 1 entries, recorded at 4" in done(run_ledger("erase", *flags, data=place))
    assert checked_sizes(done(run_ledger("check", "--replay", data=place)))[0] == 5
    with Service(place, keys) as service:
        assert len(_disclosures(service, event_id)) == 1


def test_erase_names_one_thing(service: Service) -> None:
    misused(run_ledger("erase", "--grounds", "other", data=service.settings), "by one of --subject")
    both = ("--subject", "a", "--older-than-days", "3")
    misused(run_ledger("erase", "--grounds", "other", *both, data=service.settings), "by one of --subject")
    fields = ("--subject", "a", "--pointer", "/data/reason")
    misused(run_ledger("erase", "--grounds", "other", *fields, data=service.settings), "--event")
    misused(run_ledger("erase", "--subject", "a", data=service.settings), "--grounds")
    refused(run_ledger("erase", "--event", "x", "--grounds", "other", data=service.settings), "is no event id")
