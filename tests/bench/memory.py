# SPDX-License-Identifier: Apache-2.0
"""Figure (f): what a service's memory grows by from its first entries to a large log, all taken in by one process."""

from tests.bench.bodies import BATCH
from tests.bench.figures import Figure, Outcome
from tests.bench.load import Load
from tests.bench.session import Contender, Options, Session

CHUNK_ENTRIES = 100_000
"""Memory is read after so many."""


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        for run in range(options.runs):
            ledger = session.new_ledger(f"ledger_{run}")
            service = session.service(ledger)
            for target in (
                options.first_entries,
                *range(CHUNK_ENTRIES, options.entries, CHUNK_ENTRIES),
                options.entries,
            ):
                _grow(session, service, ledger.log_size(), target)
                outcome.add(f"memory at {target:,}/memory", "MB", service.usage.resident / 1e6)
            outcome.add("peak/memory", "MB", service.usage.peak / 1e6)
            for server in service.servers:
                server.stop()
        before, after = (
            outcome.median(f"memory at {size:,}/memory") for size in (options.first_entries, options.entries)
        )
        outcome.figures.append(Figure("f", after - before, options.store))
        return outcome


def _grow(session: Session, service: Contender, size: int, target: int) -> None:
    """Post batches until the log of `size` has about `target` entries."""
    load = Load(
        targets=service.targets,
        connections=session.options.batch_connections,
        headers=service.headers,
        path=service.path,
        run=f"m{size}",
        batch=BATCH,
        requests=max(2, round((target - size) / BATCH)),
    )
    session.run(service, load, label="service", batch=BATCH)
