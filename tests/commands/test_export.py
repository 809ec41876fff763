# SPDX-License-Identifier: Apache-2.0
"""`ledger export`: folders that `ledger-verify` accepts, made beside a running service and without one."""

import json
from pathlib import Path

import pytest

from tests.commands.outcomes import digests, done, post, refused, run_together
from tests.ledgers import Ledger
from tests.running import Service, eventually, read_json, run_ledger, run_verifier

FILES = {"README.txt", "disclosures.jsonl", "entries.jsonl", "governing.jsonl", "ledger-verify.pyz", "manifest.json"}


@pytest.fixture(scope="module")
def filled(service: Service) -> Service:
    """The service with a few dozen events, all of them under the root log."""
    key = service.create_key(label="an exported agent")["key"]
    post(service, key, *(f"export-{number}" for number in range(40)))
    done(run_ledger("root", "close", data=service.settings))
    return service


def _verify(service: Service, folder: Path) -> str:
    trust = ("--key", service.keys["log_vkey"], "--root-key", service.keys["root_vkey"])
    result = run_verifier("export", str(folder), *trust)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "tamper-evident" in result.stdout
    return result.stdout


def test_export_everything(filled: Service, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "evidence"
    size = filled.size()
    output = done(run_ledger("export", "--out", str(folder), data=filled.settings))
    origin = read_json(folder / "manifest.json")["origin"]
    assert output == f"{folder}: entries 0 to {size - 1} of {origin}\n"
    assert {path.name for path in folder.iterdir()} == FILES
    assert len((folder / "entries.jsonl").read_bytes().splitlines()) == size
    assert (folder / "disclosures.jsonl").read_bytes() == b""
    assert read_json(folder / "manifest.json")["daily_root"] is not None
    assert "0 fields disclosed" in _verify(filled, folder)


def test_export_range(filled: Service, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    commands = ("export", "--out", str(whole)), ("export", "--out", str(part), "--from", "5", "--to", "23")
    for result in run_together(*commands, data=filled.settings):
        done(result)
    lines = (whole / "entries.jsonl").read_bytes().splitlines()
    assert (part / "entries.jsonl").read_bytes().splitlines() == lines[5:23]
    manifest = read_json(part / "manifest.json")
    assert (manifest["from"], manifest["to"]) == (5, 23)
    assert "entries 5 to 22" in _verify(filled, part)


def test_export_disclose_all(filled: Service, tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    some = ("--disclose", "all", "--from", "4", "--to", "10")
    done(run_ledger("export", "--out", str(folder), *some, data=filled.settings))
    disclosed = [json.loads(line) for line in (folder / "disclosures.jsonl").read_bytes().splitlines()]
    assert [line["index"] for line in disclosed] == list(range(4, 10))
    # An event of these tests has two arguments and a principal.
    assert "18 fields disclosed, 0 withheld" in _verify(filled, folder)


def test_export_existing_target(filled: Service, tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "mine").write_text("precious")
    before = digests(tmp_path)
    refused(run_ledger("export", "--out", str(tmp_path / "evidence"), data=filled.settings), "exists already")
    assert digests(tmp_path) == before


def test_export_empty_range(filled: Service, tmp_path: Path) -> None:
    size = filled.size()
    base = ("export", "--out", str(tmp_path / "evidence"))
    for result in run_together((*base, "--from", "7", "--to", "7"), (*base, "--from", str(size)), data=filled.settings):
        refused(result, f"to <= {size}")
    assert not list(tmp_path.iterdir())


def test_export_before_the_root_log_has_it(fresh_ledger: Ledger, tmp_path: Path) -> None:
    """Without a service nothing is committed, and the export says what it lacks."""
    place, keys = fresh_ledger
    result = run_ledger("export", "--out", str(tmp_path / "evidence"), data=place)
    assert "entries 0 to 2" in done(result)
    assert "not in the root log yet" in result.stderr
    assert read_json(tmp_path / "evidence" / "manifest.json")["root"] is None
    verified = run_verifier("export", str(tmp_path / "evidence"), "--key", keys["log_vkey"])
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "tamper-detecting" in verified.stdout


def test_export_after_the_service_equals_export_beside_it(fresh_ledger: Ledger, tmp_path: Path) -> None:
    beside, after = tmp_path / "beside", tmp_path / "after"
    with Service(*fresh_ledger, "--root-interval", "0.05") as service:
        post(service, service.create_key()["key"], "one", "two", "three")
        size = service.size()

        def committed() -> bool:
            with service.client(verify=False) as client:
                [item] = client.get("/api/v1/events", params={"limit": 1}).json()["items"]
                return client.get(f"/api/v1/receipts/{item['event_id']}").json()["root"] is not None

        eventually(committed, "the root log to commit the head")
        done(run_ledger("export", "--out", str(beside), "--to", str(size), data=service.settings))
        service.kill()
    done(run_ledger("export", "--out", str(after), "--to", str(size), data=service.settings))
    _verify(service, after)
    assert digests(after) == digests(beside)
