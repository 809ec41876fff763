# SPDX-License-Identifier: Apache-2.0
"""A ledger of the first version (`tests/fixtures/make_v1.py`), opened with today's code.

The archived keys, receipts, days and heads are all that somebody kept; today's service must go on from exactly there.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_verify.bundle import main as bundle
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import TAMPER_EVIDENT, trusted_keys

from tests.commands.outcomes import checked_sizes, digests, done, refused
from tests.robustness.outside import Acknowledged, check_heads, listed, report
from tests.running import Service, event, read_json, run_ledger, run_verifier

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "ledger_v1"
KEYS: dict[str, Any] = read_json(ARCHIVE / "keys.json")
TRUST = ("--key", KEYS["log_vkey"], "--root-key", KEYS["root_vkey"])
RECEIPTS = sorted((ARCHIVE / "receipts").iterdir())


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """A copy of the archived data directory."""
    data = Path(shutil.copytree(ARCHIVE / "data", tmp_path / "data"))
    # Git keeps no modes, and a master key that others can read is refused.
    (data / "master.key").chmod(0o600)
    return data


def _confirmed(data: Path) -> Path:
    """The first version kept no rollback guard: an operator confirms the database once."""
    guard = ("guard", "confirm", "--size")
    refused(run_ledger(*guard[:2], data=data), "there is no rollback guard")
    size = checked_sizes(done(run_ledger("check", data=data)))[-1]
    done(run_ledger(*guard, str(size), data=data))
    return data


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Today's service on a copy of the archived data directory."""
    data = Path(shutil.copytree(ARCHIVE / "data", tmp_path_factory.mktemp("archive") / "data"))
    (data / "master.key").chmod(0o600)
    with Service(_confirmed(data), KEYS, "--root-interval", "0.1") as service:
        yield service


def test_archive_is_small_and_whole() -> None:
    files = digests(ARCHIVE)
    assert sum((ARCHIVE / name).stat().st_size for name in files) < 400_000
    assert {name for name in files if name.startswith("data/")} == {
        "data/ledger.db",
        "data/keystore.db",
        "data/master.key",
    }
    assert len(RECEIPTS) > 20


def test_archive_checks_out(opened: Path) -> None:
    sizes = checked_sizes(done(run_ledger("check", "--replay", data=opened)))
    assert sizes[0] == KEYS["events"]


def test_archived_receipts_verify() -> None:
    """Against the archived keys, with the verifier as a program, all at once."""
    result = run_verifier("receipt", "--json", *TRUST, *map(str, RECEIPTS))
    assert result.returncode == 0, result.stdout[-2000:]
    results = json.loads(result.stdout)["results"]
    assert {found["verdict"] for found in results} == {"verified"}
    assert {found["date"] for found in results} == {None, "2026-03-01", "2026-03-02"}
    assert {found["tier"] for found in results} == {"tamper-evident", "tamper-detecting"}
    assert {field["state"] for found in results for field in found["fields"].values()} == {"disclosed", "withheld"}


def test_archived_days_verify() -> None:
    days = sorted((ARCHIVE / "days").iterdir())
    assert [day.stem for day in days] == ["2026-03-01", "2026-03-02"]
    for day in days:
        result = run_verifier("root", "--root-key", KEYS["root_vkey"], str(day))
        assert result.returncode == 0, result.stdout + result.stderr


def test_archived_days_are_still_given_out(served: Service) -> None:
    with served.client("", verify=False) as client:
        for day in (ARCHIVE / "days").iterdir():
            assert client.get(f"/api/v1/transparency/roots/{day.stem}").content == day.read_bytes()


def test_archived_events_are_still_answered_for(served: Service) -> None:
    """Each archived receipt's event has a receipt today: same leaf, same sealed values, now under the root log."""
    keys = trusted_keys([KEYS["log_vkey"]], [KEYS["root_vkey"]])
    with served.client(verify=False) as client:
        for path in RECEIPTS:
            old = verify_receipt(path.read_bytes(), keys)
            answer = client.get(f"/api/v1/receipts/{old.entry.id}", params={"disclose": "all"}).raise_for_status()
            new = verify_receipt(answer.content, keys)
            assert (new.leaf_index, new.entry.text) == (old.leaf_index, old.entry.text), path.name
            assert set(read_json(path)["disclosures"]) <= set(answer.json()["disclosures"]), path.name
            assert len(new.disclosures) == len(new.entry.commitments), path.name
            assert client.post("/api/v1/receipts/verify", content=path.read_bytes()).json()["verified"], path.name


