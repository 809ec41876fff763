# SPDX-License-Identifier: Apache-2.0
"""Kill what can be killed while clients report events, and count what is left.

    python -m tests.robustness.crash --store sqlite --rounds 100
    python -m tests.robustness.crash --store postgres --rounds 100 --processes 2

Each round: real `ledger serve` processes; clients that report single events and small batches with full receipts, and
that send again, with the same call_ids, whatever was not acknowledged; one kind of harm at a random moment; then
`ledger check --replay`, and an outsider who has kept every answer and follows the logs with `ledger_verify` alone
(following.py). Promised is: no acknowledged event is lost, none is there twice, there are never two roots for one size,
and the services go on by themselves, without a traceback.

    kill        a service gets SIGKILL; with several, sometimes all of them do
    term        a service gets SIGTERM and must end with 0, in time
    cut         connections to PostgreSQL end around a COMMIT: before it arrives, in between, before its answer arrives
    silence     the network swallows everything for a while, then delivers or loses it
    crash       PostgreSQL and all its processes get SIGKILL, and it starts again
    restart     PostgreSQL is stopped, fast or at once, and started
    backends    an operator ends all sessions

Prints a line a round; exits 1 if any promise was broken. The seed makes the load and the delays repeatable; the moment
at which harm meets a transaction is not.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.robustness import proxy as network
from tests.robustness.following import Findings, Outsider
from tests.robustness.load import Load
from tests.robustness.site import Site

CLIENTS = 8
ROUNDS_A_LEDGER = 25
"""After so many rounds a new ledger is made, so that checking everything stays quick."""
CUTS = 6
DRAIN_SECONDS = 20
SHORTEST, LONGEST = 0.05, 0.4
"""Seconds of load before the harm."""

_AROUND_COMMIT = (
    (network.ROWS, network.cut_within),
    (network.ROWS_TAKEN, network.cut),
    (network.COMMIT, network.cut),
    (network.COMMIT, network.cut_within),
    (network.COMMIT, network.cut_behind),
    (network.COMMITTED, network.cut),
    (network.COMMITTED, network.cut_within),
)


def _kill(site: Site, chance: random.Random) -> int:
    everybody = chance.random() < 0.25
    killed = site.services if everybody else [chance.choice(site.services)]
    for service in killed:
        service.kill()
    # Now and then before anything is mended; otherwise when all is over, which takes half the time.
    broken = site.check() if chance.random() < 0.25 else None
    for service in killed:
        service.start()
    assert broken is None, broken
    return len(killed)


def _term(site: Site, chance: random.Random) -> int:
    service, started = chance.choice(site.services), time.monotonic()
    code = service.terminate()
    took = time.monotonic() - started
    service.start()
    assert code == 0 and took < DRAIN_SECONDS, f"SIGTERM: the service ended with {code} after {took:.1f} s"
    return 1


def _cut(site: Site, chance: random.Random) -> int:
    assert site.proxy is not None
    for _ in range(CUTS):
        trap = site.proxy.set(*chance.choice(_AROUND_COMMIT))
        trap.wait()
    return CUTS


def _silence(site: Site, chance: random.Random) -> int:
    assert site.proxy is not None
    point = chance.choice((network.LOCKED, network.ROWS_END, network.COMMIT, network.COMMITTED))
    site.proxy.set(point, network.hold).wait()
    # Not to wait for something: this is how long the network says nothing.
    time.sleep(chance.uniform(0.1, 1.5))
    site.proxy.release(lose=chance.random() < 0.5)
    return 1


def _crash(site: Site, chance: random.Random) -> int:
    assert site.server is not None
    site.server.kill()
    site.server.start()
    return 1


def _restart(site: Site, chance: random.Random) -> int:
    assert site.server is not None
    site.server.restart(immediate=chance.random() < 0.5)
    return 1


def _backends(site: Site, chance: random.Random) -> int:
    ended = 0
    for _ in range(CUTS):
        ended += len(site.ask(_END_SESSIONS))
        # Not to wait for something: each time what is under way has come another way.
        time.sleep(chance.uniform(0.01, 0.05))
    assert ended, "nobody was connected"
    return CUTS


_END_SESSIONS = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'decision-ledger'"


Harm = Callable[[Site, random.Random], int]
"""Does it and mends it; how many kills or cuts that were. Raises AssertionError when a service did not bear up."""

KINDS: dict[str, dict[str, Harm]] = {
    "sqlite": {"kill": _kill, "term": _term},
    "postgres": {
        "kill": _kill, "cut": _cut, "crash": _crash, "term": _term, "backends": _backends, "restart": _restart,
        "silence": _silence,
    },
}  # fmt: skip
# SQLite has little else than the process to lose, and that is tried in most of its rounds.
_TURNS = {"sqlite": ("kill", "kill", "kill", "term"), "postgres": tuple(KINDS["postgres"])}


@dataclass
class Round:
    kind: str
    harms: int
    load: Load
    findings: Findings


def run_rounds(
    store: str,
    rounds: int,
    folder: Path,
    *,
    processes: int = 1,
    kinds: Sequence[str] = (),
    clients: int = CLIENTS,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> list[Round]:
    """Make ledgers in `folder` and do harm to them `rounds` times, in turn of the `kinds`; what came of each."""
    chance, turns, results = random.Random(seed), tuple(kinds) or _TURNS[store], list[Round]()
    while len(results) < rounds:
        first = len(results)
        place = folder / f"{store}-{first}"
        place.mkdir()
        with Site(place, store, processes) as site:
            key = site.services[0].create_key(label="a client that does not give up")["key"]
            outsider = Outsider(site.keys)
            while len(results) < min(rounds, first + ROUNDS_A_LEDGER):
                kind, number, started = turns[len(results) % len(turns)], len(results), time.monotonic()
                load = Load(site.services, key, outsider, f"r{number}", clients, random.Random(chance.random()))
                done = _round(site, kind, load, chance)
                results.append(done)
                say(_line(f"{store} {number + 1:3}/{rounds}", done, time.monotonic() - started))
            ended = [service.terminate() for service in site.services]
            last = results[-1].findings
            last.problems += [f"a service ended with {code}" for code in ended if code != 0] + site.bugs()
            broken = site.check()
            last.problems += [] if broken is None else [broken]
            for problem in last.problems[:20]:
                say(f"    {problem}")
    return results


def _round(site: Site, kind: str, load: Load, chance: random.Random) -> Round:
    harms, broken = 0, []
    load.start()
    try:
        # Not to wait for something: this is the moment of the harm.
        time.sleep(chance.uniform(SHORTEST, LONGEST))
        harms = KINDS[site.store][kind](site, chance)
    except AssertionError as error:
        broken.append(str(error))
    finally:
        load.finish()
    broken += [f"a service ended with {code}" for code in (s.process.poll() for s in site.services) if code is not None]
    findings = Findings(problems=broken)
    if not broken:
        with ThreadPoolExecutor(1) as pool:
            checking = pool.submit(site.check)
            findings = load.outsider.check(chance.choice(site.services), chance)
            findings.problems += [problem for problem in [checking.result()] if problem is not None]
    findings.problems += load.problems
    return Round(kind, harms, load, findings)


def _line(head: str, done: Round, seconds: float) -> str:
    load, findings = done.load, done.findings
    return (
        f"{head} {done.kind:8} {done.harms} × : acknowledged {load.acknowledged:5}, lost {findings.lost}, "
        f"duplicates {findings.duplicates}, forks {findings.forks}; no answer {load.unanswered}, refused "
        f"{load.statuses[503]}, written all the same {load.written_before}; heads {findings.heads}; {seconds:.1f} s"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.robustness.crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--store", choices=sorted(KINDS), default="sqlite", help="where the ledger is kept (sqlite)")
    parser.add_argument("--rounds", type=int, default=20, help="kills, or cuts several at a time (20)")
    parser.add_argument("--processes", type=int, default=1, help="services on one PostgreSQL (1)")
    parser.add_argument("--kinds", default="", help="of harm, separated by commas (all that the store has)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help=f"clients that report at once ({CLIENTS})")
    parser.add_argument("--seed", type=int, default=0, help="of the load and the delays (0)")
    parser.add_argument("--folder", type=Path, help="new folder to keep the ledgers in, by default a temporary one")
    options = parser.parse_args(arguments)
    kinds = [kind for kind in options.kinds.split(",") if kind]
    if unknown := set(kinds) - set(KINDS[options.store]):
        parser.error(f"{', '.join(sorted(unknown))}: {options.store} has {', '.join(KINDS[options.store])}")
    if options.processes > 1 and options.store == "sqlite":
        parser.error("a data directory is served by one process")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = run_rounds(
            options.store,
            options.rounds,
            folder,
            processes=options.processes,
            kinds=kinds,
            clients=options.clients,
            seed=options.seed,
        )
    print(summary(results, time.monotonic() - started))
    return 1 if any(done.findings.problems for done in results) else 0


def summary(results: Sequence[Round], seconds: float) -> str:
    harms = Counter[str]()
    for done in results:
        harms[done.kind] += done.harms
    findings = [done.findings for done in results]
    return (
        f"{sum(harms.values())} kills and cuts ({', '.join(f'{kind} {count}' for kind, count in harms.items())}) in "
        f"{len(results)} rounds, {seconds:.0f} s: acknowledged {sum(done.load.acknowledged for done in results)}, "
        f"lost {sum(found.lost for found in findings)}, duplicates {sum(found.duplicates for found in findings)}, "
        f"forks {sum(found.forks for found in findings)}, other problems {sum(len(f.problems) for f in findings)}; "
        f"without an answer {sum(done.load.unanswered for done in results)}, of which written all the same "
        f"{sum(done.load.written_before for done in results)}"
    )


if __name__ == "__main__":
    sys.exit(main())
