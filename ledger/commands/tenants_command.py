# SPDX-License-Identifier: Apache-2.0
"""`ledger tenants`: tenants, for the operator of the machine."""

import asyncio
from typing import Any

import click
import msgspec

from ledger.commands.operator import call, operator_client
from ledger.commands.terminal import data_option, option, printable, refusals, say
from ledger.settings import Settings


@click.group()
def command() -> None:
    """Make and list tenants."""


@command.command()
@option("--id", "tenant_id", help="the tenant's id; made up where it is not given")
@option("--name", help="the tenant's name; sealed in its log")
@option("--plan", type=click.Choice(["free", "starter", "professional", "enterprise"]), help="free if not given")
@option("--json", "as_json", is_flag=True, help="print one JSON object")
@data_option
@refusals
def create(settings: Settings, tenant_id: str | None, name: str | None, plan: str | None, as_json: bool) -> None:
    """Make a tenant with a log of its own. The key of its first owner is printed once.

    \b
    Example:
      ledger tenants create --name "Example Ltd" --plan starter
    """
    body = {"tenant_id": tenant_id, "name": name, "plan": plan}
    created = asyncio.run(_request(settings, "POST", json=body))
    if as_json:
        click.echo(msgspec.json.encode(created).decode())
        return
    click.echo(f"tenant     {created['tenant_id']}")
    click.echo(f"owner key  {created['owner_key']}")
    click.echo(f"log vkey   {created['log_vkey']}")
    say("The owner key is shown this once.")


@command.command(name="list")
@option("--json", "as_json", is_flag=True, help="print one JSON object")
@data_option
@refusals
def list_tenants(settings: Settings, as_json: bool) -> None:
    """List all tenants, newest first.

    \b
    Example:
      ledger tenants list --json
    """
    tenants = asyncio.run(_all(settings))
    if as_json:
        click.echo(msgspec.json.encode({"items": tenants}).decode())
        return
    for tenant in tenants:
        parts = tenant["tenant_id"], tenant["plan"], tenant["created_at"], tenant["name"] or "-"
        click.echo(printable("  ".join(parts)))


async def _request(settings: Settings, method: str, **arguments: Any) -> Any:
    async with operator_client(settings) as client:
        return (await call(client, method, "/api/v1/admin/tenants", **arguments)).json()


async def _all(settings: Settings) -> list[Any]:
    """Page after page."""
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 200}
    async with operator_client(settings) as client:
        while True:
            page = (await call(client, "GET", "/api/v1/admin/tenants", params=query)).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]
