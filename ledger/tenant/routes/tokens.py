# SPDX-License-Identifier: Apache-2.0
"""Tokens over HTTP (CAPABILITIES I04): log in for a script, renew, revoke, introspect; and the key that signs them."""

from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta

from ledger.log.errors import (
    InvalidRequestError,
    NotFoundError,
    UnauthorizedError,
)
from ledger.log.events.credentials import TokenRevoked
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.people import require_givable, require_member
from ledger.tenant.routes.logins import login_decoder
from ledger.tenant.sessions import access_token, begin_session, record_refresh
from ledger.tenant.state import Member, TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.tenant.tokens import ACCESS_SECONDS, Claims, live_credential, live_member
from ledger.web.access import Principal, TenantMismatchError
from ledger.web.doors import asked_of
from ledger.web.permissions import permissions_of
from ledger.web.service import Service
from ledger.web.writes import read_json, where

Token = Annotated[str, Meta(min_length=1, max_length=4000)]
Id = Annotated[str, Meta(pattern=r"^[ -~]{1,200}$")]


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens as RFC 6749 §5.1 names them; times in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int | None = None


class RefreshRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: Token


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens end: one session's, given by its id or by any of its tokens, or all of a member or of an agent.
    Nothing stands for one's own session. `user_id` is another word for `member_id`.
    """

    session_id: Id | None = None
    token: Token | None = None
    member_id: Id | None = None
    user_id: Id | None = None
    agent_id: Id | None = None


class IntrospectRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Token
    token_type_hint: str | None = None


class Introspection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What RFC 7662 §2.2 says of a token; only `active` where it does not hold or is another tenant's."""

    active: bool
    scope: str = ""
    client_id: str = ""
    token_type: str = ""
    exp: int = 0
    iat: int = 0
    sub: str = ""
    iss: str = ""
    tenant_id: str = ""
    session_id: str = ""
    role: str = ""
    env: str = ""


_refresh_decoder = msgspec.json.Decoder(RefreshRequest)
_revoke_decoder = msgspec.json.Decoder(RevokeRequest)
_introspect_decoder = msgspec.json.Decoder(IntrospectRequest)


@post("/auth/token", status_code=200, summary="Log in for a script", tags=["auth"])
async def issue_token(
    request: Request[Any, Any, Any], service: NamedDependency[Service], tenancy: NamedDependency[Tenancy]
) -> Response[TokenAnswer]:
    """A token for 15 minutes, and one with which to get others for a week. Attempts are limited as at /auth/login."""
    wanted = await read_json(request, login_decoder)
    tenant_id = wanted.tenant_id or asked_of(request).tenant
    log, member = await tenancy.logins.check(wanted.email, wanted.password, tenant_id, request.scope["client"])
    session = await begin_session(service, tenancy.tokens, log, member, "password", script=True)
    answer = TokenAnswer(
        access_token=session.access,
        token_type="Bearer",
        expires_in=ACCESS_SECONDS,
        refresh_token=session.refresh,
        refresh_expires_in=(session.expires_at - service.ledger.clock()) // 1000,
    )
    return Response(answer, headers={**where(session.item), "cache-control": "no-store"})


