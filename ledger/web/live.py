# SPDX-License-Identifier: Apache-2.0
"""The live stream (CAPABILITIES L10): entries of the log as they are committed, as server-sent events (WHATWG).

The id of a message is the leaf index of its entry. Whoever was cut off says the last id that he has and gets what came
after it, whichever process he asks then. Ids also come with nothing: the first tells from where on the stream follows,
and those beside a heartbeat how far it has looked for what the filters want.

A stream outlives the request's authentication, so it asks again, before whatever it shows, whether the credential is
live; and it shows nothing that was committed later than the state which says so.
"""

import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from ledger.log.errors import InvalidRequestError, LedgerError
from ledger.log.store import Filter
from ledger.log.working_copy import Committed, Log, Moment
from ledger.web.access import Principal
from ledger.web.listing import event_answer, refuse_others
from ledger.web.service import Service
from ledger.web.streams import ENDLESS, Follower

EVENT_STREAM = "text/event-stream"
RETRY_MS = 2000
"""After so long a client comes back that was cut off."""
LOOK_SECONDS = 0.5
"""So often a stream without news asks whether its credential is live: some expire."""
MOST_TOGETHER = 100
"""Entries that are read, and sent, at once."""

_FILTERS = frozenset({"type", "agent_id", "env", "last_event_id"})
_INDEX = re.compile(r"-1|[0-9]{1,15}", re.ASCII)


@get("/events/stream", summary="Follow events", tags=["events"], media_type=EVENT_STREAM)
async def stream_events(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    type: FromQuery[list[str] | None] = None,
    agent_id: FromQuery[str | None] = None,
    env: FromQuery[str | None] = None,
    last_event_id: Annotated[str | None, QueryParameter(description="leaf index, as in the header")] = None,
) -> Stream:
    """Entries of the tenant's log as they are committed, as server-sent events. With `Last-Event-ID`, a leaf index,
    first those that came after it; -1 is all there are.
    """
    allowed = principal.still_may("log:read")
    refuse_others(request.query_params, _FILTERS)
    log, streams = principal.log, service.streams
    # A browser that comes back says in the header what it has, under the same URL as before.
    start = await _start(service, log, request.headers.get("last-event-id") or last_event_id)
    wanted = Filter(
        types=tuple(type or ()),
        agents=() if agent_id is None else (agent_id,),
        envs=() if env is None else (env,),
        only_env=principal.env,
    )
    follower = streams.follow(log)
    request.scope["state"][ENDLESS] = True
    return Stream(
        _messages(service, follower, allowed, wanted, start),
        media_type=EVENT_STREAM,
        # Proxies, too, have to pass it on as it comes.
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _start(service: Service, log: Log, last_id: str | None) -> int:
    """The index of the first entry to be shown. Raises InvalidRequestError."""
    if last_id is None:
        return log.committed.head.size
    if not _INDEX.fullmatch(last_id):
        raise InvalidRequestError.at(["query", "last_event_id"], "is no leaf index")
    start = int(last_id) + 1
    await service.catch_up_to(log, start)
    if start > log.committed.head.size:
        raise InvalidRequestError.at(["query", "last_event_id"], "is beyond the end of the log")
    return start


async def _messages(
    service: Service, follower: Follower, allowed: Callable[[Moment], None], wanted: Filter, index: int
) -> AsyncIterator[bytes]:
    """What a stream says, from entry `index` on, until somebody ends it."""
    log, streams = follower.log, service.streams
    try:
        yield b"retry: %d\nid: %d\n\n" % (RETRY_MS, index - 1)
        beat = time.monotonic() + streams.heartbeat
        while not streams.ended:
            try:
                size = _live(service, log, allowed).head.size
                text, index = await _read_on(service, log, wanted, index, size) if index < size else (b"", index)
            except LedgerError:
                # It may no longer see this, or nothing can be read now. Coming back it is told which.
                return
            now = time.monotonic()
            if not text and now >= beat:
                text = b":\nid: %d\n\n" % (index - 1)
            if text:
                beat = now + streams.heartbeat
                yield text
            elif index == size:
                await follower.wait(min(LOOK_SECONDS, beat - now))
    finally:
        streams.leave(follower)


def _live(service: Service, log: Log, allowed: Callable[[Moment], None]) -> Committed:
    """The log as far as it may be shown. Raises a LedgerError where that is no more."""
    service.ledger.require_current()
    # A log that somebody follows is in use.
    service.ledger.loaded(log.number)
    committed = log.committed
    allowed(Moment(committed.state, service.ledger.clock(), committed.head.size))
    return committed


async def _read_on(service: Service, log: Log, wanted: Filter, start: int, size: int) -> tuple[bytes, int]:
    """The messages of what is wanted of the entries [start, size), or of the first of them, and where to go on."""

    def read() -> tuple[bytes, int]:
        onward = service.ledger.store.search_onward(log.number, wanted, start, size, MOST_TOGETHER)
        return b"".join([_message(service, log, *entry) for entry in onward.entries]), onward.following

    return await service.streams.read((log.number, wanted, start, size), read)


def _message(service: Service, log: Log, index: int, leaf: bytes) -> bytes:
    # JSON has no line breaks within.
    return b"id: %d\ndata: %b\n\n" % (index, msgspec.json.encode(event_answer(service, log, index, leaf)))
