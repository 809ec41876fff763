# SPDX-License-Identifier: Apache-2.0
"""Events: report, list, search, read (CAPABILITIES L01, L02)."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta

from ledger.log import canonical
from ledger.log.entry import parse_uuid
from ledger.log.errors import BehindError, ForbiddenError, InvalidRequestError, NotFoundError
from ledger.log.events.calls import Env
from ledger.log.receipts import fresh_receipt, receipt
from ledger.log.report import Report, Reporter, decode, dedup_keys, draft_report, identity_of, read_report
from ledger.log.store import Filter
from ledger.log.submission import Appended, Part, Prepared
from ledger.log.working_copy import Committed, Draft, Item, Moment
from ledger.web.access import Principal
from ledger.web.doors import answer_response, call_of
from ledger.web.front import Call, read_query
from ledger.web.listing import MAX_PAGE, EventAnswer, EventPage, event_answer, find_page, refuse_others
from ledger.web.problems import Answer
from ledger.web.service import Quota, Service
from ledger.web.times import read_moment

ENVS: tuple[str, ...] = get_args(Env)
CALL_OF: Mapping[str, Sequence[str]] = {"agent_id": (), "env": ENVS}
"""What a query says of a call that is looked up by its id."""
_CALL_ID = re.compile(r"[\x20-\x7e]{1,200}")


class ReportedItem(msgspec.Struct, frozen=True):
    call_id: str
    event_id: str
    leaf_index: int
    duplicate: bool


class ReportAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    accepted: int
    duplicates: int
    items: list[ReportedItem]
    checkpoint: str
    receipts: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


# PostgreSQL has no text with a NUL, and no URL has one either.
Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]


class EventSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /events/search`: the filters of `GET /events`."""

    types: list[Text] = []
    agent_id: Text | None = None
    tool_name: Text | None = None
    verdict: Text | None = None
    mode: Text | None = None
    env: Text | None = None
    since: str | None = None
    until: str | None = None
    search: Text | None = None
    limit: int = 50
    cursor: str | None = None
    disclose: str | None = None


_FILTERS = {"type", *EventSearch.__struct_fields__} - {"types"}
_encoder = msgspec.json.Encoder()
_search_decoder = msgspec.json.Decoder(EventSearch)


async def report_events(service: Service, call: Call) -> Answer:
    """`POST /events`, behind both doors."""
    principal, ledger = call.principal, service.ledger
    principal.require("events:write")
    if principal.key_id is None:
        raise ForbiddenError("events are reported with an API key, so that the entry can say whose they are")
    wanted = call.query.get("receipts", "none")
    if wanted not in ("none", "full"):
        raise InvalidRequestError.at(["query", "receipts"], "is none or full")
    report = read_report(call.body)
    service.access.rates.take_batch(principal.key_id, len(report.events))
    reporter = Reporter(key_id=principal.key_id, env=principal.env, agents=principal.agents)
    quota = service.quota(principal.log)
    work = _Reporting(service, principal, reporter, report, wanted == "full", quota)
    if quota is None:
        return await ledger.sequencer.run(work, weight=len(report.events))
    await quota.ready(len(report.events))
    try:
        return await ledger.sequencer.run(work, weight=len(report.events))
    finally:
        await quota.settle()


class _Reporting(msgspec.Struct, frozen=True):
    """A report on its way through the writer's thread."""

    service: Service
    principal: Principal
    reporter: Reporter
    report: Report
    receipts: bool
    quota: Quota | None

    def prepare(self) -> Prepared:
        ledger, principal = self.service.ledger, self.principal
        # Before any key is looked up.
        seen = principal.log.committed.state.governing
        drafts = draft_report(ledger, principal.log, self.report, self.reporter, ledger.clock())

        def decide(moment: Moment) -> list[Draft]:
            principal.recheck(moment)
            ledger.require_keys(moment, seen, drafts)
            return drafts

        admit = None if self.quota is None else self.quota.admit
        return Prepared([Part(principal.log, decide, admit=admit)], dedup_keys(drafts))

    def conclude(self, appended: list[Appended]) -> Answer:
        [(committed, entries)] = appended
        # The manifest, where there is one, is the last entry and not an event of the batch.
        items = [
            ReportedItem(event.call_id, item.event_id, item.leaf_index, item.duplicate)
            for event, item in zip(self.report.events, entries, strict=False)
        ]
        duplicates = sum([item.duplicate for item in items])
        answer = ReportAnswer(
            accepted=len(items) - duplicates,
            duplicates=duplicates,
            items=items,
            checkpoint=committed.head.checkpoint,
            receipts=self._receipts(committed, entries[: len(items)]) if self.receipts else msgspec.UNSET,
        )
        headers = (("ledger-event-id", items[0].event_id), ("ledger-leaf-index", str(items[0].leaf_index)))
        return Answer(200, _encoder.encode(answer), headers=headers)

    def _receipts(self, committed: Committed, entries: Sequence[Item]) -> list[msgspec.Raw]:
        ledger, log, texts = self.service.ledger, self.principal.log, []
        for item in entries:
            if item.leaf is not None:
                made = fresh_receipt(log, committed, item.leaf_index, item.leaf)
            else:
                [leaf] = ledger.store.leaves(log.number, item.leaf_index, item.leaf_index + 1)
                made = receipt(ledger, log, item.leaf_index, leaf)
            texts.append(msgspec.Raw(canonical.encode(made)))
        return texts


