# SPDX-License-Identifier: Apache-2.0
"""The tenant's kill switch over HTTP (CAPABILITIES T04)."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, put
from litestar.di import NamedDependency
from msgspec import Meta

from ledger.log import canonical
from ledger.log.entry import read_envelope
from ledger.log.ledger import Ledger
from ledger.log.report import decode
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.state import TenantState
from ledger.tenant.switch import engage, release
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.writes import seal_texts, sealed_texts_of, where, write


class EngageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


class SwitchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The switch, and where it is engaged: at which leaf, when, by whom and why."""

    engaged: bool
    leaf_index: int | None = None
    since: str | None = None
    actor: str | None = None
    reason: str | None = None


_engage_decoder = msgspec.json.Decoder(EngageRequest)


@get("/kill-switch", summary="The kill switch", tags=["kill switch"])
async def get_kill_switch(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> SwitchAnswer:
    """Whether everything is stopped for agents, and since when."""
    principal.require("kill_switch:read")
    return await _answer(service, principal.log)


@put("/kill-switch", summary="Engage the kill switch", tags=["kill switch"])
async def engage_kill_switch(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[SwitchAnswer]:
    """Stop every governed call of the tenant, at once. Engaging it again changes nothing. Reporting goes on."""
    principal.require("kill_switch:write")
    body = await request.body() or b"{}"
    canonical.refuse_duplicates(body)
    wanted = decode(_engage_decoder, body)
    texts = await seal_texts(service.ledger, principal.log, {"reason": wanted.reason})

    def decide(moment: Moment) -> list[Draft]:
        return engage(moment, principal.actor, texts)

    items = (await write(service, principal, "kill_switch:write", decide, texts=texts)).items
    return Response(await _answer(service, principal.log), headers=where(items[0]) if items else {})


@delete("/kill-switch", status_code=200, summary="Release the kill switch", tags=["kill switch"])
async def release_kill_switch(
    service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[SwitchAnswer]:
    """Let governed calls be allowed again. Releasing it again changes nothing."""

    def decide(moment: Moment) -> list[Draft]:
        return release(moment, principal.actor)

    items = (await write(service, principal, "kill_switch:write", decide)).items
    return Response(await _answer(service, principal.log), headers=where(items[0]) if items else {})


async def _answer(service: Service, log: Log) -> SwitchAnswer:
    return await service.reading(lambda: _described(service.ledger, log))


def _described(ledger: Ledger, log: Log) -> SwitchAnswer:
    switch = log.committed.state[TenantState].kill_switch
    if switch is None:
        return SwitchAnswer(engaged=False)
    [leaf] = ledger.store.leaves(log.number, switch.index, switch.index + 1)
    return SwitchAnswer(
        engaged=True,
        leaf_index=switch.index,
        since=read_envelope(leaf).recordedat,
        actor=switch.actor,
        reason=sealed_texts_of(ledger, log, switch.index).get("reason"),
    )
