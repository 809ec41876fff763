# SPDX-License-Identifier: Apache-2.0
"""Liveness, readiness, status and metrics (CAPABILITIES X04)."""

import ipaddress
import time
from functools import partial
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, get, route
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

import ledger
from ledger.log.errors import LedgerError
from ledger.log.fold import LogsState
from ledger.log.store import ROOT_LOG
from ledger.web.access import Principal
from ledger.web.doors import asked_of, provide_principal
from ledger.web.observe import Metrics
from ledger.web.service import Service

# What only wants the status asks with HEAD, and everybody may.
_probe = partial(route, http_method=(HttpMethod.GET, HttpMethod.HEAD), tags=["health"], security=[])


class Health(msgspec.Struct, frozen=True):
    status: str
    version: str
    uptime: float
    db: bool


class ShortHealth(msgspec.Struct, frozen=True):
    status: str
    bootstrap_complete: bool


class Readiness(msgspec.Struct, frozen=True):
    ready: bool
    reason: str | None


class PublicStatus(msgspec.Struct, frozen=True):
    status: str
    root_log_size: int
    last_day: str | None


class HealthDetails(msgspec.Struct, frozen=True):
    """`base_url_https` is whether this request came over TLS, as far as a proxy says so: the service itself speaks
    none. `workers` are those of this process; how many processes serve the ledger none of them knows.
    """

    status: str
    version: str
    uptime: float
    auth_provider: str
    base_url_https: bool
    workers: int
    connected_agents: int
    database: dict[str, bool | float]
    queued_events: int
    log_size: int
    root_log_size: int


def reaches_database(service: Service) -> bool:
    """Answers at once: a database across a network is asked all the time (log/currency.py), a file is just read."""
    try:
        service.ledger.require_current()
        if not service.ledger.store.shared:
            service.ledger.store.head(ROOT_LOG)
    except LedgerError:
        return False
    return True


def _read_head(service: Service) -> float:
    """Milliseconds that a small read takes."""
    started = time.perf_counter()
    service.ledger.store.head(ROOT_LOG)
    return round((time.perf_counter() - started) * 1000, 3)


@_probe("/health", summary="Liveness")
async def get_health(service: NamedDependency[Service]) -> Health:
    reachable = reaches_database(service)
    uptime = round(time.monotonic() - service.started, 3)
    return Health("ok" if reachable else "degraded", ledger.__version__, uptime, reachable)


@_probe("/api/v1/health", summary="Liveness in two fields")
async def get_short_health(service: NamedDependency[Service]) -> ShortHealth:
    reachable = reaches_database(service)
    return ShortHealth("ok" if reachable else "degraded", True)


@get("/api/v1/health/details", summary="Operational health", tags=["health"])
async def get_health_details(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> HealthDetails:
    """`connected_agents` are those that reported a call in the last five minutes, to whichever process."""
    principal.require("log:read")
    log = principal.log
    try:
        latency = await service.reading(lambda: _read_head(service))
        reachable, connected = True, await service.reading(lambda: service.connected_agents(log))
    except LedgerError:
        reachable, latency, connected = False, 0.0, 0
    return HealthDetails(
        status="ok" if reachable else "degraded",
        version=ledger.__version__,
        uptime=round(time.monotonic() - service.started, 3),
        auth_provider=service.auth_provider(log),
        base_url_https=_came_by(request) == "https",
        workers=1,
        connected_agents=connected,
        database={"connected": reachable, "latency_ms": latency},
        queued_events=service.ledger.sequencer.queued,
        log_size=log.committed.head.size,
        root_log_size=service.ledger.root.committed.head.size,
    )


def _came_by(request: Request[Any, Any, Any]) -> str:
    """The scheme that the caller used, as the proxy has it that he called; only he is told, so he may as well lie."""
    said: str = request.headers.get("x-forwarded-proto") or request.scope["scheme"]
    return said.partition(",")[0].strip().lower()


_NOT_READY = ResponseSpec(Readiness, description="It does not, and says why", generate_examples=False)


@_probe("/ready", summary="Readiness", responses={503: _NOT_READY})
async def get_ready(service: NamedDependency[Service]) -> Response[Readiness]:
    """200 while the service accepts writes, 503 otherwise."""
    reason = service.ready()
    return Response(Readiness(reason is None, reason), status_code=200 if reason is None else 503)


@_probe("/status", summary="Public status")
async def get_status(service: NamedDependency[Service]) -> PublicStatus:
    root = service.ledger.root.committed
    status = "ok" if service.ready() is None else "degraded"
    return PublicStatus(status, root.head.size, root.state[LogsState].last_day)


@get("/metrics", include_in_schema=False)
async def get_metrics(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Prometheus text, from this machine or with a key that may read the log."""
    client = request.scope.get("client")
    if not (asked_of(request).local or (client is not None and _is_loopback(client[0]))):
        (await provide_principal(request, service)).require("log:read")
    metrics = request.app.state["metrics"]
    assert isinstance(metrics, Metrics)
    metrics.queued.set(service.ledger.sequencer.queued)
    metrics.root_size.set(service.ledger.root.committed.head.size)
    return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
