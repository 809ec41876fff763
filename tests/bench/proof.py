# SPDX-License-Identifier: Apache-2.0
"""Figure (e): inclusion proofs of random entries of a large log, against an echo GET of an answer of that size."""

import random

from ledger.deployment import FIRST_TENANT, open_ledger
from ledger.log.entry import format_uuid
from tests.bench.figures import Outcome
from tests.bench.ledgers import BenchLedger
from tests.bench.load import Load, Measured
from tests.bench.session import Contender, Options, Session

PATHS = 5_000
"""Entries asked for in one run, over and over when there are more requests. The first round asks for each once and does
not count, so that runs measure the service and not a disk that is read for the first time.
"""
INCLUSION = "/api/v1/transparency/inclusion/"


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        echo = session.echo()
        sizes = [options.entries, *([options.larger] if options.larger else [])]
        built = {entries: session.built_ledger(entries) for entries in sizes}
        chance = random.Random(1)
        services = {
            entries: (session.service(ledger), random_paths(ledger, chance)) for entries, ledger in built.items()
        }
        answer_bytes = 1
        for turn in range(options.runs + 1):
            for entries, (service, paths) in services.items():
                measured = _get(session, service, paths, f"proof at {entries:,}", counts=turn > 0)
                if entries == options.entries:
                    answer_bytes = measured.answer_bytes
            _get(session, echo, [f"/{answer_bytes}"], "echo", counts=turn > 0)
        smaller, larger = f"proof at {options.entries:,}/rate", f"proof at {options.larger:,}/rate"
        outcome.ratio("e", smaller, "echo/rate", options.store)
        outcome.ratio("e-larger", larger, smaller, options.store)
        outcome.remarks.append(f"an answer has {answer_bytes} bytes")
        return outcome


def random_paths(ledger: BenchLedger, chance: random.Random) -> list[str]:
    """Paths of proofs of random entries."""
    opened = open_ledger(ledger.settings, read_only=True)
    try:
        size = opened.log(FIRST_TENANT).committed.head.size
        wanted = [chance.randrange(size) for _ in range(min(PATHS, size))]
        rows = [opened.store.rows(FIRST_TENANT, index, index + 1)[0] for index in wanted]
    finally:
        opened.close()
    return [INCLUSION + format_uuid(int.from_bytes(row.event_id)) for row in rows]


def _get(session: Session, contender: Contender, paths: list[str], label: str, *, counts: bool) -> Measured:
    options = session.options
    load = Load(
        targets=contender.targets,
        connections=options.connections,
        headers=contender.headers,
        paths=paths,
        warmup=options.warmup,
        seconds=options.seconds,
        requests=None if counts else max(2, len(paths)),
    )
    return session.run(contender, load, label=label, counts=counts)
