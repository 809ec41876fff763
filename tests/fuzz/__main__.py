# SPDX-License-Identifier: Apache-2.0
"""Fuzz one parser for a while.

    python -m tests.fuzz receipt --seconds 600
    python -m tests.fuzz all --seconds 60          each target so long
    python -m tests.fuzz note --engine atheris     guided by coverage, where atheris is installed

Exits 1 with the smallest input found that breaks the law.
"""

import argparse
import sys
import tempfile
import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.mutations import inputs
from tests.fuzz.target import MAX_BYTES, Broken, Target

ROUND = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz a parser.")
    parser.add_argument("target", nargs="?", metavar="TARGET", help="a target's name, or: all")
    parser.add_argument("--list", action="store_true", help="name all targets")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of the first round; another one each time by default")
    parser.add_argument("--engine", choices=["hypothesis", "atheris"], default="hypothesis")
    options = parser.parse_args()
    atheris = _atheris() if options.engine == "atheris" else None
    # What atheris is to follow has to be imported under its eyes.
    with nullcontext() if atheris is None else atheris.instrument_imports(include=["ledger", "ledger_verify"]):
        targets: dict[str, Target] = import_module("tests.fuzz.targets").TARGETS
    if options.list or options.target is None:
        print("\n".join(targets))
        return 0
    if options.target != "all" and options.target not in targets:
        parser.error(f"there is no target {options.target!r}; --list names them")
    if atheris is not None:
        return guided(atheris, targets[options.target], options.seconds)
    first = int(time.time()) if options.seed is None else options.seed
    chosen = list(targets.values()) if options.target == "all" else [targets[options.target]]
    return max([random(target, options.seconds, first) for target in chosen])


def random(target: Target, seconds: float, first: int) -> int:
    """Rounds of hypothesis, each with the next seed, until the time is over."""
    begin, number, accepted, total = time.monotonic(), first, 0, 0
    while time.monotonic() - begin < seconds:

        @seed(number)
        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs(target.seeds))
        def one(data: bytes) -> None:
            nonlocal accepted, total
            total += 1
            accepted += target.judge(data)

        try:
            one()
        except Broken as broken:
            print(f"{target.name}: seed {number}: {broken}", flush=True)
            return 1
        number += 1
    print(f"{target.name}: {total} inputs, {accepted} accepted, seeds {first} to {number - 1}", flush=True)
    return 0


def guided(atheris: Any, target: Target, seconds: float) -> int:
    """libFuzzer, guided by the branches that an input takes. It ends the process itself."""

    def judge(data: bytes) -> None:
        target.judge(data)

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(target.seeds):
            (Path(corpus) / f"{number}").write_bytes(data)
        limits = [f"-max_total_time={int(seconds)}", f"-max_len={MAX_BYTES}"]
        atheris.Setup([sys.argv[0], *limits, corpus], judge)
        atheris.Fuzz()
    return 0


def _atheris() -> Any:
    try:
        return import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")


if __name__ == "__main__":
    sys.exit(main())
