# SPDX-License-Identifier: Apache-2.0
"""The self-check: everything the store says of a log, derived again from the leaf bytes and compared.

A log passes when each leaf is a valid entry in its place, each column beside it says what the leaf says, each
disclosure that can still be opened fits its commitment, the governing entries follow from each other, the leaves hash
to the stored tiles and to the head, and the log's key signed that head. The root log passes when, besides, its
commitments are those of heads that the logs really had, and its days hold. The vault passes when each secret in it
opens and is what its name says, the keystore when each data key opens. Nothing may lie about that belongs to none of
them.

Of each log the first thing that differs is named with its index; what comes after it is not looked at. No damage to one
log keeps the others from being checked: nothing is loaded, all is read row by row.

Two things cannot be derived again, and only their form is checked: the column `request`, a keyed digest of the report
as its caller wrote it, of which the leaf keeps but a part; and whose data a data key is for.

    survey.py      the order in which all is looked at
    walk.py        a stretch of a log, in this process or in another (crew.py): entry by entry (entry.py), or a tile's
                   worth of entries together (together.py), which answers that all is well or nothing
    trail.py       the stretches of one log joined: the chain of governing entries, tiles of higher levels, the head
    promises.py    the root log: commitments and days
    notes.py, boxes.py, strays.py    remarks; vault and keystore; what belongs nowhere
"""

from ledger.log.check.crew import Crew
from ledger.log.check.findings import Progress, Report
from ledger.log.check.holdings import BoxRule, Holdings
from ledger.log.check.survey import Survey
from ledger.log.fold import LogsState
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Log

__all__ = ["BoxRule", "Crew", "Holdings", "Report", "check_holdings", "check_ledger", "check_log"]


def check_holdings(
    holdings: Holdings,
    *,
    replay: bool = False,
    disclosures: bool = True,
    crew: Crew | None = None,
    progress: Progress | None = None,
) -> list[Report]:
    """Check all that a deployment keeps. Beside a running service this sees the heads as they are when it begins.

    With `replay` the state that a service would load must equal a fold from zero; without `disclosures` these stay
    closed. Raises UnavailableError when the store as a whole cannot be read.
    """
    return Survey(holdings, replay=replay, disclosures=disclosures, crew=crew, progress=progress).run()


def check_ledger(ledger: Ledger, *, replay: bool = False, progress: Progress | None = None) -> list[Report]:
    """The same of the logs as this process has them: up to the heads it knows, which must be the stored ones, and with
    `replay` against the state it has.
    """
    live = {record.number: ledger.log(record.number).committed for record in ledger.records()}
    return Survey(_holdings(ledger), live, replay=replay, progress=progress).run()


def check_log(ledger: Ledger, log: Log) -> Report:
    """Check the log of a tenant, alone, up to the head that it has in this process."""
    survey = Survey(_holdings(ledger), {log.number: log.committed})
    trail = survey.walk([log.record], {log.number: log.committed.head})[log.number]
    # The root log may name a newer key already than the one of this head.
    named = ledger.root.committed.state[LogsState].vkeys.get(log.origin, ())
    survey.attempt(trail, lambda: trail.check_head(ledger.store), lambda: trail.check_keys(named[: len(trail.vkeys)]))
    return trail.report()


def _holdings(ledger: Ledger) -> Holdings:
    return Holdings(ledger.store, ledger.keystore, ledger.vault, ledger.parts)
