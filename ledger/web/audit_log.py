# SPDX-License-Identifier: Apache-2.0
"""The administration log (CAPABILITIES T07), the log without what agents ask and do: who settled what, and when."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec.structs import asdict

from ledger.log.entry import read_envelope
from ledger.log.events import EventClass, catalogue
from ledger.log.store import Filter
from ledger.log.working_copy import Log
from ledger.web.access import Principal
from ledger.web.listing import MAX_PAGE, EventAnswer, actor_of, event_answer, find_page, refuse_others
from ledger.web.service import Service
from ledger.web.times import read_moment


class AuditEntry(EventAnswer, frozen=True):
    """An entry, with who did it where the entry says so."""

    actor: str | None = None


class AuditPage(msgspec.Struct, frozen=True):
    items: list[AuditEntry]
    next_cursor: str | None
    tree_size: int


_FILTERS = frozenset({"action", "resource_type", "q", "since", "until", "limit", "cursor"})
_TYPES = tuple(name for name, event in catalogue().items() if event.event_class is not EventClass.CALL)


@get("/audit-log", summary="List what was administered", tags=["events"])
async def list_audit_log(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    action: Annotated[str | None, QueryParameter(description="key.created, or key for all that begin so")] = None,
    resource_type: Annotated[str | None, QueryParameter(description="what stands before the dot, e.g. key")] = None,
    q: Annotated[str | None, QueryParameter(description="text in open fields")] = None,
    since: Annotated[str | None, QueryParameter(description="RFC 3339 time, or 1h, 6h, 24h, 7d, 30d")] = None,
    until: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: FromQuery[str | None] = None,
) -> AuditPage:
    """Entries about keys, members, settings, exports and the log itself, newest first; none about calls."""
    principal.require("log:read")
    refuse_others(request.query_params, _FILTERS)
    now = service.ledger.clock()
    types = [name for name in _TYPES if _is_wanted(name, action, resource_type)]
    chosen = Filter(
        types=types,
        only_env=principal.env,
        since=None if since is None else read_moment(since, ["query", "since"], now),
        until=None if until is None else read_moment(until, ["query", "until"], now),
        text=q,
    )
    log = principal.log
    page = await find_page(service, log, chosen if types else None, limit, cursor)
    return AuditPage([_audit_entry(service, log, *entry) for entry in page.entries], page.next_cursor, page.tree_size)


def _is_wanted(name: str, action: str | None, resource_type: str | None) -> bool:
    return (action is None or f"{name}.".startswith(f"{action}.")) and resource_type in (None, name.partition(".")[0])


def _audit_entry(service: Service, log: Log, index: int, leaf: bytes) -> AuditEntry:
    actor = actor_of(read_envelope(leaf).data)
    return AuditEntry(**asdict(event_answer(service, log, index, leaf)), actor=actor)
