# SPDX-License-Identifier: Apache-2.0
"""Erasing what is sealed (CAPABILITIES L11): by data subject, by age, or by event and field.

An erasure is done when it is answered.
"""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, Meta

from ledger.log import canonical
from ledger.log.entry import parse_uuid
from ledger.log.erasure import Erasure, count, erase
from ledger.log.errors import InvalidRequestError
from ledger.log.events.logs import Grounds
from ledger.log.report import decode
from ledger.log.working_copy import Moment
from ledger.web.access import Principal
from ledger.web.service import Service

MAX_EVENTS = 1000
MAX_DAYS = 36_500

_Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[ -~]*$")]


class ErasureRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to erase: exactly one of `subject`, `older_than_days` and `event_ids`; with these `pointers` choose fields.

    With `dry_run` nothing is erased, and the answer says how much would be.
    """

    grounds: Grounds
    subject: Annotated[str, Meta(min_length=1, max_length=10_000)] | None = None
    older_than_days: Annotated[int, Meta(ge=1, le=MAX_DAYS)] | None = None
    event_ids: Annotated[list[str], Meta(max_length=MAX_EVENTS)] = []
    pointers: Annotated[list[_Text], Meta(max_length=64)] = []
    legal_basis: _Text | None = None
    dry_run: bool = False


class ErasureRecord(msgspec.Struct, frozen=True):
    event_id: str
    leaf_index: int


class ErasureAnswer(msgspec.Struct, frozen=True):
    """`entries` is of how many something was erased, `items` the entries of the log that say so."""

    entries: int
    dry_run: bool
    items: list[ErasureRecord]


_decoder = msgspec.json.Decoder(ErasureRequest)


@post("/erasures", status_code=200, summary="Erase sealed values", tags=["erasure"])
async def post_erasure(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> ErasureAnswer:
    """Destroy sealed values for ever: of a data subject, of calls of a certain age, or of single events or fields.
    Entries, proofs and receipts stay as they are.
    """
    principal.require("payload:erase")
    body = await request.body()
    canonical.refuse_duplicates(body)
    wanted: ErasureRequest = decode(_decoder, body)
    given = [bool(wanted.event_ids), wanted.subject is not None, wanted.older_than_days is not None]
    if sum(given) != 1:
        raise InvalidRequestError.at(["body"], "wants exactly one of subject, older_than_days and event_ids")
    if wanted.pointers and not wanted.event_ids:
        raise InvalidRequestError.at(["body", "pointers"], "choose fields of the events in event_ids")
    erasure = Erasure(
        grounds=wanted.grounds,
        actor=principal.actor,
        subject=wanted.subject,
        older_than_days=wanted.older_than_days,
        event_ids=[_event_id(place, text) for place, text in enumerate(wanted.event_ids)],
        pointers=wanted.pointers,
        legal_basis=UNSET if wanted.legal_basis is None else wanted.legal_basis,
    )
    return await _erase(service, principal, erasure, dry_run=wanted.dry_run)


@delete("/events/payloads", status_code=200, summary="Erase old payloads", tags=["erasure"])
async def delete_payloads(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    older_than_days: Annotated[int, QueryParameter(ge=1, le=MAX_DAYS)],
) -> ErasureAnswer:
    """Destroy the sealed values of all calls of UTC days that ended so many days ago."""
    principal.require("payload:erase")
    erasure = Erasure(grounds="retention_expired", actor=principal.actor, older_than_days=older_than_days)
    return await _erase(service, principal, erasure, dry_run=False)


def _event_id(place: int, text: str) -> bytes:
    value = parse_uuid(text.lower())
    if value is None:
        raise InvalidRequestError.at(["body", "event_ids", place], "is no event id")
    return value.to_bytes(16, "big")


async def _erase(service: Service, principal: Principal, erasure: Erasure, *, dry_run: bool) -> ErasureAnswer:
    ledger, log = service.ledger, principal.log
    ledger.require_current()
    if dry_run:
        return ErasureAnswer(await asyncio.to_thread(count, ledger, log, erasure), True, [])
    allowed = principal.allowed("payload:erase")

    def check(moment: Moment) -> None:
        allowed(moment)
        if erasure.subject is not None:
            service.require_erasable(moment.state, erasure.subject)

    erased = await erase(ledger, log, erasure, check)
    items = [ErasureRecord(event_id, index) for index, event_id in erased.recorded]
    return ErasureAnswer(erased.entries, False, items)
