# SPDX-License-Identifier: Apache-2.0
"""Figure (d): batches of 100 events with full receipts, against bulk load of the same rows into the same table."""

from tests.bench.bodies import BATCH
from tests.bench.figures import Outcome
from tests.bench.ingest import open_limits
from tests.bench.session import Options, Session


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        contenders = [session.echo(), session.null(), *session.peers()]
        if options.store == "null":
            session.take_turns(contenders, connections=options.batch_connections, batch=BATCH)
            return outcome
        ledger = session.new_ledger()
        limits = open_limits(session, ledger)

        def bulk_load() -> None:
            outcome.add("bulk load/rate", "events/s", limits.bulk_load(options.rows))

        contenders.append(session.service(ledger))
        session.take_turns(contenders, connections=options.batch_connections, batch=BATCH, also=[bulk_load])
        outcome.ratio("d", "service/rate", "bulk load/rate", options.store)
        outcome.ratio("d-null", "service/rate", "null/rate", options.store)
        return outcome
