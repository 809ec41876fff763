# SPDX-License-Identifier: Apache-2.0
"""Kill the service again and again while clients report events, and count what is left.

    python -m tests.robustness.crash --rounds 20

Each round: a real `ledger serve`, eight clients or more that report single events and small batches with full
receipts, `kill -9` at a random moment, `ledger check --replay`, a restart, and the check of an outsider. Every
acknowledged event must be at its leaf index under its event_id, no call_id may be in the log twice, and the head after
the restart must be consistent with the head of every receipt, those of earlier rounds included. What was sent and not
acknowledged is sent again and must then be in the log exactly once.

Prints a line a round; exits 1 if any promise was broken. The seed makes the load and the delays repeatable, the moment
at which the kill meets the service is not.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ledger.settings import Settings
from tests.robustness.outside import Acknowledged, Findings, inspect, listed, report
from tests.running import Place, Service, event, run_ledger

CLIENTS = 8
SHORTEST, LONGEST = 0.05, 0.8
"""Seconds of load before the kill."""


@dataclass
class Load:
    """What the clients of one round sent, and what came back. Lists are appended to by all threads."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    unanswered: list[list[dict[str, Any]]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def run_client(self, service: Service, key: str, name: str, chance: random.Random) -> None:
        """Report until told to stop, or until the service is gone."""
        number = 0
        with service.client(key, verify=False) as client:
            while not self.stop.is_set():
                count = chance.choice((1, 1, 1, 2, 5, 20))
                events = [event(f"{name}-{number + place}") for place in range(count)]
                number += count
                try:
                    self.acknowledged += report(client, events)
                except httpx.HTTPError:
                    self.unanswered.append(events)
                    return
                self.begun.set()


def run_rounds(
    rounds: int, place: Place, *, clients: int = CLIENTS, seed: int = 0, say: Callable[[str], None] = print
) -> list[Findings]:
    """Make a ledger at `place` and crash its service `rounds` times; the findings of each round."""
    made = run_ledger("init", "--json", data=place)
    if made.returncode != 0:
        raise RuntimeError(made.stderr)
    service = Service(place, json.loads(made.stdout), "--root-interval", "0.05")
    chance, everything, results = random.Random(seed), list[Acknowledged](), list[Findings]()
    try:
        key = service.create_key(label="a client that survives")["key"]
        for number in range(rounds):
            load = _load(service, key, f"r{number}", clients, chance)
            everything += load.acknowledged
            checked = run_ledger("check", "--replay", data=place)
            service.start()
            findings = inspect(service, everything, chance)
            if checked.returncode != 0:
                findings.problems.append(f"ledger check: {checked.stdout}{checked.stderr}")
            repeated = _repeat(service, key, load, findings)
            results.append(findings)
            say(
                f"round {number + 1:3}: acknowledged {len(load.acknowledged):5} (all rounds {findings.acknowledged}), "
                f"found {findings.found}, lost {findings.lost}, duplicates {findings.duplicates}, "
                f"unanswered {sum(map(len, load.unanswered))} of which {repeated} were in the log"
            )
            for problem in findings.problems[:20]:
                say(f"    {problem}")
    finally:
        if service.process.poll() is None:
            service.terminate()
    return results


def _load(service: Service, key: str, name: str, clients: int, chance: random.Random) -> Load:
    """Clients report until the service is killed at a random moment."""
    load = Load()
    threads = [
        threading.Thread(
            target=load.run_client, args=(service, key, f"{name}-c{number}", random.Random(chance.random()))
        )
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    load.begun.wait(30)
    # Not to wait for something: this is the moment of the crash.
    time.sleep(chance.uniform(SHORTEST, LONGEST))
    service.kill()
    load.stop.set()
    for thread in threads:
        thread.join()
    return load


def _repeat(service: Service, key: str, load: Load, findings: Findings) -> int:
    """Send again what was not acknowledged; how many of these events turn out to have been written before the crash."""
    before = 0
    with service.client(key, verify=False) as client:
        for events in load.unanswered:
            answer = client.post("/api/v1/events", json={"events": events})
            if answer.status_code != 200:
                findings.problems.append(f"sent again, {events[0]['call_id']}: {answer.status_code} {answer.text}")
                continue
            duplicates = answer.json()["duplicates"]
            if duplicates not in (0, len(events)):
                findings.problems.append(f"{duplicates} of a batch of {len(events)} had been written: not all or none")
            before += duplicates
        counts: dict[str, int] = {}
        for call_id, _, _ in listed(client):
            counts[call_id] = counts.get(call_id, 0) + 1
    for events in load.unanswered:
        for one in events:
            if counts.get(one["call_id"], 0) != 1:
                findings.problems.append(f"{one['call_id']} is in the log {counts.get(one['call_id'], 0)} times")
    return before


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.robustness.crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="crashes (20)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help=f"clients that report at once ({CLIENTS})")
    parser.add_argument("--seed", type=int, default=0, help="of the load and the delays (0)")
    parser.add_argument("--folder", type=Path, help="new folder to keep the ledger in, by default a temporary one")
    parser.add_argument("--database-url", help="empty PostgreSQL database to keep the log in, instead of SQLite")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / "data"
        place = Settings(data, guard=data / "guard", database_url=options.database_url)
        results = run_rounds(options.rounds, place, clients=options.clients, seed=options.seed)
    broken = [problem for findings in results for problem in findings.problems]
    print(
        f"{len(results)} crashes: acknowledged {results[-1].acknowledged if results else 0}, "
        f"lost {sum(findings.lost for findings in results)}, "
        f"duplicates {sum(findings.duplicates for findings in results)}, other problems {len(broken)}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
