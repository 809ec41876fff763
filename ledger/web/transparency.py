# SPDX-License-Identifier: Apache-2.0
"""Transparency: heads, proofs, daily roots, self-check (CAPABILITIES L03, L04, L06, L08)."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ledger.log import canonical
from ledger.log.check import check_log
from ledger.log.check.notes import CheckResult, note_name, read_note, write_note
from ledger.log.days import DayDocument, closed_day, day_document
from ledger.log.entry import format_time
from ledger.log.errors import InvalidRequestError, NotFoundError
from ledger.log.events.logs import LedgerTamperDetected, LedgerVerified
from ledger.log.evidence import known_keys, verify_day
from ledger.log.receipts import base64_path
from ledger.log.report import decode
from ledger.log.working_copy import Draft
from ledger.tlog.checkpoint import read_checkpoint
from ledger.tlog.text import format_base64
from ledger.web.access import Principal
from ledger.web.doors import answer_response, call_of
from ledger.web.events import find_entry
from ledger.web.front import Call
from ledger.web.problems import Answer
from ledger.web.receipts import Verification, verified_apart
from ledger.web.service import Service


class TreeHead(msgspec.Struct, frozen=True):
    origin: str
    tree_size: int
    root_hash: str
    checkpoint: str


class InclusionProof(msgspec.Struct, frozen=True):
    leaf_index: int
    tree_size: int
    root_hash: str
    inclusion_path: list[str]
    checkpoint: str | None


class ConsistencyProof(msgspec.Struct, frozen=True):
    """`from` and `to` are tree sizes: of the tenant's log, or, where dates were given, of the root log."""

    origin: str
    size1: int = msgspec.field(name="from")
    size2: int = msgspec.field(name="to")
    root1: str
    root2: str
    consistency_path: list[str]


class DayItem(msgspec.Struct, frozen=True):
    date: str
    entry_index: int
    checkpoint: str


class DayList(msgspec.Struct, frozen=True):
    items: list[DayItem]
    next_cursor: str | None = None


_encoder = msgspec.json.Encoder()


@get("/transparency/head", summary="Signed tree head", tags=["transparency"])
async def get_head(principal: NamedDependency[Principal]) -> TreeHead:
    principal.require("events:read")
    head = principal.log.committed.head
    return TreeHead(principal.log.origin, head.size, format_base64(head.root), head.checkpoint)


@get("/transparency/checkpoint", summary="Signed checkpoint", tags=["transparency"], media_type="text/plain")
async def get_checkpoint(principal: NamedDependency[Principal]) -> str:
    """The newest checkpoint of the tenant's log, as a signed note."""
    principal.require("events:read")
    return principal.log.committed.head.checkpoint


async def prove_inclusion(service: Service, call: Call) -> Answer:
    """`GET /transparency/inclusion/{event_id}`, behind both doors."""
    principal = call.principal

    def prove() -> InclusionProof:
        index, _ = find_entry(service, principal, call.argument, call.query)
        return _inclusion(principal, index, None)

    return Answer(200, _encoder.encode(await service.reading_of(principal.log, prove)))


@get("/transparency/inclusion/{event_id:str}", summary="Inclusion proof of an event", tags=["transparency"])
async def get_inclusion_of_event(
    request: Request[Any, Any, Any], service: NamedDependency[Service], event_id: FromPath[str]
) -> Response[bytes]:
    """By the id of the event, or of the call with its agent's."""
    return answer_response(await prove_inclusion(service, await call_of(service, request, event_id)))


@get("/transparency/inclusion", summary="Inclusion proof of a leaf", tags=["transparency"])
async def get_inclusion(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    leaf_index: Annotated[int, QueryParameter(ge=0)],
    tree_size: Annotated[int | None, QueryParameter(ge=1)] = None,
) -> InclusionProof:
    """Proof in the newest tree, or in the tree of an earlier size."""
    principal.require("events:read")
    log = principal.log
    await service.catch_up_to(log, max(leaf_index + 1, tree_size or 0))
    size = log.committed.head.size
    if leaf_index >= (tree_size or size) or (tree_size or 0) > size:
        raise NotFoundError(f"leaf {leaf_index} of a tree of {tree_size or size}: the log has {size} entries")

    def prove() -> InclusionProof:
        if principal.only_key is not None or principal.env is not None:
            [row] = service.ledger.store.rows(log.number, leaf_index, leaf_index + 1)
            if principal.only_key not in (None, row.key_id) or not principal.reaches(row.env):
                raise NotFoundError(f"there is no event at {leaf_index} for you")
        return _inclusion(principal, leaf_index, tree_size)

    return await service.reading(prove)


def _inclusion(principal: Principal, index: int, size: int | None) -> InclusionProof:
    log, committed = principal.log, principal.log.committed
    newest = size is None or size == committed.head.size
    size = committed.head.size if size is None else size
    root = committed.head.root if newest else log.tree.root(committed.edge, size)
    path = (
        log.tree.newest_path(committed.edge, index)
        if newest
        else base64_path(log.tree.inclusion_path(committed.edge, index, size))
    )
    return InclusionProof(index, size, format_base64(root), path, committed.head.checkpoint if newest else None)


