# SPDX-License-Identifier: Apache-2.0
"""Single sign-on over HTTP (CAPABILITIES I11): which providers there are, logging in by one, and configuring them."""

import re
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from ledger.log.errors import (
    ForbiddenError,
    InvalidRequestError,
    MalformedRequestError,
    NotFoundError,
    UnauthorizedError,
)
from ledger.log.events.members import MemberRole, SsoConfigured
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.id_tokens import SsoRefusedError
from ledger.tenant.oidc import Attempt, ProviderError, refusal_of_issuer
from ledger.tenant.routes.logins import LoginAnswer, login_answer
from ledger.tenant.sessions import begin_session, cookie_header
from ledger.tenant.sso import (
    FLOW_COOKIE,
    FLOW_SECONDS,
    Flow,
    client_of,
    configure,
    is_local_path,
    with_error,
)
from ledger.tenant.sso_members import member_of
from ledger.tenant.state import Provider, TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.permissions import may_give
from ledger.web.service import Service
from ledger.web.writes import idempotency, read_json, where, write

PATH = "/api/v1/auth/sso"
RESERVED = ("providers", "config")
"""What stands in paths where a provider's name does."""
MASK = "********"
"""What is shown of a client secret; sent back, it changes nothing."""

_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,260}")
_ERROR = re.compile(r"[a-z_]{1,40}")

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Text = Annotated[str, Meta(pattern=r"^[ -~]{1,200}$")]
Domain = Annotated[str, Meta(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=190)]


class ProviderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider as it shall be. Who has an address of one of the `domains` and is no member joins as `role`; without
    domains nobody joins that way. `client_secret` is null for a public client, and stays as it is where it is absent.
    """

    provider: Slug
    issuer: Text
    client_id: Text
    client_secret: Annotated[str, Meta(pattern=r"^[ -~]{1,500}$")] | UnsetType | None = UNSET
    enabled: bool = True
    role: MemberRole = "readonly"
    domains: Annotated[list[Domain], Meta(max_length=200)] = []


class ProviderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as it is configured. `client_secret` is null where there is none, and never shown; `redirect_uri` is
    what to register there.
    """

    provider: str
    name: str
    issuer: str
    client_id: str
    client_secret: str | None
    enabled: bool
    role: MemberRole
    domains: list[str]
    redirect_uri: str


class ProviderList(msgspec.Struct, frozen=True):
    items: list[ProviderAnswer]
    next_cursor: str | None = None


class Offer(msgspec.Struct, frozen=True):
    """A way to log in: a browser that goes to `start` comes back logged in."""

    provider: str
    name: str
    start: str


