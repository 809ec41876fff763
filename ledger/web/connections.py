# SPDX-License-Identifier: Apache-2.0
"""What one connection may cost, before there is a request: the server's HTTP protocol with bounds.

uvicorn and httptools bound little by themselves: a head may be of any size and take for ever, a body may trickle in, an
answer may never be read, pipelined requests pile up, and there is no limit to connections. This protocol bounds

    size    of URL and head, of a pipeline, of what surrounds a body, of the bodies that wait in memory
    time    for a head and between requests; bodies and the reading of answers have a least rate
    number  of connections: beyond it each is told so with a 503, beyond twice that it is closed at once

and refuses what no route should have to think about: compressed bodies, requests for no host or for two, and targets
with broken percent-encodings, NULs or anything but UTF-8. A refusal is a problem document like any other, and ends the
connection.

Time is kept by one sweep over all connections, about once a second. So a request costs no timer, and a connection only
notes the instant of the last sweep: each bound of time is kept to within two sweeps, on the client's side.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ledger.log.errors import LedgerError, MalformedRequestError, TooLargeError, UnavailableError
from ledger.web.errors import HeadTooLargeError, TooSlowError, UnsupportedEncodingError, UrlTooLongError
from ledger.web.exchange import Exchange, written
from ledger.web.front import MAX_BODY_BYTES, Headers
from ledger.web.malformed import not_http, wrong_hosts
from ledger.web.observe import NO_SNIFFING, Incoming, Observe
from ledger.web.problems import problem
from ledger.web.streams import ENDLESS
from ledger.web.target import plain_target, wrong_target

MAX_URL_BYTES = 8 << 10
MAX_HEAD_BYTES = 32 << 10
MAX_FIELDS = 100
MAX_PIPELINED = 64
MAX_HELD_BYTES = 256 << 20
"""Bodies in memory, of all connections together, whose requests are not answered yet."""
SMALL_BODY_BYTES = 64 << 10
"""A body up to this size is taken even then."""
LEAST_RATE = 16 << 10
"""Bytes a second that a client has to send of a body, or to read of an answer, in every `patience` seconds."""

_READ_BYTES = 256 << 10  # what one read of uvloop brings at most
_LOOKED_AT = frozenset({b"content-length", b"expect", b"content-encoding", b"transfer-encoding"})
_UPGRADE = frozenset({b"connection", b"upgrade", b"http2-settings"})
_HELD = "the bodies of other requests fill the memory that is set aside for them: try again"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits that an operator may want to set, in connections and in seconds."""

    connections: int = 4096
    patience: float = 20.0
    idle: float = 75.0


