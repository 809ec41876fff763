# SPDX-License-Identifier: Apache-2.0
"""What is counted before it becomes an entry: logins that failed, and what somebody was denied.

Whoever can make a service write an entry by being refused can fill a log. So a refusal is counted, and a few seconds
later one entry says how many there were.
"""

from collections import Counter
from collections.abc import Callable

import structlog

from ledger.log.errors import LedgerError
from ledger.log.events import Event
from ledger.log.events.credentials import AccessDenied
from ledger.log.events.members import LoginFailed
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Moment

_log = structlog.get_logger("ledger.tenant")

MAX_KINDS = 10_000
"""Different things that are counted between two entries; of what comes beyond them, nothing is known later."""
MAX_ENTRIES = 1000
"""Of one log, in one submission."""


class Tallies:
    """Counts, and writes them as entries when `flush` is called."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts: Counter[tuple[int, Callable[[int], Draft]]] = Counter()
        self._drafts: dict[tuple[int, str, str], Callable[[int], Draft]] = {}

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

    def _count(self, log_number: int, event: type[Event], what: str, draft: Callable[[int], Draft]) -> None:
        name = log_number, event.type, what
        known = self._drafts.get(name)
        if known is None:
            if len(self._drafts) >= MAX_KINDS:
                return
            known = self._drafts[name] = draft
        self._counts[log_number, known] += 1

    async def flush(self) -> None:
        """Write what was counted. What cannot be written now is counted on."""
        counts, drafts = self._counts, self._drafts
        self._counts, self._drafts = Counter(), {}
        by_log: dict[int, list[tuple[Callable[[int], Draft], int]]] = {}
        for (number, draft), count in counts.items():
            by_log.setdefault(number, []).append((draft, count))
        for number, counted in by_log.items():
            try:
                await self._write(number, counted)
            except LedgerError as error:
                _log.warning("tallies_not_written", log=number, error=error.for_operator)
                for name, draft in drafts.items():
                    if name[0] == number:
                        self._counts[number, self._drafts.setdefault(name, draft)] += counts[number, draft]

    async def _write(self, number: int, counted: list[tuple[Callable[[int], Draft], int]]) -> None:
        log = self._ledger.log(number)
        for start in range(0, len(counted), MAX_ENTRIES):
            drafts = [draft(count) for draft, count in counted[start : start + MAX_ENTRIES]]

            def decide(moment: Moment, drafts: list[Draft] = drafts) -> list[Draft]:
                return drafts

            await self._ledger.sequencer.submit(log, decide, weight=len(drafts))
