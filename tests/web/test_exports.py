# SPDX-License-Identifier: Apache-2.0
"""Exporting over HTTP: asked for, made, on record, fetched in parts, forgotten."""

import csv
import hashlib
import io
import json

import pytest
from ledger_verify import verify_export
from pypdf import PdfReader

from tests.running import event, eventually
from tests.web.asking import API, NO_SUCH_EXPORT, locations, problem_of, report, sha256, trust


def call(call_id, **payload):
    return event(call_id, payload={"tool_args": {"amount": 4200, "to": "=1+1"}, "reason": "because"} | payload)


def begin(client, **body):
    answer = client.post(f"{API}/audit/exports", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{API}/audit/exports/{answer.json()['export_id']}"
    return answer.json()


def made(client, **body):
    """An export that is ready."""
    path = f"{API}/audit/exports/{begin(client, **body)['export_id']}"

    def ready():
        status = client.get(path).json()
        return None if status["status"] == "running" else status

    status = eventually(ready, "the export")
    assert status["status"] == "ready", status
    return status


def fetch(client, status, name="export.tar", **headers):
    return client.get(f"{API}/audit/exports/{status['export_id']}/{name}", headers=headers)


@pytest.fixture(scope="module", autouse=True)
def reported(owner):
    return report(owner, *(call(f"exported-{number}") for number in range(5)))["items"]


def verified(service, status, client, tmp_path):
    answer = fetch(client, status)
    [file] = [file for file in status["files"] if file["name"] == "export.tar"]
    assert answer.status_code == 200
    assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (file["size"], file["sha256"])
    (tmp_path / "export.tar").write_bytes(answer.content)
    return verify_export(str(tmp_path / "export.tar"), trust(service))


def test_export_is_made_recorded_and_verifies(service, owner, auditor, reported, tmp_path):
    first, last = reported[0]["leaf_index"], reported[-1]["leaf_index"]
    for client in (owner, auditor):
        status = made(client, **{"from": first, "to": last + 1})
        assert (status["from"], status["to"], status["done"]) == (first, last + 1, 5)
        export = verified(service, status, client, tmp_path)
        assert (export.start, export.end, export.signed.tier) == (first, last + 1, "tamper-evident")
        assert (export.disclosed, export.withheld) == (0, 15 + 5)
        assert status["fields"] == {"disclosed": 0, "erased": 0, "withheld": 20}
        [entry] = owner.get(f"{API}/events", params={"type": "evidence.exported", "limit": 1}).json()["items"]
        assert entry["leaf_index"] == status["leaf_index"]
        assert entry["data"] == {
            "actor": entry["data"]["actor"], "disclose": [], "export_id": status["export_id"], "from": first,
            "manifest": status["manifest"], "to": last + 1, "v": 1,
        }  # fmt: skip
        assert entry["data"]["actor"].startswith("key:")


def test_digest_on_record_is_that_of_the_manifest(service, owner, tmp_path):
    status = made(owner)
    archive = fetch(owner, status).content
    place = archive.index(b"ledger-export/manifest.note")
    size = int(archive[place + 124 : place + 135], 8)
    manifest = archive[place + 512 : place + 512 + size]
    assert hashlib.sha256(manifest).hexdigest() == status["manifest"]
    assert manifest.startswith(b'{"checkpoint"')


@pytest.mark.parametrize(
    ("disclose", "disclosed"),
    [
        ("none", set()),
        ("all", {"/data/reason", "/data/tool_args/amount", "/data/tool_args/to", "/data/principal"}),
        (["call.reported /data/tool_args/*"], {"/data/tool_args/amount", "/data/tool_args/to"}),
        (["* /data/reason", "call.reported /data/tool_args/to"], {"/data/reason", "/data/tool_args/to"}),
        (["key.created *"], set()),
    ],
)
def test_rules_choose_what_is_disclosed(service, owner, reported, tmp_path, disclose, disclosed):
    first = reported[0]["leaf_index"]
    status = made(owner, disclose=disclose, **{"from": first, "to": first + 2})
    shown = {}

    def visit(index, entry, disclosures):
        shown[index] = set(disclosures)

    (tmp_path / "export.tar").write_bytes(fetch(owner, status).content)
    export = verify_export(str(tmp_path / "export.tar"), trust(service), visit)
    common = set(json.loads(fetch(owner, made(owner, disclose="all", format="json",
        **{"from": first, "to": first + 1}), "view.json").content)["entries"][0]["disclosed"])  # fmt: skip
    assert shown == dict.fromkeys((first, first + 1), disclosed & common)
    assert export.disclose == status["disclose"]


def test_views_say_that_they_are_none_of_the_evidence(owner, reported):
    first = reported[0]["leaf_index"]
    of = {"from": first, "to": first + 3, "disclose": ["* /data/tool_args/to"]}
    status = made(owner, format="csv", **of)
    answer = fetch(owner, status, "view.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    note, *rows = answer.text.split("\r\n")
    assert "not evidence" in note and status["manifest"] in note
    table = list(csv.DictReader(io.StringIO("\r\n".join(rows))))
    assert [row["leaf_index"] for row in table] == [str(first + number) for number in range(3)]
    assert json.loads(table[0]["disclosed"]) == {"/data/tool_args/to": "=1+1"}
    leaf = owner.get(f"{API}/events/{table[0]['id']}").json()
    assert (table[0]["tool_name"], table[0]["verdict"]) == (leaf["data"]["tool_name"], leaf["data"]["verdict"])
    status = made(owner, format="json", **of)
    view = fetch(owner, status, "view.json").json()
    assert (view["view_of"], view["from"], view["to"]) == (status["manifest"], first, first + 3)
    assert [entry["entry"]["id"] for entry in view["entries"]] == [row["id"] for row in table]
    assert [entry["leaf_hash"] for entry in view["entries"]] == [row["leaf_hash"] for row in table]
    # The export itself lies beside either view.
    assert {file["name"] for file in status["files"]} == {"export.tar", "view.json"}


def test_view_to_be_printed(owner, service):
    """It shows what is disclosed, names the export it was made from, and goes when what it shows is erased."""
    hostile = "<b>bold</b><img src='x'/>\u202egnorw"
    items = report(owner, event("to-print", payload={"reason": hostile, "data_subject": "xan"}))["items"]
    of = {"from": items[0]["leaf_index"], "to": items[0]["leaf_index"] + 1, "format": "pdf"}
    shown, withheld = made(owner, disclose="all", **of), made(owner, **of)
    answer = fetch(owner, shown, "view.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    about, table = (page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    assert "not evidence" in about and shown["manifest"] in about.replace("\n", "") and shown["export_id"] in about
    assert items[0]["event_id"] in table and "<b>bold</b><img src='x'/>\\u202egnorw" in table
    [page] = PdfReader(io.BytesIO(fetch(owner, withheld, "view.pdf").content)).pages[1:]
    assert "bold" not in page.extract_text() and "/data/reason = sealed" in page.extract_text()
    owner.post(f"{API}/erasures", json={"grounds": "subject_request", "subject": "xan"}).raise_for_status()
    problem_of(fetch(owner, shown, "view.pdf"), 404, "NOT_FOUND")
    assert fetch(owner, withheld, "view.pdf").status_code == 200
    assert not list((service.settings.data / "exports").rglob(f"{shown['export_id']}/*"))


def test_spreadsheets_find_no_formula(owner):
    items = report(owner, event("=cmd()", agent_id="@agent", tool_name="+tool"))["items"]
    index = items[0]["leaf_index"]
    view = fetch(owner, made(owner, format="csv", **{"from": index, "to": index + 1}), "view.csv").text
    [row] = csv.DictReader(io.StringIO(view.split("\r\n", 1)[1]))
    assert (row["agent_id"], row["tool_name"], row["subject"]) == ("'@agent", "'+tool", "'@agent")


def test_file_is_fetched_in_parts(owner):
    status = made(owner)
    whole = fetch(owner, status)
    content, size, tag = whole.content, len(whole.content), whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    for asked, first, last in (
        ("bytes=0-0", 0, 0), ("bytes=5-1000", 5, 1000), (f"bytes={size - 7}-", size - 7, size - 1),
        ("bytes=-20", size - 20, size - 1), (f"bytes=-{size + 5}", 0, size - 1), (f"bytes=9-{size + 9}", 9, size - 1),
    ):  # fmt: skip
        for extra in ({}, {"if-range": tag}):
            part = fetch(owner, status, range=asked, **extra)
            assert part.status_code == 206, asked
            assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
            assert sha256(part.content) == sha256(content[first : last + 1])
    # What is no single range, or one of another file, is answered with the whole.
    for headers in (
        {"range": "bytes=5-2"}, {"range": "bytes=-"}, {"range": "bytes=0-1,3-4"}, {"range": "lines=0-1"},
        {"range": "x"}, {"range": "bytes=0-9", "if-range": '"another"'}, {"range": f"bytes=0-{'9' * 30}"},
    ):  # fmt: skip
        answer = fetch(owner, status, **headers)
        received = len(answer.content)
        assert (answer.status_code, received) == (200, size), headers
    for asked in (f"bytes={size}-", "bytes=-0", f"bytes={size + 4}-{size + 9}"):
        refused = fetch(owner, status, range=asked)
        assert refused.status_code == 416, asked
        problem_of(refused, 416, "VALIDATION_ERROR")
        assert refused.headers["content-range"] == f"bytes */{size}"


def test_view_is_asked_for_by_get_as_well(owner, reported):
    first = reported[0]["leaf_index"]
    answer = owner.get(f"{API}/audit/export", params={"from": first, "to": first + 2})
    assert answer.status_code == 202, answer.text
    path = answer.headers["location"]
    assert path == f"{API}/audit/exports/{answer.json()['export_id']}"
    eventually(lambda: owner.get(path).json()["status"] == "ready", "the export")
    view = owner.get(f"{path}/view.csv").text
    assert [row["leaf_index"] for row in csv.DictReader(io.StringIO(view.split("\r\n", 1)[1]))] == [
        str(first), str(first + 1),
    ]  # fmt: skip
    for wrong in ({"format": "xlsx"}, {"from": -1}, {"to": "x"}, {"from": 3, "to": 3}):
        problem_of(owner.get(f"{API}/audit/export", params=wrong), 422, "VALIDATION_ERROR")


def test_forgotten_export_is_gone_and_stays_on_record(owner):
    status = made(owner)
    path = f"{API}/audit/exports/{status['export_id']}"
    assert owner.delete(path).status_code == 204
    for answer in (owner.get(path), owner.get(f"{path}/export.tar"), owner.delete(path)):
        problem_of(answer, 404, "NOT_FOUND")
    listed = owner.get(f"{API}/events", params={"type": "evidence.exported", "limit": 200}).json()["items"]
    assert status["export_id"] in [item["data"]["export_id"] for item in listed]


def test_erasing_takes_what_was_made_and_shows_something(owner, service):
    items = report(owner, call("to-erase", data_subject="zoe"))["items"]
    index = items[0]["leaf_index"]
    of = {"from": index, "to": index + 1}
    shown, withheld = made(owner, disclose="all", **of), made(owner, **of)
    owner.post(f"{API}/erasures", json={"grounds": "subject_request", "subject": "zoe"}).raise_for_status()
    problem_of(fetch(owner, shown), 404, "NOT_FOUND")
    assert fetch(owner, withheld).status_code == 200
    exports = service.settings.data / "exports"
    assert not [path for path in exports.rglob("*") if shown["export_id"] in str(path)]


def test_export_after_an_erasure_reports_it(owner, service, tmp_path):
    items = report(owner, call("erased-before", data_subject="yan"))["items"]
    index = items[0]["leaf_index"]
    erased = owner.post(f"{API}/erasures", json={"grounds": "other", "subject": "yan"}).json()["items"]
    export = verified(service, made(owner, disclose="all", **{"from": index, "to": index + 1}), owner, tmp_path)
    assert (export.disclosed, export.withheld) == (0, 0) and export.erased > 0
    assert [erasure.entry_index for erasure in export.governing.erasures] == [erased[0]["leaf_index"]]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"from": 5, "to": 5}, ["from", "to"]),
        ({"from": 5, "to": 4}, ["from", "to"]),
        ({"to": 10**9}, ["from", "to"]),
        ({"from": -1}, ["body", "from"]),
        ({"to": 2**53}, ["body", "to"]),
        ({"disclose": "some"}, ["body", "disclose"]),
        ({"disclose": ["call.reported"]}, ["disclose"]),
        ({"disclose": ["* *"] * 65}, ["body", "disclose"]),
        ({"disclose": ["call.reportd *"]}, ["disclose"]),
        ({"disclose": ["* /data/agent_id"]}, ["disclose"]),
        ({"format": "xlsx"}, ["body", "format"]),
        ({"since": 1}, ["body", "since"]),
        ([], ["body"]),
    ],
)
def test_wrong_orders_are_refused(owner, body, where):
    refused = problem_of(owner.post(f"{API}/audit/exports", json=body), 422, "VALIDATION_ERROR")
    assert locations(refused)[0][: len(where)] == where or where[-1] in refused["detail"], refused


def test_only_who_may_see_all_may_export(service, owner, agent, nobody):
    problem_of(agent.post(f"{API}/audit/exports", json={}), 403, "FORBIDDEN")
    problem_of(nobody.post(f"{API}/audit/exports", json={}), 401, "UNAUTHORIZED")
    with service.client(service.create_key(role="auditor", env="production")["key"]) as limited:
        refused = problem_of(limited.post(f"{API}/audit/exports", json={}), 403, "FORBIDDEN")
        assert "all environments" in refused["detail"]
    status = made(owner)
    problem_of(fetch(agent, status), 403, "FORBIDDEN")


def test_names_lead_nowhere_else(owner):
    status = made(owner)
    for name in ("status.json", "lock", "manifest.note", "%2e%2e%2fstatus.json", "view.csv"):
        problem_of(fetch(owner, status, name), 404, "NOT_FOUND")
    for export_id in (NO_SUCH_EXPORT, "x", status["export_id"].upper() + "0", "%2e%2e"):
        assert owner.get(f"{API}/audit/exports/{export_id}").status_code == 404, export_id
