# SPDX-License-Identifier: Apache-2.0
"""Figure (h): how fast `ledger check` derives a large log again, its own start included."""

import os
import subprocess
import sys
import time

from tests.bench.figures import Figure, Outcome
from tests.bench.ledgers import BenchLedger
from tests.bench.session import Options, Session
from tests.running import environment, run_ledger

PROCESSES_FLAG = "--processes"


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        ledger = session.built_ledger(options.entries)
        ways: dict[str, tuple[str, ...]] = {"check": ()}
        if PROCESSES_FLAG in run_ledger("check", "--help").stdout:
            ways = {"check": (PROCESSES_FLAG, "1"), "check by two": (PROCESSES_FLAG, "2")}
        for _ in range(options.runs):
            for name, flags in ways.items():
                seconds, peak = timed_check(ledger, *flags)
                outcome.add(f"{name}/rate", "entries/s", options.entries / seconds)
                outcome.add(f"{name}/memory", "MB", peak / 1e6)
        outcome.figures.append(Figure("h", outcome.median("check/rate"), options.store))
        if "check by two/rate" in outcome.series:
            outcome.figures.append(Figure("h-two", outcome.median("check by two/rate"), options.store))
        return outcome


def timed_check(ledger: BenchLedger, *flags: str) -> tuple[float, int]:
    """Seconds of a check that must pass, and the most memory its process held."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "ledger", "check", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(**ledger.environment))
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the check ended with {process.returncode}: what was measured is not a sound ledger")
    return seconds, used.ru_maxrss * 1024
