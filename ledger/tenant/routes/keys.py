# SPDX-License-Identifier: Apache-2.0
"""API keys over HTTP (CAPABILITIES I06, I08): create, list, revoke, validate."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from msgspec import Meta

from ledger.log.entry import format_time, read_envelope
from ledger.log.errors import ForbiddenError, InvalidRequestError, UnauthorizedError
from ledger.log.events.credentials import KeyCreated, KeyEnv, Role
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.keys import draft_key, require_way_in, revoke_key, shown_prefix
from ledger.tenant.plans import require_room
from ledger.tenant.state import Key, Scope, TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.listing import actor_of
from ledger.web.permissions import may_give
from ledger.web.service import Service
from ledger.web.times import read_moment
from ledger.web.writes import idempotency, read_json, sealed_texts_of, where, write

Name = Annotated[str, Meta(pattern=r"^[ -~]{1,200}$")]
Names = Annotated[list[Name], Meta(min_length=1, max_length=200)]


class NewKeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`agents` and `triggers` are all that an agent's key may act for, null for any; it sends files with `uploads`."""

    env: KeyEnv
    label: Annotated[str, Meta(min_length=1, max_length=200)]
    role: Role = "agent"
    expires_at: str | None = None
    agents: Names | None = None
    triggers: Names | None = None
    uploads: bool = False


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key as lists show it: never its secret, only how the secret begins."""

    id: str
    prefix: str
    env: KeyEnv
    role: Role
    label: str | None
    created_at: str
    created_by: str | None
    expires_at: str | None
    agents: list[str] | None
    triggers: list[str] | None
    uploads: bool


class NewKeyAnswer(KeyAnswer, frozen=True, kw_only=True):
    """A new key. `key` is the secret, shown this once; null when an earlier request made the key."""

    key: str | None


class KeyList(msgspec.Struct, frozen=True):
    items: list[KeyAnswer]
    next_cursor: str | None = None


class ValidateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[str, Meta(min_length=1, max_length=500)]


class Validity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a key may act now; whose it is only where it is the caller's own tenant's."""

    valid: bool
    id: str | None = None
    env: KeyEnv | None = None
    role: Role | None = None


_new_key_decoder = msgspec.json.Decoder(NewKeyRequest)
_validate_decoder = msgspec.json.Decoder(ValidateRequest)


_MADE_EARLIER = ResponseSpec(NewKeyAnswer, description="An earlier request made the key", generate_examples=False)


@post("/keys", status_code=201, summary="Create an API key", tags=["keys"], responses={200: _MADE_EARLIER})
async def create_key(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewKeyAnswer]:
    """The secret is in this answer and nowhere else. With an Idempotency-Key a repeated request makes no second key."""
    principal.require("keys:write")
    wanted = await read_json(request, _new_key_decoder)
    if principal.env is not None and wanted.env != principal.env:
        raise ForbiddenError(f"a key for {principal.env} makes keys for {principal.env} only")
    _require_givable(principal.role, wanted.role)
    _require_an_agent_s(wanted)
    ledger, log, now = service.ledger, principal.log, service.ledger.clock()
    expires_at = (
        None if wanted.expires_at is None else read_moment(wanted.expires_at, ["body", "expires_at"], now, ahead=True)
    )
    if expires_at is not None and expires_at <= now:
        raise InvalidRequestError.at(["body", "expires_at"], "lies in the past")
    # Before the data key is looked up.
    seen = log.committed.state.governing
    new = draft_key(
        tenancy.secrets,
        log,
        await ledger.sealing(lambda: ledger.data_key(log, None, now)),
        now,
        role=wanted.role,
        env=wanted.env,
        label=wanted.label,
        actor=principal.actor,
        expires_at=expires_at,
        scope=Scope(_set(wanted.agents), _set(wanted.triggers), wanted.uploads),
    )

    def decide(moment: Moment) -> list[Draft]:
        _require_givable(principal.recheck(moment), wanted.role)
        require_room(moment.state, "keys")
        ledger.require_keys(moment, seen, [new.draft])
        return [new.draft]

    repeatable = idempotency(request, principal, KeyCreated, wanted)
    appended = await write(service, principal, "keys:write", decide, repeatable=repeatable)
    [item] = appended.items
    key = next(key for key in appended.committed.state[TenantState].keys.values() if key.index == item.leaf_index)
    shown = await service.reading(lambda: _key_answer(service, principal, key))
    return Response(
        NewKeyAnswer(key=None if item.duplicate else new.secret, **msgspec.structs.asdict(shown)),
        status_code=200 if item.duplicate else 201,
        headers={**where(item), "cache-control": "no-store"},
    )


