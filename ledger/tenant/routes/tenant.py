# SPDX-License-Identifier: Apache-2.0
"""The tenant of whoever asks (CAPABILITIES T01), and the plans there are (B01)."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from ledger.log.entry import read_envelope
from ledger.log.errors import InvalidRequestError
from ledger.log.events.tenants import Plan, TenantChanged
from ledger.log.fold import LogsState
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.plans import PLANS, Limits, PlanDescription, limits_of
from ledger.tenant.state import TenantState
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.writes import SealedTexts, read_json, seal_texts, sealed_texts_of, where, write

TenantName = Annotated[str, Meta(min_length=1, max_length=200)]
WebhookUrl = Annotated[str, Meta(pattern=r"^https?://[!-~]{1,2000}$")]


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    webhook_url: str | None


class TenantAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant, and the log it has. `settings` are null for those who may not change them, since the URL of a webhook
    often is a secret.
    """

    tenant_id: str
    name: str | None
    plan: Plan
    limits: Limits
    settings: TenantSettings | None
    halted: bool
    created_at: str
    origin: str
    log_vkey: str


class SettingsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    webhook_url: WebhookUrl | UnsetType | None = UNSET


class TenantChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON merge patch (RFC 7396): null takes a value away. The plan is the operator's to change."""

    name: TenantName | UnsetType | None = UNSET
    settings: SettingsChange | UnsetType = UNSET


class PlanList(msgspec.Struct, frozen=True):
    items: list[PlanDescription]


_change_decoder = msgspec.json.Decoder(TenantChange)


@get("/tenant", summary="The tenant", tags=["tenant"])
async def get_tenant(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> TenantAnswer:
    """Name, plan with its limits, and settings."""
    principal.require("tenant:read")
    settings = principal.may("tenant:write")
    return await service.reading(lambda: describe_tenant(service.ledger, principal.log, settings=settings))


@patch("/tenant", summary="Change the tenant", tags=["tenant"])
async def patch_tenant(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[TenantAnswer]:
    """A JSON merge patch. Name and webhook are sealed in the log."""
    principal.require("tenant:write")
    wanted = await read_json(request, _change_decoder)
    texts = {"name": emptied(wanted.name)}
    if wanted.settings is not UNSET:
        texts["webhook_url"] = emptied(wanted.settings.webhook_url)
    if not any(text is not None for text in texts.values()):
        raise InvalidRequestError.at(["body"], "names nothing to change: name, settings.webhook_url")
    sealed = await seal_texts(service.ledger, principal.log, texts)

    def decide(moment: Moment) -> list[Draft]:
        return [sealed.draft(changed(principal.actor, sealed))]

    [item] = (await write(service, principal, "tenant:write", decide, texts=sealed)).items
    answer = await service.reading(lambda: describe_tenant(service.ledger, principal.log))
    return Response(answer, headers=where(item))


@get("/plans", summary="Plans", tags=["tenant"])
async def list_plans() -> PlanList:
    """What each costs in a month, in minor units of the currency, and what it allows."""
    return PlanList(list(PLANS.values()))


def describe_tenant(ledger: Ledger, log: Log, *, settings: bool = True) -> TenantAnswer:
    """A tenant as answers show it. Asks the store."""
    state = log.committed.state[TenantState]
    [genesis] = ledger.store.leaves(log.number, 0, 1)
    webhook = sealed_texts_of(ledger, log, state.webhook_at).get("webhook_url") if settings else None
    return TenantAnswer(
        tenant_id=state.tenant_id or "",
        name=sealed_texts_of(ledger, log, state.name_at).get("name") or None,
        plan=state.plan,
        limits=limits_of(state),
        settings=TenantSettings(webhook_url=webhook or None) if settings else None,
        halted=state.kill_switch is not None,
        created_at=read_envelope(genesis).recordedat,
        origin=log.origin,
        log_vkey=ledger.root.committed.state[LogsState].current_vkey(log.origin),
    )


def emptied(text: str | UnsetType | None) -> str | None:
    """What is sealed for a member of a merge patch: nothing for an absent one, the empty text for null."""
    return None if text is UNSET else text or ""


def changed(actor: str, texts: SealedTexts, **open_fields: Any) -> TenantChanged:
    return TenantChanged(actor=actor, name=texts.of("name"), webhook_url=texts.of("webhook_url"), **open_fields)
