# SPDX-License-Identifier: Apache-2.0
"""What nobody trusted vouches for is not reported, and files that contradict each other are not both believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ledger_verify.report import Outcome, against_earlier

from .textbook import file_bytes
from .world import build_world


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ledger_verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_day_of_a_root_log_without_a_trusted_key_is_not_reported(tmp_path: Path) -> None:
    """Anybody can make a root log and a day around somebody's genuine head."""
    world = build_world(8)
    path = tmp_path / "receipt.json"
    path.write_bytes(file_bytes(world.receipt(5, day=True)))
    key, root_key = world.keys["log"][0], world.keys["root"][0]
    vouched = run("receipt", str(path), "--key", key, "--root-key", root_key)
    alone = run("receipt", str(path), "--key", key)
    assert (vouched.returncode, alone.returncode) == (0, 0)
    assert "closed by day" in vouched.stdout and "closed by day" not in alone.stdout
    [result] = json.loads(run("receipt", str(path), "--key", key, "--json").stdout)["results"]
    assert result["date"] is None and result["root"] is None
    assert not {"root", "daily_root"} & set(result["checked"])
    assert "no trusted key of a root log" in " ".join(result["notes"])


def head(file: str, root: str, size: int = 5) -> Outcome:
    details: dict[str, object] = {"origin": "example.com/log", "tree_size": size, "root_hash": root}
    return Outcome(file, "verified", "tamper-detecting", "", details)


def test_two_trees_of_one_size_are_a_fork() -> None:
    heads: dict[tuple[object, object], tuple[object, str]] = {}
    assert against_earlier(head("a", "x"), heads).verdict == "verified"
    assert against_earlier(head("b", "x"), heads).verdict == "verified"
    assert against_earlier(head("c", "y", size=6), heads).verdict == "verified"
    forked = against_earlier(head("d", "y"), heads)
    assert forked.verdict == "not-verified" and "forked" in json.dumps(forked._asdict())


def test_closed_standard_output_is_no_verdict(tmp_path: Path) -> None:
    world = build_world(8)
    path = tmp_path / "receipt.json"
    path.write_bytes(file_bytes(world.receipt(5)))
    command = [sys.executable, "-m", "ledger_verify", "receipt", str(path), "--key", world.keys["log"][0]]
    closed = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, preexec_fn=lambda: os.close(1))
    assert closed.returncode == 2 and "Traceback" not in closed.stderr
