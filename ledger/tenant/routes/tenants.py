# SPDX-License-Identifier: Apache-2.0
"""All tenants, for the operator (CAPABILITIES T02): make, list, read, change."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from ledger.log.entry import new_id
from ledger.log.errors import ConflictError, InvalidRequestError, NotFoundError
from ledger.log.events.tenants import Plan
from ledger.log.store import LogRecord
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Item, Log, Moment
from ledger.tenant.routes.tenant import (
    SettingsChange,
    TenantAnswer,
    TenantName,
    changed,
    describe_tenant,
    emptied,
)
from ledger.tenant.state import TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.cursors import Cursor, read_cursor
from ledger.web.service import Service
from ledger.web.writes import SealedTexts, read_json, seal_texts, where, write

MAX_PAGE = 200
MAX_CALLS = 1_000_000_000_000

TenantId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Calls = Annotated[int, Meta(ge=0, le=MAX_CALLS)]


class NewTenantRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`tenant_id` is made up where it is absent. Of a tenant that is there, what is named is changed."""

    tenant_id: TenantId | None = None
    name: TenantName | None = None
    plan: Plan | None = None


class NewTenantAnswer(TenantAnswer, frozen=True, kw_only=True):
    """`owner_key` is the secret of the first owner's key, shown this once; null when the tenant was there already."""

    owner_key: str | None


class AdminChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON merge patch (RFC 7396). `monthly_calls` holds instead of the plan's own limit, null or 0 for no limit."""

    name: TenantName | UnsetType | None = UNSET
    settings: SettingsChange | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET
    monthly_calls: Calls | UnsetType | None = UNSET


class TenantPage(msgspec.Struct, frozen=True):
    items: list[TenantAnswer]
    next_cursor: str | None


_new_decoder = msgspec.json.Decoder(NewTenantRequest)
_change_decoder = msgspec.json.Decoder(AdminChange)


@post("/admin/tenants", status_code=201, summary="Make a tenant", tags=["tenants"])
async def create_tenant(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewTenantAnswer]:
    """A tenant with a log of its own, and the key of its first owner, which is in this answer and nowhere else."""
    principal.require("tenants:write")
    return await _create(service, principal, tenancy, await read_json(request, _new_decoder))


async def create_or_change_tenant(
    request: Request[Any, Any, Any], service: Service, principal: Principal, tenancy: Tenancy
) -> Response[NewTenantAnswer]:
    """The same; a tenant of that id is changed to what was named."""
    principal.require("tenants:write")
    wanted = await read_json(request, _new_decoder)
    try:
        return await _create(service, principal, tenancy, wanted)
    except ConflictError:
        log = await _find(service, lambda record: record.tenant_id == wanted.tenant_id)
    item = await _change(service, principal, log, AdminChange(name=wanted.name or UNSET, plan=wanted.plan or UNSET))
    return await _answer(service, log, None, item)


async def _create(
    service: Service, principal: Principal, tenancy: Tenancy, wanted: NewTenantRequest
) -> Response[NewTenantAnswer]:
    tenant_id = wanted.tenant_id or new_id(service.ledger.clock())
    made = await tenancy.tenants.create(tenant_id, wanted.name, wanted.plan or "free", _guard(principal))
    log = await asyncio.to_thread(service.ledger.log, made.founded.record.number)
    return await _answer(service, log, made.owner.secret, made.founded.items[1])


@get("/admin/tenants", summary="List tenants", tags=["tenants"])
async def list_tenants(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: FromQuery[str | None] = None,
) -> TenantPage:
    """Newest first."""
    principal.require("tenants:read")
    ledger = service.ledger
    records = await asyncio.to_thread(ledger.records)
    size = max(record.number for record in records) + 1
    at = Cursor(size, size) if cursor is None else read_cursor(cursor, ["query", "cursor"])
    below = [record for record in records if record.tenant_id is not None and record.number < at.below]
    page = sorted(below, key=lambda record: -record.number)[:limit]
    # Loading a log takes a few questions to the store.
    items = await asyncio.to_thread(lambda: [describe_tenant(ledger, ledger.log(record.number)) for record in page])
    following = Cursor(at.size, page[-1].number).format() if len(below) > len(page) else None
    return TenantPage(items, following)


