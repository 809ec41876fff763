# SPDX-License-Identifier: Apache-2.0
"""From what somebody presents to who he is: the one place where API keys and tokens become principals."""

from ledger.log.ledger import Ledger
from ledger.log.working_copy import Log, Moment
from ledger.tenant.keys import KeyResolver, require_live
from ledger.tenant.state import Credential, Key, Member
from ledger.tenant.tenancy import Tenancy
from ledger.tenant.tokens import Claims, TokenResolver, live_credential, live_member
from ledger.web.access import Principal
from ledger.web.rates import Address, Rates


class Principals:
    """Resolves credentials of every form. Owners of log `operators` run the service, too."""

    def __init__(self, ledger: Ledger, tenancy: Tenancy, operators: int, rates: Rates) -> None:
        self._operators = operators
        self._ledger = ledger
        self._tallies = tenancy.tallies
        self._keys = KeyResolver(ledger, tenancy.secrets, rates)
        self._tokens = TokenResolver(ledger, tenancy.tokens, rates)

    def recall(self, presented: str) -> Principal | None:
        """Whose it is that was presented before, without asking the store; None for every other text."""
        if _is_token(presented):
            found = self._tokens.recall(presented)
            return None if found is None else self._of_token(*found)
        known = self._keys.recall(presented)
        return None if known is None else self._of_key(*known)

    def resolve(self, presented: str, address: Address) -> Principal:
        """Raises UnauthorizedError for what is not live, RateLimitedError from an address that has tried too many."""
        if _is_token(presented):
            return self._of_token(*self._tokens.resolve(presented, address))
        return self._of_key(*self._keys.resolve(presented, address))

    def local_operator(self) -> Principal:
        """Whoever may open the operator's socket."""
        log = self._ledger.log(self._operators)
        return Principal(log=log, role="owner", env=None, operator=True, recheck=lambda moment: "owner")

    def _of_key(self, log: Log, key: Key) -> Principal:
        def recheck(moment: Moment) -> str:
            return require_live(moment.state, key.key_id, moment.now).role

        return Principal(
            log=log,
            role=key.role,
            env=None if key.env == "all" else key.env,
            operator=key.role == "owner" and key.env == "all" and log.number == self._operators,
            recheck=recheck,
            denied=self._tallies.denied,
            key_id=key.key_id,
            agents=key.scope.agents,
            triggers=key.scope.triggers,
            uploads=key.scope.uploads,
        )

    def _of_token(self, log: Log, claims: Claims, owner: Member | Credential) -> Principal:
        if isinstance(owner, Member):
            return self._of_member(log, claims, owner)
        return self._of_agent(log, claims, owner)

    def _of_member(self, log: Log, claims: Claims, member: Member) -> Principal:
        def recheck(moment: Moment) -> str:
            return live_member(moment.state, claims, moment.now).role

        return Principal(
            log=log,
            role=member.role,
            env=None,
            operator=member.role == "owner" and log.number == self._operators,
            recheck=recheck,
            denied=self._tallies.denied,
            member_id=member.member_id,
            session_id=claims.sid,
        )

    def _of_agent(self, log: Log, claims: Claims, credential: Credential) -> Principal:
        def recheck(moment: Moment) -> str:
            live_credential(moment.state, claims, moment.now)
            return "agent"

        return Principal(
            log=log,
            role="agent",
            env=credential.env,
            operator=False,
            recheck=recheck,
            denied=self._tallies.denied,
            key_id=credential.credential_id,
            agent_id=credential.agent_id,
            session_id=claims.sid,
            agents=frozenset({credential.agent_id}),
        )


def _is_token(presented: str) -> bool:
    """Whether it has the form of a JWT (RFC 7519); no key has a dot."""
    return presented.count(".") == 2
