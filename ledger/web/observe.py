# SPDX-License-Identifier: Apache-2.0
"""The outermost shell: every request gets an id, a trace id, a measurement, and its door marked.

Nothing here sees a body, a query or a credential; what is logged of a path has the read token cut out.
"""

import time
from collections.abc import Iterable

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ledger.web.asgi import ASGIApp, Message, Receive, Scope, Send
from ledger.web.asked import Asked, AskedReader
from ledger.web.front import Front, send_answer
from ledger.web.problems import problem, without_token

_log = structlog.get_logger("ledger.access")


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
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.queued = Gauge("ledger_queued_events", "Events waiting for a transaction", registry=self.registry)
        self.root_size = Gauge("ledger_root_log_size", "Entries of the root log", registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. Finding the series of a set of labels costs more than counting, so they are kept."""
        labels = method, route, status
        series = self._children.get(labels)
        if series is None:
            series = self._children[labels] = self.requests.labels(*labels), self.seconds.labels(route)
        series[0].inc()
        series[1].observe(seconds)


class Observe:
    """`app` is the door behind `front`."""

    def __init__(
        self, front: Front, app: ASGIApp, metrics: Metrics, key_headers: Iterable[str], *, access_log: bool
    ) -> None:
        self._front = front
        self._app = app
        self._metrics = metrics
        self._reader = AskedReader(key_headers)
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        asked = self._reader.read(scope)
        hit = self._front.pick(scope)
        status = 500
        try:
            if hit is not None:
                answer = await self._front.answer(hit, asked, scope, receive)
                status = answer.status
                await send_answer(send, answer, *_marks(asked))
            else:
                scope.setdefault("state", {})["asked"] = asked
                status = await self._behind(asked, scope, receive, send)
        finally:
            route = str(scope.get("path_template") or "other") if hit is None else hit.template
            self._record(scope, asked, route, status, time.perf_counter() - started)

    async def _behind(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> int:
        """Let the other door answer; its status."""
        status = 500
        answered = False

        async def marked_send(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                answered = True
                status = message["status"]
                message["headers"] = [*message["headers"], *_marks(asked)]
            await send(message)

        try:
            await self._app(scope, receive, marked_send)
        except Exception as error:
            if answered:
                raise
            await send_answer(marked_send, problem(error, instance=scope["path"], request_id=asked.request_id))
        return status

    def _record(self, scope: Scope, asked: Asked, route: str, status: int, seconds: float) -> None:
        self._metrics.count(scope["method"], route, status, seconds)
        if self._access_log:
            _log.info(
                "request",
                method=scope["method"],
                path=without_token(scope["path"]),
                status=status,
                ms=round(seconds * 1000, 2),
                id=asked.request_id,
            )


def _marks(asked: Asked) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-request-id", asked.request_id.encode()),
        (b"x-trace-id", asked.trace_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    )
