# SPDX-License-Identifier: Apache-2.0
"""tlog-tiles (c2sp.org/tlog-tiles) under each log's path, so that any third-party tool can re-derive a log.

The root log is public. A tenant's log is for its people, by header, or by a read token in the path for tools that send
none. A read token is an auditor's key: it can read the whole log and write nothing. Tiles have the entries of every
environment, so that a credential for one of them reads none.
"""

import asyncio
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from ledger.log.errors import ForbiddenError, NotFoundError
from ledger.log.working_copy import Log
from ledger.tlog.errors import MalformedError
from ledger.tlog.tiles import HEIGHT, WIDTH, TilePath, format_bundle, parse_path, tile_width
from ledger.web.doors import provide_principal
from ledger.web.service import Service

_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
_PRIVATE = {"cache-control": "private, max-age=31536000, immutable"}
_SHORT_LIVED = {"cache-control": "no-cache"}


@get("/root/{path:path}", include_in_schema=False)
async def get_root_log(
    request: Request[Any, Any, Any], service: NamedDependency[Service], path: FromPath[str]
) -> Response[bytes]:
    return await _serve(request, service, service.ledger.root, path, _IMMUTABLE)


@get("/log/{log_id:str}/t/{read_token:str}/{path:path}", include_in_schema=False)
async def get_log_by_token(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    log_id: FromPath[str],
    read_token: FromPath[str],
    path: FromPath[str],
) -> Response[bytes]:
    principal = await service.access.token(read_token, request.scope["client"])
    if principal.role != "auditor" or principal.key_id is None:
        raise ForbiddenError("a read token is the key of an auditor; other credentials do not belong in a path")
    log = _own(principal.log, log_id)
    principal.require("log:tiles")
    return await _serve(request, service, log, path, _PRIVATE)


@get("/log/{log_id:str}/{path:path}", include_in_schema=False)
async def get_log(
    request: Request[Any, Any, Any], service: NamedDependency[Service], log_id: FromPath[str], path: FromPath[str]
) -> Response[bytes]:
    principal = await provide_principal(request, service)
    log = _own(principal.log, log_id)
    principal.require("log:tiles")
    return await _serve(request, service, log, path, _PRIVATE)


def _own(log: Log, log_id: str) -> Log:
    if log.record.log_id != log_id:
        raise NotFoundError("there is no such log")
    return log


async def _serve(
    request: Request[Any, Any, Any], service: Service, log: Log, path: str, caching: dict[str, str]
) -> Response[bytes]:
    path = path.lstrip("/")
    # The router overlooks superfluous slashes; a tile has exactly one path.
    if not request.scope["raw_path"].endswith(f"/{path}".encode()):
        raise NotFoundError("not the path of a tile: it has one spelling")
    if path == "checkpoint":
        note = log.committed.head.checkpoint.encode()
        return Response(note, media_type="text/plain", headers=_SHORT_LIVED)
    try:
        tile = parse_path(path)
    except MalformedError as error:
        raise NotFoundError(str(error)) from None
    first = tile.number << HEIGHT * ((tile.level or 0) + 1)
    await service.catch_up_to(log, first + (tile.width << HEIGHT * (tile.level or 0)))
    committed = log.committed
    # A partial tile is a prefix of the same tile grown further, so every width up to today's can be served.
    if tile.width > tile_width(tile.level or 0, tile.number, committed.head.size):
        raise NotFoundError(f"{path[:80]} does not exist at tree size {committed.head.size}")
    if tile.level is None:
        body = await asyncio.to_thread(_bundle, service, log, tile)
    else:
        level = tile.level
        body = await service.reading(lambda: log.tree.tile(committed.edge, level, tile.number, tile.width))
    return Response(body, media_type="application/octet-stream", headers=caching)


def _bundle(service: Service, log: Log, tile: TilePath) -> bytes:
    first = tile.number * WIDTH
    return format_bundle(service.ledger.store.leaves(log.number, first, first + tile.width))
