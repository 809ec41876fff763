# SPDX-License-Identifier: Apache-2.0
"""Large ledgers, built as fast as the project's own code goes: real events, sealed and encrypted, in real batches with
real tiles and signed heads, so that `ledger check` passes on what comes out. Only HTTP and the event loop are left out.

A built ledger is kept in a folder under its number of entries and used again; a build that was cut short goes on where
it stopped.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice

from ledger.deployment import FIRST_TENANT, open_ledger
from ledger.log.ledger import Ledger
from ledger.log.report import Reporter, dedup_keys, draft_report, read_report
from ledger.log.store import Batch, Row
from ledger.log.working_copy import Draft, Log, WorkingCopy
from ledger.settings import Settings
from tests.bench.bodies import call_ids, report_body

EVENTS_A_REPORT = 512
EVENTS_A_BATCH = 4096

Say = Callable[[str], None]


def fill(settings: Settings, entries: int, say: Say = print) -> float:
    """Report events until the tenant's log has `entries` entries; the seconds it took."""
    ledger = open_ledger(settings)
    started = time.perf_counter()
    try:
        log = ledger.log(FIRST_TENANT)
        size = before = log.committed.head.size
        # Names of what was reported must differ from those of an earlier, shorter build.
        ids = call_ids(f"b{size:x}")
        told = started
        while size < entries:
            append(ledger, log, draft(ledger, log, ids, min(EVENTS_A_BATCH, entries - size)))
            size = log.committed.head.size
            if time.perf_counter() - told > 10:
                told = time.perf_counter()
                say(f"built {size:,} of {entries:,} entries, {(size - before) / (told - started):,.0f} a second")
    finally:
        ledger.close()
    return time.perf_counter() - started


def draft(ledger: Ledger, log: Log, ids: Iterator[bytes], count: int) -> list[Draft]:
    """Drafts of so many events, as the service makes them from request bodies."""
    reporter = Reporter(key_id="bench", env="production")
    drafts: list[Draft] = []
    while len(drafts) < count:
        body = report_body(list(islice(ids, min(EVENTS_A_REPORT, count - len(drafts)))))
        drafts += draft_report(ledger, log, read_report(body), reporter, ledger.clock())
    return drafts


def append(ledger: Ledger, log: Log, drafts: list[Draft]) -> None:
    """One commit, as the sequencer makes it."""
    copy: WorkingCopy | None = None

    def build(heads: object, known: object) -> list[Batch]:
        nonlocal copy
        copy = WorkingCopy(log, ledger.clock(), {})
        copy.add(copy.plan(lambda moment: drafts))
        ledger.keystore.flush()
        return [copy.finish()]

    ledger.store.append([log.number], dedup_keys(drafts), build)
    assert copy is not None
    log.tree.remember(copy.tiles)
    log.committed = copy.result()


def real_rows(settings: Settings, count: int) -> list[Row]:
    """Rows as a commit would write them, without writing any."""
    ledger = open_ledger(settings)
    try:
        log = ledger.log(FIRST_TENANT)
        drafts = draft(ledger, log, call_ids("rows"), count)
        copy = WorkingCopy(log, ledger.clock(), {})
        copy.add(copy.plan(lambda moment: drafts))
        return copy.rows
    finally:
        ledger.close()