@get("/transparency/consistency", summary="Consistency proof", tags=["transparency"])
async def get_consistency(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    start: Annotated[str | None, QueryParameter(name="from", description="tree size, or date of a daily root")] = None,
    end: Annotated[str | None, QueryParameter(name="to", description="tree size, or date of a daily root")] = None,
) -> ConsistencyProof:
    """That the smaller tree is a prefix of the larger one. With dates, about the root log; with sizes, about the
    tenant's; with neither, about the two days closed last.
    """
    principal.require("events:read")
    if start is None and end is None:
        start, end = await service.reading(lambda: _last_days(service))
    if start is None or end is None:
        raise InvalidRequestError.at(["query", "from" if start is None else "to"], "is missing")
    if start.isascii() and start.isdigit() and end.isascii() and end.isdigit():
        log, old, new = principal.log, int(start[:19]), int(end[:19])
    else:
        days = await service.reading(lambda: [service.ledger.store.day(date) for date in (start, end)])
        if days[0] is None or days[1] is None:
            raise NotFoundError("`from` and `to` are two sizes, or the dates of two closed days")
        log = service.ledger.root
        old, new = (read_checkpoint(day.checkpoint).size for day in days if day is not None)
    if not 0 < old <= new:
        raise InvalidRequestError.at(["query", "from"], f"want 0 < from <= to, got {old} and {new}")
    await service.catch_up_to(log, new)
    committed = log.committed
    if new > committed.head.size:
        raise NotFoundError(f"the log has {committed.head.size} entries")

    def prove() -> ConsistencyProof:
        roots = [format_base64(log.tree.root(committed.edge, size)) for size in (old, new)]
        path = base64_path(log.tree.consistency_path(committed.edge, old, new))
        return ConsistencyProof(log.origin, old, new, roots[0], roots[1], path)

    return await service.reading(prove)


def _last_days(service: Service) -> tuple[str, str]:
    """The dates of the two days closed last, or twice that of the only one."""
    dates = [day.date for day in service.ledger.store.days()]
    if not dates:
        raise NotFoundError("no day is closed yet")
    return dates[-2:][0], dates[-1]


@get("/transparency/roots", summary="Daily roots", tags=["transparency"])
async def list_roots(service: NamedDependency[Service]) -> DayList:
    """Every closed day, newest first."""
    days = await service.reading(service.ledger.store.days)
    return DayList([DayItem(day.date, day.entry_index, day.checkpoint) for day in reversed(days)])


@get("/transparency/roots/{date:str}", summary="One daily root", tags=["transparency"])
async def get_root(service: NamedDependency[Service], date: FromPath[str]) -> Response[bytes]:
    """The day document, as the bytes of a file that `ledger-verify root` reads."""
    document = await service.reading(lambda: _closed(service, date))
    return _document(document, 200)


def _closed(service: Service, date: str) -> DayDocument:
    day = closed_day(service.ledger, date)
    if day is None:
        raise NotFoundError(f"{date[:40]} is not closed")
    return day_document(service.ledger, day)


class CloseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    date: str | None = None


_close_decoder = msgspec.json.Decoder(CloseRequest)


@post("/transparency/roots", status_code=200, summary="Close a day", tags=["transparency"])
async def close_root(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[bytes]:
    """Close today's date, or the one given, after all missed ones. Asked again, the same document comes back."""
    principal.require("roots:close")
    body = await request.body() or b"{}"
    canonical.refuse_duplicates(body)
    wanted = decode(_close_decoder, body)
    return _document(await service.roots.close_day(wanted.date, principal.guard("roots:close")), 200)


def _document(document: DayDocument, status: int) -> Response[bytes]:
    return Response(document.text(), status_code=status, media_type="application/json")


@post("/transparency/roots/verify", status_code=200, summary="Verify an archived daily root", tags=["transparency"])
async def post_root_verify(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Verification:
    reason = await verified_apart(lambda ledger, text: verify_day(known_keys(ledger), text), service, request)
    return Verification(reason is None, reason or "")


@post("/transparency/verify", status_code=200, summary="Run a self-check", tags=["transparency"])
async def run_check(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> CheckResult:
    """Re-derives the tenant's log from its stored bytes. The result is an entry of the log, and of the service's own
    log.
    """
    principal.require("log:check")
    ledger, log = service.ledger, principal.log
    report = await asyncio.to_thread(check_log, ledger, log)
    result = CheckResult(
        ok=report.problem is None,
        tree_size=report.size,
        root_hash=format_base64(report.root),
        checked_at=format_time(ledger.clock()),
        problem=report.problem,
        first_index=report.first_index,
    )
    event: LedgerVerified | LedgerTamperDetected
    if report.problem is None:
        event = LedgerVerified(size=report.size, root=result.root_hash, actor=principal.actor)
    else:
        event = LedgerTamperDetected(
            size=report.size, first_index=report.first_index or 0, check=report.check, actor=principal.actor
        )
    await asyncio.to_thread(ledger.store.put_note, note_name(log.number), write_note(result))

    await ledger.sequencer.submit(log, principal.deciding("log:check", lambda moment: [Draft(event)]))
    return result


@get("/transparency/verify", summary="Newest self-check", tags=["transparency"])
async def get_check(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> CheckResult:
    principal.require("log:check")
    text = await service.reading(lambda: service.ledger.store.note(note_name(principal.log.number)))
    if text is None:
        raise NotFoundError("no self-check has run yet: POST /api/v1/transparency/verify")
    return read_note(text)
