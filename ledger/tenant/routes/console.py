# SPDX-License-Identifier: Apache-2.0
"""What a console remembers for somebody, and what he wants to say (CAPABILITIES T05)."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from msgspec import Meta

from ledger.log import canonical
from ledger.log.entry import new_id
from ledger.log.errors import TooLargeError
from ledger.log.events.tenants import FeedbackSubmitted, Topic
from ledger.log.report import decode
from ledger.log.working_copy import Draft, Moment
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.writes import read_json, seal_texts, where, write

MAX_STATE_BYTES = 64 << 10


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topic: Topic
    text: Annotated[str, Meta(min_length=1, max_length=10_000)]


class FeedbackAnswer(msgspec.Struct, frozen=True):
    feedback_id: str
    topic: Topic


_state_decoder = msgspec.json.Decoder(dict[str, Any])
_feedback_decoder = msgspec.json.Decoder(FeedbackRequest)


@get("/dashboard/state", summary="What the console remembers", tags=["console"])
async def get_dashboard_state(
    service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> dict[str, Any]:
    """The object that the same member, or key, put there last; an empty one before."""
    principal.require("console:write")
    text = await service.reading(lambda: service.ledger.store.note(_note_name(principal)))
    return {} if text is None else _state_decoder.decode(text)


@put("/dashboard/state", summary="Have the console remember", tags=["console"])
async def put_dashboard_state(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> dict[str, Any]:
    """Any JSON object of at most 64 kB, instead of the one before. It is not in the log."""
    principal.require("console:write")
    body = await request.body()
    if len(body) > MAX_STATE_BYTES:
        raise TooLargeError(f"the console's state has at most {MAX_STATE_BYTES} bytes")
    canonical.refuse_duplicates(body)
    state = decode(_state_decoder, body)
    text = msgspec.json.encode(state).decode()
    # In a thread, since a transaction may be about to commit.
    await asyncio.to_thread(service.ledger.store.put_note, _note_name(principal), text)
    return state


@post("/feedback", status_code=201, summary="Give feedback", tags=["console"])
async def post_feedback(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[FeedbackAnswer]:
    """A bug, a wish or a question. The text is sealed in the log."""
    principal.require("feedback:write")
    wanted = await read_json(request, _feedback_decoder)
    texts = await seal_texts(service.ledger, principal.log, {"text": wanted.text})
    feedback_id = new_id(service.ledger.clock())

    def decide(moment: Moment) -> list[Draft]:
        event = FeedbackSubmitted(
            feedback_id=feedback_id, topic=wanted.topic, actor=principal.actor, text=texts.commitments["/data/text"]
        )
        return [texts.draft(event, subject=feedback_id)]

    [item] = (await write(service, principal, "feedback:write", decide, texts=texts)).items
    return Response(FeedbackAnswer(feedback_id, wanted.topic), status_code=201, headers=where(item))


def _note_name(principal: Principal) -> str:
    """Each member and each key has one; keys' and members' ids are never the same."""
    return f"console/{principal.log.number}/{principal.holder or 'operator'}"
