# SPDX-License-Identifier: Apache-2.0
"""`ledger export`: folders that `ledger-verify` accepts, made beside a running service and without one."""

import fcntl
import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from tests.commands.outcomes import digests, done, post, refused, run_together
from tests.ledgers import Ledger
from tests.running import Service, eventually, run_ledger, run_verifier
from tests.verify_cli.exports import EXPORT_FILES, MANIFEST

FILES = {*EXPORT_FILES, MANIFEST}


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


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.note").read_text().split("\n")[0])
    return manifest


def test_export_everything(filled: Service, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "evidence"
    size = filled.size()
    output = done(run_ledger("export", "--out", str(folder), data=filled.settings))
    counts = "0 fields disclosed, {} withheld, 0 erased"
    withheld = _manifest(folder)["fields"]["withheld"]
    assert output == f"{folder}: entries 0 to {size - 1}, {counts.format(withheld)}, recorded at {size}\n"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["evidence"]
    assert len((folder / "entries.jsonl").read_bytes().splitlines()) == size
    assert (folder / "disclosures.jsonl").read_bytes() == b""
    assert "0 fields disclosed" in _verify(filled, folder)
    # Nothing of it is left with the service, and the log says what was given out.
    assert not list((filled.settings.data / "exports").glob("*/*"))
    with filled.client() as client:
        [entry] = client.get("/api/v1/events", params={"type": "evidence.exported", "limit": 1}).json()["items"]
    digest = hashlib.sha256((folder / "manifest.note").read_bytes()).hexdigest()
    assert (entry["leaf_index"], entry["data"]["manifest"], entry["data"]["actor"]) == (size, digest, "operator")


def test_export_range(filled: Service, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    commands = ("export", "--out", str(whole)), ("export", "--out", str(part), "--from", "5", "--to", "23")
    for result in run_together(*commands, data=filled.settings):
        done(result)
    lines = (whole / "entries.jsonl").read_bytes().splitlines()
    assert (part / "entries.jsonl").read_bytes().splitlines() == lines[5:23]
    assert (_manifest(part)["from"], _manifest(part)["to"]) == (5, 23)
    assert _manifest(part)["daily_root"] is not None
    assert "entries 5 to 22" in _verify(filled, part)


def test_export_disclose(filled: Service, tmp_path: Path) -> None:
    """An event of these tests has two arguments and a principal."""
    some = ("--from", "4", "--to", "10")
    rules = tmp_path / "rules.txt"
    rules.write_text("# what the regulator asked for\n\ncall.reported /data/tool_args/amount\n  * /data/principal \n")
    for disclose, shown in (("all", 18), ("none", 0), (str(rules), 12)):
        folder = tmp_path / f"evidence-{shown}"
        done(run_ledger("export", "--out", str(folder), "--disclose", disclose, *some, data=filled.settings))
        disclosed = [json.loads(line) for line in (folder / "disclosures.jsonl").read_bytes().splitlines()]
        assert [line["index"] for line in disclosed] == (list(range(4, 10)) if shown else [])
        assert f"{shown} fields disclosed, {18 - shown} withheld" in _verify(filled, folder)
    assert _manifest(tmp_path / "evidence-12")["disclose"] == [
        "* /data/principal", "call.reported /data/tool_args/amount",
    ]  # fmt: skip


def test_export_formats(filled: Service, tmp_path: Path) -> None:
    some = ("--from", "4", "--to", "10", "--disclose", "all")
    forms = (("tar", "evidence.tar"), ("csv", "for-people"), ("json", "for-programs"), ("pdf", "for-paper"))
    for form, name in forms:
        done(run_ledger("export", "--out", str(tmp_path / name), "--format", form, *some, data=filled.settings))
    assert {path.name for path in tmp_path.iterdir()} == {name for _, name in forms}
    assert (tmp_path / "evidence.tar").stat().st_mode & 0o777 == 0o600
    _verify(filled, tmp_path / "evidence.tar")
    for name, view in (("for-people", "view.csv"), ("for-programs", "view.json"), ("for-paper", "view.pdf")):
        assert {path.name for path in (tmp_path / name).iterdir()} == {"export.tar", view}
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
        _verify(filled, tmp_path / name / "export.tar")
        with tarfile.open(tmp_path / name / "export.tar") as archive:
            manifest = archive.extractfile("ledger-export/manifest.note")
            assert manifest is not None
            digest = hashlib.sha256(manifest.read()).hexdigest()
        path = tmp_path / name / view
        text = PdfReader(path).pages[0].extract_text() if path.suffix == ".pdf" else path.read_text()
        assert digest in text


ORDER = {"from": 4, "to": 10, "disclose": "none", "format": "tar"}


def _ready(service: Service) -> tuple[str, bytes]:
    """The id of an export as ordered, made and not fetched, and its archive."""
    with service.client() as client:
        status = client.post("/api/v1/audit/exports", json=ORDER).json()
        path = f"/api/v1/audit/exports/{status['export_id']}"
        eventually(lambda: client.get(path).json()["status"] == "ready", "the export")
        return str(status["export_id"]), client.get(f"{path}/export.tar").content


def _cut_off(folder: Path, export_id: str, order: dict[str, Any], fetched: bytes) -> None:
    """What is left of fetching an export to `evidence`."""
    part = folder / f".evidence.{export_id}.part"
    part.mkdir()
    (part / "order.json").write_text(json.dumps(order))
    (part / "export.tar").write_bytes(fetched)


def test_export_goes_on_where_it_was_cut_off(filled: Service, tmp_path: Path) -> None:
    """What was fetched by then is not fetched again, and what was asked for differently is begun anew."""
    export_id, archive = _ready(filled)
    _cut_off(tmp_path, export_id, ORDER, archive[:100_000])
    command = ("export", "--out", str(tmp_path / "evidence"))
    size = filled.size()
    done(run_ledger(*command, "--from", "4", "--to", "10", data=filled.settings))
    assert filled.size() == size, "no second export was made"
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"]
    _verify(filled, tmp_path / "evidence")
    # Cut off with another order, and with an export that is there no more.
    for left in (ORDER | {"to": 11}, ORDER):
        shutil.rmtree(tmp_path / "evidence")
        _cut_off(tmp_path, export_id, left, b"x")
        done(run_ledger(*command, "--from", "4", "--to", "10", data=filled.settings))
        assert [path.name for path in tmp_path.iterdir()] == ["evidence"]
        _verify(filled, tmp_path / "evidence")


def test_export_to_one_place_twice_at_once(filled: Service, tmp_path: Path) -> None:
    """Whoever comes second is told, and disturbs nothing."""
    part = tmp_path / f".evidence.{'0' * 32}.part"
    part.mkdir()
    (part / "order.json").write_text("{}")
    command = ("export", "--out", str(tmp_path / "evidence"), "--to", "3")
    with (part / "order.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(run_ledger(*command, data=filled.settings), "another export is being fetched to this place")
        assert [path.name for path in tmp_path.iterdir()] == [part.name]
    done(run_ledger(*command, data=filled.settings))
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"]


def test_export_to_a_link_that_leads_nowhere(filled: Service, tmp_path: Path) -> None:
    (tmp_path / "evidence").symlink_to(tmp_path / "nowhere")
    size = filled.size()
    refused(run_ledger("export", "--out", str(tmp_path / "evidence"), data=filled.settings), "exists already")
    assert filled.size() == size and [path.name for path in tmp_path.iterdir()] == ["evidence"]


def test_export_damaged_on_its_way(filled: Service, tmp_path: Path) -> None:
    _cut_off(tmp_path, _ready(filled)[0], ORDER, b"x")
    command = ("export", "--out", str(tmp_path / "evidence"), "--from", "4", "--to", "10")
    refused(run_ledger(*command, data=filled.settings), "did not arrive as it was made")
    assert not (tmp_path / "evidence").exists()
    done(run_ledger(*command, data=filled.settings))
    _verify(filled, tmp_path / "evidence")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "has no rule"),
        (b"# nothing\n", "has no rule"),
        (b"\xff\xfe", "it is no text"),
        (b"call.reported\n", "no rule: 'call.reported'"),
        (b"call.reportd *\n", "there is no event type call.reportd"),
        (b"call.reported /data/tool_arg/amount\n", "no sealed field; of call.reported there are /data/principal"),
        (b"call.reported /data/agent_id\n", "no sealed field"),
        (b"".join(b"call.reported /data/x%d\n" % n for n in range(65)), "at most 64"),
    ],
)
def test_export_wrong_rules(content: bytes | None, reason: str, filled: Service, tmp_path: Path) -> None:
    rules = tmp_path / "rules.txt"
    if content is not None:
        rules.write_bytes(content)
    result = run_ledger("export", "--out", str(tmp_path / "evidence"), "--disclose", str(rules), data=filled.settings)
    refused(result, reason)
    assert not (tmp_path / "evidence").exists()


