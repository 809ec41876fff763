# SPDX-License-Identifier: Apache-2.0
"""Who is asking, and what they may do.

A credential becomes a `Principal` in one place, whatever header it came in. What a role may do is a table; a permission
or a role that is not in it is a refusal.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from ledger.log.errors import ForbiddenError, UnauthorizedError
from ledger.log.events.calls import Env
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Log, Moment
from ledger.web.asked import Asked
from ledger.web.rates import Address, Rates

PERMISSIONS: Mapping[str, frozenset[str]] = {
    "events:write": frozenset({"owner", "agent"}),
    "events:read": frozenset({"owner", "auditor", "agent"}),
    "log:read": frozenset({"owner", "auditor"}),
    "log:export": frozenset({"owner", "auditor"}),
    "payload:read": frozenset({"owner", "auditor"}),
    "payload:erase": frozenset({"owner"}),
    "keys:read": frozenset({"owner", "auditor"}),
    "keys:write": frozenset({"owner"}),
    "log:check": frozenset({"owner", "auditor"}),
    "roots:close": frozenset({"operator"}),
    "keys:rotate": frozenset({"owner"}),
    "root:rotate": frozenset({"operator"}),
}
WHOLE_TENANT = frozenset({"keys:rotate", "log:export", "payload:erase"})
"""What concerns every environment, and so needs a credential for all of them."""


class Principal(msgspec.Struct, frozen=True):
    """Who is asking. `env` None means all environments; `key_id` None is the operator at the service's own machine.

    `recheck` asks again whether the credential is live, under the lock, so that what it does is not decided on older
    knowledge than the log's.
    """

    log: Log
    role: str
    env: Env | None
    key_id: str | None
    operator: bool
    recheck: Callable[[Moment], None]

    @property
    def actor(self) -> str:
        return "operator" if self.key_id is None else f"key:{self.key_id}"

    def may(self, permission: str) -> bool:
        allowed = PERMISSIONS.get(permission, frozenset())
        return self.role in allowed or (self.operator and "operator" in allowed)

    def require(self, permission: str) -> None:
        """Raises ForbiddenError."""
        if permission in WHOLE_TENANT and self.env is not None:
            raise ForbiddenError(f"{permission} needs a key for all environments, this one is for {self.env}")
        if not self.may(permission):
            raise ForbiddenError(f"{permission} is not for the role {self.role}")

    def reaches(self, env: str | None) -> bool:
        """Whether something of environment `env` may be shown; what belongs to none, to everybody of the tenant."""
        return self.env is None or env is None or env == self.env

    @property
    def guard(self) -> Part:
        """A part of a submission to other logs that adds nothing and fails when the credential is no longer live."""

        def decide(moment: Moment) -> list[Draft]:
            self.recheck(moment)
            return []

        return Part(self.log, decide)

    @property
    def only_key(self) -> str | None:
        """The key whose entries this principal is limited to, None for no limit."""
        return None if self.may("log:read") else self.key_id


Resolve = Callable[[str, Address], Principal]
Recall = Callable[[str], Principal | None]


class Access:
    """From what a request says of itself to a principal. Every request is counted here, at its key or else at its
    address.

    `recall` and `resolve` are the tenant layer's: the first knows secrets that were seen before, at once; the second
    asks the store, and so runs in a thread. `local` stands for the operator's socket.
    """

    def __init__(
        self,
        recall: Recall,
        resolve: Resolve,
        local: Callable[[], Principal],
        rates: Rates | None = None,
    ) -> None:
        self.rates = rates or Rates()
        self._recall = recall
        self._resolve = resolve
        self._local = local

    async def principal(self, asked: Asked, address: Address = None) -> Principal:
        """Raises UnauthorizedError without a live credential, ForbiddenError when X-Tenant-Id names another tenant,
        RateLimitedError when key or address asks too fast.
        """
        if asked.secret:
            principal = await self.token(asked.secret, address)
        elif asked.local:
            principal = self._local()
        else:
            self.rates.take_stranger(address)
            raise UnauthorizedError("no credential: send Authorization: Bearer <key>, or X-API-Key")
        if asked.tenant is not None and asked.tenant != principal.log.record.tenant_id:
            raise TenantMismatchError("X-Tenant-Id is not the credential's tenant")
        return principal

    async def token(self, secret: str, address: Address = None) -> Principal:
        """The principal of a secret that was presented, in a header or as a read token in a path."""
        try:
            principal = await self.look_up(secret, address)
        except UnauthorizedError:
            self.rates.take_stranger(address)
            raise
        self.rates.take(principal.key_id)
        return principal

    async def look_up(self, secret: str, address: Address) -> Principal:
        """Whose secret it is that somebody asks about, who has presented his own."""
        principal = self._recall(secret)
        return await asyncio.to_thread(self._resolve, secret, address) if principal is None else principal


class TenantMismatchError(ForbiddenError):
    code = "TENANT_MISMATCH"