class Connections:
    """All connections of a server: the clock of their bounds, and the memory that they hold."""

    def __init__(self, bounds: Bounds, shell: Observe, end_streams: Callable[[], None]) -> None:
        """`shell` answers what needs no ASGI, and counts refusals, since no route does. `end_streams` is called when
        the server stops, which else would wait for answers that have no end.
        """
        self.bounds = bounds
        self.shell = shell
        self.end_streams = end_streams
        self.now = 0.0
        self.held = 0
        self.interval = min(1.0, bounds.patience / 4, bounds.idle / 4)
        self._sweeping = False

    def protocol(self, **arguments: Any) -> "Connection":
        """A new connection: what uvicorn calls its protocol class."""
        return Connection(self, **arguments)

    def watch(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """Begin to sweep, unless something was open before."""
        if not self._sweeping:
            self._sweep_again(loop, connections)

    def _sweep_again(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        self.now = loop.time()
        self._sweeping = bool(connections)
        if self._sweeping:
            loop.call_later(self.interval, self._sweep, loop, connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        now = loop.time()
        for connection in list(connections):
            connection.check_time(now)
        self._sweep_again(loop, connections)


class _RefusedError(Exception):
    """Stops the parser: nothing more of this connection is read. Why is in `Connection.refusal`."""


class Connection(HttpToolsProtocol):
    """One connection. While a head comes in `_in_head` is true, while a body does `_in_body`, and between requests
    neither. `_since` is when that began.
    """

    def __init__(self, shared: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared = shared
        self._since = shared.now
        self._in_head = self._in_body = False
        self.url = b""
        self._hosts = 0
        # Bytes of the message that earlier reads brought, those of this read, and those of its body.
        self._raw = self._reading = self._received = 0
        # What of its body had come when the least rate was last looked at.
        self._marked = 0
        # How long the body is to be; None when it comes in chunks.
        self._length: int | None = 0
        # Bytes of bodies whose requests are not answered yet.
        self._held = 0
        # An answer's bytes that the client had not read when that was last looked at, and when it was.
        self._unread, self._unread_since = 0, 0.0
        self._refusal: LedgerError | None = None
        # A deaf connection reads no more. Its last words may have to wait for earlier answers; once they are said, it
        # waits to be closed.
        self._deaf = self._said = False
        self._last_words: tuple[int, bytes] | None = None
        self._replay = b""
        # Of pipelined requests, the one whose turn it is.
        self._answered: RequestResponseCycle | None = None

    # ---- the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._shared.watch(self.loop, self.connections)
        self._since = self._shared.now
        if self.server is not None and self.server[1] is None:
            return  # the operator's socket: he must get in when nobody else does
        most = self._shared.bounds.connections
        if len(self.connections) > 2 * most:
            transport.abort()
        elif len(self.connections) > most:
            # Said in answer to its first request: said at once, it could get lost with what is still being sent.
            self._refusal = UnavailableError("there are too many connections to this service: try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._release()
        # uvicorn tells the newest request only; the one that is answered while others wait would write on.
        for cycle in (self._answered, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._raw += len(data)
            if self._raw > 2 * MAX_BODY_BYTES:
                self.transport.abort()
            return
        self._reading = len(data)
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # An offer to go on in another protocol, which we ignore (RFC 9110 §7.8). But httptools has skipped the
                # request's body for it, so the request is read once more, without the offer.
                self.parser = httptools.HttpRequestParser(self)
                data, self._replay = self._replay + data[upgrade.args[0] :], b""
                continue
            except httptools.HttpParserError as error:
                self._refuse(self._refusal or not_http(error))
            break
        if self._in_head or self._in_body:
            # What surrounds a body may be ten times as much, as it is for chunks of a byte, but not without end.
            self._raw += len(data)
            most = _READ_BYTES + MAX_HEAD_BYTES + 10 * self._received
            if not self._deaf and (self._raw > most or len(self.headers) > MAX_FIELDS):
                self._refuse(_head_too_large())

    def shutdown(self) -> None:
        self._shared.end_streams()
        if self._said or (self._is_endless() and self.transport.get_write_buffer_size()):
            self.transport.abort()
        else:
            super().shutdown()

    def _is_endless(self) -> bool:
        """Whether the answer that is being written is one without an end."""
        cycles = (cycle for cycle in (self._answered, self.cycle) if isinstance(cycle, RequestResponseCycle))
        return any(ENDLESS in cycle.scope["state"] for cycle in cycles if not cycle.response_complete)

    def resume_writing(self) -> None:
        self._unread = 0
        super().resume_writing()

    # ---- the parser

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(UnavailableError(f"more than {MAX_PIPELINED} requests wait on this connection"))
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_head = True
        self._raw = self._received = self._marked = self._length = self._hosts = 0
        self._since = self._shared.now

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > MAX_URL_BYTES:
            self._stop(UrlTooLongError(f"a URL has at most {MAX_URL_BYTES} bytes; a search may come as a body"))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name in _LOOKED_AT:
            self._look_at(name, value)

    def _look_at(self, name: bytes, value: bytes) -> None:
        """The headers that say how the body comes. That a length is a number has been seen to by the parser."""
        if not self._in_head:
            return
        if name == b"content-length":
            if len(value) > 20:
                self._refusal = _body_too_large()
                return
            self._length = int(value)
            if self._length > MAX_BODY_BYTES:
                self._refusal = _body_too_large()
            return
        text = value.strip().lower()
        if name == b"expect":
            self.expect_100_continue = text == b"100-continue"
        elif name == b"content-encoding" and text not in (b"", b"identity"):
            self._refusal = UnsupportedEncodingError("send the body as it is, without a Content-Encoding")
        elif name == b"transfer-encoding":
            self._length = None
            if text != b"chunked":
                self._refusal = UnsupportedEncodingError("the only Transfer-Encoding that is taken is chunked")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._since = self._shared.now
        if len(self.headers) > MAX_FIELDS:
            self._stop(_head_too_large())
        # Where all that was read is short enough, the sum need not be made.
        if self._raw + self._reading > MAX_HEAD_BYTES and sum(map(_length, self.headers)) > MAX_HEAD_BYTES:
            self._stop(_head_too_large())
        refusal = self._refusal
        if refusal is None and b"%" in self.url:
            refusal = wrong_target(self.url)
        if refusal is None and self._hosts != 1 and (self._hosts or self.parser.get_http_version() >= "1.1"):
            refusal = wrong_hosts(self._hosts)
        if refusal is not None:
            self._stop(refusal)
        if self.parser.should_upgrade():
            self._replay = self._without_upgrade()
            return
        if not self.pipeline:
            self._answered = self.cycle
        exchange = self._plain_exchange()
        if exchange is None:
            self._begin_asgi(self.url, self.headers)
        else:
            self.cycle = cast(RequestResponseCycle, exchange)
        # Trailers come after all decisions; among the headers they would be taken for such.
        self.headers = []
        self._in_body = True

    def _plain_exchange(self) -> Exchange | None:
        """The request's exchange where it needs no ASGI. As nothing else is being written, nothing has to wait until
        the client has read.
        """
        if self._length is None or self._length > SMALL_BODY_BYTES or self.expect_100_continue:
            return None
        if self._answering() or self.flow.write_paused:
            return None
        parser = self.parser
        target = plain_target(parser.get_method(), self.url)
        hit = None if target is None else self._shared.shell.pick(target.method, target.path)
        if target is None or hit is None:
            return None
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        return Exchange(hit, target, self.headers, keep_alive)

    def _begin_asgi(self, url: bytes, headers: Headers) -> None:
        expect = self.expect_100_continue
        # Makes the scope, with empty headers of its own.
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()

    def _take_asgi(self, exchange: Exchange) -> None:
        """Let a request go ASGI's way after all: where the body takes its time, a refusal need not wait for it."""
        self.cycle = None  # type: ignore[assignment]
        self._begin_asgi(self.url, exchange.headers)
        self.headers = []
        for chunk in exchange.chunks:
            super().on_body(chunk)

    def _without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._stop(MalformedRequestError("CONNECT is for proxies"))
        kept = (b"%b: %b\r\n" % field for field in self.headers if field[0] not in _UPGRADE)
        return b"".join([method, b" ", self.url, b" HTTP/1.1\r\n", *kept, b"\r\n"])

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._received > 2 * MAX_BODY_BYTES:
            self._stop(_body_too_large())
        if not self.cycle.response_complete:
            self._held += len(body)
            self._shared.held += len(body)
            if self._shared.held > MAX_HELD_BYTES and self._received > SMALL_BODY_BYTES:
                self._stop(UnavailableError(_HELD))
        if isinstance(self.cycle, Exchange):
            self.cycle.chunks.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._replay:
            return
        self._in_body = False
        if isinstance(self.cycle, Exchange):
            # The loop knows tasks by weak references only.
            self.cycle.task = self.loop.create_task(self._answer(self.cycle))
        else:
            super().on_message_complete()

    async def _answer(self, exchange: Exchange) -> None:
        try:
            body = b"".join(exchange.chunks)
            request = Incoming(exchange.target, exchange.headers, self.server, self.client, body)
            answer, further = await self._shared.shell.answer(exchange.hit, request)
            if not exchange.disconnected:
                defaults = self.server_state.default_headers
                self.transport.write(written(answer, further, defaults, close=not exchange.keep_alive))
                exchange.response_complete = True
        finally:
            if not exchange.response_complete:
                self.transport.abort()
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            # Reading goes on once all are answered, so that what waits here does not grow.
            self._answered, app = self.pipeline.pop()
            self._start_asgi_task(self._answered, app)
            return
        if self._held:
            self._release()
        self._since = self._shared.now
        if self._deaf:
            self._say_last_words()
        else:
            self.flow.resume_reading()

    # ---- time

    def check_time(self, now: float) -> None:
        """Called by the sweep."""
        bounds = self._shared.bounds
        patience = bounds.patience + self._shared.interval
        if self._reads_too_slowly(now, patience):
            self.transport.abort()
            return
        waited = now - self._since
        if self._deaf:
            if self._said and waited > patience:
                self.transport.abort()
        elif self._in_body:
            if isinstance(self.cycle, Exchange):
                self._take_asgi(self.cycle)
            if self.flow.read_paused:
                self._since = now  # we have stopped it ourselves
            elif waited > patience:
                if self._received - self._marked < LEAST_RATE * bounds.patience:
                    self._refuse(TooSlowError(f"the body came too slowly: in {bounds.patience:g} s next to nothing"))
                self._since, self._marked = now, self._received
        elif self._answering():
            return
        elif self._in_head:
            if waited > patience:
                self._refuse(TooSlowError(f"the head of a request did not come in {bounds.patience:g} s"))
        elif waited > (patience if self.cycle is None else bounds.idle + self._shared.interval):
            self.transport.close()

    def _reads_too_slowly(self, now: float, patience: float) -> bool:
        unread = self.transport.get_write_buffer_size()
        if unread and self._unread:
            if now - self._unread_since <= patience:
                return False
            if self._unread - unread < min(self._unread, LEAST_RATE * self._shared.bounds.patience):
                return True
        self._unread, self._unread_since = unread, now
        return False

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _release(self) -> None:
        self._shared.held -= self._held
        self._held = 0

    # ---- refusals

    def _stop(self, refusal: LedgerError) -> None:
        self._refusal = refusal
        raise _RefusedError

    def _refuse(self, refusal: LedgerError) -> None:
        """Read no more, let earlier requests have their answers, then say why and close."""
        self._deaf = True
        self._raw = 0
        if not self._in_body:
            self._last_words = self._render(refusal)
        elif self._answering():
            self._last_words = self._render(refusal)
            cycle = self.cycle
            if self.pipeline:
                self.pipeline.popleft()
                return
            # Whoever waits for the rest of the body learns that there is none, and what he answers is not sent.
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
            self._say_last_words()
            return
        if not self._answering():
            self._say_last_words()

    def _say_last_words(self) -> None:
        """Closing at once would reset a connection that the client still sends on, and the answer would be lost. So the
        other side closes, or else the sweep.
        """
        if self.transport.is_closing():
            return
        self._said = True
        if self._last_words is not None:
            status, text = self._last_words
            self._shared.shell.count_refusal(status)
            self.transport.write(text)
        self.transport.write_eof()
        self._since = self._shared.now
        self._release()
        self.flow.resume_reading()

    def _render(self, refusal: LedgerError) -> tuple[int, bytes]:
        request_id = os.urandom(16).hex()
        path = unquote_to_bytes(self.url.partition(b"?")[0][:200]).decode("utf-8", "replace")
        answer = problem(refusal, instance=path, request_id=request_id)
        further = [(b"x-request-id", request_id.encode()), NO_SNIFFING]
        return answer.status, written(answer, further, self.server_state.default_headers, close=True)


def _length(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1])


def _head_too_large() -> LedgerError:
    return HeadTooLargeError(f"a request has at most {MAX_FIELDS} header fields, with {MAX_HEAD_BYTES} bytes")


def _body_too_large() -> LedgerError:
    return TooLargeError(f"a request body has at most {MAX_BODY_BYTES} bytes; send fewer events at once")
