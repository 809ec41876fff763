# SPDX-License-Identifier: Apache-2.0
"""Logging in with a password: few attempts per address, and no way to tell who is a member.

For an address that is nobody's the same is done as for a member's: the same questions to the store, and a hash as dear.
"""

import secrets

from ledger.log.entry import format_uuid
from ledger.log.errors import NotFoundError, RateLimitedError, UnauthorizedError
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Log
from ledger.tenant.passwords import Passwords
from ledger.tenant.people import Belongings, People
from ledger.tenant.state import Member, TenantState
from ledger.tenant.tallies import Tallies
from ledger.web.rates import Address, Buckets, network_of

WINDOW_SECONDS = 300


class Logins:
    """Checks passwords. `first` is the number of the log of the tenant of whoever names none; from one address so many
    attempts are taken in five minutes, 0 for any number.
    """

    def __init__(
        self, ledger: Ledger, people: People, passwords: Passwords, tallies: Tallies, first: int, attempts: int
    ) -> None:
        self._ledger = ledger
        self._people = people
        self._passwords = passwords
        self._tallies = tallies
        self._first = first
        self._attempts = Buckets(attempts / WINDOW_SECONDS, attempts) if attempts else None

    def take_attempt(self, address: Address) -> None:
        """Count an attempt to log in. Raises RateLimitedError when there were too many from there."""
        if address is not None and self._attempts is not None:
            try:
                self._attempts.take(network_of(address))
            except RateLimitedError as error:
                raise RateLimitedError("too many attempts to log in", error.wait) from None

    async def check(self, email: str, password: str, tenant_id: str | None, address: Address) -> tuple[Log, Member]:
        """The active member whose address and password these are. Raises UnauthorizedError, which does not say what was
        wrong, and RateLimitedError.
        """
        self.take_attempt(address)
        log, member_id, kept = await self._ledger.reading(lambda: self._find(email, tenant_id))
        right = await self._passwords.verify(None if kept is None else kept.password, password)
        # The vault is asked now, so the fold must not be older: another process may have let him in a moment ago.
        await self._ledger.refresh(log)
        member = log.committed.state[TenantState].members.get(member_id)
        if right and member is not None and member.status == "active":
            return log, member
        self._tallies.failed_login(log.number, None if kept is None else member_id)
        raise UnauthorizedError("the e-mail address or the password is wrong")

    async def confirm(self, log: Log, member_id: str, password: str, address: Address) -> None:
        """Raises UnauthorizedError unless it is the member's password, and RateLimitedError: whoever found a session
        could try passwords here as well.
        """
        self.take_attempt(address)
        kept = await self._ledger.reading(lambda: self._people.belongings(member_id))
        if not await self._passwords.verify(None if kept is None else kept.password, password):
            self._tallies.failed_login(log.number, member_id)
            raise UnauthorizedError("the password is wrong")

    def log_of(self, tenant_id: str | None) -> Log:
        """The log of a tenant, or of the first one. Raises NotFoundError."""
        if tenant_id is None:
            return self._ledger.log(self._first)
        try:
            return self._ledger.find_log(lambda record: record.tenant_id == tenant_id)
        except NotFoundError:
            raise NotFoundError("there is no such tenant") from None

    def _find(self, email: str, tenant_id: str | None) -> tuple[Log, str, Belongings | None]:
        try:
            log = self.log_of(tenant_id)
        except NotFoundError:
            log = self._ledger.log(self._first)
            email = secrets.token_hex(16)
        member_id = self._people.find(log, email)
        if member_id is None:
            nobody = format_uuid(secrets.randbits(128))
            self._people.pretend(nobody)
            return log, nobody, None
        return log, member_id, self._people.belongings(member_id)
