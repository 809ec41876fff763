# SPDX-License-Identifier: Apache-2.0
"""The outermost shell: every request gets an id, a trace id and a measurement, whichever door it takes.

Nothing here sees a body, a query or a credential; what is logged of a path has the read token cut out.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ledger.web.asgi import ASGIApp, Message, Receive, Scope, Send
from ledger.web.asked import Asked, AskedReader
from ledger.web.front import Front, Headers, Hit, send_answer
from ledger.web.problems import Answer, problem, without_token
from ledger.web.proxies import Proxies
from ledger.web.rates import Address
from ledger.web.target import Target

_log = structlog.get_logger("ledger.access")


BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the histogram of answer times."""


NO_SNIFFING = (b"x-content-type-options", b"nosniff")
NO_PROXIES = Proxies()


class Metrics(Collector):
    """What `/metrics` shows. Labels are route templates, never paths.

    Requests are counted in plain numbers and become metrics when somebody asks: one thread counts, and a count costs
    less than finding the series that a set of labels belongs to.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.queued = Gauge("ledger_queued_events", "Events waiting for a transaction", registry=self.registry)
        self.root_size = Gauge("ledger_root_log_size", "Entries of the root log", registry=self.registry)
        self._requests: dict[tuple[str, str, int], int] = {}
        self._times: dict[str, _Times] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        labels = method, route, status
        self._requests[labels] = self._requests.get(labels, 0) + 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = _Times([0] * (len(BUCKETS) + 1))
        times.counts[bisect_left(BUCKETS, seconds)] += 1
        times.seconds += seconds

    def count_refusal(self, status: int) -> None:
        """Count a connection that was refused before there was a request."""
        labels = "-", "refused", status
        self._requests[labels] = self._requests.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "ledger_http_requests", "Requests answered", labels=["method", "route", "status"]
        )
        for (method, route, status), count in self._requests.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily("ledger_http_request_seconds", "Time to the answer", labels=["route"])
        for route, times in self._times.items():
            bounds = [*map(str, BUCKETS), "+Inf"]
            buckets = list(zip(bounds, map(float, accumulate(times.counts)), strict=True))
            seconds.add_metric([route], buckets, times.seconds)
        yield seconds


@dataclass(slots=True)
class _Times:
    """How many answers fell between the bounds, and how long all of them took."""

    counts: list[int]
    seconds: float = 0.0


class Incoming(NamedTuple):
    """A request with its whole body. Names of headers are in lower case; `server` has no port on a Unix socket."""

    target: Target
    headers: Headers
    server: tuple[str, int | None] | None
    client: Address
    body: bytes


class Observe:
    """`app` is the door behind `front`; `proxies` say whose address a request has, for both."""

    def __init__(
        self,
        front: Front,
        app: ASGIApp,
        metrics: Metrics,
        reader: AskedReader,
        *,
        proxies: Proxies = NO_PROXIES,
        access_log: bool,
    ) -> None:
        self._front = front
        self._app = app
        self._metrics = metrics
        self._reader = reader
        self._proxies = proxies
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method, path = scope["method"], scope["path"]
        asked = self._reader.read(method, scope["headers"], scope.get("server"))
        scope["client"] = self._proxies.client(scope["client"], scope["headers"])
        hit = self._front.pick(method, path)
        status = 500
        try:
            if hit is not None:
                answer = await self._front.answer(hit, asked, path, scope["query_string"], scope["client"], receive)
                status = answer.status
                await send_answer(send, answer, _marks(asked))
            else:
                scope.setdefault("state", {})["asked"] = asked
                status = await self._behind(asked, scope, receive, send)
        finally:
            route = str(scope.get("path_template") or "other") if hit is None else hit.template
            self._record(method, path, asked, route, status, time.perf_counter() - started)

    def pick(self, method: str, path: str) -> Hit | None:
        """The hot route of a request that `answer` is for."""
        return self._front.pick(method, path)

    async def answer(self, hit: Hit, request: Incoming) -> tuple[Answer, Headers]:
        """The answer to a whole request for a hot route, and its further headers, without ASGI."""
        started = time.perf_counter()
        (method, path, query), headers, server, peer, body = request
        asked = self._reader.read(method, headers, server)
        answer = await self._front.answer(hit, asked, path, query, self._proxies.client(peer, headers), body)
        self._record(method, path, asked, hit.template, answer.status, time.perf_counter() - started)
        return answer, _marks(asked)

    def count_refusal(self, status: int) -> None:
        """A connection was refused with this status before there was a request."""
        self._metrics.count_refusal(status)

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
            await send_answer(marked_send, problem(error, instance=scope["path"], request_id=asked.request_id), ())
        return status

    def _record(self, method: str, path: str, asked: Asked, route: str, status: int, seconds: float) -> None:
        self._metrics.count(method, route, status, seconds)
        if self._access_log:
            _log.info(
                "request",
                method=method,
                path=without_token(path),
                status=status,
                ms=round(seconds * 1000, 2),
                id=asked.request_id,
            )


def _marks(asked: Asked) -> Headers:
    return (
        (b"x-request-id", asked.request_id.encode()),
        (b"x-trace-id", asked.trace_id.encode()),
        NO_SNIFFING,
    )