class OfferList(msgspec.Struct, frozen=True):
    items: list[Offer]
    next_cursor: str | None = None


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the two: a provider that is configured, or the issuer of one that may be."""

    provider: Slug | None = None
    issuer: Text | None = None


class Check(msgspec.Struct, frozen=True):
    """`check` is one of `address`, `metadata`, `keys`; `message` says what is wrong, null where nothing is."""

    check: str
    ok: bool
    message: str | None = None


class CheckAnswer(msgspec.Struct, frozen=True):
    """What was checked, in order, until something failed. `algorithms` are the signatures that would be taken."""

    ok: bool
    issuer: str
    checks: list[Check]
    algorithms: list[str]


_provider_decoder = msgspec.json.Decoder(ProviderRequest)
_check_decoder = msgspec.json.Decoder(CheckRequest)
_TO_PATH = ResponseSpec(None, description="To the path that the login was begun with", generate_examples=False)


@get("/auth/sso/providers", summary="Ways to log in", tags=["sso"])
async def list_offers(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    tenancy: NamedDependency[Tenancy],
    tenant_id: FromQuery[str | None] = None,
) -> OfferList:
    """The providers of a tenant, of the first one where none is named."""
    service.access.rates.take_stranger(request.scope["client"])
    log = await _log_of(service, tenancy, tenant_id)
    tenant = f"?tenant_id={log.record.tenant_id}" if tenant_id is not None else ""
    return OfferList(
        [
            Offer(each.provider, _name(each.provider), f"{PATH}/{each.provider}{tenant}")
            for each in _providers(log)
            if each.enabled
        ]
    )


@get("/auth/sso/{provider:str}", status_code=302, summary="Log in by a provider", tags=["sso"])
async def start_login(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    tenancy: NamedDependency[Tenancy],
    provider: FromPath[str],
    tenant_id: FromQuery[str | None] = None,
    return_to: FromQuery[str | None] = None,
) -> Response[None]:
    """Sends the browser to the provider. It comes back logged in, to `return_to`, a path on this host; without one the
    callback answers as a login with a password does.
    """
    service.access.rates.take_stranger(request.scope["client"])
    if return_to is not None and not is_local_path(return_to):
        raise InvalidRequestError.at(["query", "return_to"], "is not a path on this host")
    log = await _log_of(service, tenancy, tenant_id)
    configured = log.committed.state[TenantState].providers.get(provider)
    if configured is None or not configured.enabled:
        raise NotFoundError("there is no such provider")
    flow = Flow(
        attempt=Attempt.new(),
        provider=provider,
        log_number=log.number,
        configured_at=configured.index,
        redirect_uri=_redirect_uri(request, provider),
        return_to=return_to,
        expires_at=service.ledger.clock() + FLOW_SECONDS * 1000,
    )
    client = await service.reading(lambda: _client(service, log, configured))
    url = await tenancy.providers.authorization_url(client, flow.attempt, flow.redirect_uri)
    headers = {
        "location": url,
        "set-cookie": _flow_cookie(tenancy.flows.seal(flow), FLOW_SECONDS),
        "cache-control": "no-store",
    }
    return Response(None, status_code=302, headers=headers)


@get(
    "/auth/sso/{provider:str}/callback",
    summary="Come back from a provider",
    tags=["sso"],
    responses={302: _TO_PATH},
)
async def finish_login(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    tenancy: NamedDependency[Tenancy],
    provider: FromPath[str],
    presented: Annotated[str, QueryParameter(name="state")] = "",
    code: FromQuery[str | None] = None,
    error: FromQuery[str | None] = None,
    iss: FromQuery[str | None] = None,
) -> Response[LoginAnswer | None]:
    """Where the provider sends the browser, which must be the one that began. Sets the session cookie. A refusal goes
    to the path that the login was begun with as `sso_error`, and is an answer where there was none.
    """
    service.access.rates.take_stranger(request.scope["client"])
    flow = tenancy.flows.open(request.cookies.get(FLOW_COOKIE), presented, provider, service.ledger.clock())
    try:
        return await _finish(service, tenancy, flow, code, error, iss)
    except (SsoRefusedError, ProviderError, UnauthorizedError) as refused:
        if flow.return_to is None:
            raise
        reason = refused.reason if isinstance(refused, SsoRefusedError) else refused.code.lower()
        return _back(with_error(flow.return_to, reason))


async def _finish(
    service: Service, tenancy: Tenancy, flow: Flow, code: str | None, error: str | None, iss: str | None
) -> Response[LoginAnswer | None]:
    log = await service.reading(lambda: service.ledger.log(flow.log_number))
    configured = log.committed.state[TenantState].providers.get(flow.provider)
    if configured is None or not configured.enabled or configured.index != flow.configured_at:
        raise SsoRefusedError("again", "the provider was configured anew: begin again")
    if error is not None or code is None:
        told = error if error is not None and _ERROR.fullmatch(error) else "no_code"
        raise SsoRefusedError(told, f"the provider let nobody in: {told}")
    client = await service.reading(lambda: _client(service, log, configured))
    identity = await tenancy.providers.identify(
        client, flow.attempt, code, iss, flow.redirect_uri, service.ledger.clock
    )
    try:
        member = await member_of(service, tenancy.people, log, configured, identity)
    except SsoRefusedError:
        tenancy.tallies.failed_login(log.number, None)
        raise
    session = await begin_session(service, tenancy.tokens, log, member, "oidc")
    cookie = cookie_header(session, service.ledger.clock())
    if flow.return_to is not None:
        return _back(flow.return_to, cookie)
    answer = login_answer(session, log.record.tenant_id or "", identity.email or "")
    return Response(answer, headers={**where(session.item), **_private(cookie)})


@get("/auth/sso/config", summary="Read how providers are configured", tags=["sso"])
async def get_config(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> ProviderList:
    """All providers, those included that are not enabled. Of client secrets it says only whether there are any."""
    principal.require("sso:read")
    found = _providers(principal.log)
    return ProviderList(
        await service.reading(lambda: [_answer(request, service, principal.log, each) for each in found])
    )


@put("/auth/sso/config", summary="Configure a provider", tags=["sso"])
async def put_config(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[ProviderAnswer]:
    """Sets all of one provider, by its name. Logins that have begun there begin again."""
    principal.require("sso:write")
    wanted = await read_json(request, _provider_decoder)
    if wanted.provider in RESERVED:
        raise InvalidRequestError.at(["body", "provider"], "is a name that paths have already")
    refusal = refusal_of_issuer(wanted.issuer)
    if refusal is not None:
        raise InvalidRequestError.at(["body", "issuer"], refusal)
    event = SsoConfigured(
        provider=wanted.provider,
        issuer=wanted.issuer,
        client_id=wanted.client_id,
        enabled=wanted.enabled,
        role=wanted.role,
        actor=principal.actor,
        domains=sorted(set(wanted.domains)) or UNSET,
    )
    secret = UNSET if wanted.client_secret == MASK else wanted.client_secret
    vault, log = service.ledger.vault, principal.log

    def decide(moment: Moment) -> list[Draft]:
        if not may_give(principal.recheck(moment), wanted.role):
            raise ForbiddenError(f"the role {wanted.role} is not yours to give")
        before = moment.state[TenantState].providers.get(wanted.provider)
        return [configure(vault, log.number, before, event, secret)]

    repeatable = idempotency(request, principal, SsoConfigured, wanted)
    appended = await write(service, principal, "sso:write", decide, repeatable=repeatable)
    configured = appended.committed.state[TenantState].providers[wanted.provider]
    shown = await service.reading(lambda: _answer(request, service, log, configured))
    return Response(shown, headers=where(appended.items[0]))


@post("/auth/sso/config/test", status_code=200, summary="Test a provider", tags=["sso"])
async def run_test(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> CheckAnswer:
    """Asks the provider what it says of itself, and for its keys. No secret is needed for that, and none is sent."""
    principal.require("sso:write")
    wanted = await read_json(request, _check_decoder)
    if (wanted.provider is None) == (wanted.issuer is None):
        raise InvalidRequestError.at(["body"], "name either a provider or an issuer")
    issuer = wanted.issuer
    if wanted.provider is not None:
        configured = principal.log.committed.state[TenantState].providers.get(wanted.provider)
        if configured is None:
            raise NotFoundError("there is no such provider")
        issuer = configured.issuer
    return await _tested(tenancy, issuer or "")


async def _tested(tenancy: Tenancy, issuer: str) -> CheckAnswer:
    refusal = refusal_of_issuer(issuer)
    if refusal is not None:
        return CheckAnswer(False, issuer, [Check("address", False, f"the issuer {refusal}")], [])
    checks = [Check("address", True)]
    try:
        metadata = await tenancy.providers.metadata(issuer, fresh=True)
    except ProviderError as error:
        return CheckAnswer(False, issuer, [*checks, Check("metadata", False, error.message)], [])
    checks.append(Check("metadata", True))
    try:
        await tenancy.providers.keys(metadata, fresh=True)
    except ProviderError as error:
        return CheckAnswer(False, issuer, [*checks, Check("keys", False, error.message)], metadata.algorithms)
    return CheckAnswer(True, issuer, [*checks, Check("keys", True)], metadata.algorithms)


async def _log_of(service: Service, tenancy: Tenancy, tenant_id: str | None) -> Log:
    return await service.reading(lambda: tenancy.logins.log_of(tenant_id))


def _providers(log: Log) -> list[Provider]:
    return sorted(log.committed.state[TenantState].providers.values(), key=lambda each: each.provider)


def _client(service: Service, log: Log, provider: Provider) -> Any:
    return client_of(service.ledger.store, service.ledger.vault, log.number, provider)


def _answer(request: Request[Any, Any, Any], service: Service, log: Log, provider: Provider) -> ProviderAnswer:
    return ProviderAnswer(
        provider=provider.provider,
        name=_name(provider.provider),
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret=None if _client(service, log, provider).secret is None else MASK,
        enabled=provider.enabled,
        role=provider.role,
        domains=list(provider.domains),
        redirect_uri=_redirect_uri(request, provider.provider),
    )


def _name(provider: str) -> str:
    """What a button says."""
    return provider.replace("-", " ").title()


def _redirect_uri(request: Request[Any, Any, Any], provider: str) -> str:
    """Where the provider sends the browser back to: the host that this request names, which a proxy passes on.

    Cookies go over TLS only, so that it is https in any case, but for a browser on the service's own machine.
    """
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        raise MalformedRequestError("the request names no host")
    scheme = request.scope["scheme"] if _LOOPBACK.fullmatch(host) else "https"
    return f"{scheme}://{host}{PATH}/{provider}/callback"


def _flow_cookie(value: str, seconds: int) -> str:
    return f"{FLOW_COOKIE}={value}; Path={PATH}/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax"


def _back(path: str, cookie: str | None = None) -> Response[LoginAnswer | None]:
    headers = {"location": path, **_private(cookie or _flow_cookie("", 0))}
    return Response(None, status_code=302, headers=headers)


def _private(cookie: str) -> dict[str, str]:
    """Headers of answers to an address with a code in it."""
    return {"set-cookie": cookie, "cache-control": "no-store", "referrer-policy": "no-referrer"}
