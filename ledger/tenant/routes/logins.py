# SPDX-License-Identifier: Apache-2.0
"""Coming in (CAPABILITIES I01, I02, I09): the first member, browser logins, accepting an invitation."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from msgspec import Meta

from ledger.log.entry import format_time
from ledger.log.errors import ConflictError, NotFoundError, UnauthorizedError
from ledger.log.events.members import MemberJoined, SessionEnded
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from ledger.tenant.people import plain_email
from ledger.tenant.routes.members import MemberAnswer, Name, NewMemberAnswer, join, member_answer, require_email
from ledger.tenant.sessions import NO_COOKIE, Session, begin_session, cookie_header
from ledger.tenant.state import TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.doors import asked_of
from ledger.web.service import Service
from ledger.web.writes import read_json, seal_texts, where

Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS)]
NewPassword = Annotated[str, Meta(min_length=MIN_CHARACTERS, max_length=MAX_CHARACTERS)]


class SetupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    email: Email
    password: NewPassword
    name: Name | None = None


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `tenant_id`, and without X-Tenant-Id, the first tenant is meant."""

    email: Email
    password: Password
    tenant_id: str | None = None


class LoginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who logged in; `user_id` repeats `member_id`, and `is_admin` says whether he is an owner."""

    user_id: str
    member_id: str
    tenant_id: str
    email: str
    role: str
    is_admin: bool
    expires_at: str


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    invitation: Annotated[str, Meta(min_length=1, max_length=200)]
    password: NewPassword
    name: Name | None = None


_setup_decoder = msgspec.json.Decoder(SetupRequest)
login_decoder = msgspec.json.Decoder(LoginRequest)
_accept_decoder = msgspec.json.Decoder(AcceptRequest)


@post("/setup", status_code=201, summary="Make the first member", tags=["auth"])
async def set_up(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewMemberAnswer]:
    """The first person of a tenant, an owner, by the tenant's owner key; a conflict once there is any."""
    principal.require("tenant:write")
    wanted = await read_json(request, _setup_decoder)
    require_email(wanted.email)

    def first(moment: Moment) -> None:
        if moment.state[TenantState].members:
            raise ConflictError("the tenant was set up already: a member invites others")

    return await join(service, principal, tenancy, wanted, role="owner", how="setup", check=first)


@post("/auth/login", status_code=200, summary="Log in with a password", tags=["auth"])
async def log_in(
    request: Request[Any, Any, Any], service: NamedDependency[Service], tenancy: NamedDependency[Tenancy]
) -> Response[LoginAnswer]:
    """Sets the session cookie. A wrong address and a wrong password are told alike, and take as long."""
    wanted = await read_json(request, login_decoder)
    tenant_id = wanted.tenant_id or asked_of(request).tenant
    address = request.scope["client"]
    log, member = await tenancy.logins.check(wanted.email, wanted.password, tenant_id, address)
    session = await begin_session(service, tenancy.tokens, log, member, "password")
    return Response(
        login_answer(session, log.record.tenant_id or "", wanted.email),
        headers={
            **where(session.item),
            "set-cookie": cookie_header(session, service.ledger.clock()),
            "cache-control": "no-store",
        },
    )


def login_answer(session: Session, tenant_id: str, email: str) -> LoginAnswer:
    member = session.member
    return LoginAnswer(
        user_id=member.member_id,
        member_id=member.member_id,
        tenant_id=tenant_id,
        email=plain_email(email),
        role=member.role,
        is_admin=member.role == "owner",
        expires_at=format_time(session.expires_at),
    )


@post("/auth/logout", status_code=204, summary="Log out", tags=["auth"])
async def log_out(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> Response[None]:
    """Ends the session of the cookie or of the token, with all its tokens."""
    session_id, member_id = principal.session_id, principal.member_id
    if session_id is None or member_id is None:
        raise ConflictError("this credential is no member's session: revoke the key or the token instead")

    def decide(moment: Moment) -> list[Draft]:
        principal.recheck(moment)
        event = SessionEnded(member_id=member_id, session_id=session_id, actor=principal.actor)
        return [Draft(event, subject=member_id)]

    [item] = (await service.ledger.sequencer.submit(principal.log, decide)).items
    return Response(None, headers={**where(item), "set-cookie": NO_COOKIE})


@post("/invitations/accept", status_code=201, summary="Take up an invitation", tags=["auth"])
async def accept_invitation(
    request: Request[Any, Any, Any], service: NamedDependency[Service], tenancy: NamedDependency[Tenancy]
) -> Response[MemberAnswer]:
    """Whoever has the invitation's secret joins with a password of his own. It is good once, until it expires."""
    tenancy.logins.take_attempt(request.scope["client"])
    wanted = await read_json(request, _accept_decoder)
    ledger = service.ledger
    owner = await ledger.reading(lambda: tenancy.secrets.find("invitation", wanted.invitation))
    refusal = UnauthorizedError("the invitation is not known, was taken up already, or has expired")
    if owner is None:
        raise refusal
    log = ledger.log(owner.log_number)
    if owner.id not in log.committed.state[TenantState].members:
        await ledger.refresh(log)
    hashed = await tenancy.passwords.hash(wanted.password)
    try:
        kept = await ledger.reading(lambda: tenancy.people.kept_with_password(owner.id, hashed))
    except NotFoundError:
        raise refusal from None
    texts = await seal_texts(ledger, log, {"name": wanted.name}, subject=owner.id)

    def decide(moment: Moment) -> list[Draft]:
        member = moment.state[TenantState].members.get(owner.id)
        if member is None or member.status != "invited" or moment.now >= (member.expires_at or 0):
            raise refusal
        event = MemberJoined(
            member_id=owner.id,
            role=member.role,
            how="invitation",
            actor=f"member:{owner.id}",
            name=texts.of("name"),
        )
        draft = texts.draft(event, owner.id, kept)
        ledger.require_keys(moment, texts.seen, [draft])
        return [draft]

    appended = await ledger.sequencer.submit(log, decide)
    [item] = appended.items
    member = appended.committed.state[TenantState].members[owner.id]
    shown = await service.reading(lambda: member_answer(ledger, log, member))
    return Response(shown, status_code=201, headers=where(item))
