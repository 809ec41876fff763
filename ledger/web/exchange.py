# SPDX-License-Identifier: Apache-2.0
"""A short request for a hot route, from the protocol to the handler and back without ASGI between.

ASGI's scope, its messages, the event that a body is waited for with, and the two sends cost more than reading the
request. So where nothing needs them, the protocol collects the body itself, asks the handler with it, and writes the
answer in one piece. Whatever is unusual about a request (length unknown or large, pipelined, waiting for a 100, a body
or a reader that is slow) takes ASGI's way, to the same handler.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ledger.web.front import Headers, Hit, headers_of
from ledger.web.problems import Answer
from ledger.web.target import Target


class _Nobody:
    """Where uvicorn would wake whoever waits for a body."""

    def set(self) -> None:
        pass


class Exchange:
    """One such request on its connection, which has it where uvicorn would have its cycle."""

    __slots__ = ("chunks", "disconnected", "headers", "hit", "keep_alive", "response_complete", "target", "task")

    message_event = _Nobody()
    response_started = False

    def __init__(self, hit: Hit, target: Target, headers: Headers, keep_alive: bool) -> None:
        self.hit = hit
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.chunks: list[bytes] = []
        self.task: asyncio.Task[None] | None = None
        self.disconnected = False
        self.response_complete = False


def written(answer: Answer, further: Headers, defaults: Headers, *, close: bool) -> bytes:
    """An answer as it goes over the connection, with the headers that the server gives to all."""
    headers = [*defaults, *headers_of(answer, further)]
    if close:
        headers.append((b"connection", b"close"))
    return b"".join([STATUS_LINE[answer.status], *[b"%b: %b\r\n" % field for field in headers], b"\r\n", answer.body])
