# SPDX-License-Identifier: Apache-2.0
"""`ledger keys`: API keys, for the operator of the machine."""

import asyncio
from typing import Any
from urllib.parse import quote

import click
import msgspec

from ledger.commands.operator import call, operator_client
from ledger.commands.terminal import data_option, option, printable, refusals, say
from ledger.settings import Settings


@click.group()
def command() -> None:
    """Create, list and revoke API keys."""


@command.command()
@option("--env", type=click.Choice(["production", "staging", "development", "all"]), required=True)
@option("--label", required=True, help="what the key is for; sealed in the log")
@option(
    "--role", type=click.Choice(["owner", "ciso", "dpo", "architect", "auditor", "readonly", "agent"]), default="agent"
)
@option("--expires", help="RFC 3339 time, e.g. 2027-01-01T00:00:00Z, or 1h, 24h, 7d, 30d from now")
@option("--json", "as_json", is_flag=True, help="print one JSON object")
@data_option
@refusals
def create(settings: Settings, env: str, label: str, role: str, expires: str | None, as_json: bool) -> None:
    """Create a key. Its secret is printed once.

    \b
    Example:
      ledger keys create --env production --label "billing agent"
    """
    body = {"env": env, "label": label, "role": role, "expires_at": expires}
    created = asyncio.run(_request(settings, "POST", "/api/v1/keys", json=body))
    if as_json:
        click.echo(msgspec.json.encode(created).decode())
    else:
        click.echo(created["key"])
        say(f"key {created['id']} for {created['env']}, role {created['role']}; the secret is shown this once")


@command.command(name="list")
@option("--json", "as_json", is_flag=True, help="print one JSON object")
@data_option
@refusals
def list_keys(settings: Settings, as_json: bool) -> None:
    """List the keys that are not revoked.

    \b
    Example:
      ledger keys list --json
    """
    keys = asyncio.run(_request(settings, "GET", "/api/v1/keys"))
    if as_json:
        click.echo(msgspec.json.encode(keys).decode())
        return
    for key in keys["items"]:
        parts = key["id"], key["prefix"] + "…", key["role"], key["env"], key["expires_at"] or "-", key["label"] or "-"
        click.echo(printable("  ".join(parts)))


@command.command()
@click.argument("key_id")
@data_option
@refusals
def revoke(settings: Settings, key_id: str) -> None:
    """Revoke a key, at once and for good.

    \b
    Example:
      ledger keys revoke 01a2013b-00bf-715c-95f8-fb5db729f327
    """
    asyncio.run(_request(settings, "DELETE", f"/api/v1/keys/{quote(key_id, safe='', errors='surrogateescape')}"))
    click.echo(f"revoked {printable(key_id)}")


async def _request(settings: Settings, method: str, path: str, **arguments: Any) -> Any:
    async with operator_client(settings) as client:
        response = await call(client, method, path, **arguments)
        return response.json() if response.content else None
