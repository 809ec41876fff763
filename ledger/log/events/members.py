# SPDX-License-Identifier: Apache-2.0
"""Events about people: who belongs to a tenant in which role, and how they came in. A member is a random id; names and
addresses are sealed.
"""

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from ledger.log.events import Event, EventClass, Governing, register
from ledger.log.sealed import Commitment

MemberRole = Literal["owner", "ciso", "dpo", "architect", "auditor", "readonly"]


@register
class MemberInvited(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "member.invited"
    member_id: str
    role: MemberRole
    actor: str
    expires_at: str
    email: Commitment
    name: Commitment | UnsetType = UNSET


@register
class MemberJoined(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`email` is absent where an invitation has it."""

    type: ClassVar[str] = "member.joined"
    member_id: str
    role: MemberRole
    how: Literal["setup", "invitation", "created", "sso"]
    actor: str
    email: Commitment | UnsetType = UNSET
    name: Commitment | UnsetType = UNSET


@register
class MemberChanged(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "member.changed"
    member_id: str
    actor: str
    role: MemberRole | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET


@register
class MemberRemoved(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "member.removed"
    member_id: str
    actor: str


@register
class MemberProfileChanged(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new password ends all sessions that began before."""

    type: ClassVar[str] = "member.profile_changed"
    member_id: str
    actor: str
    password: Literal["changed"] | UnsetType = UNSET
    name: Commitment | UnsetType = UNSET
    logo: Commitment | UnsetType = UNSET


@register
class LoginSucceeded(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "login.succeeded"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    member_id: str
    session_id: str
    method: Literal["password", "oidc"]
    expires_at: str


@register
class LoginFailed(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many attempts since the last such entry: at one member's account, or at addresses that are nobody's."""

    type: ClassVar[str] = "login.failed"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    count: int
    member_id: str | UnsetType = UNSET


@register
class SessionEnded(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody logged out."""

    type: ClassVar[str] = "session.ended"
    member_id: str
    session_id: str
    actor: str


@register
class SsoConfigured(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An OpenID provider by which people log in. Who comes from one of the `domains` and is no member joins as `role`;
    without domains nobody joins that way.
    """

    type: ClassVar[str] = "sso.configured"
    provider: str
    issuer: str
    client_id: str
    enabled: bool
    role: MemberRole
    actor: str
    domains: list[str] | UnsetType = UNSET
