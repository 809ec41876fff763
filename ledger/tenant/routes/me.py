# SPDX-License-Identifier: Apache-2.0
"""Who am I (CAPABILITIES I03), and the roles there are (I10)."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from ledger.log.errors import ForbiddenError, InvalidRequestError
from ledger.log.events.members import MemberProfileChanged
from ledger.log.events.tenants import TenantChanged
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from ledger.tenant.people import require_member
from ledger.tenant.routes.members import Name
from ledger.tenant.state import TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.permissions import RoleDescription, described_roles, permissions_of
from ledger.web.service import Service
from ledger.web.writes import SealedTexts, read_json, seal_texts, sealed_texts_of, where

MAX_LOGO = 100_000


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Whose credential it is, and what it may do. What a key or an agent has not is null; `user_id` repeats
    `member_id`, `is_admin` says whether the role is owner.
    """

    actor: str
    user_id: str | None
    member_id: str | None
    key_id: str | None
    agent_id: str | None
    tenant_id: str
    organization: str | None
    email: str | None
    name: str | None
    logo: str | None
    role: str
    is_admin: bool
    operator: bool
    env: str | None
    agents: list[str] | None
    permissions: list[str]


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    current: Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS)]
    new: Annotated[str, Meta(min_length=MIN_CHARACTERS, max_length=MAX_CHARACTERS)]


class ProfileChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON merge patch (RFC 7396) of one's own profile. `logo` is a URL, which may be a data: URL. `organization`, or
    `org_name`, is the tenant's name, for those who may change the tenant; `display_name` is another word for `name`.
    """

    name: Name | UnsetType = UNSET
    display_name: Name | UnsetType = UNSET
    logo: Annotated[str, Meta(max_length=MAX_LOGO, pattern=r"^(https://|data:image/)[!-~]+$")] | UnsetType = UNSET
    organization: Name | UnsetType = UNSET
    org_name: Name | UnsetType = UNSET
    password: PasswordChange | UnsetType = UNSET


class RoleList(msgspec.Struct, frozen=True):
    items: list[RoleDescription]


_profile_decoder = msgspec.json.Decoder(ProfileChange)


@get("/auth/me", summary="Who am I", tags=["auth"])
async def get_me(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> Me:
    """The credential's owner, role and permissions."""
    return await service.reading(lambda: _me(service.ledger, principal))


@patch("/auth/me", summary="Change one's profile", tags=["auth"])
async def patch_me(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[Me]:
    """A new password, which needs the old one, ends all sessions, this one too."""
    ledger, log, member_id = service.ledger, principal.log, principal.member_id
    wanted = await read_json(request, _profile_decoder)
    name = wanted.display_name if wanted.name is UNSET else wanted.name
    organization = wanted.org_name if wanted.organization is UNSET else wanted.organization
    own = {"name": name, "logo": wanted.logo}
    texts = await seal_texts(ledger, log, _given(own), subject=member_id)
    tenant_texts = await seal_texts(ledger, log, _given({"name": organization}))
    drafts: list[tuple[SealedTexts, Draft]] = []
    if texts.commitments or wanted.password is not UNSET:
        if member_id is None:
            raise ForbiddenError("a profile is a person's: log in to change it")
        if wanted.password is not UNSET:
            await tenancy.logins.confirm(log, member_id, wanted.password.current, request.scope["client"])
        drafts.append((texts, await _own_draft(service, tenancy, member_id, texts, wanted)))
    if tenant_texts.commitments:
        principal.require("tenant:write")
        event = TenantChanged(actor=principal.actor, name=tenant_texts.of("name"))
        drafts.append((tenant_texts, tenant_texts.draft(event)))
    if not drafts:
        raise InvalidRequestError.at(["body"], "changes nothing")

    def decide(moment: Moment) -> list[Draft]:
        principal.recheck(moment)
        if tenant_texts.commitments:
            principal.allowed("tenant:write")(moment)
        for sealed, draft in drafts:
            ledger.require_keys(moment, sealed.seen, [draft])
        return [draft for _, draft in drafts]

    appended = await ledger.sequencer.submit(log, decide)
    shown = await service.reading(lambda: _me(ledger, principal))
    return Response(shown, headers=where(appended.items[0]))


async def _own_draft(
    service: Service, tenancy: Tenancy, member_id: str, texts: SealedTexts, wanted: ProfileChange
) -> Draft:
    """The draft of a member's own change, who has shown his old password where he wants another."""
    event = MemberProfileChanged(
        member_id=member_id,
        actor=f"member:{member_id}",
        password=UNSET if wanted.password is UNSET else "changed",
        name=texts.of("name"),
        logo=texts.of("logo"),
    )
    if wanted.password is UNSET:
        return texts.draft(event, member_id)
    hashed = await tenancy.passwords.hash(wanted.password.new)
    kept = await service.reading(lambda: tenancy.people.kept_with_password(member_id, hashed))
    return texts.draft(event, member_id, kept)


@get("/roles", summary="List roles", tags=["auth"])
async def list_roles() -> RoleList:
    """All roles with what each may do: the table that decides."""
    return RoleList(described_roles())


def _me(ledger: Ledger, principal: Principal) -> Me:
    log, member_id = principal.log, principal.member_id
    tenant = log.committed.state[TenantState]
    texts: dict[str, Any] = {}
    if member_id is not None:
        member = require_member(Moment(log.committed.state, 0, 0), member_id)
        for name, at in (("email", member.email_at), ("name", member.name_at), ("logo", member.logo_at)):
            texts[name] = sealed_texts_of(ledger, log, at).get(name)
    permissions = permissions_of(principal.role)
    if principal.operator:
        permissions |= permissions_of("operator")
    return Me(
        actor=principal.actor,
        user_id=member_id,
        member_id=member_id,
        key_id=principal.key_id,
        agent_id=principal.agent_id,
        tenant_id=log.record.tenant_id or "",
        organization=sealed_texts_of(ledger, log, tenant.name_at).get("name"),
        email=texts.get("email"),
        name=texts.get("name"),
        logo=texts.get("logo"),
        role=principal.role,
        is_admin=principal.role == "owner",
        operator=principal.operator,
        env=principal.env,
        agents=None if principal.agents is None else sorted(principal.agents),
        permissions=sorted(permissions),
    )


def _given(texts: dict[str, str | UnsetType]) -> dict[str, str | None]:
    return {name: None if text is UNSET else text for name, text in texts.items()}
