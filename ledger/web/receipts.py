# SPDX-License-Identifier: Apache-2.0
"""Receipts: fetch one, have one verified, learn the key (CAPABILITIES L05, L07)."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ledger.log.errors import TooLargeError
from ledger.log.evidence import verify_own_receipt
from ledger.log.ledger import Ledger
from ledger.log.receipts import receipt, tlog_proof
from ledger.web.doors import answer_response, asked_of, call_of, provide_principal
from ledger.web.events import find_entry, wants_disclosures
from ledger.web.front import Call
from ledger.web.problems import Answer
from ledger.web.service import Service

MAX_EVIDENCE_BYTES = 4 << 20


class Verification(msgspec.Struct, frozen=True):
    """What the service says of evidence that was sent to it. `reason` is empty when it holds."""

    verified: bool
    reason: str


class ReceiptKey(msgspec.Struct, frozen=True):
    root_vkey: str
    log_vkey: str | None


async def fetch_receipt(service: Service, call: Call) -> Answer:
    """`GET /receipts/{event_id}`, behind both doors: JSON, or a C2SP tlog-proof for `Accept: text/plain`."""
    disclose = wants_disclosures(call.principal, call.query.get("disclose"))
    return await service.reading_of(call.principal.log, lambda: _receipt(service, call, disclose))


def _receipt(service: Service, call: Call, disclose: bool) -> Answer:
    index, leaf = find_entry(service, call.principal, call.argument, call.query)
    if _prefers_text(call.accept):
        text = tlog_proof(call.principal.log, index, leaf).format().encode()
        return Answer(200, text, "text/plain; charset=utf-8")
    return Answer(200, receipt(service.ledger, call.principal.log, index, leaf, disclose=disclose).text())


def _prefers_text(accept: str) -> bool:
    kinds = [part.split(";")[0].strip() for part in accept.split(",")]
    return "text/plain" in kinds and "application/json" not in kinds


async def verified_apart(
    verify: Callable[[Ledger, bytes], str | None], service: Service, request: Request[Any, Any, Any]
) -> str | None:
    """Verify in a thread and within bounds, since anybody may ask and reading hostile JSON strictly takes its time."""
    rates, address = service.access.rates, request.scope["client"]
    rates.take_evidence(address)
    body = await request.body()
    if len(body) > MAX_EVIDENCE_BYTES:
        raise TooLargeError(f"evidence has at most {MAX_EVIDENCE_BYTES} bytes")
    rates.take_evidence_bytes(address, len(body))
    return await asyncio.to_thread(verify, service.ledger, body)


@get("/receipts/{event_id:str}", summary="Fetch a receipt", tags=["receipts"])
async def get_receipt(
    request: Request[Any, Any, Any], service: NamedDependency[Service], event_id: FromPath[str]
) -> Response[bytes]:
    """The strongest receipt there is now, as the bytes of a receipt file; by the id of the event, or of the call with
    its agent's.
    """
    return answer_response(await fetch_receipt(service, await call_of(service, request, event_id)))


@post("/receipts/verify", status_code=200, summary="Verify an archived receipt", tags=["receipts"])
async def post_receipt_verify(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Verification:
    """Checks a receipt file against the keys and entries of this service. Who trusts nobody uses `ledger-verify`."""
    reason = await verified_apart(verify_own_receipt, service, request)
    return Verification(reason is None, reason or "")


@get("/receipts/key", summary="Keys that receipts are checked with", tags=["receipts"])
async def get_receipt_key(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> ReceiptKey:
    """The root log's vkey; with a credential also that of the tenant's log."""
    log_vkey = None
    if asked_of(request).claims:
        log_vkey = (await provide_principal(request, service)).log.signer.vkey.format()
    return ReceiptKey(service.ledger.root.signer.vkey.format(), log_vkey)
