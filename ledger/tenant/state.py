# SPDX-License-Identifier: Apache-2.0
"""What a tenant's log says about who may act: its plan and switch, its members, and all that one can act with.

Order is the leaf index and never a clock: what was issued before an entry that revokes it has the smaller index.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec import UNSET
from rpds import HashTrieMap

from ledger.log.entry import parse_time
from ledger.log.events import Event
from ledger.log.events.calls import Env
from ledger.log.events.credentials import (
    AgentCredentialIssued,
    AgentCredentialRevoked,
    KeyCreated,
    KeyEnv,
    KeyRevoked,
    Role,
    ShareCreated,
    ShareRevoked,
    TokenRevoked,
)
from ledger.log.events.members import (
    MemberChanged,
    MemberInvited,
    MemberJoined,
    MemberProfileChanged,
    MemberRemoved,
    MemberRole,
    SessionEnded,
    SsoConfigured,
)
from ledger.log.events.tenants import KillSwitchEngaged, KillSwitchReleased, Plan, TenantChanged, TenantCreated

Status = Literal["invited", "active", "suspended", "removed"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a credential may act for: None for any."""

    agents: frozenset[str] | None = None
    triggers: frozenset[str] | None = None
    uploads: bool = False


NO_SCOPE = Scope()


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `index` is the leaf that made it; times are milliseconds since the epoch."""

    key_id: str
    role: Role
    env: KeyEnv
    index: int
    expires_at: int | None
    revoked: bool = False
    scope: Scope = NO_SCOPE

    def is_live(self, now: int) -> bool:
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Credential:
    """An agent's credential."""

    credential_id: str
    agent_id: str
    env: Env
    index: int
    expires_at: int | None
    revoked: bool = False

    def is_live(self, now: int) -> bool:
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Member:
    """A person. `email_at`, `name_at` and `logo_at` are the leaves whose sealed fields have these, -1 for none.

    `sessions_from`: sessions that began before this leaf are over. `expires_at` is when an invitation ends.
    """

    member_id: str
    role: MemberRole
    status: Status
    index: int
    email_at: int
    name_at: int = -1
    logo_at: int = -1
    sessions_from: int = 0
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A link for auditors; its filters are read from its leaf."""

    share_id: str
    index: int
    expires_at: int
    revoked: bool = False

    def is_live(self, now: int) -> bool:
        return not self.revoked and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider as it is configured now; `index` is the leaf that says so."""

    provider: str
    issuer: str
    client_id: str
    enabled: bool
    role: MemberRole
    domains: tuple[str, ...]
    index: int


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """The switch, engaged at a leaf."""

    index: int
    actor: str


