# SPDX-License-Identifier: Apache-2.0
"""`ledger check`: derive everything again from the stored bytes, beside a running service or without one."""

import sys

import click

from ledger.commands.terminal import data_option, option, printable, progress, refusals, say
from ledger.deployment import open_ledger
from ledger.log.check import check_ledger
from ledger.log.errors import LedgerError
from ledger.log.ledger import Ledger
from ledger.settings import Settings
from ledger.tlog.text import format_base64


@click.command()
@option("--replay/--no-replay", default=False, help="also compare the live state with a fold from zero")
@data_option
@refusals
def command(settings: Settings, replay: bool) -> None:
    """Check every log: entries, disclosures, tiles, heads, signatures, commitments, days.

    \b
    Prints a line a log. Exits 1 on any mismatch, naming the first index that differs, and when the database is
    behind what was published.
    Example:
      ledger check --replay
    """
    ledger = open_ledger(settings, read_only=True)
    total = sum(head.size for head in ledger.store.heads().values())
    with progress("checking", total) as advance:
        reports = check_ledger(ledger, replay=replay, progress=advance)
    behind = _compare_with_guard(ledger)
    ledger.close()
    for report in reports:
        if report.problem is None:
            click.echo(f"ok    {report.origin}  {report.size} entries  root {format_base64(report.root)}")
        else:
            where = "" if report.first_index is None else f" at index {report.first_index}"
            click.echo(printable(f"FAIL  {report.origin}  {report.check}{where}: {report.problem}"))
    if behind is not None:
        click.echo(printable(f"FAIL  {ledger.root.origin}  guard: {behind}"))
    sys.exit(behind is not None or any(report.problem for report in reports))


def _compare_with_guard(ledger: Ledger) -> str | None:
    """Why the database is not the newest, or cannot be compared."""
    try:
        released = ledger.compare_with_guard()
    except LedgerError as error:
        return error.message
    if released is None:
        say("No rollback guard here: what is checked may be an older copy of the database.")
    return None