@get("/admin/tenants/{tenant_id:str}", summary="Read a tenant", tags=["tenants"])
async def get_tenant_by_id(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenant_id: FromPath[str]
) -> TenantAnswer:
    """Any tenant for the operator, one's own for everybody else. Others are not found."""
    if not principal.may("tenants:read"):
        principal.require("tenant:read")
        if tenant_id != principal.log.record.tenant_id:
            raise NotFoundError(f"there is no tenant {tenant_id[:64]}")
    log = await _find(service, lambda record: record.tenant_id == tenant_id)
    settings = principal.may("tenants:read") or principal.may("tenant:write")
    return await service.reading(lambda: describe_tenant(service.ledger, log, settings=settings))


@patch("/admin/tenants/{tenant_id:str}", summary="Change a tenant", tags=["tenants"])
async def patch_tenant_by_id(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenant_id: FromPath[str],
) -> Response[TenantAnswer]:
    """A JSON merge patch, with plan and limit of calls."""
    principal.require("tenants:write")
    change = await read_json(request, _change_decoder)
    if change == AdminChange():
        raise InvalidRequestError.at(["body"], "names nothing to change: name, settings, plan, monthly_calls")
    log = await _find(service, lambda record: record.tenant_id == tenant_id)
    item = await _change(service, principal, log, change)
    answer = await service.reading(lambda: describe_tenant(service.ledger, log))
    return Response(answer, headers={} if item is None else where(item))


async def _find(service: Service, wanted: Callable[[LogRecord], bool]) -> Log:
    """A tenant's log. Raises NotFoundError."""
    service.ledger.require_current()
    try:
        return await asyncio.to_thread(service.ledger.find_log, wanted)
    except NotFoundError:
        raise NotFoundError("there is no such tenant") from None


async def _answer(service: Service, log: Log, secret: str | None, item: Item | None) -> Response[NewTenantAnswer]:
    shown = await service.reading(lambda: describe_tenant(service.ledger, log))
    return Response(
        NewTenantAnswer(owner_key=secret, **{name: getattr(shown, name) for name in shown.__struct_fields__}),
        status_code=200 if secret is None else 201,
        headers={**({} if item is None else where(item)), "cache-control": "no-store"},
    )


async def _change(service: Service, principal: Principal, log: Log, change: AdminChange) -> Item | None:
    """Change a tenant as far as it is to be otherwise than it is. Gives the entry, None when there is none."""
    texts = {"name": emptied(change.name)}
    if change.settings is not UNSET:
        texts["webhook_url"] = emptied(change.settings.webhook_url)
    sealed = await seal_texts(service.ledger, log, texts)
    calls = (change.monthly_calls or 0) if change.monthly_calls is not UNSET else UNSET

    def decide(moment: Moment) -> list[Draft]:
        tenant = moment.state[TenantState]
        plan = UNSET if change.plan == tenant.plan else change.plan
        limit = UNSET if calls == tenant.monthly_calls else calls
        if plan is UNSET and limit is UNSET and not sealed.commitments:
            return []
        return [sealed.draft(changed("operator", sealed, plan=plan, monthly_calls=limit))]

    items = await _write_to(service, principal, log, decide, sealed)
    return items[0] if items else None


async def _write_to(
    service: Service, principal: Principal, log: Log, decide: Callable[[Moment], list[Draft]], texts: SealedTexts
) -> list[Item]:
    """Write as the operator, whose credential is asked about in his own log."""
    if log.number == principal.log.number:
        return (await write(service, principal, "tenants:write", decide, texts=texts)).items

    def decided(moment: Moment) -> list[Draft]:
        drafts = decide(moment)
        service.ledger.require_keys(moment, texts.seen, drafts)
        return drafts

    parts = [Part(log, decided), _guard(principal)]
    appended, _ = await service.ledger.sequencer.submit_together(parts)
    return appended.items


def _guard(principal: Principal) -> Part:
    """A part that adds nothing, and fails when the operator may no longer change tenants."""
    allowed = principal.allowed("tenants:write")

    def decide(moment: Moment) -> list[Draft]:
        allowed(moment)
        return []

    return Part(principal.log, decide)
