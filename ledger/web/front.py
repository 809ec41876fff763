# SPDX-License-Identifier: Apache-2.0
"""The door for hot routes: in front of Litestar's router, picked by method and path.

A hot handler is `async (service, call) -> Answer`, bytes in and bytes out, and knows nothing of ASGI: the server's
protocol gives it short requests as they come (web/exchange.py). Each is also behind an ordinary Litestar route, which
describes it in the OpenAPI document; all doors share access, errors and the handler itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from ledger.log.errors import LedgerError, MalformedRequestError, TooLargeError
from ledger.web.access import Principal
from ledger.web.asgi import Receive, Send
from ledger.web.asked import Asked
from ledger.web.problems import Answer, problem
from ledger.web.rates import Address
from ledger.web.service import Service

MAX_BODY_BYTES = 16 << 20
EXPOSED_HEADERS = ("Ledger-Event-Id", "Ledger-Leaf-Index", "X-Request-ID", "X-Trace-ID")
"""What a web page may read of an answer."""


class Call(NamedTuple):
    """A request after authentication. `argument` is what follows the route's prefix in the path."""

    principal: Principal
    argument: str
    query: Mapping[str, str]
    accept: str
    body: bytes


Hot = Callable[[Service, Call], Awaitable[Answer]]


class Hit(NamedTuple):
    """A request for a hot handler. `template` names the route in metrics."""

    handler: Hot
    argument: str
    template: str


Body = bytes | Receive
"""A body that is here already, or how it is received."""


class Front:
    """The table of hot routes, and the way from a request to an answer."""

    def __init__(
        self,
        service: Service,
        exact: Mapping[tuple[str, str], Hot],
        prefixes: Sequence[tuple[str, str, Hot]],
        cors_origins: Sequence[str] = (),
    ) -> None:
        self._service = service
        self._exact = {place: Hit(handler, "", place[1]) for place, handler in exact.items()}
        self._prefixes = prefixes
        self._cors_origins = {origin.encode(): origin for origin in cors_origins}

    def pick(self, method: str, path: str) -> Hit | None:
        """The hot route of a request, None when it is for the other door."""
        hit = self._exact.get((method, path))
        if hit is not None:
            return hit
        for wanted, prefix, handler in self._prefixes:
            if method == wanted and path.startswith(prefix):
                argument = path[len(prefix) :]
                # A longer path, or a fixed one beside the parameter, is another route.
                if len(argument) == 36 and "/" not in argument:
                    return Hit(handler, argument, prefix + "{event_id}")
        return None

    async def answer(self, hit: Hit, asked: Asked, path: str, query: bytes, address: Address, body: Body) -> Answer:
        """The answer to a request, problems included. Authentication comes first, then the body."""
        service = self._service
        try:
            principal = await service.access.principal(asked, address)
            if not isinstance(body, bytes):
                body = await read_body(asked, body)
            call = Call(principal, hit.argument, read_query(query), asked.accept, body)
            answer = await hit.handler(service, call)
        except Exception as error:
            answer = problem(error, instance=path, request_id=asked.request_id)
        return self._shared(asked, answer) if self._cors_origins else answer

    def _shared(self, asked: Asked, answer: Answer) -> Answer:
        """The answer, readable for a web page of an allowed origin. Preflights are answered by Litestar."""
        origin = None if asked.origin is None else self._cors_origins.get(asked.origin)
        if origin is None:
            return answer
        allowed = (
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", ", ".join(EXPOSED_HEADERS)),
            ("vary", "Origin"),
        )
        return answer._replace(headers=(*answer.headers, *allowed))


def read_query(query: bytes) -> Mapping[str, str]:
    return _short_query(query) if len(query) <= 64 else _query(query)


def _query(query: bytes) -> Mapping[str, str]:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


# Nearly every request of a hot route has one of the same few queries.
_short_query = lru_cache(maxsize=256)(_query)


async def read_body(asked: Asked, receive: Receive) -> bytes:
    """The whole body. Raises TooLargeError as soon as it is known to be too long."""
    if asked.content_length is not None and asked.content_length > MAX_BODY_BYTES:
        raise _too_large()
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequestError("the request ended before its body")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> LedgerError:
    return TooLargeError(f"a request body has at most {MAX_BODY_BYTES} bytes; send fewer events at once")


Headers = Sequence[tuple[bytes, bytes]]
"""Names and values as a server reads and writes them."""


def headers_of(answer: Answer, further: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with further ones of the door. All are our own, or were checked when they came in."""
    return [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        *further,
        *[(name.encode(), value.encode()) for name, value in answer.headers],
    ]


async def send_answer(send: Send, answer: Answer, further: Headers) -> None:
    """Send an answer as ASGI has it."""
    await send({"type": "http.response.start", "status": answer.status, "headers": headers_of(answer, further)})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
