# SPDX-License-Identifier: Apache-2.0
"""Agents' own identity (CAPABILITIES I05): credentials of an agent, and the tokens it gets with them."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Meta

from ledger.log.entry import format_time, new_id, read_envelope
from ledger.log.errors import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError, UnauthorizedError
from ledger.log.events.calls import Env
from ledger.log.events.credentials import AgentCredentialIssued, AgentCredentialRevoked
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.routes.tokens import TokenAnswer
from ledger.tenant.secrets import Owner, new_random
from ledger.tenant.sessions import begin_agent_session
from ledger.tenant.state import Credential, TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.listing import actor_of
from ledger.web.service import Service
from ledger.web.times import read_moment
from ledger.web.writes import idempotency, read_json, seal_texts, sealed_texts_of, where, write

AgentId = Annotated[str, Meta(pattern=r"^[ -~]{1,200}$")]


class NewCredentialRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    env: Env = "production"
    label: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    expires_at: str | None = None


class NamedCredentialRequest(NewCredentialRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same where the agent is in the body and not in the path."""

    agent_id: AgentId


class CredentialAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's credential as lists show it."""

    id: str
    agent_id: str
    env: Env
    label: str | None
    created_at: str
    created_by: str | None
    expires_at: str | None


class NewCredentialAnswer(CredentialAnswer, frozen=True, kw_only=True):
    """A new credential. `secret` is shown this once; null when an earlier request made it."""

    secret: str | None


class CredentialList(msgspec.Struct, frozen=True):
    items: list[CredentialAnswer]
    next_cursor: str | None = None


class AgentTokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    secret: Annotated[str, Meta(min_length=1, max_length=500)]


_new_decoder = msgspec.json.Decoder(NewCredentialRequest)
_named_decoder = msgspec.json.Decoder(NamedCredentialRequest)
_token_decoder = msgspec.json.Decoder(AgentTokenRequest)


@post("/agents/{agent_id:str}/credentials", status_code=201, summary="Give an agent a credential", tags=["agents"])
async def create_credential(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
    agent_id: FromPath[str],
) -> Response[NewCredentialAnswer]:
    """The secret is in this answer and nowhere else; the agent gets tokens with it at /auth/agent/token."""
    principal.require("agents:write")
    wanted = await read_json(request, _new_decoder)
    named = NamedCredentialRequest(agent_id=_agent_id(agent_id), **msgspec.structs.asdict(wanted))
    return await _create(request, service, principal, tenancy, named)


@post("/auth/credentials", status_code=201, summary="Give an agent a credential", tags=["agents"])
async def create_named_credential(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewCredentialAnswer]:
    """The same with the agent in the body."""
    principal.require("agents:write")
    return await _create(request, service, principal, tenancy, await read_json(request, _named_decoder))


@get("/agents/{agent_id:str}/credentials", summary="List an agent's credentials", tags=["agents"])
async def list_credentials(
    service: NamedDependency[Service], principal: NamedDependency[Principal], agent_id: FromPath[str]
) -> CredentialList:
    """Those that are not revoked, oldest first."""
    principal.require("agents:read")
    ledger, log = service.ledger, principal.log
    found = [
        credential
        for credential in log.committed.state[TenantState].credentials.values()
        if credential.agent_id == agent_id and not credential.revoked and principal.reaches(credential.env)
    ]
    found.sort(key=lambda credential: credential.index)
    return CredentialList(await service.reading(lambda: [_answer(ledger, log, credential) for credential in found]))


@delete(
    "/agents/{agent_id:str}/credentials/{credential_id:str}",
    status_code=204,
    summary="Revoke an agent's credential",
    tags=["agents"],
)
async def delete_credential(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    agent_id: FromPath[str],
    credential_id: FromPath[str],
) -> Response[None]:
    """At once and for good, with all tokens that were got by it."""
    _require_acts_for(principal, agent_id)

    def decide(moment: Moment) -> list[Draft]:
        credential = moment.state[TenantState].credentials.get(credential_id)
        if credential is None or credential.agent_id != agent_id or not principal.reaches(credential.env):
            raise NotFoundError(f"the agent has no credential {credential_id[:64]}")
        if credential.revoked:
            raise ConflictError(f"credential {credential_id} is revoked already")
        event = AgentCredentialRevoked(credential_id=credential_id, agent_id=agent_id, actor=principal.actor)
        return [Draft(event, subject=credential_id)]

    [item] = (await write(service, principal, "agents:write", decide)).items
    return Response(None, headers=where(item))


