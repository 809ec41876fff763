# SPDX-License-Identifier: Apache-2.0
"""What the routes work with, put together by `ledger/app.py` and handed to every handler as `service`."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from ledger.log.errors import BehindError
from ledger.log.exporting import Exports
from ledger.log.fold import State
from ledger.log.ledger import Ledger
from ledger.log.roots import RootLog
from ledger.log.working_copy import Log, Plan, WorkingCopy
from ledger.web.access import Access
from ledger.web.streams import Streams

_Result = TypeVar("_Result")


class Quota(Protocol):
    """How many calls a tenant may still report."""

    async def ready(self, calls: int) -> None:
        """Before so many calls are written: have at hand what `admit` needs."""
        ...

    def admit(self, copy: WorkingCopy, plan: Plan) -> None:
        """Under the lock. Raises RateLimitedError."""
        ...

    async def settle(self) -> None:
        """After they were written, or refused. Raises nothing."""
        ...


def no_quota(log: Log) -> Quota | None:
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """`quota` gives that of a tenant's log, None where nothing is limited."""

    ledger: Ledger
    access: Access
    roots: RootLog
    exports: Exports
    streams: Streams
    verifier: Path
    ready: Callable[[], str | None]
    require_erasable: Callable[[State, str], None]
    """Raises ConflictError where something that is in use is kept of a data subject beside the log."""
    quota: Callable[[Log], Quota | None] = no_quota
    auth_provider: Callable[[Log], str] = field(kw_only=True)
    """How people of a tenant log in: `oidc` where one of its providers is enabled, else `local`."""
    connected_agents: Callable[[Log], int] = field(kw_only=True)
    """How many agents reported lately. Asks the store."""
    started: float = field(default_factory=time.monotonic)

    async def reading(self, read: Callable[[], _Result]) -> _Result:
        """What `read` finds in the store, without stopping the event loop. Raises UnavailableError at once where the
        store has not been heard of for too long.
        """
        self.ledger.require_current()
        return await self.ledger.reading(read)

    async def reading_of(self, log: Log, read: Callable[[], _Result]) -> _Result:
        """The same about the entries of a log, if need be after catching up with what another process wrote."""
        try:
            return await self.reading(read)
        except BehindError:
            await self.ledger.refresh(log)
            return await self.reading(read)

    async def catch_up_to(self, log: Log, size: int) -> None:
        """Make sure that the tree in memory is not smaller than the store's, where somebody asks for so large a one."""
        if size > log.committed.head.size and self.ledger.store.shared:
            await self.ledger.refresh(log)