def test_export_existing_target(filled: Service, tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "mine").write_text("precious")
    before = digests(tmp_path)
    refused(run_ledger("export", "--out", str(tmp_path / "evidence"), data=filled.settings), "exists already")
    assert digests(tmp_path) == before


def test_export_empty_range(filled: Service, tmp_path: Path) -> None:
    base = ("export", "--out", str(tmp_path / "evidence"))
    size = filled.size()
    for result in run_together((*base, "--from", "7", "--to", "7"), (*base, "--from", str(size)), data=filled.settings):
        refused(result, f"to <= {size}")
    assert not list(tmp_path.iterdir())


def test_export_without_a_service(fresh_ledger: Ledger, tmp_path: Path) -> None:
    """The command commits to the root log itself, so that the export is as strong as any."""
    place, keys = fresh_ledger
    assert "entries 0 to 2, 0 fields disclosed, 1 withheld, 0 erased, recorded at 3" in done(
        run_ledger("export", "--out", str(tmp_path / "evidence"), data=place)
    )
    verified = run_verifier("export", str(tmp_path / "evidence"), "--root-key", keys["root_vkey"])
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "tamper-evident" in verified.stdout
    assert "complete, 0 fields disclosed, 1 withheld" in verified.stdout


def test_export_after_the_service_equals_export_beside_it(fresh_ledger: Ledger, tmp_path: Path) -> None:
    beside, after = tmp_path / "beside", tmp_path / "after"
    with Service(*fresh_ledger, "--root-interval", "50") as service:
        post(service, service.create_key()["key"], "one", "two", "three")
        done(run_ledger("root", "close", data=service.settings))
        size = service.size()
        done(run_ledger("export", "--out", str(beside), "--to", str(size), data=service.settings))
        service.kill()
    done(run_ledger("export", "--out", str(after), "--to", str(size), data=service.settings))
    _verify(service, after)
    # The root log went on meanwhile: it committed to the head with the first export's own entry.
    changed = {"manifest.note", "keys.jsonl"}
    for name in FILES - changed:
        assert (after / name).read_bytes() == (beside / name).read_bytes(), name
    before, now = _manifest(beside), _manifest(after)
    assert {name for name in before if before[name] != now[name]} <= {"root", "files"}
