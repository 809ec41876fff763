# SPDX-License-Identifier: Apache-2.0
"""The door for hot routes: plain ASGI in front of Litestar's router, picked by method and path.

A hot handler is `async (service, call) -> Answer`, bytes in and bytes out, and knows nothing of ASGI. Each is also
behind an ordinary Litestar route, which describes it in the OpenAPI document; both doors share access, errors and the
handler itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from ledger.log.errors import LedgerError, MalformedRequestError, TooLargeError
from ledger.web.access import Principal
from ledger.web.asgi import ASGIApp, Receive, Scope, Send
from ledger.web.problems import Answer, problem
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


class Front:
    """Sends a request to a hot handler, or on to `app`."""

    def __init__(
        self,
        service: Service,
        exact: Mapping[tuple[str, str], Hot],
        prefixes: Sequence[tuple[str, str, Hot]],
        app: ASGIApp,
        cors_origins: Sequence[str] = (),
    ) -> None:
        self._service = service
        self._exact = exact
        self._prefixes = prefixes
        self._app = app
        self._cors_origins = {origin.encode(): origin for origin in cors_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._pick(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        handler, argument, template = found
        scope["path_template"] = template
        try:
            call = await read_call(self._service, scope, receive, argument)
            answer = await handler(self._service, call)
        except Exception as error:
            answer = problem(error, instance=scope["path"], request_id=scope["state"]["request_id"])
        await send_answer(send, self._shared(scope, answer))

    def _shared(self, scope: Scope, answer: Answer) -> Answer:
        """The answer, readable for a web page of an allowed origin. Preflights are answered by Litestar."""
        for name, value in scope["headers"] if self._cors_origins else ():
            if name == b"origin" and (origin := self._cors_origins.get(value)) is not None:
                exposed = ", ".join(EXPOSED_HEADERS)
                allowed = (
                    ("access-control-allow-origin", origin),
                    ("access-control-expose-headers", exposed),
                    ("vary", "Origin"),
                )
                return answer._replace(headers=(*answer.headers, *allowed))
        return answer

    def _pick(self, scope: Scope) -> tuple[Hot, str, str] | None:
        method, path = scope["method"], scope["path"]
        handler = self._exact.get((method, path))
        if handler is not None:
            return handler, "", path
        for wanted, prefix, handler in self._prefixes:
            if method == wanted and path.startswith(prefix):
                argument = path[len(prefix) :]
                # A longer path, or a fixed one beside the parameter, is another route.
                if len(argument) == 36 and "/" not in argument:
                    return handler, argument, prefix + "{event_id}"
        return None


async def read_call(service: Service, scope: Scope, receive: Receive, argument: str) -> Call:
    """Authenticate, then read the body. Raises LedgerError."""
    headers = scope["headers"]
    principal = service.access.principal(headers, local=scope["state"]["local"], address=scope["client"])
    accept = next((value.decode("latin-1") for name, value in headers if name == b"accept"), "*/*")
    return Call(principal, argument, read_query(scope["query_string"]), accept, await read_body(scope, receive))


def read_query(query: bytes) -> dict[str, str]:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises TooLargeError as soon as it is known to be too long."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > MAX_BODY_BYTES:
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


async def send_answer(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
