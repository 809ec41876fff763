# SPDX-License-Identifier: Apache-2.0
"""Exports of the log (CAPABILITIES C01): asked for, made while the caller does something else, then fetched.

What is made stands in the log, with the digest of its manifest, before it can be fetched.
"""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from ledger.log import canonical
from ledger.log.disclosing import EVERYTHING, MAX_RULES, NOTHING, Disclosing
from ledger.log.errors import NotFoundError
from ledger.log.export import require_range
from ledger.log.export_spool import ExportStatus, Format
from ledger.log.exporting import Order
from ledger.log.report import decode
from ledger.web.access import Principal
from ledger.web.byte_ranges import asked_part, read_part
from ledger.web.service import Service

MEDIA_TYPES = {
    "tar": "application/x-tar",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "pdf": "application/pdf",
}
_PROFILES = {"none": NOTHING, "all": EVERYTHING}

_Index = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Rule = Annotated[str, Meta(min_length=3, max_length=200)]


class ExportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Entries [from, to), by default all there are. `disclose` is `none`, `all`, or rules such as
    `call.reported /data/tool_args/*`. With `csv`, `json` or `pdf` there is a view for people beside the
    export; a pdf has at most 20,000 entries.
    """

    start: _Index = msgspec.field(name="from", default=0)
    stop: _Index | None = msgspec.field(name="to", default=None)
    disclose: Annotated[str, Meta(pattern="^(none|all)$")] | Annotated[list[_Rule], Meta(max_length=MAX_RULES)] = "none"
    format: Format = "tar"


_decoder = msgspec.json.Decoder(ExportRequest)


@post("/audit/exports", status_code=202, summary="Export entries", tags=["exports"])
async def post_export(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[ExportStatus]:
    """Begin an export of a complete range of the log, for an auditor to check without this service."""
    principal.require("log:export")
    body = await request.body() or b"{}"
    canonical.refuse_duplicates(body)
    return await _begin(service, principal, decode(_decoder, body))


@get("/audit/export", status_code=202, summary="Export entries for people", tags=["exports"])
async def get_audit_export(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    form: Annotated[Format, QueryParameter(name="format")] = "csv",
    start: Annotated[int, QueryParameter(name="from", ge=0, le=2**53 - 1)] = 0,
    stop: Annotated[int | None, QueryParameter(name="to", ge=0, le=2**53 - 1)] = None,
) -> Response[ExportStatus]:
    """The same for callers who ask for a view by GET. That it was asked for is on record, as ever."""
    principal.require("log:export")
    return await _begin(service, principal, ExportRequest(start=start, stop=stop, format=form))


async def _begin(service: Service, principal: Principal, wanted: ExportRequest) -> Response[ExportStatus]:
    rules = _PROFILES[wanted.disclose] if isinstance(wanted.disclose, str) else wanted.disclose
    disclosing = Disclosing(rules)
    disclosing.require_known()
    if rules:
        principal.require("payload:read")
    if wanted.stop is not None:
        await service.catch_up_to(principal.log, wanted.stop)
    order = Order(
        exported=require_range(principal.log, wanted.start, wanted.stop),
        disclosing=disclosing,
        format=wanted.format,
        actor=principal.actor,
        allowed=principal.allowed("log:export"),
    )
    status = await service.exports.start(principal.log, order)
    where = {"location": f"/api/v1/audit/exports/{status.export_id}", "retry-after": "1"}
    return Response(status, status_code=202, headers=where)


@get("/audit/exports/{export_id:str}", summary="Where an export stands", tags=["exports"])
async def get_export(
    service: NamedDependency[Service], principal: NamedDependency[Principal], export_id: FromPath[str]
) -> ExportStatus:
    """Whether it is ready, and which files there are to fetch."""
    return _status(service, principal, export_id)


@get("/audit/exports/{export_id:str}/{name:str}", summary="A file of an export", tags=["exports"])
async def get_export_file(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    export_id: FromPath[str],
    name: FromPath[str],
) -> Response[Any]:
    """A file of a finished export, or with `Range` a part of it: so that whoever was cut off goes on."""
    status = _status(service, principal, export_id)
    file = next((file for file in status.files if file.name == name), None)
    if file is None:
        raise NotFoundError(f"the export is {status.status}, and has no file {name[:40]!r}")
    path = service.exports.find(principal.log, export_id).folder / file.name
    if not path.is_file():
        raise NotFoundError("there is no such export, or no more")
    tag = f'"{file.sha256}"'
    part = asked_part(request.headers.get("range"), request.headers.get("if-range"), tag, file.size)
    sent = range(file.size) if part is None else part
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "content-disposition": f'attachment; filename="{file.name}"',
        "content-length": str(len(sent)),
        "content-type": MEDIA_TYPES[path.suffix[1:]],
        "etag": tag,
    }
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    return Stream(read_part(path, sent), status_code=200 if part is None else 206, headers=headers)


@delete("/audit/exports/{export_id:str}", summary="Forget an export", tags=["exports"])
async def delete_export(
    service: NamedDependency[Service], principal: NamedDependency[Principal], export_id: FromPath[str]
) -> None:
    """Remove what was made. The log still says that it was."""
    _status(service, principal, export_id)
    await asyncio.to_thread(service.exports.find(principal.log, export_id).remove)


def _status(service: Service, principal: Principal, export_id: str) -> ExportStatus:
    principal.require("log:export")
    status = service.exports.find(principal.log, export_id).status()
    if status.disclose:
        principal.require("payload:read")
    return status