@post("/auth/agent/token", status_code=200, summary="Log in as an agent", tags=["agents"])
async def issue_agent_token(
    request: Request[Any, Any, Any], service: NamedDependency[Service], tenancy: NamedDependency[Tenancy]
) -> Response[TokenAnswer]:
    """A token for an hour, bound to agent, tenant and environment."""
    ledger, rates, address = service.ledger, service.access.rates, request.scope["client"]
    wanted = await read_json(request, _token_decoder)
    refusal = UnauthorizedError("the agent or its secret is wrong")
    rates.before_lookup(address)
    owner = await ledger.reading(lambda: tenancy.secrets.find("agent", wanted.secret))
    if owner is None:
        rates.missed(address)
        raise refusal
    rates.take(owner.id)
    log = ledger.log(owner.log_number)
    if owner.id not in log.committed.state[TenantState].credentials:
        await ledger.refresh(log)
    ledger.require_current()
    credential = log.committed.state[TenantState].credentials[owner.id]
    if credential.agent_id != wanted.agent_id:
        raise refusal
    token, until, item = await begin_agent_session(service, tenancy.tokens, log, credential)
    answer = TokenAnswer(access_token=token, token_type="Bearer", expires_in=(until - ledger.clock()) // 1000)
    return Response(answer, headers={**where(item), "cache-control": "no-store"})


async def _create(
    request: Request[Any, Any, Any],
    service: Service,
    principal: Principal,
    tenancy: Tenancy,
    wanted: NamedCredentialRequest,
) -> Response[NewCredentialAnswer]:
    ledger, log, now = service.ledger, principal.log, service.ledger.clock()
    if not principal.reaches(wanted.env):
        raise ForbiddenError(f"a key for {principal.env} makes credentials for {principal.env} only")
    _require_acts_for(principal, wanted.agent_id)
    expires_at = (
        None if wanted.expires_at is None else read_moment(wanted.expires_at, ["body", "expires_at"], now, ahead=True)
    )
    if expires_at is not None and expires_at <= now:
        raise InvalidRequestError.at(["body", "expires_at"], "lies in the past")
    credential_id, secret = new_id(now), f"la_{wanted.env}_{new_random()}"
    texts = await seal_texts(ledger, log, {"label": wanted.label})
    event = AgentCredentialIssued(
        credential_id=credential_id,
        agent_id=wanted.agent_id,
        env=wanted.env,
        actor=principal.actor,
        expires_at=UNSET if expires_at is None else format_time(expires_at),
        label=texts.of("label"),
    )
    box = tenancy.secrets.box("agent", secret, Owner(log.number, credential_id))

    def decide(moment: Moment) -> list[Draft]:
        return [texts.draft(event, credential_id, [box])]

    repeatable = idempotency(request, principal, AgentCredentialIssued, wanted)
    appended = await write(service, principal, "agents:write", decide, texts=texts, repeatable=repeatable)
    [item] = appended.items
    credentials = appended.committed.state[TenantState].credentials.values()
    credential = next(credential for credential in credentials if credential.index == item.leaf_index)
    shown = await service.reading(lambda: _answer(ledger, log, credential))
    return Response(
        NewCredentialAnswer(secret=None if item.duplicate else secret, **msgspec.structs.asdict(shown)),
        status_code=200 if item.duplicate else 201,
        headers={**where(item), "cache-control": "no-store"},
    )


def _answer(ledger: Ledger, log: Log, credential: Credential) -> CredentialAnswer:
    [leaf] = ledger.store.leaves(log.number, credential.index, credential.index + 1)
    envelope = read_envelope(leaf)
    return CredentialAnswer(
        id=credential.credential_id,
        agent_id=credential.agent_id,
        env=credential.env,
        label=sealed_texts_of(ledger, log, credential.index).get("label"),
        created_at=envelope.recordedat,
        created_by=actor_of(envelope.data),
        expires_at=None if credential.expires_at is None else format_time(credential.expires_at),
    )


def _agent_id(text: str) -> str:
    """Raises NotFoundError: a name that no agent can have names none."""
    try:
        return msgspec.convert(text, AgentId)
    except msgspec.ValidationError:
        raise NotFoundError("there is no such agent") from None


def _require_acts_for(principal: Principal, agent_id: str) -> None:
    """Raises ForbiddenError for a key that acts for other agents only."""
    if not principal.acts_for(agent_id):
        raise ForbiddenError(f"this credential does not act for the agent {agent_id[:64]!r}")
