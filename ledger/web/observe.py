# SPDX-License-Identifier: Apache-2.0
"""The outermost shell: every request gets an id, a trace id, a measurement, and its door marked.

Nothing here sees a body, a query or a credential; what is logged of a path has the read token cut out.
"""

import os
import re
import time

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ledger.web.asgi import ASGIApp, Message, Receive, Scope, Send
from ledger.web.front import send_answer
from ledger.web.problems import problem, without_token

_log = structlog.get_logger("ledger.access")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}\Z")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")


class Metrics:
    """What `/metrics` shows of requests. Labels are route templates, never paths."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ledger_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "ledger_http_request_seconds", "Time to the end of the answer", ["route"], registry=self.registry
        )
        self.queued = Gauge("ledger_queued_events", "Events waiting for a transaction", registry=self.registry)
        self.root_size = Gauge("ledger_root_log_size", "Entries of the root log", registry=self.registry)


class Observe:
    def __init__(self, app: ASGIApp, metrics: Metrics, *, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id, trace_id = _identify(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        # A connection on the Unix socket has no port. Only the operator's own account can open that socket.
        server = scope.get("server")
        state["local"] = server is not None and server[1] is None
        status = 500
        answered = False

        async def observed_send(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                answered = True
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"x-trace-id", trace_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        except Exception as error:
            if answered:
                raise
            await send_answer(observed_send, problem(error, instance=scope["path"], request_id=request_id))
        finally:
            route = str(scope.get("path_template") or "other")
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(scope["method"], route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            if self._access_log:
                _log.info(
                    "request",
                    method=scope["method"],
                    path=without_token(scope["path"]),
                    status=status,
                    ms=round(seconds * 1000, 2),
                    id=request_id,
                )


def _identify(scope: Scope) -> tuple[str, str]:
    """Request id and trace id: the caller's where they are well formed, else new ones."""
    request_id = trace_id = None
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            request_id = value.decode()
        elif name == b"traceparent" and (match := _TRACEPARENT.match(value)):
            trace_id = match[1].decode()
    random = os.urandom(16).hex()
    return request_id or random, trace_id or random