@get("/keys", summary="List API keys", tags=["keys"])
async def list_keys(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> KeyList:
    """Keys that are not revoked, oldest first."""
    principal.require("keys:read")
    keys = principal.log.committed.state[TenantState].keys.values()
    live = sorted((key for key in keys if not key.revoked), key=lambda key: key.index)
    return KeyList(await service.reading(lambda: [_key_answer(service, principal, key) for key in live]))


@delete("/keys/{key_id:str}", status_code=204, summary="Revoke an API key", tags=["keys"])
async def delete_key(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
    key_id: FromPath[str],
) -> Response[None]:
    """At once and for good; the next request with the key is refused. Revoking twice is a conflict."""

    def decide(moment: Moment) -> list[Draft]:
        key = moment.state[TenantState].keys.get(key_id)
        if key is not None and principal.env not in (None, key.env):
            raise ForbiddenError(f"a key for {principal.env} revokes keys for {principal.env} only")
        if key is not None:
            _require_givable(principal.recheck(moment), key.role)
            # The first tenant's is settled by whoever runs the service, too.
            if principal.log.number != tenancy.first:
                require_way_in(moment, key_id)
        return revoke_key(moment, key_id, principal.actor)

    [item] = (await write(service, principal, "keys:write", decide)).items
    return Response(None, headers=where(item))


@post("/keys/validate", status_code=200, summary="Validate an API key", tags=["keys"])
async def validate_key(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Validity:
    wanted = await read_json(request, _validate_decoder)
    try:
        found = await service.access.look_up(wanted.key, request.scope["client"])
    except UnauthorizedError:
        return Validity(False)
    if found.log is not principal.log or found.key_id is None:
        return Validity(True)
    key = principal.log.committed.state[TenantState].keys.get(found.key_id)
    # An agent's token is known by its credential, which is no key.
    return Validity(True) if key is None else Validity(True, key.key_id, key.env, key.role)


def _key_answer(service: Service, principal: Principal, key: Key) -> KeyAnswer:
    log = principal.log
    [leaf] = service.ledger.store.leaves(log.number, key.index, key.index + 1)
    envelope = read_envelope(leaf)
    return KeyAnswer(
        id=key.key_id,
        prefix=shown_prefix(service.ledger.store, service.ledger.vault, key.key_id),
        env=key.env,
        role=key.role,
        label=sealed_texts_of(service.ledger, log, key.index).get("label"),
        created_at=envelope.recordedat,
        created_by=actor_of(envelope.data),
        expires_at=None if key.expires_at is None else format_time(key.expires_at),
        agents=None if key.scope.agents is None else sorted(key.scope.agents),
        triggers=None if key.scope.triggers is None else sorted(key.scope.triggers),
        uploads=key.scope.uploads,
    )


def _require_givable(giver: str, role: str) -> None:
    """Raises ForbiddenError for a key that may do more than who gives it, or takes it away."""
    if not may_give(giver, role):
        raise ForbiddenError(f"the role {role} may do more than the role {giver}, so it is not yours to give or take")


def _require_an_agent_s(wanted: NewKeyRequest) -> None:
    """Raises InvalidRequestError for agents or triggers of a key that reads or settles more than what is its own: there
    they would limit next to nothing.
    """
    for name in ("agents", "triggers"):
        if wanted.role != "agent" and getattr(wanted, name) is not None:
            raise InvalidRequestError.at(
                ["body", name], "are for keys of the role agent; limit others by their role and env"
            )


def _set(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
