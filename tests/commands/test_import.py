# SPDX-License-Identifier: Apache-2.0
"""`ledger import`: both kinds of rows, interruptions, and values that come out byte for byte as they went in."""

import base64
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from ledger.commands import import_command
from tests.commands.outcomes import WAIT_SECONDS, done, refused, run_together, write_rows
from tests.ledgers import Ledger
from tests.running import Service, environment, event, eventually, run_ledger


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    secret: str = service.create_key(env="all")["key"]
    return secret


def _row(trajectory: str, step: int, **changes: Any) -> dict[str, Any]:
    row = {
        "trajectory_id": trajectory,
        "step": step,
        "agent_id": "recorded-agent",
        "tool_name": "read_file",
        "arguments": {"path": "/etc/hosts"},
        "result_excerpt": "127.0.0.1",
        "timestamp": None,
        "model": "ignored",
    }
    return row | changes


def _import(service: Service, key: str, file: Path) -> tuple[int, int]:
    """Events accepted and duplicates, as the command says."""
    output = done(run_ledger("import", str(file), "--url", service.url, LEDGER_KEY=key))
    match = re.fullmatch(r"accepted (\d+), duplicates (\d+)\n", output)
    assert match is not None, output
    return int(match[1]), int(match[2])


def _events(service: Service, **filters: str) -> Iterator[dict[str, Any]]:
    """All entries of a listing, with sealed values."""
    with service.client(verify=False) as client:
        cursor: dict[str, str] = {}
        while True:
            answer = client.get("/api/v1/events", params={"limit": "200", "disclose": "all", **filters, **cursor})
            page = answer.raise_for_status().json()
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}


def _disclosed(service: Service, call_id: str) -> dict[str, bytes]:
    """The text of each sealed value of a call, by pointer, cut out of the disclosures of its receipt."""
    [found] = _events(service, search=f'"call_id":"{call_id}"')
    with service.client(verify=False) as client:
        receipt = client.get(f"/api/v1/receipts/{found['event_id']}", params={"disclose": "all"}).json()
    texts = {}
    for disclosure in receipt["disclosures"]:
        text = base64.urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4))
        match = re.fullmatch(rb'\["[A-Za-z0-9_-]{43}","([^"]+)",(.*)\]', text, re.DOTALL)
        assert match is not None
        texts[match[1].decode()] = match[2]
    return texts


def test_import_both_kinds_of_rows(service: Service, key: str, tmp_path: Path) -> None:
    rows = [_row("both", 0), event("both-plain", verdict="deny"), _row("both", 1, timestamp="2026-03-01T12:00:00Z")]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    packed = tmp_path / "rows.without-a-telling-name"
    packed.write_bytes(gzip.compress(file.read_bytes() + b"\n  \n" + json.dumps(_row("both", 2)).encode()))
    assert _import(service, key, file) == (3, 0)
    assert _import(service, key, packed) == (1, 3)
    recorded = {item["data"]["call_id"]: item for item in _events(service, agent_id="recorded-agent")}
    assert set(recorded) == {"both#0", "both#1", "both#2"}
    data = recorded["both#1"]["data"]
    assert recorded["both#1"]["timestamp"] == "2026-03-01T12:00:00.000Z"
    assert (data["verdict"], data["mode"], data["tool_name"]) == ("allow", "observe", "read_file")
    assert data["tool_args"] == {"path": "/etc/hosts"}
    assert data["result"] == "127.0.0.1"


def test_import_keeps_values_byte_for_byte(service: Service, key: str, tmp_path: Path) -> None:
    values = {
        "price": "98.70",
        "rate": "1E+2",
        "tiny": "0.1000000000000000055",
        "huge": "123456789012345678901234567890",
        "text": r'"caf\u00e9 \/ \ud83d\ude00 é"',
        "spaced": '[ 1.0 ,\t-0 , {"b": 1,  "a": 2} ]',
    }
    arguments = ", ".join(f'"{name}" : {text}' for name, text in values.items())
    row = json.dumps(_row("exact", 0, arguments="HERE", result_excerpt="THERE"))
    line = row.replace('"HERE"', "{ " + arguments + " }").replace('"THERE"', "1e-7")
    (tmp_path / "exact.jsonl").write_text(line + "\n", encoding="utf-8")
    assert _import(service, key, tmp_path / "exact.jsonl") == (1, 0)
    expected = {f"/data/tool_args/{name}": text.encode() for name, text in values.items()}
    assert _disclosed(service, "exact#0") == expected | {"/data/result": b"1e-7"}


class _Recorded(msgspec.Struct):
    trajectory_id: str
    step: int
    arguments: dict[str, msgspec.Raw]
    result_excerpt: msgspec.Raw


