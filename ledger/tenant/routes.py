# SPDX-License-Identifier: Apache-2.0
"""API keys over HTTP (CAPABILITIES I06): create, list, revoke, validate."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from msgspec import Meta
from msgspec.structs import replace

from ledger.log import canonical
from ledger.log.entry import format_time, read_envelope
from ledger.log.errors import ConflictError, ForbiddenError, InvalidRequestError, UnauthorizedError
from ledger.log.events.credentials import KeyEnv, Role
from ledger.log.receipts import disclosures_of
from ledger.log.report import decode
from ledger.log.sealed import read_disclosure
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.keys import draft_key, revoke_key, shown_prefix
from ledger.tenant.state import Key, TenantState
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.times import read_moment


class NewKeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    env: KeyEnv
    label: Annotated[str, Meta(min_length=1, max_length=200)]
    role: Role = "agent"
    expires_at: str | None = None


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key as lists show it: never its secret, only how the secret begins."""

    id: str
    prefix: str
    env: KeyEnv
    role: Role
    label: str | None
    created_at: str
    expires_at: str | None


class NewKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A new key. `key` is the secret, shown this once; null when an earlier request made the key."""

    id: str
    key: str | None
    prefix: str
    env: KeyEnv
    role: Role
    label: str | None
    created_at: str
    expires_at: str | None


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
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[NewKeyAnswer]:
    """The secret is in this answer and nowhere else. With an Idempotency-Key a repeated request makes no second key."""
    principal.require("keys:write")
    body = await request.body()
    canonical.refuse_duplicates(body)
    wanted: NewKeyRequest = decode(_new_key_decoder, body)
    if principal.env is not None and wanted.env != principal.env:
        raise ForbiddenError(f"a key for {principal.env} makes keys for {principal.env} only")
    ledger, log, now = service.ledger, principal.log, service.ledger.clock()
    expires_at = None if wanted.expires_at is None else read_moment(wanted.expires_at, ["body", "expires_at"], now)
    if expires_at is not None and expires_at <= now:
        raise InvalidRequestError.at(["body", "expires_at"], "lies in the past")
    # Before the data key is looked up.
    seen = log.committed.state.governing
    new = draft_key(
        ledger.vault,
        log,
        await ledger.sealing(lambda: ledger.data_key(log, None, now)),
        now,
        role=wanted.role,
        env=wanted.env,
        label=wanted.label,
        actor=principal.actor,
        expires_at=expires_at,
    )
    draft = new.draft
    if (idempotency := request.headers.get("idempotency-key")) is not None:
        # The log itself remembers the request, so a repetition is caught even by another process.
        identity = f"key.created\x00{principal.actor}\x00{idempotency}".encode()
        draft = replace(draft, dedup=log.digest(identity), request=log.digest(canonical.encode(wanted)))

    def decide(moment: Moment) -> list[Draft]:
        principal.recheck(moment)
        ledger.require_keys(moment, seen, [draft])
        return [draft]

    keys = [] if draft.dedup is None else [draft.dedup]
    try:
        appended = await ledger.sequencer.submit(log, decide, dedup_keys=keys)
    except ConflictError:
        raise ConflictError("this Idempotency-Key stands for another request already") from None
    [item] = appended.items
    key = next(key for key in appended.committed.state[TenantState].keys.values() if key.index == item.leaf_index)
    shown = await service.reading(lambda: _key_answer(service, principal, key))
    return Response(
        NewKeyAnswer(key=None if item.duplicate else new.secret, **msgspec.structs.asdict(shown)),
        status_code=200 if item.duplicate else 201,
        headers={
            "ledger-event-id": item.event_id,
            "ledger-leaf-index": str(item.leaf_index),
            "cache-control": "no-store",
        },
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
    service: NamedDependency[Service], principal: NamedDependency[Principal], key_id: FromPath[str]
) -> Response[None]:
    """At once and for good; the next request with the key is refused. Revoking twice is a conflict."""
    principal.require("keys:write")

    def decide(moment: Moment) -> list[Draft]:
        principal.recheck(moment)
        key = moment.state[TenantState].keys.get(key_id)
        if key is not None and principal.env not in (None, key.env):
            raise ForbiddenError(f"a key for {principal.env} revokes keys for {principal.env} only")
        return revoke_key(moment, key_id, principal.actor)

    appended = await service.ledger.sequencer.submit(principal.log, decide)
    [item] = appended.items
    return Response(None, headers={"ledger-event-id": item.event_id, "ledger-leaf-index": str(item.leaf_index)})


@post("/keys/validate", status_code=200, summary="Validate an API key", tags=["keys"])
async def validate_key(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Validity:
    body = await request.body()
    canonical.refuse_duplicates(body)
    wanted: ValidateRequest = decode(_validate_decoder, body)
    try:
        found = await service.access.look_up(wanted.key, request.scope["client"])
    except UnauthorizedError:
        return Validity(False)
    if found.log is not principal.log or found.key_id is None:
        return Validity(True)
    key = principal.log.committed.state[TenantState].keys[found.key_id]
    return Validity(True, key.key_id, key.env, key.role)


def _key_answer(service: Service, principal: Principal, key: Key) -> KeyAnswer:
    log = principal.log
    [leaf] = service.ledger.store.leaves(log.number, key.index, key.index + 1)
    labels = [
        msgspec.json.decode(read_disclosure(text).value, type=str)
        for text in disclosures_of(service.ledger, log, key.index)
    ]
    return KeyAnswer(
        id=key.key_id,
        prefix=shown_prefix(service.ledger.store, service.ledger.vault, key.key_id),
        env=key.env,
        role=key.role,
        label=labels[0] if labels else None,
        created_at=read_envelope(leaf).recordedat,
        expires_at=None if key.expires_at is None else format_time(key.expires_at),
    )
