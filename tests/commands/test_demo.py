# SPDX-License-Identifier: Apache-2.0
"""`ledger demo`: the whole story, and everything that it prints is there afterwards."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.commands.outcomes import done, refused, write_rows
from tests.running import environment, event, run_ledger


def _commands(output: str) -> list[list[str]]:
    """The command lines that the demo tells its reader to try, with its Python for `python3`."""
    lines = output.partition("Try it yourself:\n")[2].splitlines()
    commands = [shlex.split(line.strip(), comments=True) for line in lines if line.startswith("    ")]
    return [[sys.executable, *words[1:]] for words in commands if words[0] == "python3"]


def test_demo(tmp_path: Path) -> None:
    folder, started = tmp_path / "tour", time.monotonic()
    output = done(run_ledger("demo", "--out", str(folder), LEDGER_PORT="1", LEDGER_ORIGIN="not a host"))
    assert time.monotonic() - started < 60
    assert "reported 240 decisions" in output
    assert output.count("✓ ") == 12
    assert output.count("refused") == 2
    for name in ("data/ledger.db", "data/ledger-verify.pyz", "export/manifest.note", "day.json", "forged-receipt.json"):
        assert (folder / name).is_file(), name
    assert len(list((folder / "receipts").iterdir())) == 240
    receipt, forged = _commands(output)
    for command, code in ((receipt, 0), (forged, 1)):
        assert subprocess.run(command, env=environment(), capture_output=True).returncode == code, command
    assert not (folder / "data" / "serve.sock").exists()


def test_demo_with_events_of_ones_own(tmp_path: Path) -> None:
    rows = [event(f"own-{number}", payload={"tool_args": {"amount": number / 10}}) for number in range(300)]
    folder = tmp_path / "tour"
    source = write_rows(tmp_path / "own.jsonl", [*rows, rows[0]])
    output = done(run_ledger("demo", "--input", str(source), "--out", str(folder)))
    assert "reported 300 decisions over HTTP (1 duplicates)" in output
    assert re.search(r"verified 300 receipts", output)
    assert len((folder / "export" / "entries.jsonl").read_bytes().splitlines()) == 304


def test_demo_into_an_existing_folder(tmp_path: Path) -> None:
    refused(run_ledger("demo", "--out", str(tmp_path)), "exists already")
    assert not list(tmp_path.iterdir())
