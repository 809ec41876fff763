# SPDX-License-Identifier: Apache-2.0
"""A round of every kind of what `python -m tests.robustness.crash` does at length."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.crash import KINDS, run_rounds, summary

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("store", "processes"), [("sqlite", 1), ("postgres", 2)])
def test_nothing_that_was_acknowledged_is_lost(store: str, processes: int, tmp_path: Path) -> None:
    lines: list[str] = []
    kinds = tuple(KINDS[store])
    rounds = run_rounds(
        store, len(kinds), tmp_path, processes=processes, kinds=kinds, clients=4, seed=1, say=lines.append
    )
    assert [done.findings.problems for done in rounds] == [[]] * len(kinds), lines
    assert [done.kind for done in rounds] == list(kinds) and all(done.harms for done in rounds)
    assert [(done.findings.lost, done.findings.duplicates, done.findings.forks) for done in rounds] == [
        (0, 0, 0)
    ] * len(kinds)
    assert rounds[-1].findings.acknowledged == sum(done.load.acknowledged for done in rounds) > 50
    assert len(lines) == len(kinds)
    assert "lost 0, duplicates 0, forks 0, other problems 0" in summary(rounds, 1)


def test_crash_says_how_it_is_run() -> None:
    command = [sys.executable, "-m", "tests.robustness.crash", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "python -m tests.robustness.crash --store postgres --rounds 100 --processes 2" in result.stdout
    for option in ("--store", "--rounds", "--processes", "--kinds", "--seed"):
        assert option in result.stdout


@pytest.mark.parametrize("wrong", ["--store sqlite --processes 2", "--store sqlite --kinds cut", "--store disk"])
def test_crash_refuses_what_makes_no_sense(wrong: str) -> None:
    command = [sys.executable, "-m", "tests.robustness.crash", *wrong.split()]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).returncode == 2
