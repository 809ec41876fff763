# SPDX-License-Identifier: Apache-2.0
"""Events about what one can act with: API keys, agents' credentials, tokens, links for auditors. Their secrets are in
no leaf, not even as digests; the vault leads from a secret to the id.
"""

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from ledger.log.events import Event, EventClass, Governing, register
from ledger.log.events.calls import Env
from ledger.log.sealed import Commitment

Role = Literal["owner", "ciso", "dpo", "architect", "auditor", "readonly", "agent"]
KeyEnv = Literal["production", "staging", "development", "all"]


@register
class KeyCreated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`agents` and `triggers` are all that the key may act for, absent for any; it sends files only with `uploads`."""

    type: ClassVar[str] = "key.created"
    key_id: str
    role: Role
    env: KeyEnv
    actor: str
    label: Commitment
    expires_at: str | UnsetType = UNSET
    agents: list[str] | UnsetType = UNSET
    triggers: list[str] | UnsetType = UNSET
    uploads: bool | UnsetType = UNSET


@register
class KeyRevoked(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "key.revoked"
    key_id: str
    actor: str


@register
class AgentCredentialIssued(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A secret with which one agent, in one environment, gets tokens for itself."""

    type: ClassVar[str] = "agent.credential_issued"
    credential_id: str
    agent_id: str
    env: Env
    actor: str
    expires_at: str | UnsetType = UNSET
    label: Commitment | UnsetType = UNSET


@register
class AgentCredentialRevoked(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """With it end all tokens that were got with the credential."""

    type: ClassVar[str] = "agent.credential_revoked"
    credential_id: str
    agent_id: str
    actor: str


@register
class TokenIssued(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token of a member, or of an agent by one of its credentials. Refreshed ones keep the session."""

    type: ClassVar[str] = "token.issued"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    session_id: str
    expires_at: str
    member_id: str | UnsetType = UNSET
    credential_id: str | UnsetType = UNSET


@register
class TokenRevoked(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tokens of one session, or all that a member or an agent was issued before this entry: exactly one of them."""

    type: ClassVar[str] = "token.revoked"
    actor: str
    session_id: str | UnsetType = UNSET
    member_id: str | UnsetType = UNSET
    agent: str | UnsetType = UNSET


@register
class ShareCreated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A link that shows entries without an account until it expires; of these types, agents, environments and times."""

    type: ClassVar[str] = "share.created"
    share_id: str
    actor: str
    expires_at: str
    types: list[str] | UnsetType = UNSET
    agents: list[str] | UnsetType = UNSET
    envs: list[Env] | UnsetType = UNSET
    since: str | UnsetType = UNSET
    until: str | UnsetType = UNSET
    label: Commitment | UnsetType = UNSET


@register
class ShareRevoked(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "share.revoked"
    share_id: str
    actor: str


@register
class ShareViewed(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody with the link was shown entries, so many times since the last such entry."""

    type: ClassVar[str] = "share.viewed"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    share_id: str
    count: int


@register
class AccessDenied(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A live credential asked for what it may not, so many times since the last such entry."""

    type: ClassVar[str] = "access.denied"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    actor: str
    permission: str
    count: int