@dataclass(frozen=True, slots=True)
class TenantState:
    """`name_at` and `webhook_at` are leaves, as with members. `monthly_calls` None leaves it to the plan. Without a
    word about a plan, as for the tenant that `ledger init` makes, nothing is limited.

    `agents_from`: tokens that an agent was issued before this leaf are over. `ended` has sessions, with the leaf that
    ended each.
    """

    tenant_id: str | None = None
    plan: Plan = "enterprise"
    monthly_calls: int | None = None
    name_at: int = -1
    webhook_at: int = -1
    kill_switch: KillSwitch | None = None
    keys: "HashTrieMap[str, Key]" = field(default_factory=HashTrieMap)
    credentials: "HashTrieMap[str, Credential]" = field(default_factory=HashTrieMap)
    agents_from: "HashTrieMap[str, int]" = field(default_factory=HashTrieMap)
    members: "HashTrieMap[str, Member]" = field(default_factory=HashTrieMap)
    ended: "HashTrieMap[str, int]" = field(default_factory=HashTrieMap)
    providers: "HashTrieMap[str, Provider]" = field(default_factory=HashTrieMap)
    shares: "HashTrieMap[str, Share]" = field(default_factory=HashTrieMap)

    def apply(self, index: int, event: Event) -> "TenantState":
        match event:
            case KeyCreated() | KeyRevoked() | AgentCredentialIssued() | AgentCredentialRevoked():
                return self._with_credential(index, event)
            case MemberInvited() | MemberJoined() | MemberChanged() | MemberRemoved() | MemberProfileChanged():
                member = _member_after(self.members.get(event.member_id), index, event)
                return replace(self, members=self.members.insert(event.member_id, member))
            case SessionEnded():
                return replace(self, ended=self.ended.insert(event.session_id, index))
            case TokenRevoked():
                return self._with_revocation(index, event)
            case TenantCreated():
                return replace(self, tenant_id=event.tenant_id, name_at=_at(event.name, index, -1))
            case TenantChanged():
                return replace(
                    self,
                    plan=self.plan if event.plan is UNSET else event.plan,
                    monthly_calls=self.monthly_calls if event.monthly_calls is UNSET else event.monthly_calls,
                    name_at=_at(event.name, index, self.name_at),
                    webhook_at=_at(event.webhook_url, index, self.webhook_at),
                )
            case KillSwitchEngaged():
                return replace(self, kill_switch=KillSwitch(index, event.actor))
            case KillSwitchReleased():
                return replace(self, kill_switch=None)
            case SsoConfigured():
                domains = () if event.domains is UNSET else tuple(event.domains)
                provider = Provider(
                    event.provider, event.issuer, event.client_id, event.enabled, event.role, domains, index
                )
                return replace(self, providers=self.providers.insert(event.provider, provider))
            case ShareCreated():
                share = Share(event.share_id, index, parse_time(event.expires_at))
                return replace(self, shares=self.shares.insert(event.share_id, share))
            case ShareRevoked():
                share = replace(self.shares[event.share_id], revoked=True)
                return replace(self, shares=self.shares.insert(event.share_id, share))
        return self

    def _with_credential(
        self, index: int, event: KeyCreated | KeyRevoked | AgentCredentialIssued | AgentCredentialRevoked
    ) -> "TenantState":
        match event:
            case KeyCreated():
                scope = NO_SCOPE
                if (event.agents, event.triggers, event.uploads) != _UNSCOPED:
                    scope = Scope(_names(event.agents), _names(event.triggers), event.uploads is True)
                key = Key(event.key_id, event.role, event.env, index, _expiry(event.expires_at), False, scope)
                return replace(self, keys=self.keys.insert(key.key_id, key))
            case KeyRevoked():
                key = replace(self.keys[event.key_id], revoked=True)
                return replace(self, keys=self.keys.insert(key.key_id, key))
            case AgentCredentialIssued():
                credential = Credential(
                    event.credential_id, event.agent_id, event.env, index, _expiry(event.expires_at)
                )
            case AgentCredentialRevoked():
                credential = replace(self.credentials[event.credential_id], revoked=True)
        return replace(self, credentials=self.credentials.insert(credential.credential_id, credential))

    def _with_revocation(self, index: int, event: TokenRevoked) -> "TenantState":
        if event.session_id is not UNSET:
            return replace(self, ended=self.ended.insert(event.session_id, index))
        if event.agent is not UNSET:
            return replace(self, agents_from=self.agents_from.insert(event.agent, index))
        assert event.member_id is not UNSET  # a rule of the type
        member = replace(self.members[event.member_id], sessions_from=index)
        return replace(self, members=self.members.insert(member.member_id, member))


_UNSCOPED = (UNSET, UNSET, UNSET)


def _member_after(
    before: Member | None,
    index: int,
    event: MemberInvited | MemberJoined | MemberChanged | MemberRemoved | MemberProfileChanged,
) -> Member:
    """Raises KeyError for a change of somebody who is no member."""
    match event:
        case MemberInvited():
            name_at = _at(event.name, index, -1)
            expires_at = parse_time(event.expires_at)
            invited = Member(event.member_id, event.role, "invited", index, index, name_at, expires_at=expires_at)
            # Who was removed before does not get the old sessions back.
            return invited if before is None else replace(invited, sessions_from=before.sessions_from)
        case MemberJoined():
            known = before or Member(event.member_id, event.role, "active", index, email_at=-1)
            return replace(
                known,
                role=event.role,
                status="active",
                email_at=_at(event.email, index, known.email_at),
                name_at=_at(event.name, index, known.name_at),
                expires_at=None,
            )
    if before is None:
        raise KeyError(event.member_id)
    match event:
        case MemberChanged():
            return replace(
                before,
                role=before.role if event.role is UNSET else event.role,
                status=before.status if event.status is UNSET else event.status,
                # Who comes back after a suspension logs in again.
                sessions_from=index if event.status == "suspended" else before.sessions_from,
            )
        case MemberProfileChanged():
            return replace(
                before,
                name_at=_at(event.name, index, before.name_at),
                logo_at=_at(event.logo, index, before.logo_at),
                sessions_from=before.sessions_from if event.password is UNSET else index,
            )
        case MemberRemoved():
            return replace(before, status="removed", sessions_from=index)


def _at(sealed: object, index: int, before: int) -> int:
    """The leaf that has a sealed field from now on."""
    return before if sealed is UNSET else index


def _expiry(time: object) -> int | None:
    return parse_time(time) if isinstance(time, str) else None


def _names(names: object) -> frozenset[str] | None:
    return frozenset(names) if isinstance(names, list) else None