def test_import_recorded_runs(service: Service, key: str, tmp_path: Path, shared: Path) -> None:
    """The first 500 of the recorded calls; nothing twice, every value as recorded."""
    with gzip.open(shared / "data" / "agentdojo_runs.jsonl.gz", "rb") as runs:
        lines = list(islice(runs, 500))
    file = tmp_path / "runs.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(lines)))
    accepted, duplicates = _import(service, key, file)
    assert accepted + duplicates == 500
    assert _import(service, key, file) == (0, 500)
    wanted = [msgspec.json.decode(line, type=_Recorded) for line in lines]
    listed = {item["data"]["call_id"]: item["data"] for item in _events(service, search='"call_id":"agentdojo/')}
    assert set(listed) == {f"{row.trajectory_id}#{row.step}" for row in wanted}
    assert len(listed) == accepted
    for row in wanted[:: len(wanted) // 5]:
        texts = _disclosed(service, f"{row.trajectory_id}#{row.step}")
        given = {f"/data/tool_args/{name}": bytes(value) for name, value in row.arguments.items()}
        assert texts == given | {"/data/result": bytes(row.result_excerpt)}


def _start_import(service: Service, key: str, file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ledger", "import", str(file), "--url", service.url, "--key", key]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_import_killed_and_run_again(service: Service, key: str, tmp_path: Path) -> None:
    before, total = service.size(), 5000
    file = write_rows(tmp_path / "long.jsonl", [_row("long", step) for step in range(total)])
    process = _start_import(service, key, file)
    eventually(lambda: service.size() > before, "the first batch")
    process.kill()
    process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == -signal.SIGKILL, "the import was over before it could be interrupted"
    accepted, duplicates = _import(service, key, file)
    assert accepted + duplicates == total
    assert duplicates > 0
    assert service.size() == before + total


def test_import_goes_on_when_the_service_comes_back(fresh_ledger: Ledger, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Service(*fresh_ledger, "--port", str(port)) as service:
        key, before, total = service.create_key()["key"], service.size(), 3000
        file = write_rows(tmp_path / "long.jsonl", [_row("long", step) for step in range(total)])
        process = _start_import(service, key, file)
        eventually(lambda: service.size() > before, "the first batch")
        service.kill()
        service.start()
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert sum(map(int, re.findall(r"\d+", output))) == total
        assert service.size() == before + total


@pytest.fixture
def nobodys_url() -> str:
    """An address where nothing listens, with a password that is nobody's business."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://somebody:secret@127.0.0.1:{free.getsockname()[1]}"


def test_import_says_at_once_that_nobody_answers_and_where(tmp_path: Path, nobodys_url: str) -> None:
    """It goes on trying, since a service that is being restarted comes back."""
    file = write_rows(tmp_path / "one.jsonl", [_row("one", 0)])
    command = [sys.executable, "-m", "ledger", "import", str(file), "--url", nobodys_url, "--key", "lk_all_x"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        still_trying = process.poll() is None
        process.kill()
    assert still_trying and nobodys_url.rpartition("@")[2] in said and "trying again" in said
    assert "secret" not in said


def test_import_that_gives_up_says_where_nobody_answered(
    tmp_path: Path, nobodys_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_command, "RETRIES", 2)
    file = write_rows(tmp_path / "one.jsonl", [_row("one", 0)])
    result = CliRunner().invoke(import_command.command, [str(file), "--url", nobodys_url, "--key", "lk_all_x"])
    assert (result.exit_code, result.stdout) == (1, "")
    once, last = result.stderr.splitlines()
    assert "trying again" in once and last.startswith("ledger: ")
    assert f"http://{nobodys_url.rpartition('@')[2]} does not answer" in last and "secret" not in result.stderr


def test_import_malformed_line(service: Service, key: str, tmp_path: Path) -> None:
    before = service.size()
    good = json.dumps(_row("broken", 0)).encode() + b"\n"
    commands = []
    for number, bad in enumerate((b'{"trajectory_id": "x", "step": "one"}', b'{"call_id": "\xff"}', b"[" * 5000)):
        file = tmp_path / f"broken-{number}.jsonl"
        file.write_bytes(good + b"\n" + bad + b"\n" + good)
        commands.append(("import", str(file), "--url", service.url, "--key", key))
    for result in run_together(*commands):
        refused(result, "line 3: ")
    assert service.size() == before


def test_import_row_that_the_service_refuses(service: Service, key: str, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "refused.jsonl", [_row("refused", 0), event("refused-1", verdict="perhaps")])
    refused(run_ledger("import", str(file), "--url", service.url, "--key", key), "422", "verdict")


def test_import_wrong_key(service: Service, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "one.jsonl", [_row("one", 0)])
    result = run_ledger("import", str(file), "--url", service.url, "--key", "lk_all_wrong")
    refused(result, service.url, "401", "UNAUTHORIZED")
