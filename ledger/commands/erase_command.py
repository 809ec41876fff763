# SPDX-License-Identifier: Apache-2.0
"""`ledger erase`: destroy sealed values, for the operator of the machine."""

import asyncio
from typing import Any, get_args

import click
import msgspec

from ledger.commands.operator import call, operator_client
from ledger.commands.terminal import data_option, option, refusals, say
from ledger.log.events.logs import Grounds
from ledger.settings import Settings


@click.command()
@option("--subject", help="everything of this data subject, named as it was reported")
@option("--older-than-days", type=click.IntRange(1), help="of all calls of UTC days that ended so many days ago")
@option("--event", "events", multiple=True, help="of this event; may be given several times")
@option("--pointer", "pointers", multiple=True, help="with --event: only this field, e.g. /data/tool_args/amount")
@option("--grounds", type=click.Choice(get_args(Grounds)), required=True, help="why; stands in the log")
@option("--legal-basis", help="e.g. 'GDPR Art. 17(1)(b)'; stands in the log, readable for all who may read it")
@option("--dry-run", is_flag=True, help="erase nothing, only say of how many entries it would be")
@option("--yes", is_flag=True, help="do not ask")
@option("--json", "as_json", is_flag=True, help="print one JSON object")
@data_option
@refusals
def command(
    settings: Settings,
    subject: str | None,
    older_than_days: int | None,
    events: tuple[str, ...],
    pointers: tuple[str, ...],
    grounds: str,
    legal_basis: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Destroy sealed values for ever. Entries, proofs and receipts stay as they are, and the log says what was erased.

    Backups of the keystore still open what they opened: destroy those, too.

    \b
    Example:
      ledger erase --subject ada --grounds subject_request --legal-basis "GDPR Art. 17(1)(b)"
      ledger erase --older-than-days 365 --grounds retention_expired --dry-run
    """
    if [bool(events), subject is not None, older_than_days is not None].count(True) != 1:
        raise click.UsageError("name what to erase by one of --subject, --older-than-days and --event")
    if pointers and not events:
        raise click.UsageError("--pointer chooses fields of an --event")
    body = {
        "subject": subject,
        "older_than_days": older_than_days,
        "event_ids": events,
        "pointers": pointers,
        "grounds": grounds,
        "legal_basis": legal_basis,
    }
    done = asyncio.run(_erase(settings, body, dry_run=dry_run, ask=not yes))
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
    elif done["dry_run"] or not done["entries"]:
        click.echo(f"there is something to erase of {done['entries']} entries; nothing was erased")
    else:
        places = ", ".join(str(item["leaf_index"]) for item in done["items"])
        click.echo(f"erased sealed values of {done['entries']} entries, recorded at {places}")
        say("Destroy old backups of the keystore, too: with one of them the values could still be opened.")


async def _erase(settings: Settings, body: dict[str, Any], *, dry_run: bool, ask: bool) -> Any:
    # However long it takes: an erasure looks at every entry.
    async with operator_client(settings, seconds=None) as client:

        async def answer(**how: bool) -> Any:
            return (await call(client, "POST", "/api/v1/erasures", json=body | how)).json()

        if dry_run or ask:
            would = await answer(dry_run=True)
            if dry_run or not would["entries"]:
                return would
            click.confirm(f"Destroy sealed values of {would['entries']} entries for ever?", abort=True, err=True)
        return await answer(dry_run=False)
