# SPDX-License-Identifier: Apache-2.0
"""`ledger guard`: what was published last beside what the database has, and an operator's word for going on."""

import sys

import click

from ledger.commands.sole_writer import sole_writer
from ledger.commands.terminal import data_option, option, printable, refusals, say
from ledger.deployment import open_ledger
from ledger.log.entry import format_time
from ledger.log.errors import ConfigurationError, ConflictError, RollbackError
from ledger.log.fold import LogsState
from ledger.log.guard import Guard
from ledger.log.ledger import Ledger
from ledger.log.startup import check_before_signing, newest_commitment
from ledger.log.store import Head
from ledger.settings import Settings
from ledger.tlog.text import format_base64


@click.group()
def command() -> None:
    """Rollback guard: the newest published root-log checkpoint, kept apart from the database."""


@command.command()
@data_option
@refusals
def show(settings: Settings) -> None:
    """Show what was published last and what the database has. Exits 1 when it would not be signed on.

    \b
    Example:
      ledger guard show
    """
    ledger, guard = _open(settings)
    problem = None
    try:
        released = guard.read()
        problem = None if released else "there is no such file, so nobody can tell whether the database is the newest"
    except ConfigurationError as error:
        released, problem = None, error.message
    click.echo(f"guard      {guard.path}")
    if released is not None:
        checkpoint = released.checkpoint
        click.echo(printable(f"published  {checkpoint.size} entries  root {format_base64(checkpoint.root)}"))
    click.echo(f"database   {_describe(ledger.store.head(ledger.root.number))}")
    try:
        if ledger.compare_with_guard() is not None:
            guard.check_holder(ledger.store.identity())
    except ConfigurationError as error:
        problem = error.message
    ledger.close()
    click.echo(printable(f"REFUSED    {problem}") if problem else "ok         the database has what was published")
    sys.exit(problem is not None)


@command.command()
@option("--size", type=click.IntRange(1), help="entries of this database's root log: the size that is confirmed")
@data_option
@refusals
def confirm(settings: Settings, size: int | None) -> None:
    """Confirm that this database may be signed on: after a failover, a restore, a move to another machine.

    \b
    A database that has all that was published is confirmed at once. Any other only when its size is repeated:
    what was published beyond it is disowned then, and whoever kept a receipt or a root of it can prove that.
    Examples:
      ledger guard confirm
      ledger guard confirm --size 1234
    """
    # Nobody else signs meanwhile.
    with sole_writer(settings):
        ledger, guard = _open(settings)
        logs = ledger.root.committed.state[LogsState]
        for record in ledger.records():
            committed = newest_commitment(ledger.store, record.number)
            check_before_signing(ledger.store, ledger.log(record.number), logs, committed, ledger.clock())
        head = ledger.root.committed.head
        if size is not None and size != head.size:
            raise ConflictError(f"the root log has {head.size} entries, not {size}; nothing was changed")
        reason = _reason_against(ledger, guard, head)
        if reason is None:
            guard.advance(head.checkpoint)
        elif size is None:
            raise RollbackError(f"{reason}: ledger guard confirm --size {head.size}")
        elif (kept := guard.replace(head.checkpoint)) is not None:
            say(f"What was published last is kept as evidence in {kept}")
        guard.name_holder(ledger.store.identity())
        ledger.close()
    click.echo(f"confirmed  {_describe(head)}")


def _reason_against(ledger: Ledger, guard: Guard, head: Head) -> str | None:
    """Why this database cannot be confirmed without repeating its size; ends in what repeating it would mean."""
    try:
        if ledger.compare_with_guard() is not None:
            if not guard.was_replaced(ledger.store.identity()):
                return None
            return (
                "another copy of this ledger was confirmed since this one signed last, and what that one took may be "
                f"missing here ({_describe(head)}). If it took nothing, repeat this one's size"
            )
    except ConfigurationError as error:
        return (
            f"{error.message}. To disown what was published beyond this database ({_describe(head)}), which whoever "
            "kept it can prove, repeat its size"
        )
    return (
        f"there is no rollback guard {guard.path}, so nobody can tell here whether this database is the newest: "
        f"{_describe(head)}. If it is, repeat its size"
    )


def _open(settings: Settings) -> tuple[Ledger, Guard]:
    ledger = open_ledger(settings, read_only=True)
    if ledger.guard is None:
        raise ConfigurationError("name the directory of the rollback guard with --guard")
    return ledger, ledger.guard


def _describe(head: Head) -> str:
    """A root log's head in one line. The time is the newest entry's, out of its id."""
    return f"{head.size} entries  root {format_base64(head.root)}  newest {format_time(head.last_id >> 80)}"
