# SPDX-License-Identifier: Apache-2.0
"""`ledger root`: daily roots."""

import asyncio

import click

from ledger.commands.operator import call, operator_client
from ledger.commands.terminal import data_option, option, refusals
from ledger.settings import Settings


@click.group()
def command() -> None:
    """Daily roots."""


@command.command()
@option("--date", help="YYYY-MM-DD, by default today (UTC); later entries then fall under the next day")
@data_option
@refusals
def close(settings: Settings, date: str | None) -> None:
    """Close a day and print its document. A day that is closed prints the same again.

    \b
    Examples:
      ledger root close > day.json
      ledger root close --date 2026-11-21
    """
    click.echo(asyncio.run(_close(settings, date)), nl=False)


async def _close(settings: Settings, date: str | None) -> str:
    async with operator_client(settings) as client:
        return (await call(client, "POST", "/api/v1/transparency/roots", json={"date": date})).text
