# SPDX-License-Identifier: Apache-2.0
"""The ledger of a data directory, opened: what service and commands have in common, nothing of HTTP."""

import time
from collections.abc import Callable

from ledger.log.keystore import Keystore
from ledger.log.ledger import Ledger
from ledger.log.store.sqlite import SqliteStore
from ledger.log.vault import Vault, read_master_key
from ledger.settings import Settings
from ledger.tenant.state import TenantState

TENANT_PARTS = (TenantState,)
"""The layers that fold a tenant's log."""

FIRST_TENANT = 1
"""Number of the log of the tenant that `ledger init` makes; its owners are also operators."""


def clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def open_ledger(settings: Settings, *, read_only: bool = False, clock: Callable[[], int] = clock) -> Ledger:
    """The ledger in a data directory. Raises ConfigurationError, saying what to do."""
    store = SqliteStore(settings.database, read_only=read_only)
    vault = Vault(read_master_key(settings.master_key_file, settings.master_key))
    keystore = Keystore(settings.keystore, vault, read_only=read_only)
    return Ledger(store, keystore, vault, TENANT_PARTS, clock, settings.max_queued)
