# SPDX-License-Identifier: Apache-2.0
"""Figure (g): from the start of the process to its first receipt, over a large log and over an empty one.

Most of that time is Python's own start; what the entries add is the difference. Starts take turns, and each service is
stopped before the next one starts.
"""

import time

from tests.bench.bodies import post_requests
from tests.bench.figures import Figure, Outcome
from tests.bench.ledgers import BenchLedger, serve
from tests.bench.load import Connection
from tests.bench.session import POST_PATH, Options, Session, check_answer


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        sizes = [options.entries, *([options.larger] if options.larger else [])]
        ledgers = {"empty": session.new_ledger()} | {f"{size:,} entries": session.built_ledger(size) for size in sizes}
        for turn in range(options.runs + 1):
            for name, ledger in ledgers.items():
                # A time of day is what no earlier run on a kept log can have had.
                seconds = first_receipt(ledger, f"{time.time_ns() >> 16:x}"[-12:])
                if turn:
                    outcome.add(f"start, {name}/seconds", "s", seconds)
        for size in sizes:
            added = outcome.median(f"start, {size:,} entries/seconds") - outcome.median("start, empty/seconds")
            outcome.figures.append(Figure("g", added, options.store))
        return outcome


def first_receipt(ledger: BenchLedger, run: str) -> float:
    """Start a service, post one event, stop it; the seconds until the answer was there."""
    headers = {"authorization": f"Bearer {ledger.keys['owner_key']}"}
    with serve(ledger, "service") as server:
        request = next(post_requests(server.target, POST_PATH, headers, run, 1))
        connection = Connection(server.target)
        try:
            answer = connection.exchange(request)
        finally:
            connection.close()
        seconds = time.perf_counter() - server.started
    check_answer(answer, 1)
    return seconds
