# SPDX-License-Identifier: Apache-2.0
"""How a command may end, and small things that several files of this folder ask of a ledger."""

import hashlib
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.running import Place, Service, event, run_ledger

WAIT_SECONDS = 20.0


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command said no: exit 1, nothing on stdout, a message without a traceback that has all of `words`."""
    assert result.returncode == 1, (result.returncode, result.stdout, result.stderr)
    assert result.stdout == ""
    assert result.stderr.startswith("ledger: "), result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def misused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command was called wrongly: exit 2, and a message that says how to call it."""
    assert result.returncode == 2, (result.returncode, result.stdout, result.stderr)
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: "), result.stderr
    for word in words:
        assert word in result.stderr


def done(result: subprocess.CompletedProcess[str]) -> str:
    """What a command printed that did what it was asked."""
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_together(*commands: tuple[str, ...], data: Place | None = None) -> list[subprocess.CompletedProcess[str]]:
    """Several commands that have nothing to do with each other, a few at a time; their results in order."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda command: run_ledger(*command, data=data), commands))


def digests(folder: Path) -> dict[str, str]:
    """Every file under a folder with the SHA-256 of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def checked_sizes(output: str) -> list[int]:
    """Entries of each log, from the lines of `ledger check`."""
    sizes = [int(found) for found in re.findall(r"^ok    \S+  (\d+) entries  root \S+$", output, re.MULTILINE)]
    assert len(sizes) == len(output.splitlines()), output
    return sizes


def post(service: Service, key: str, *call_ids: str) -> list[dict[str, Any]]:
    """Report an event for each call_id in one batch; the items of the answer."""
    with service.client(key, verify=False) as client:
        answer = client.post("/api/v1/events", json={"events": [event(call_id) for call_id in call_ids]})
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return items


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
