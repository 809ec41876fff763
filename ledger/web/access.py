# SPDX-License-Identifier: Apache-2.0
"""Who is asking, and what they may do.

A credential becomes a `Principal` in one place, whatever header it came in. What its role may do is a table
(web/permissions.py).
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from ledger.log.errors import ForbiddenError, UnauthorizedError
from ledger.log.events.calls import Env
from ledger.log.submission import Part
from ledger.log.working_copy import Decide, Draft, Log, Moment
from ledger.web.asked import Asked
from ledger.web.permissions import PERMISSIONS, WHOLE_TENANT
from ledger.web.rates import Address, Rates

_BARE_COOKIE = "a write with a session cookie needs the header X-Requested-With"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking: a key, a member, an agent with a token, or the operator at the service's own machine. `env` None
    means all environments, `agents` and `triggers` None that it may act for any.

    `key_id` is what reports and reads are known by: the key, or the agent's credential. Members have none.

    A `bare_cookie` came along with a request that a page of another origin may have caused: such a page cannot add a
    header without being asked whether it may. Nothing is written by it, by a GET either.

    `recheck` asks again whether the credential is live and gives the role that it has, under the lock, so that what it
    does is not decided on older knowledge than the log's. `denied` is told what it may not (log, actor, permission).
    """

    log: Log
    role: str
    env: Env | None
    operator: bool
    recheck: Callable[[Moment], str]
    key_id: str | None = None
    member_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    agents: frozenset[str] | None = None
    triggers: frozenset[str] | None = None
    uploads: bool = False
    bare_cookie: bool = False
    denied: Callable[[int, str, str], None] | None = None

    @property
    def actor(self) -> str:
        if self.member_id is not None:
            return f"member:{self.member_id}"
        if self.agent_id is not None:
            return f"agent:{self.agent_id}"
        return "operator" if self.key_id is None else f"key:{self.key_id}"

    @property
    def holder(self) -> str | None:
        """Whose rate it is; None for the operator, who has no limit."""
        return self.key_id or self.member_id

    def may(self, permission: str) -> bool:
        return self._may_as(self.role, permission)

    def _may_as(self, role: str, permission: str) -> bool:
        allowed = PERMISSIONS.get(permission, frozenset())
        return role in allowed or (self.operator and role == "owner" and "operator" in allowed)

    def require(self, permission: str) -> None:
        """Raises ForbiddenError."""
        self._require_as(self.role, permission)

    def _require_as(self, role: str, permission: str) -> None:
        if permission in WHOLE_TENANT and self.env is not None:
            refusal = f"{permission} needs a key for all environments, this one is for {self.env}"
        elif not self._may_as(role, permission):
            refusal = f"{permission} is not for the role {role}"
        else:
            return
        if self.denied is not None:
            self.denied(self.log.number, self.actor, permission)
        raise ForbiddenError(refusal)

    def deciding(self, permission: str, decide: Decide) -> Decide:
        """`decide`, after the credential and what it may do are looked at once more under the lock. Raises
        ForbiddenError at once, too.
        """
        allowed = self.allowed(permission)

        def decided(moment: Moment) -> Sequence[Draft]:
            allowed(moment)
            return decide(moment)

        return decided

    def allowed(self, permission: str) -> Callable[[Moment], None]:
        """What raises under the lock where the credential is no longer live, or may no longer do this. Raises
        ForbiddenError at once, too.
        """
        if self.bare_cookie:
            raise ForbiddenError(_BARE_COOKIE)
        return self.still_may(permission)

    def still_may(self, permission: str) -> Callable[[Moment], None]:
        """The same for what only reads, as a stream does that outlives its request."""
        self.require(permission)
        return lambda moment: self._require_as(self.recheck(moment), permission)

    def reaches(self, env: str | None) -> bool:
        """Whether something of environment `env` may be shown; what belongs to none, to everybody of the tenant."""
        return self.env is None or env is None or env == self.env

    @property
    def only_agent(self) -> str | None:
        """The one agent that this principal acts for, None where it may act for none or several."""
        return next(iter(self.agents)) if self.agents is not None and len(self.agents) == 1 else None

    def acts_for(self, agent_id: str) -> bool:
        return self.agents is None or agent_id in self.agents

    def acting_for(self, agent_id: str) -> "Principal":
        """The same, for one agent only. Raises ForbiddenError when that is none of its agents."""
        if not self.acts_for(agent_id):
            raise ForbiddenError(f"this credential does not act for the agent {agent_id[:64]!r}")
        return replace(self, agents=frozenset({agent_id}))

    def guard(self, permission: str) -> Part:
        """A part of a submission to other logs that adds nothing, and fails as `allowed` does."""

        def nothing(moment: Moment) -> list[Draft]:
            return []

        return Part(self.log, self.deciding(permission, nothing))

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
        """Raises UnauthorizedError without a live credential, ForbiddenError when X-Tenant-Id names another tenant or
        X-Agent-Id an agent that is not the credential's, or when a page of another site may have sent a cookie along;
        RateLimitedError when key or address asks too fast.
        """
        if asked.secret:
            principal = await self.token(asked.secret, address)
        elif asked.session:
            principal = await self.token(asked.session, address)
            if principal.member_id is None:
                raise UnauthorizedError("the session cookie is not one: log in")
            if not asked.own_page:
                if not asked.safe:
                    raise ForbiddenError(_BARE_COOKIE)
                principal = replace(principal, bare_cookie=True)
        elif asked.local:
            principal = self._local()
        else:
            self.rates.take_stranger(address)
            raise UnauthorizedError("no credential: send Authorization: Bearer <key or token>, or X-API-Key, or log in")
        if asked.tenant is not None and asked.tenant != principal.log.record.tenant_id:
            raise TenantMismatchError("X-Tenant-Id is not the credential's tenant")
        return principal if asked.agent is None else principal.acting_for(asked.agent)

    async def token(self, secret: str, address: Address = None) -> Principal:
        """The principal of a secret that was presented, in a header or as a read token in a path."""
        try:
            principal = await self.look_up(secret, address)
        except UnauthorizedError:
            self.rates.take_stranger(address)
            raise
        self.rates.take(principal.holder)
        return principal

    async def look_up(self, secret: str, address: Address) -> Principal:
        """Whose secret it is that somebody asks about, who has presented his own."""
        principal = self._recall(secret)
        return await asyncio.to_thread(self._resolve, secret, address) if principal is None else principal


class TenantMismatchError(ForbiddenError):
    code = "TENANT_MISMATCH"
