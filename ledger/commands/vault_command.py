# SPDX-License-Identifier: Apache-2.0
"""`ledger vault`: the master key under which all secrets are sealed at rest."""

import asyncio
from pathlib import Path

import click

from ledger.commands.sole_writer import sole_writer
from ledger.commands.terminal import data_option, printable, refusals, say
from ledger.deployment import FIRST_TENANT, open_ledger
from ledger.log.durable import rename
from ledger.log.errors import ConfigurationError, ConflictError
from ledger.log.events.tenants import VaultRekeyed
from ledger.log.ledger import Ledger
from ledger.log.store import Secret, SecretChange, SideRow
from ledger.log.vault import Vault, create_master_key, next_key_path, read_master_key
from ledger.log.working_copy import Draft, Moment
from ledger.settings import Settings
from ledger.tenant.secrets import KEPT, kept_digest_key


@click.group()
def command() -> None:
    """The master key: everything secret that lies at rest is sealed under it."""


@command.command()
@data_option
@refusals
def rekey(settings: Settings) -> None:
    """Make a new master key and seal all secrets under it. Stop the service before; run again if it was cut short.

    \b
    Signing keys, API keys and everything that is sealed in the log stay what they are. All logins end. The key before
    is kept beside the new one, since older backups open only with it: destroy it with them.
    Example:
      ledger vault rekey
    """
    if settings.master_key is not None:
        raise ConfigurationError(
            "the master key comes from LEDGER_MASTER_KEY: name a file instead, which can be replaced"
        )
    path = settings.master_key_file
    with sole_writer(settings):
        if settings.database_url is not None:
            _require_alone(settings.database_url)
        old = read_master_key(path, None, replacing=True)
        following = next_key_path(path)
        new = read_master_key(following, None) if following.exists() else create_master_key(following)
        vault = Vault(new, old)
        resealed = asyncio.run(_reseal(settings, vault, Vault(old)))
        kept = _put_in_place(path, following)
    click.echo(f"sealed {resealed} secrets under a new master key")
    say(printable(f"The key before is kept in {kept}: older backups need it, nothing else does."))


async def _reseal(settings: Settings, vault: Vault, before: Vault) -> int:
    """Seal all that is still sealed under the key before; how many secrets.

    The data keys first, one by one. Then the vault, with the entry that says so, in one transaction: once that is
    there, all is done but for the new key's place.
    """
    ledger = open_ledger(settings, vault=vault)
    try:
        resealed = ledger.keystore.reseal()
        ledger.start()
        try:
            return resealed + await _reseal_vault(ledger, vault, before)
        finally:
            await ledger.sequencer.stop()
    finally:
        ledger.stop_following()
        ledger.close()


async def _reseal_vault(ledger: Ledger, vault: Vault, before: Vault) -> int:
    secrets = {secret.name: secret for secret in ledger.store.secrets()}
    if KEPT not in secrets:
        # What names the boxes of API keys outlives the key that it was derived from.
        secrets[KEPT] = Secret(KEPT, before.seal(KEPT, kept_digest_key(before)))
    changes: list[SideRow] = [
        SecretChange(name, vault.seal(name, vault.open(name, secret.box)))
        for name, secret in secrets.items()
        if not vault.box(f"box {name}").is_current(secret.box)
    ]
    if not changes:
        return 0

    def decide(moment: Moment) -> list[Draft]:
        return [Draft(VaultRekeyed(secrets=len(changes), actor="operator"), side=tuple(changes))]

    await ledger.sequencer.submit(ledger.log(FIRST_TENANT), decide)
    return len(changes)


def _put_in_place(path: Path, following: Path) -> Path:
    """Give the new key its name. A crash in between leaves both, and the next run goes on."""
    number = 1
    while (kept := path.with_name(f"{path.name}.before-{number}")).exists():
        number += 1
    kept.hardlink_to(path)
    rename(following, path)
    return kept


def _require_alone(url: str) -> None:
    """Raises ConflictError while a service has the database open: it would go on sealing under the old key."""
    # Its driver is nothing that a ledger in a file should wait for.
    from ledger.log.store.postgres_connection import other_connections

    if others := other_connections(url):
        raise ConflictError(f"{others} connections of a service to this database are open: stop it first")
