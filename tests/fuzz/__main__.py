# SPDX-License-Identifier: Apache-2.0
"""Fuzz one parser for a while.

    python -m tests.fuzz receipt --seconds 600
    python -m tests.fuzz all --seconds 60          each target so long
    python -m tests.fuzz note --engine atheris     guided by coverage, where atheris is installed

Exits 1 with the smallest input found that breaks the law.
"""

import argparse
import sys
import time

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.mutations import inputs
from tests.fuzz.target import MAX_BYTES, Broken, Target
from tests.fuzz.targets import TARGETS

ROUND = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz a parser.")
    parser.add_argument("target", nargs="?", choices=[*TARGETS, "all"], metavar="TARGET")
    parser.add_argument("--list", action="store_true", help="name all targets")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of the first round; another time by default")
    parser.add_argument("--engine", choices=["hypothesis", "atheris"], default="hypothesis")
    options = parser.parse_args()
    if options.list or options.target is None:
        print("\n".join(TARGETS))
        return 0
    chosen = list(TARGETS.values()) if options.target == "all" else [TARGETS[options.target]]
    if options.engine == "atheris":
        return guided(chosen[0], options.seconds)
    first = int(time.time()) if options.seed is None else options.seed
    return max(random(target, options.seconds, first) for target in chosen)


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
            print(f"{target.name}: seed {number}: {broken}")
            return 1
        number += 1
    print(f"{target.name}: {total} inputs, {accepted} accepted, seeds {first} to {number - 1}", flush=True)
    return 0


def guided(target: Target, seconds: float) -> int:
    """libFuzzer, guided by the branches of the parser. It ends the process itself."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(target.seeds):
            (Path(corpus) / f"{number}").write_bytes(data)
        arguments = [sys.argv[0], corpus, f"-max_total_time={int(seconds)}", f"-max_len={MAX_BYTES}"]
        atheris.instrument_all()
        atheris.Setup(arguments, lambda data: target.judge(data) and None)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
