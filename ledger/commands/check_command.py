# SPDX-License-Identifier: Apache-2.0
"""`ledger check`: derive everything again from the stored bytes, beside a running service or without one."""

import os
import sys
from contextlib import closing, suppress

import click

from ledger.commands.terminal import data_option, option, printable, progress, refusals, say
from ledger.deployment import open_holdings, open_ledger
from ledger.log.check import Crew, Holdings, check_holdings
from ledger.log.check.crew import spare_collector
from ledger.log.errors import LedgerError
from ledger.settings import Settings
from ledger.tlog.text import format_base64


def _cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _entries(holdings: Holdings) -> int:
    """How many there are to look at; a bar for it does without the heads that cannot be read."""
    with suppress(LedgerError):
        return sum(head.size for head in holdings.store.heads().values())
    return 0


@click.command()
@option("--replay/--no-replay", default=False, help="also compare the state a service loads with a fold from zero")
@option(
    "--disclosures/--no-disclosures",
    default=True,
    help="open every sealed value and hold it against its commitment: the larger half of the work",
)
@option(
    "--processes",
    type=click.IntRange(1, 256),
    help="how many processes share the work, otherwise one a core; for a small ledger there is only one",
)
@data_option
@refusals
def command(settings: Settings, replay: bool, disclosures: bool, processes: int | None) -> None:
    """Check every log: entries, disclosures, tiles, heads, signatures, commitments, days; the vault and the data keys.

    \b
    Prints a line a log. Exits 1 on any mismatch, naming the first index that differs, and when the database is
    behind what was published.
    Example:
      ledger check --replay

    Only the form of the column `request` can be checked: it is a keyed digest of a report as its caller wrote it, which
    no leaf holds.
    """
    holdings = open_holdings(settings)
    spare_collector()
    try:
        with progress("checking", _entries(holdings)) as advance, Crew(processes or _cores()) as crew:
            reports = check_holdings(holdings, replay=replay, disclosures=disclosures, crew=crew, progress=advance)
    finally:
        holdings.close()
    for report in reports:
        if report.problem is None:
            click.echo(f"ok    {report.origin}  {report.size} entries  root {format_base64(report.root)}")
        else:
            where = "" if report.first_index is None else f" at index {report.first_index}"
            click.echo(printable(f"FAIL  {report.origin}  {report.check}{where}: {report.problem}"))
    if not disclosures:
        say("The disclosures were not opened.")
    behind = _compare_with_guard(settings)
    if behind is not None:
        click.echo(printable(f"FAIL  guard: {behind}"))
    sys.exit(behind is not None or any(report.problem for report in reports))


def _compare_with_guard(settings: Settings) -> str | None:
    """Why the database is not the newest, or cannot be compared."""
    try:
        with closing(open_ledger(settings, read_only=True)) as ledger:
            released = ledger.compare_with_guard()
    except LedgerError as error:
        return error.message
    if released is None:
        say("No rollback guard here: what is checked may be an older copy of the database.")
    return None
