# SPDX-License-Identifier: Apache-2.0
"""`ledger init`: a new ledger in an empty directory, or nothing."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from ledger.commands.terminal import data_option, option, refusals, say
from ledger.deployment import TENANT_PARTS, clock
from ledger.log.entry import IdSource, format_uuid
from ledger.log.errors import ConfigurationError, ConflictError
from ledger.log.events.tenants import TenantCreated
from ledger.log.keystore import Keystore
from ledger.log.ledger import Release, data_key, initialise
from ledger.log.lock import DirectoryLock
from ledger.log.store.sqlite import SqliteStore
from ledger.log.vault import Vault, create_master_key, read_master_key
from ledger.log.working_copy import Draft, Log
from ledger.settings import Settings
from ledger.tenant.keys import NewKey, draft_key

_HOST = re.compile(r"[A-Za-z0-9.-]{1,200}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]{1,50})*\Z")


class NewLedger(msgspec.Struct, frozen=True):
    """What `init` prints, once. `owner_key` is nowhere else."""

    tenant_id: str
    owner_key: str
    log_vkey: str
    root_vkey: str


@click.command()
@option("--origin", default="localhost", help="host name the logs are named by; it can never be changed")
@option("--json", "as_json", is_flag=True, help="print one JSON object")
@data_option
@refusals
def command(settings: Settings, origin: str, as_json: bool) -> None:
    """Make a new ledger: root log, first tenant and its log, owner key.

    \b
    Examples:
      ledger init
      ledger init --origin ledger.example.com --data /srv/ledger --json
    """
    created = create_ledger(settings, origin)
    if as_json:
        click.echo(msgspec.json.encode(created).decode())
        return
    click.echo(f"tenant     {created.tenant_id}")
    click.echo(f"owner key  {created.owner_key}")
    click.echo(f"log vkey   {created.log_vkey}")
    click.echo(f"root vkey  {created.root_vkey}")
    say("The owner key is shown this once. Give the two vkeys to whoever is to verify receipts.")
    say(f"Keep {settings.master_key_file} and {settings.keystore} backed up apart from the database.")
    say(f"Next: ledger serve --data {settings.data}")


def create_ledger(settings: Settings, origin: str, clock: Callable[[], int] = clock) -> NewLedger:
    """Make the ledger. Raises ConflictError when there is one, ConfigurationError for a bad origin."""
    if not _HOST.match(origin):
        raise ConfigurationError(f"not a host name to name logs by: {origin[:80]!r}")
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data.chmod(0o700)
    with DirectoryLock(settings.data):
        if settings.database.exists():
            raise ConflictError(f"there is a ledger in {settings.data} already; nothing was changed")
        release = _write_verifier(settings.verifier)
        if settings.master_key is None and not settings.master_key_file.exists():
            create_master_key(settings.master_key_file)
        vault = Vault(read_master_key(settings.master_key_file, settings.master_key))
        # What an init that was cut short left behind belongs to no ledger.
        settings.keystore.unlink(missing_ok=True)
        keystore = Keystore.initialise(settings.keystore, vault)
        # Under another name until it is whole: a crash in between leaves no ledger that looks like one.
        unfinished = settings.database.with_suffix(".new")
        for leftover in settings.data.glob(f"{unfinished.name}*"):
            leftover.unlink()
        store = SqliteStore.initialise(unfinished)
        now = clock()
        tenant_id = format_uuid(IdSource(0).next(now))
        owner: list[NewKey] = []

        def first_drafts(log: Log) -> list[Draft]:
            key = data_key(keystore, log, None, now)
            owner.append(
                draft_key(vault, log, key, now, role="owner", env="all", label="owner, made by init", actor="operator")
            )
            created = TenantCreated(tenant_id=tenant_id, actor="operator")
            return [Draft(created, subject=tenant_id), owner[0].draft]

        root_vkey, log_vkey = initialise(
            store, keystore, vault, origin, clock, TENANT_PARTS, tenant_id, first_drafts, release
        )
        store.close()
        keystore.close()
        unfinished.rename(settings.database)
    return NewLedger(tenant_id, owner[0].secret, log_vkey, root_vkey)


def _write_verifier(path: Path) -> Release:
    """Build the one-file verifier from the installed package, as another process: this program does not import it."""
    command = [sys.executable, "-m", "ledger_verify.bundle", str(path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise ConfigurationError(
            "the verifier cannot be built; install it beside this program: pip install ./verify_cli\n"
            + built.stderr[-500:]
        )
    version = subprocess.run(
        [sys.executable, str(path), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return Release(version.split()[-1], hashlib.sha256(path.read_bytes()).hexdigest())
