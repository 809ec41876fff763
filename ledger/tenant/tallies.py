# SPDX-License-Identifier: Apache-2.0
"""What is counted before it becomes an entry: logins that failed, and what somebody was denied.

Whoever can make a service write an entry by being refused can fill a log. So a refusal is counted, and a few seconds
later one entry says how many there were.
"""

from collections import Counter
from collections.abc import Callable

import structlog

from ledger.log.errors import LedgerError
from ledger.log.events.credentials import AccessDenied
from ledger.log.events.members import LoginFailed
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Moment

_log = structlog.get_logger("ledger.tenant")

MAX_KINDS = 10_000
"""Different things that are counted between two entries; of what comes beyond them, nothing is known later."""
MAX_ENTRIES = 1000
"""Of one log, in one submission."""

_Name = tuple[int, str, str]
"""What is counted together: a log's number, a type of entry, and of whom or of what."""


class Tallies:
    """Counts, and writes them as entries when `flush` is called."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts: Counter[_Name] = Counter()
        self._drafts: dict[_Name, Callable[[int], Draft]] = {}

    def failed_login(self, log_number: int, member_id: str | None) -> None:
        """Somebody tried a wrong password; without a member, at an address that is nobody's."""

        def draft(count: int) -> Draft:
            event = LoginFailed(count=count) if member_id is None else LoginFailed(count=count, member_id=member_id)
            return Draft(event)

        self._count((log_number, LoginFailed.type, member_id or ""), draft)

    def denied(self, log_number: int, actor: str, permission: str) -> None:
        """A live credential asked for what it may not."""

        def draft(count: int) -> Draft:
            return Draft(AccessDenied(actor=actor, permission=permission, count=count))

        self._count((log_number, AccessDenied.type, f"{actor} {permission}"), draft)

    def _count(self, name: _Name, draft: Callable[[int], Draft], times: int = 1) -> None:
        if name in self._drafts or len(self._drafts) < MAX_KINDS:
            self._drafts.setdefault(name, draft)
            self._counts[name] += times

    async def flush(self) -> None:
        """Write what was counted. What cannot be written now is counted on."""
        counts, drafts = self._counts, self._drafts
        self._counts, self._drafts = Counter(), {}
        by_log: dict[int, list[_Name]] = {}
        for name in drafts:
            by_log.setdefault(name[0], []).append(name)
        for number, names in by_log.items():
            for start in range(0, len(names), MAX_ENTRIES):
                some = names[start : start + MAX_ENTRIES]
                try:
                    await self._write(number, [drafts[name](counts[name]) for name in some])
                except LedgerError as error:
                    _log.warning("tallies_not_written", log=number, error=error.for_operator)
                    for name in some:
                        self._count(name, drafts[name], counts[name])

    async def _write(self, number: int, drafts: list[Draft]) -> None:
        log = self._ledger.log(number)

        def decide(moment: Moment) -> list[Draft]:
            return drafts

        await self._ledger.sequencer.submit(log, decide, weight=len(drafts))
