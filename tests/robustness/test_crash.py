# SPDX-License-Identifier: Apache-2.0
"""A few rounds of what `python -m tests.robustness.crash` does at length."""

import subprocess
import sys
from pathlib import Path

from tests.ledgers import Room
from tests.robustness.crash import run_rounds

ROOT = Path(__file__).parents[2]


def test_crash_loses_nothing_that_was_acknowledged(room: Room) -> None:
    lines: list[str] = []
    rounds = run_rounds(3, room.new(), seed=1, say=lines.append)
    assert [findings.problems for findings in rounds] == [[], [], []], lines
    assert [findings.lost for findings in rounds] == [0, 0, 0]
    assert [findings.duplicates for findings in rounds] == [0, 0, 0]
    assert rounds[-1].found == rounds[-1].acknowledged > 100
    assert len(lines) == 3


def test_crash_says_how_it_is_run() -> None:
    command = [sys.executable, "-m", "tests.robustness.crash", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--rounds" in result.stdout
    assert "python -m tests.robustness.crash --rounds 20" in result.stdout
