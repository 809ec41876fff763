# SPDX-License-Identifier: Apache-2.0
"""Links for auditors over HTTP (CAPABILITIES C02): make, list and revoke them, and look at what one shows."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict

from ledger.log import canonical
from ledger.log.entry import format_time, new_id
from ledger.log.errors import InvalidRequestError
from ledger.log.events import catalogue
from ledger.log.events.calls import Env
from ledger.log.events.credentials import ShareCreated
from ledger.log.receipts import receipt
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.secrets import Owner
from ledger.tenant.shares import (
    DAY_MS,
    DEFAULT_DAYS,
    MAX_DAYS,
    created,
    new_share_secret,
    open_share,
    revoke_share,
    shown_by,
)
from ledger.tenant.state import Share, TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.listing import MAX_PAGE, EventAnswer, event_answer, find_page, refuse_others
from ledger.web.service import Service
from ledger.web.times import read_moment
from ledger.web.writes import idempotency, read_json, seal_texts, sealed_texts_of, where, write

Name = Annotated[str, Meta(pattern=r"^[ -~]{1,200}$")]
Names = Annotated[list[Name], Meta(min_length=1, max_length=200)]


class NewShareRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a link shows: entries of these types, agents, environments and times, null for any. It expires after seven
    days where `expires_at` is null, and after ninety at the latest.
    """

    expires_at: str | None = None
    types: Names | None = None
    agents: Names | None = None
    envs: Annotated[list[Env], Meta(min_length=1, max_length=3)] | None = None
    since: str | None = None
    until: str | None = None
    label: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class ShareFilters(msgspec.Struct, frozen=True, kw_only=True):
    """All that a link shows is of these; null is any."""

    types: list[str] | None
    agents: list[str] | None
    envs: list[str] | None
    since: str | None
    until: str | None


class ShareAnswer(ShareFilters, frozen=True, kw_only=True):
    """A link as lists show it: never its secret."""

    id: str
    label: str | None
    actor: str
    created_at: str
    expires_at: str


class NewShareAnswer(ShareAnswer, frozen=True, kw_only=True):
    """A new link. `token` is the secret, shown this once, and `path` where it leads; null when an earlier request made
    the link.
    """

    token: str | None
    path: str | None


class ShareList(msgspec.Struct, frozen=True):
    items: list[ShareAnswer]
    next_cursor: str | None = None


class SharedEntry(EventAnswer, frozen=True):
    """An entry, with its receipt where receipts were asked for."""

    receipt: msgspec.Raw | UnsetType = UNSET


class SharedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what a link shows. `checkpoint` is the log's newest signed head, for whoever holds receipts against it;
    the keys sign the log and the root log.
    """

    items: list[SharedEntry]
    next_cursor: str | None
    tree_size: int
    expires_at: str
    filters: ShareFilters
    origin: str
    checkpoint: str
    vkey: str
    root_vkey: str


_decoder = msgspec.json.Decoder(NewShareRequest)
_SHOWN = frozenset({"limit", "cursor", "receipts"})
_MADE_EARLIER = ResponseSpec(NewShareAnswer, description="An earlier request made the link", generate_examples=False)
_PRIVATE = {"cache-control": "private, no-store", "referrer-policy": "no-referrer"}


@post("/audit/shares", status_code=201, summary="Make a link", tags=["shares"], responses={200: _MADE_EARLIER})
async def create_share(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewShareAnswer]:
    """A link that shows entries without an account, and nothing sealed. The secret is in this answer and nowhere else.
    With an Idempotency-Key a repeated request makes no second one.
    """
    principal.require("shares:write")
    wanted = await read_json(request, _decoder)
    ledger, log, now = service.ledger, principal.log, service.ledger.clock()
    _require_sensible(wanted)
    since, until = _read(wanted.since, "since", now), _read(wanted.until, "until", now)
    if since is not None and until is not None and until <= since:
        raise InvalidRequestError.at(["body", "until"], "is not later than since")
    share_id, secret = new_id(now), new_share_secret()
    texts = await seal_texts(ledger, log, {"label": wanted.label})
    event = ShareCreated(
        share_id=share_id,
        actor=principal.actor,
        expires_at=format_time(_expiry(wanted, now)),
        types=_names(wanted.types),
        agents=_names(wanted.agents),
        envs=_names(wanted.envs),
        since=UNSET if since is None else format_time(since),
        until=UNSET if until is None else format_time(until),
        label=texts.of("label"),
    )
    box = tenancy.secrets.box("share", secret, Owner(log.number, share_id))

    def decide(moment: Moment) -> list[Draft]:
        return [texts.draft(event, share_id, [box])]

    repeatable = idempotency(request, principal, ShareCreated, wanted)
    appended = await write(service, principal, "shares:write", decide, texts=texts, repeatable=repeatable)
    [item] = appended.items
    shares = appended.committed.state[TenantState].shares.values()
    share = next(share for share in shares if share.index == item.leaf_index)
    shown = await service.reading(lambda: _share_answer(service, log, share))
    token = None if item.duplicate else secret
    path = None if token is None else f"/api/v1/audit/shared/{token}"
    return Response(
        NewShareAnswer(**asdict(shown), token=token, path=path),
        status_code=200 if item.duplicate else 201,
        headers={**where(item), "cache-control": "no-store"},
    )


@get("/audit/shares", summary="List links", tags=["shares"])
async def list_shares(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> ShareList:
    """Those that show something now, oldest first."""
    principal.require("shares:read")
    log, now = principal.log, service.ledger.clock()
    live = [share for share in log.committed.state[TenantState].shares.values() if share.is_live(now)]
    live.sort(key=lambda share: share.index)
    return ShareList(await service.reading(lambda: [_share_answer(service, log, share) for share in live]))


@delete("/audit/shares/{share_id:str}", status_code=204, summary="Revoke a link", tags=["shares"])
async def delete_share(
    service: NamedDependency[Service], principal: NamedDependency[Principal], share_id: FromPath[str]
) -> Response[None]:
    """At once and for good. Revoking twice is a conflict."""

    def decide(moment: Moment) -> list[Draft]:
        return revoke_share(moment, share_id, principal.actor)

    [item] = (await write(service, principal, "shares:write", decide)).items
    return Response(None, headers=where(item))


@get("/audit/shared/{token:str}", summary="Look at what a link shows", tags=["shares"])
async def get_shared(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    tenancy: NamedDependency[Tenancy],
    token: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: FromQuery[str | None] = None,
    receipts: FromQuery[Literal["none", "full"]] = "none",
) -> Response[SharedPage]:
    """Entries that the link is for, newest first, with nothing sealed; with `receipts=full` each with its receipt. That
    somebody looked is on record.
    """
    ledger = service.ledger
    log, share = await open_share(ledger, tenancy.secrets, service.access.rates, token, request.scope["client"])
    refuse_others(request.query_params, _SHOWN)
    _, event = await service.reading(lambda: created(ledger, log, share))
    head = log.committed.head
    page = await find_page(service, log, shown_by(event), limit, cursor)
    full = receipts == "full"
    items = await service.reading(lambda: [_entry(service, log, *entry, full) for entry in page.entries])
    tenancy.tallies.viewed(log.number, share.share_id)
    shown = SharedPage(
        items=items,
        next_cursor=page.next_cursor,
        tree_size=page.tree_size,
        expires_at=event.expires_at,
        filters=ShareFilters(**_filters(event)),
        origin=log.origin,
        checkpoint=head.checkpoint,
        vkey=log.signer.vkey.format(),
        root_vkey=ledger.root.signer.vkey.format(),
    )
    return Response(shown, headers=_PRIVATE)


def _require_sensible(wanted: NewShareRequest) -> None:
    """Raises InvalidRequestError for a type that there is not."""
    for place, name in enumerate(wanted.types or ()):
        if name not in catalogue():
            raise InvalidRequestError.at(
                ["body", "types", place], f"is no type of entries; there are {', '.join(catalogue())}"
            )


def _read(text: str | None, name: str, now: int) -> int | None:
    return None if text is None else read_moment(text, ["body", name], now)


def _expiry(wanted: NewShareRequest, now: int) -> int:
    """Milliseconds since the epoch. Raises InvalidRequestError."""
    if wanted.expires_at is None:
        return now + DEFAULT_DAYS * DAY_MS
    until = read_moment(wanted.expires_at, ["body", "expires_at"], now, ahead=True)
    if not now < until <= now + MAX_DAYS * DAY_MS:
        raise InvalidRequestError.at(["body", "expires_at"], f"is not within the next {MAX_DAYS} days")
    return until


def _names(names: list[Any] | None) -> list[Any] | UnsetType:
    return UNSET if names is None else sorted(set(names))


def _filters(event: ShareCreated) -> dict[str, Any]:
    return {name: getattr(event, name) or None for name in ShareFilters.__struct_fields__}


def _share_answer(service: Service, log: Log, share: Share) -> ShareAnswer:
    created_at, event = created(service.ledger, log, share)
    return ShareAnswer(
        id=share.share_id,
        label=sealed_texts_of(service.ledger, log, share.index).get("label"),
        actor=event.actor,
        created_at=created_at,
        expires_at=event.expires_at,
        **_filters(event),
    )


def _entry(service: Service, log: Log, index: int, leaf: bytes, with_receipt: bool) -> SharedEntry:
    shown = asdict(event_answer(service, log, index, leaf))
    if not with_receipt:
        return SharedEntry(**shown)
    return SharedEntry(**shown, receipt=msgspec.Raw(canonical.encode(receipt(service.ledger, log, index, leaf))))