@post("/auth/refresh", status_code=200, summary="Get another token", tags=["auth"])
async def refresh_token(
    request: Request[Any, Any, Any], service: NamedDependency[Service], tenancy: NamedDependency[Tenancy]
) -> Response[TokenAnswer]:
    """By the refresh token, in the body or as Bearer, or by the cookie of a session; until the session is over. An
    access token gets no other: who found one has it for minutes.
    """
    ledger, asked = service.ledger, asked_of(request)
    if await request.body():
        token = (await read_json(request, _refresh_decoder)).refresh_token
    else:
        token = asked.secret or asked.session or ""
        if not _renews(tenancy, token):
            # A live session's cookie does, and nothing else that is live.
            await service.access.principal(asked, request.scope["client"])
    service.access.rates.before_lookup(request.scope["client"])
    try:
        claims = tenancy.tokens.read(token)
        log = ledger.find_log(lambda record: record.origin == claims.iss)
    except (UnauthorizedError, NotFoundError) as error:
        service.access.rates.missed(request.scope["client"])
        raise UnauthorizedError(error.message) from None
    if asked.tenant not in (None, log.record.tenant_id):
        raise TenantMismatchError("X-Tenant-Id is not the credential's tenant")
    if claims.use == "agent":
        raise UnauthorizedError("an agent gets a token by its secret, at /auth/agent/token")
    if claims.use != "refresh" and token != asked.session:
        raise UnauthorizedError("this token gets no other one: send the refresh token that came with it")
    if claims.at >= log.committed.head.size:
        await ledger.refresh(log)
    now = ledger.clock()
    [item] = (await record_refresh(service, log, claims, now)).items
    seconds = min(ACCESS_SECONDS, claims.until - now // 1000)
    answer = TokenAnswer(
        access_token=access_token(tenancy.tokens, claims, now), token_type="Bearer", expires_in=seconds
    )
    return Response(answer, headers={**where(item), "cache-control": "no-store"})


@post("/auth/revoke", status_code=204, summary="Revoke tokens", tags=["auth"])
async def revoke_tokens(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[None]:
    """One's own need no permission. They are refused from the next request on, by every process within a second."""
    wanted = await read_json(request, _revoke_decoder) if await request.body() else RevokeRequest()
    named = [name for name in wanted.__struct_fields__ if getattr(wanted, name) is not None]
    if len(named) > 1:
        raise InvalidRequestError.at(["body", named[1]], f"either this or {named[0]}")
    event, claims = _revocation(principal, tenancy, wanted)
    own = event.session_id == principal.session_id or event.member_id == principal.member_id
    if event.session_id is UNSET and event.member_id is UNSET:
        own = event.agent == principal.agent_id

    def decide(moment: Moment) -> list[Draft]:
        giver = principal.recheck(moment)
        if not own:
            principal.allowed("tokens:revoke")(moment)
            require_givable(giver, _role_of_revoked(moment, event, claims))
        if event.agent is not UNSET and event.agent not in _agents(moment):
            raise NotFoundError(f"no agent {event.agent[:64]!r} has a credential")
        return [Draft(event)]

    [item] = (await service.ledger.sequencer.submit(principal.log, decide)).items
    return Response(None, headers=where(item))


def _renews(tenancy: Tenancy, token: str) -> bool:
    try:
        return tenancy.tokens.read(token).use == "refresh"
    except UnauthorizedError:
        return False


def _agents(moment: Moment) -> set[str]:
    return {credential.agent_id for credential in moment.state[TenantState].credentials.values()}


def _revocation(principal: Principal, tenancy: Tenancy, wanted: RevokeRequest) -> tuple[TokenRevoked, Claims | None]:
    """What is revoked, and what the token says by which it was named. Raises NotFoundError for a token of another
    tenant, or of none.
    """
    actor = principal.actor
    member_id = wanted.member_id or wanted.user_id
    if member_id is not None:
        return TokenRevoked(actor=actor, member_id=member_id), None
    if wanted.agent_id is not None:
        return TokenRevoked(actor=actor, agent=wanted.agent_id), None
    if wanted.token is not None:
        try:
            claims = tenancy.tokens.read(wanted.token)
        except UnauthorizedError:
            raise NotFoundError("there is no such token") from None
        if claims.iss != principal.log.origin:
            raise NotFoundError("there is no such token")
        return TokenRevoked(actor=actor, session_id=claims.sid), claims
    session_id = wanted.session_id or principal.session_id
    if session_id is None:
        raise InvalidRequestError.at(["body"], "an API key has no session: name a session, a member or an agent")
    return TokenRevoked(actor=actor, session_id=session_id), None


def _role_of_revoked(moment: Moment, event: TokenRevoked, claims: Claims | None) -> str:
    """The role of those whose tokens end. A session's id alone does not say whose it is, so it may be an owner's."""
    if event.agent is not UNSET or (claims is not None and claims.use == "agent"):
        return "agent"
    member_id = claims.sub if claims is not None else event.member_id
    return "owner" if member_id is UNSET else require_member(moment, member_id).role


@post("/auth/introspect", status_code=200, summary="Introspect a token", tags=["auth"])
async def introspect_token(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Introspection:
    """RFC 7662, of a form or of JSON. Everybody may ask about his own token, others' need the permission."""
    token = await _asked_token(request)
    try:
        claims = tenancy.tokens.read(token)
        if claims.iss != principal.log.origin:
            return Introspection(active=False)
        await service.catch_up_to(principal.log, claims.at + 1)
        shown = _introspection(principal, service, claims)
    except UnauthorizedError:
        return Introspection(active=False)
    if claims.sid != principal.session_id:
        principal.require("tokens:inspect")
    return shown


async def _asked_token(request: Request[Any, Any, Any]) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded":
        try:
            values = parse_qs((await request.body()).decode("ascii"), max_num_fields=10).get("token", [])
        except ValueError:
            values = []
        if len(values) != 1:
            raise InvalidRequestError.at(["body", "token"], "is missing, or there twice")
        return values[0]
    return (await read_json(request, _introspect_decoder)).token


def _introspection(principal: Principal, service: Service, claims: Claims) -> Introspection:
    """Raises UnauthorizedError for what does not hold now."""
    state, now = principal.log.committed.state, service.ledger.clock()
    owner = live_credential(state, claims, now) if claims.use == "agent" else live_member(state, claims, now)
    role = owner.role if isinstance(owner, Member) else "agent"
    return Introspection(
        active=True,
        scope=" ".join(sorted(permissions_of(role))),
        client_id=claims.credential_id or claims.sub,
        token_type=claims.use,
        exp=claims.exp,
        iat=claims.iat,
        sub=claims.sub,
        iss=claims.iss,
        tenant_id=claims.tenant_id,
        session_id=claims.sid,
        role=role,
        env="" if isinstance(owner, Member) else owner.env,
    )


@get("/.well-known/jwks.json", summary="Keys of tokens", tags=["auth"])
async def get_jwks(tenancy: NamedDependency[Tenancy]) -> dict[str, Any]:
    """The JWK set (RFC 7517) of the key that signs tokens, so that others can verify them."""
    return tenancy.tokens.public_keys()
