# SPDX-License-Identifier: Apache-2.0
"""Entries as lists show them: one form, in pages that later entries do not shift."""

import asyncio
from collections.abc import Collection, Iterable

import msgspec

from ledger.log.entry import read_envelope
from ledger.log.errors import InvalidRequestError
from ledger.log.receipts import disclosures_of
from ledger.log.sealed import read_disclosure
from ledger.log.store import Filter
from ledger.log.working_copy import Log
from ledger.web.cursors import Cursor, read_cursor
from ledger.web.service import Service

MAX_PAGE = 200


class _Acted(msgspec.Struct):
    actor: str | None = None


_acted = msgspec.json.Decoder(_Acted)


def actor_of(data: msgspec.Raw) -> str | None:
    """Who did what an event says, None where it does not say who."""
    return _acted.decode(data).actor


class EventAnswer(msgspec.Struct, frozen=True):
    """An entry as lists show it. Sealed fields stand as commitments unless they were asked for and may be read."""

    event_id: str
    leaf_index: int
    type: str
    subject: str | None
    recorded_at: str
    timestamp: str | None
    data: msgspec.Raw


class EventPage(msgspec.Struct, frozen=True):
    items: list[EventAnswer]
    next_cursor: str | None
    tree_size: int


class Found(msgspec.Struct, frozen=True):
    """The entries (index, leaf) of a page."""

    entries: list[tuple[int, bytes]]
    next_cursor: str | None
    tree_size: int


_encoder = msgspec.json.Encoder()


async def find_page(
    service: Service, log: Log, chosen: Filter | None, limit: int, cursor: str | None, source: str = "query"
) -> Found:
    """The page at `cursor` of what is chosen, newest first; `chosen` None is nothing.

    `source` is where the request has limit and cursor, query or body. Raises InvalidRequestError.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequestError.at([source, "limit"], f"is from 1 to {MAX_PAGE}")
    size = log.committed.head.size
    at = Cursor(size, size) if cursor is None else read_cursor(cursor, [source, "cursor"])
    if chosen is None:
        return Found([], None, at.size)
    store, below = service.ledger.store, min(at.below, size)
    page = await asyncio.to_thread(store.search, log.number, chosen, below, limit)
    following = None if page.below is None else Cursor(at.size, page.below).format()
    return Found(page.entries, following, at.size)


def event_answer(service: Service, log: Log, index: int, leaf: bytes, disclose: bool = False) -> EventAnswer:
    """An entry as it is shown; with `disclose` it asks the store for what is sealed."""
    envelope = read_envelope(leaf)
    return EventAnswer(
        event_id=envelope.id,
        leaf_index=index,
        type=envelope.type,
        subject=envelope.subject or None,
        recorded_at=envelope.recordedat,
        timestamp=envelope.time or None,
        data=_disclosed(service, log, index, envelope.data) if disclose else envelope.data,
    )


def _disclosed(service: Service, log: Log, index: int, data: msgspec.Raw) -> msgspec.Raw:
    """The event's data with every sealed value that can still be opened put back in its place."""
    values = msgspec.json.decode(data)
    for text in disclosures_of(service.ledger, log, index):
        disclosure = read_disclosure(text)
        *path, name = disclosure.pointer.split("/")[2:]
        owner = values
        for step in path:
            owner = owner[step]
        owner[name] = disclosure.value
    return msgspec.Raw(_encoder.encode(values))


def refuse_others(names: Iterable[str], known: Collection[str]) -> None:
    """Raises InvalidRequestError for a filter that a list does not have: passed over, one with a slip in its name would
    show an auditor what he did not ask for.
    """
    for name in names:
        if name not in known:
            raise InvalidRequestError.at(["query", name[:80]], "is no filter of this list")
