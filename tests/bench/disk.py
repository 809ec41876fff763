# SPDX-License-Identifier: Apache-2.0
"""Figure (i): what an event takes on disk for good, and what is written for it at 32 events a commit.

One connection that sends batches of 32 makes commits of exactly 32. What was written is what the processes that write
for the service handed to write calls, up to and with a checkpoint after the load, without the answers that the service
wrote to its client. Beside it stand the kernel's own book, which is in whole folios and can be far too high, and the
disk's count, which has the neighbours' writing and the file system's journal in it.
"""

from pathlib import Path

from tests.bench.bodies import EVENT_BYTES
from tests.bench.figures import Figure, Outcome
from tests.bench.ledgers import BenchLedger
from tests.bench.load import Load
from tests.bench.processes import Usage, total_usage, usage
from tests.bench.session import Contender, Options, Session

EVENTS_A_COMMIT = 32
SECTOR_BYTES = 512


def measure(options: Options) -> Outcome:
    with Session(options) as session:
        outcome = session.outcome
        ledger = session.new_ledger()
        empty = ledger.bytes_at_rest()
        service = session.service(ledger)
        requests = max(2, options.rows // EVENTS_A_COMMIT)
        for run in range(options.runs):
            _measure_written(session, ledger, service, requests, f"disk{run}")
        events = options.runs * requests * EVENTS_A_COMMIT
        outcome.add("at rest/bytes", "bytes/event", (ledger.bytes_at_rest() - empty) / events)
        outcome.figures.append(Figure("i-rest", outcome.median("at rest/bytes") / EVENT_BYTES, options.store))
        outcome.figures.append(Figure("i-written", outcome.median("written/bytes") / EVENT_BYTES, options.store))
        outcome.remarks.append(f"{events:,} events of {EVENT_BYTES} bytes, {EVENTS_A_COMMIT} a commit")
        return outcome


def _measure_written(session: Session, ledger: BenchLedger, service: Contender, requests: int, run: str) -> None:
    ledger.checkpoint()
    before, device = _usage(ledger, service), _device_written(session.folder)
    load = Load(
        targets=service.targets,
        connections=1,
        headers=service.headers,
        path=service.path,
        run=run,
        batch=EVENTS_A_COMMIT,
        requests=requests,
    )
    measured = session.run(service, load, label="service", batch=EVENTS_A_COMMIT)
    ledger.checkpoint()
    after, events = _usage(ledger, service), requests * EVENTS_A_COMMIT
    add = session.outcome.add
    add("written/bytes", "bytes/event", (after.written - before.written - measured.received) / events)
    add("booked by the kernel/bytes", "bytes/event", (after.booked - before.booked) / events)
    if device is not None and (now := _device_written(session.folder)) is not None:
        add("written by the disk/bytes", "bytes/event", (now - device) / events)


def _usage(ledger: BenchLedger, service: Contender) -> Usage:
    """Of the service's processes and the database's, and of this one, which asks for the checkpoint."""
    [server] = service.servers
    return total_usage(ledger.writers(server)) + usage("self")


def _device_written(folder: Path) -> int | None:
    """Bytes the disk under a folder has written since the machine started; None where that is no plain disk."""
    number = folder.stat().st_dev
    try:
        fields = Path(f"/sys/dev/block/{number >> 8 & 0xFFF}:{number & 0xFF}/stat").read_text().split()
    except OSError:
        return None
    return int(fields[6]) * SECTOR_BYTES
