# SPDX-License-Identifier: Apache-2.0
"""`ledger init`: a new ledger in an empty directory or database, or nothing."""

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
from ledger.log.entry import new_id
from ledger.log.errors import ConfigurationError, ConflictError
from ledger.log.events.tenants import TenantCreated
from ledger.log.guard import Guard
from ledger.log.keystore import Keystore
from ledger.log.ledger import Release, data_key, initialise
from ledger.log.lock import DirectoryLock
from ledger.log.startup import require_finished
from ledger.log.store import ROOT_LOG, Store
from ledger.log.store.keys import KeyTable, SqliteKeys
from ledger.log.store.sqlite import SqliteStore
from ledger.log.vault import Vault, create_master_key, read_master_key
from ledger.log.working_copy import Draft, Log
from ledger.settings import Settings
from ledger.tenant.keys import NewKey, draft_key
from ledger.tenant.secrets import Secrets

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
      ledger init --origin ledger.example.com --database-url postgresql://ledger@db/ledger
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
    keys = "the keystore database" if settings.keystore_url else settings.keystore
    say(f"Keep {settings.master_key_file} and {keys} backed up apart from the database.")
    say(f"The rollback guard is in {settings.guard}: keep it, and keep it out of those backups.")
    place = " --database-url URL" if settings.shared else ""
    say(f"Next: ledger serve --data {settings.data}{place}")


def create_ledger(settings: Settings, origin: str, clock: Callable[[], int] = clock) -> NewLedger:
    """Make the ledger. Raises ConflictError when there is one, ConfigurationError for a bad origin."""
    if not _HOST.match(origin):
        raise ConfigurationError(f"not a host name to name logs by: {origin[:80]!r}")
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data.chmod(0o700)
    with DirectoryLock(settings.data):
        if settings.database.exists():
            raise ConflictError(f"there is a ledger in {settings.data} already; nothing was changed")
        # What an init that was cut short leaves: of a database in a file that itself, else only a mark. One of the
        # other kind does not count: it may be all that is known of a ledger that was made after all.
        unfinished = settings.data / "init.unfinished" if settings.shared else settings.database.with_suffix(".new")
        _refuse_kept_keys(settings, unfinished)
        store: Store | None = None if settings.database_url is None else _new_database(settings.database_url)
        release = _write_verifier(settings.verifier)
        if settings.master_key is None and not settings.master_key_file.exists():
            create_master_key(settings.master_key_file)
        vault = Vault(read_master_key(settings.master_key_file, settings.master_key))
        if store is not None:
            unfinished.touch(mode=0o600)
            keystore = Keystore(_key_table(settings), vault)
            created = _fill(store, keystore, vault, origin, clock, release, settings.guard)
            unfinished.unlink()
            return created
        keystore = Keystore(_key_table(settings), vault)
        # Under another name until it is whole: a crash in between leaves no ledger that looks like one.
        for leftover in settings.data.glob(f"{unfinished.name}*"):
            leftover.unlink()
        store = SqliteStore.initialise(unfinished)
        created = _fill(store, keystore, vault, origin, clock, release, settings.guard)
        unfinished.rename(settings.database)
        return created


def _new_database(url: str) -> Store:
    from ledger.log.store.postgres import PostgresStore

    store = PostgresStore.initialise(url)
    try:
        # Without a ledger it may still have the beginning of a copy.
        require_finished(store)
    except ConfigurationError:
        store.close()
        raise
    return store


def _refuse_kept_keys(settings: Settings, unfinished: Path) -> None:
    """Raises ConflictError where the data keys of a ledger lie: a new keystore would destroy them, and two ledgers in
    one would be moved and lost together. Those of an init that was cut short have what it was making beside them.
    """
    if settings.keystore_url is not None or unfinished.exists() or not settings.keystore.exists():
        return
    kept = SqliteKeys(settings.keystore, read_only=True)
    try:
        if kept.after(b""):
            which = "perhaps of one in PostgreSQL: name that with --database-url"
            if settings.shared:
                which = "of the one in this database (`ledger check` tells) or of another: go on with that one"
            raise ConflictError(
                f"{settings.keystore} holds the data keys of a ledger already, {which}, or take another directory "
                "(--data) for a new one; nothing was changed"
            )
    finally:
        kept.close()


def _key_table(settings: Settings) -> KeyTable:
    if settings.keystore_url is not None:
        from ledger.log.store.postgres_keys import PostgresKeys

        return PostgresKeys.initialise(settings.keystore_url)
    if settings.shared and settings.keystore.exists():
        # Of an init that was cut short, perhaps after the database had taken the ledger: nothing of it is destroyed.
        return SqliteKeys(settings.keystore)
    # What an init that was cut short left behind belongs to no ledger.
    settings.keystore.unlink(missing_ok=True)
    return SqliteKeys.initialise(settings.keystore)


def _fill(
    store: Store,
    keystore: Keystore,
    vault: Vault,
    origin: str,
    clock: Callable[[], int],
    release: Release,
    guard: Path | None,
) -> NewLedger:
    """Write the first entries of both logs, in one transaction, and begin to guard them."""
    now = clock()
    tenant_id = new_id(now)
    owner: list[NewKey] = []

    def first_drafts(log: Log) -> list[Draft]:
        key = data_key(keystore, log, None, now)
        owner.append(
            draft_key(
                Secrets(None, vault),
                log,
                key,
                now,
                role="owner",
                env="all",
                label="owner, made by init",
                actor="operator",
            )
        )
        return [Draft(TenantCreated(tenant_id=tenant_id, actor="operator"), subject=tenant_id), owner[0].draft]

    try:
        root_vkey, log_vkey = initialise(
            store, keystore, vault, origin, clock, TENANT_PARTS, tenant_id, first_drafts, release
        )
        if guard is not None:
            # Before a database in a file has its name: a ledger that exists is guarded.
            Guard(guard, root_vkey).initialise(store.head(ROOT_LOG).checkpoint)
    finally:
        store.close()
        keystore.close()
    return NewLedger(tenant_id, owner[0].secret, log_vkey, root_vkey)


def _write_verifier(path: Path) -> Release:
    """Build the one-file verifier from the installed package, as another process: this program does not import it."""
    command = [sys.executable, "-m", "ledger_verify.bundle", str(path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        why = " ".join(built.stderr[-500:].split())
        if "No module named" in why:
            raise ConfigurationError(f"install the verifier beside this program: pip install ./verify_cli ({why})")
        raise ConfigurationError(f"the verifier cannot be written: {why}")
    version = subprocess.run(
        [sys.executable, str(path), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return Release(version.split()[-1], hashlib.sha256(path.read_bytes()).hexdigest())
