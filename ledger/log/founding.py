# SPDX-License-Identifier: Apache-2.0
"""New logs while the service runs: the log, its keys, its first entries and its announcement in the root log, all in
one transaction or not at all.

A log's number is in the names of its secrets and data keys, so it is chosen before anything is sealed. Under the root
log's lock, which every creation holds, it is looked at again: where another process was faster, all is made anew under
the next number. What a creation that failed has left behind is at most a data key under which nothing is sealed, of a
log that has the next number and does not exist.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ledger.log.errors import ConflictError, UnavailableError
from ledger.log.events.logs import LogCreated
from ledger.log.ledger import Ledger, genesis, new_log
from ledger.log.store import LogRecord
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Item, Log, Moment

TRIES = 5

FirstEntries = Callable[[Log], Awaitable[Sequence[Draft]]]
"""What follows the genesis of a log that is about to be made."""


class Founded(NamedTuple):
    """A new log; `items` are its first entries, the genesis among them."""

    record: LogRecord
    items: list[Item]


class _NumberTakenError(ConflictError):
    """Another process has made a log under this number."""


class Founder:
    """Makes logs, one after the other in this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = asyncio.Lock()

    async def found(self, tenant_id: str, first_entries: FirstEntries, guard: Part) -> Founded:
        """Make a tenant's log. `guard` is the part of a caller who must still be allowed to, under the lock.

        Raises ConflictError when the tenant has a log already, UnavailableError when nothing was made.
        """
        async with self._lock:
            for _ in range(TRIES):
                try:
                    return await self._found(tenant_id, first_entries, guard)
                except _NumberTakenError:
                    continue
        raise UnavailableError("other processes make logs faster than this one; nothing was made")

    async def _found(self, tenant_id: str, first_entries: FirstEntries, guard: Part) -> Founded:
        ledger = self._ledger
        records = await ledger.reading(ledger.store.logs)
        _require_new(tenant_id, records)
        log_id = secrets.token_hex(8)
        host = ledger.root.origin.removesuffix("/root")
        record = LogRecord(records[-1].number + 1, log_id, f"{host}/log/{log_id}", tenant_id)
        log, sealed = new_log(ledger.store, ledger.vault, record, ledger.parts)
        drafts = [genesis(log, "tenant", (record, *sealed)), *await first_entries(log)]

        def announce(moment: Moment) -> list[Draft]:
            there = ledger.store.logs()
            _require_new(tenant_id, there)
            if there[-1].number >= record.number:
                raise _NumberTakenError(f"there is a log {record.number} already")
            return [Draft(LogCreated(origin=log.origin, vkey=log.signer.vkey.format()), subject=log.origin)]

        parts = [Part(ledger.root, announce), Part(log, lambda moment: drafts), guard]
        _, founded, _ = await ledger.sequencer.submit_together(parts)
        return Founded(record, founded.items)


def _require_new(tenant_id: str, records: Sequence[LogRecord]) -> None:
    if any(record.tenant_id == tenant_id for record in records):
        raise ConflictError(f"there is a tenant {tenant_id[:64]} already")