@post("/events", status_code=200, summary="Report events", tags=["events"])
async def post_events(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Put a batch of decision events into the log, all or none. Reporting the same event again changes nothing."""
    return answer_response(await report_events(service, await call_of(service, request)))


@get("/events", summary="List events", tags=["events"])
async def list_events(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    type: FromQuery[list[str] | None] = None,
    agent_id: FromQuery[str | None] = None,
    tool_name: FromQuery[str | None] = None,
    verdict: FromQuery[str | None] = None,
    mode: FromQuery[str | None] = None,
    env: FromQuery[str | None] = None,
    since: Annotated[str | None, QueryParameter(description="RFC 3339 time, or 1h, 6h, 24h, 7d, 30d")] = None,
    until: FromQuery[str | None] = None,
    search: Annotated[str | None, QueryParameter(description="text in open fields")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: FromQuery[str | None] = None,
    disclose: Annotated[str | None, QueryParameter(description="all: show sealed values, for payload:read")] = None,
) -> EventPage:
    """Entries of the tenant's log, newest first. An agent's key sees what it reported itself."""
    refuse_others(request.query_params, _FILTERS)
    wanted = EventSearch(
        type or [], agent_id, tool_name, verdict, mode, env, since, until, search, limit, cursor, disclose
    )
    return await _page(service, principal, wanted, "query")


@post("/events/search", status_code=200, summary="Search events", tags=["events"])
async def search_events(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> EventPage:
    """The filters of the list, in a body."""
    body = await request.body() or b"{}"
    canonical.refuse_duplicates(body)
    return await _page(service, principal, decode(_search_decoder, body), "body")


@get("/events/{event_id:str}", summary="Read an event", tags=["events"])
async def get_event(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    event_id: FromPath[str],
    disclose: FromQuery[str | None] = None,
) -> EventAnswer:
    """By the id of the event, or of the call with its agent's."""
    wanted = wants_disclosures(principal, disclose)
    query = read_query(request.scope["query_string"])

    def read() -> EventAnswer:
        index, leaf = find_entry(service, principal, event_id, query)
        return event_answer(service, principal.log, index, leaf, wanted)

    return await service.reading_of(principal.log, read)


def find_entry(service: Service, principal: Principal, name: str, query: Mapping[str, str]) -> tuple[int, bytes]:
    """Index and leaf of an entry by its id, or of a reported call by the call's, which is one of an agent and an
    environment: those of the query, else of the credential. What has the form of an event id is taken for one first.

    Raises NotFoundError also for one that the principal may not see, InvalidRequestError where the agent is missing,
    BehindError for one that is not in the tree in memory yet. To be called by way of `Service.reading_of`.
    """
    principal.require("events:read")
    store, log = service.ledger.store, principal.log
    env = query.get("env", principal.env or "production")
    if env not in ENVS:
        raise InvalidRequestError.at(["query", "env"], f"is one of {', '.join(ENVS)}")
    value = parse_uuid(name.lower())
    event_id = None if value is None else value.to_bytes(16, "big")
    row = None if event_id is None else store.find(log.number, event_id)
    if row is None and _CALL_ID.fullmatch(name):
        agent_id = query.get("agent_id", principal.only_agent)
        if agent_id is not None:
            dedup = log.digest(identity_of(agent_id, env, name))
            known = store.known(log.number, [dedup]).get(dedup)
            row = None if known is None else store.find(log.number, known.event_id)
        elif event_id is None:
            reason = "is missing: this is no event id, and a call id is looked up with its agent"
            raise InvalidRequestError.at(["query", "agent_id"], reason)
    if row is not None and principal.only_key in (None, row.key_id) and principal.reaches(row.env):
        if row.leaf_index >= log.committed.head.size:
            raise BehindError
        return row.leaf_index, row.leaf
    raise NotFoundError(f"there is no event {name[:64]}")


def wants_disclosures(principal: Principal, disclose: str | None, source: str = "query") -> bool:
    """Whether sealed values were asked for. Raises InvalidRequestError, or ForbiddenError without payload:read."""
    if disclose in (None, "none"):
        return False
    if disclose != "all":
        raise InvalidRequestError.at([source, "disclose"], "is none or all")
    principal.require("payload:read")
    return True


async def _page(service: Service, principal: Principal, wanted: EventSearch, source: str) -> EventPage:
    """`source` is where the filters came from, query or body."""
    principal.require("events:read")
    now = service.ledger.clock()
    disclose = wants_disclosures(principal, wanted.disclose, source)
    chosen = Filter(
        types=wanted.types,
        agents=() if wanted.agent_id is None else [wanted.agent_id],
        envs=() if wanted.env is None else [wanted.env],
        key_id=principal.only_key,
        tool_name=wanted.tool_name,
        verdict={"block": "deny", "ask": "pending"}.get(wanted.verdict or "", wanted.verdict),
        mode=wanted.mode,
        only_env=principal.env,
        since=None if wanted.since is None else read_moment(wanted.since, [source, "since"], now),
        until=None if wanted.until is None else read_moment(wanted.until, [source, "until"], now),
        text=wanted.search,
    )
    log = principal.log
    page = await find_page(service, log, chosen, wanted.limit, wanted.cursor, source)
    items = await service.reading(lambda: [event_answer(service, log, *entry, disclose) for entry in page.entries])
    return EventPage(items, page.next_cursor, page.tree_size)