def test_archived_keys_are_what_they_were(served: Service) -> None:
    statuses = {}
    for name in ("agent", "auditor", "revoked", "expired"):
        with served.client(KEYS[name]["key"], verify=False) as client:
            statuses[name] = client.get("/api/v1/events").status_code
    assert statuses == {"agent": 200, "auditor": 200, "revoked": 401, "expired": 401}


def test_archived_heads_are_consistent_with_todays(served: Service) -> None:
    """New events are taken, by the archived agent's key, and the heads of then are prefixes of the head of now."""
    with served.client(KEYS["agent"]["key"], verify=False) as agent:
        taken: list[Acknowledged] = report(agent, [event("after the archive")])
        [again] = report(agent, [event("after the archive")])
        assert [call_id for call_id, _, _ in listed(agent)].count("after the archive") == 1
    assert (again.event_id, again.leaf_index) == (taken[0].event_id, taken[0].leaf_index)
    assert taken[0].leaf_index >= KEYS["events"]
    heads = {
        (head["tree_size"], base64.b64decode(head["root_hash"])): f"head {head['tree_size']}"
        for head in read_json(ARCHIVE / "heads.json")
    }
    for path in RECEIPTS:
        checkpoint = parse_checkpoint(read_json(path)["checkpoint"])
        heads[checkpoint.tree_size, checkpoint.root_hash] = path.name
    with served.client(verify=False) as client:
        assert check_heads(client, heads) == []


def test_archived_call_reported_again_is_the_same(served: Service) -> None:
    """The digests that recognise a call are computed today as they were then."""
    archived = {"call_id": "day-0-0", "agent_id": "archived-agent", "tool_name": "send_money", "verdict": "allow"}
    arguments = {"recipient": "GB123", "amount": 98.7, "note": None}
    payload = {"tool_args": arguments, "principal": {"user_id": "ada"}}
    body = archived | {"mode": "enforce", "timestamp": "2026-03-01T11:59:59.5+00:00", "payload": payload}
    with served.client(KEYS["agent"]["key"], verify=False) as agent:
        # Sealed values count byte for byte, so the text is put together as it was then, spaces included.
        answer = agent.post("/api/v1/events", content=json.dumps({"events": [body]}))
        assert answer.status_code == 200, answer.text
        assert answer.json()["duplicates"] == 1
        other = agent.post("/api/v1/events", content=json.dumps({"events": [body | {"verdict": "deny"}]}))
        assert other.status_code == 409
        assert other.json()["leaf_index"] == answer.json()["items"][0]["leaf_index"]


def test_archive_goes_on_to_a_new_day(opened: Path, tmp_path: Path) -> None:
    """All the days since are closed in order, and today's document follows from the last archived one."""
    # The archive keeps no verifier; an export wants one.
    bundle([str(opened / "ledger-verify.pyz")])
    closed = done(run_ledger("root", "close", "--date", "2026-03-05", data=_confirmed(opened)))
    (tmp_path / "day.json").write_text(closed)
    result = run_verifier("root", "--root-key", KEYS["root_vkey"], str(tmp_path / "day.json"))
    assert result.returncode == 0, result.stdout + result.stderr
    done(run_ledger("export", "--out", str(tmp_path / "evidence"), "--disclose", "all", data=opened))
    exported = run_verifier("export", *TRUST, str(tmp_path / "evidence"))
    assert exported.returncode == 0, exported.stdout + exported.stderr
    assert TAMPER_EVIDENT in exported.stdout
    # The export is an entry of its own.
    assert checked_sizes(done(run_ledger("check", "--replay", data=opened)))[0] == KEYS["events"] + 1
