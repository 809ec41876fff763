# SPDX-License-Identifier: Apache-2.0
"""What is counted before it becomes an entry: logins that failed, what somebody was denied, looks at a shared link.

Whoever can make a service write an entry by being refused can fill a log, and so can whoever has a link. So that is
counted, and a few seconds later one entry says how often it was. About a link there is one in a minute at most, of all
processes together: the log itself remembers that it has this minute's.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from ledger.log.errors import LedgerError
from ledger.log.events import Event
from ledger.log.events.credentials import AccessDenied, ShareViewed
from ledger.log.events.members import LoginFailed
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Log, Moment

_log = structlog.get_logger("ledger.tenant")

MAX_KINDS = 10_000
"""Different things that are counted between two entries; of what comes beyond them, nothing is known later."""
MAX_ENTRIES = 1000
"""Of one log, in one submission."""
MINUTE_MS = 60_000

_Name = tuple[int, str, str]
"""What is counted: of which log, the type of its entry, and who or what."""
_ONCE_A_MINUTE = frozenset({ShareViewed.type})


class Tallies:
    """Counts, and writes them as entries when `flush` is called."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts: Counter[_Name] = Counter()
        self._drafts: dict[_Name, Callable[[int], Draft]] = {}
        # So that who stops the service waits for what is being written.
        self._flushing = asyncio.Lock()

    def failed_login(self, log_number: int, member_id: str | None) -> None:
        """Somebody tried a wrong password; without a member, at an address that is nobody's."""

        def draft(count: int) -> Draft:
            event = LoginFailed(count=count) if member_id is None else LoginFailed(count=count, member_id=member_id)
            return Draft(event)

        self._count(log_number, LoginFailed, member_id or "", draft)

    def denied(self, log_number: int, actor: str, permission: str) -> None:
        """A live credential asked for what it may not."""

        def draft(count: int) -> Draft:
            return Draft(AccessDenied(actor=actor, permission=permission, count=count))

        self._count(log_number, AccessDenied, f"{actor} {permission}", draft)

    def viewed(self, log_number: int, share_id: str) -> None:
        """Somebody was shown entries by a link."""

        def draft(count: int) -> Draft:
            return Draft(ShareViewed(share_id=share_id, count=count), subject=share_id)

        self._count(log_number, ShareViewed, share_id, draft)

    def _count(self, log_number: int, event: type[Event], what: str, draft: Callable[[int], Draft]) -> None:
        name = log_number, event.type, what
        if name not in self._drafts:
            if len(self._drafts) >= MAX_KINDS:
                return
            self._drafts[name] = draft
        self._counts[name] += 1

    async def flush(self, *, last: bool = False) -> None:
        """Write what was counted. What cannot be written now is counted on, and so is what has its entry for this
        minute; but for the `last` time, when that may be one too many, and nothing is kept.
        """
        async with self._flushing:
            counts, drafts = self._counts, self._drafts
            self._counts, self._drafts = Counter(), {}
            by_log: dict[int, list[_Name]] = {}
            for name in drafts:
                by_log.setdefault(name[0], []).append(name)
            for number, names in by_log.items():
                for start in range(0, len(names), MAX_ENTRIES):
                    left = names[start : start + MAX_ENTRIES]
                    try:
                        left = await self._write(number, [(name, drafts[name](counts[name])) for name in left], last)
                    except LedgerError as error:
                        _log.warning("tallies_not_written", log=number, error=error.for_operator)
                    for name in left:
                        self._drafts.setdefault(name, drafts[name])
                        self._counts[name] += counts[name]

    async def _write(self, number: int, counted: Sequence[tuple[_Name, Draft]], last: bool) -> list[_Name]:
        """Write these entries to a log; the names of those that it has for this minute already."""
        log = self._ledger.log(number)
        drafts = [draft if last else self._apart(log, name, draft) for name, draft in counted]

        def decide(moment: Moment) -> list[Draft]:
            return drafts

        keys = [draft.dedup for draft in drafts if draft.dedup is not None]
        appended = await self._ledger.sequencer.submit(log, decide, dedup_keys=keys, weight=len(drafts))
        return [name for (name, _), item in zip(counted, appended.items, strict=True) if item.duplicate]

    def _apart(self, log: Log, name: _Name, draft: Draft) -> Draft:
        """The draft, of whose kind the log takes one in a minute where there may not be more."""
        _, event, what = name
        if event not in _ONCE_A_MINUTE:
            return draft
        minute = self._ledger.clock() // MINUTE_MS
        dedup = log.digest(f"{event}\x00{what}\x00{minute}".encode())
        return replace(draft, dedup=dedup, request=log.digest(event.encode()))
