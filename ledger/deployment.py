# SPDX-License-Identifier: Apache-2.0
"""The ledger of a data directory or a database, opened: what service and commands have in common, nothing of HTTP."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.log.check import Holdings
from ledger.log.errors import ConfigurationError
from ledger.log.export_spool import Spool
from ledger.log.keystore import Keystore
from ledger.log.ledger import Ledger
from ledger.log.store import Store
from ledger.log.store.keys import SqliteKeys
from ledger.log.store.sqlite import SqliteStore
from ledger.log.vault import Vault, read_master_key
from ledger.settings import Settings
from ledger.tenant.boxes import CredentialBoxes, KeyBoxes, MemberBoxes, ShareBoxes, SsoBoxes
from ledger.tenant.state import TenantState

TENANT_PARTS = (TenantState,)
"""The layers that fold a tenant's log."""

RULES = (KeyBoxes(), CredentialBoxes(), ShareBoxes(), MemberBoxes(), SsoBoxes())
"""What the layers know of the secrets that they keep."""

FIRST_TENANT = 1
"""Number of the log of the tenant that `ledger init` makes; its owners are also operators."""


def clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def open_store(settings: Settings, *, read_only: bool = False) -> Store:
    """The store with the log. Raises ConfigurationError, saying what to do."""
    if settings.database_url is None:
        if settings.elsewhere is not None:
            raise ConfigurationError(settings.elsewhere)
        return SqliteStore(settings.database, read_only=read_only)
    # Its driver is nothing that a ledger in a file should wait for.
    from ledger.log.store.postgres import PostgresStore

    return PostgresStore(settings.database_url, read_only=read_only)


def open_keystore(settings: Settings, vault: Vault, *, read_only: bool = False) -> Keystore:
    """The data keys. Raises ConfigurationError when there are none: an empty keystore would make everything that is
    sealed look erased.
    """
    if settings.keystore_url is None:
        return Keystore(SqliteKeys(settings.keystore, read_only=read_only), vault)
    from ledger.log.store.postgres_keys import PostgresKeys

    return Keystore(PostgresKeys(settings.keystore_url), vault)


def open_ledger(
    settings: Settings,
    *,
    read_only: bool = False,
    clock: Callable[[], int] = clock,
    store: Store | None = None,
    vault: Vault | None = None,
) -> Ledger:
    """The ledger of these settings, or the one in a store or under a vault of the caller's own. Raises
    ConfigurationError, saying what to do.
    """
    if settings.guard is None and not read_only and store is None:
        raise ConfigurationError("a ledger that signs needs a directory for its rollback guard: name one with --guard")
    store = store or open_store(settings, read_only=read_only)
    try:
        vault = vault or Vault(read_master_key(settings.master_key_file, settings.master_key))
        keystore = open_keystore(settings, vault, read_only=read_only)
        return Ledger(
            store,
            keystore,
            vault,
            TENANT_PARTS,
            clock,
            settings.max_queued,
            guard=settings.guard,
            spool=Spool(settings.spool),
            read_only=read_only,
        )
    except BaseException:
        store.close()
        raise


@dataclass(frozen=True, slots=True)
class Reopening:
    """Opens what is kept under these settings once more: sent to the processes that help with a check."""

    settings: Settings

    def __call__(self) -> Holdings:
        return open_holdings(self.settings)


def open_holdings(settings: Settings) -> Holdings:
    """All that is kept under these settings, opened for reading only and with nothing loaded, so that it can be checked
    whatever is wrong with it. Raises ConfigurationError where there is nothing to open.
    """
    store = open_store(settings, read_only=True)
    try:
        vault = Vault(read_master_key(settings.master_key_file, settings.master_key))
        keystore = open_keystore(settings, vault, read_only=True)
    except BaseException:
        store.close()
        raise
    return Holdings(store, keystore, vault, TENANT_PARTS, RULES, Reopening(settings))
