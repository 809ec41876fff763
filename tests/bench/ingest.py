# SPDX-License-Identifier: Apache-2.0
"""Figures (a), (b), (c): single events with full receipts, on many connections and on one."""

from dataclasses import replace
from statistics import median

from tests.bench.building import real_rows
from tests.bench.figures import Outcome
from tests.bench.ledgers import BenchLedger
from tests.bench.limits import Limits, PostgresLimits, SqliteLimits
from tests.bench.session import Contender, Options, Session

COMMITS = 200
"""One-row commits a run."""
ROWS = 8192
"""Different rows for bulk load and one-row commits."""


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        contenders = [session.echo(), session.null(), *session.peers()]
        if options.store == "null":
            session.take_turns(contenders, connections=options.connections)
            session.take_turns(contenders[1:2], connections=1)
            outcome.ratio("a", "null/rate", "echo/rate", "null")
            return outcome
        ledger = session.new_ledger()
        limits = open_limits(session, ledger)
        service = session.service(ledger)
        contenders.append(service)
        if options.store == "postgres":
            contenders.append(_two(service, session.service(ledger, "second")))

        def commit_one() -> None:
            outcome.add("one-row commit/median", "ms", median(limits.commit_one(COMMITS)) * 1000)

        session.take_turns(contenders, connections=options.connections)
        session.take_turns([service], connections=1, also=[commit_one])
        outcome.ratio("a", "service/rate", "echo/rate", options.store)
        outcome.ratio("a-null", "service/rate", "null/rate", options.store)
        outcome.ratio("b", "two/rate", "service/rate", options.store)
        outcome.ratio("c", "service, one connection/p50", "one-row commit/median", options.store)
        return outcome


def _two(one: Contender, other: Contender) -> Contender:
    """Two processes on one database, the connections dealt out to both."""
    return replace(one, name="two", targets=one.targets + other.targets, servers=one.servers + other.servers)


def open_limits(session: Session, ledger: BenchLedger) -> Limits:
    """The store's own speed, measured in a database of its own. `ledger` lends its keys and is not written to; nobody
    may serve it yet.
    """
    made = real_rows(ledger.settings, ROWS)
    limits: Limits
    if session.options.store == "sqlite":
        limits = SqliteLimits(session.folder / "limits.db", made)
    else:
        limits = PostgresLimits(session.new_database("bench_limits"), made)
    session.stop_at_end(limits.close)
    return limits
