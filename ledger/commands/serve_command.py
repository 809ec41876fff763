# SPDX-License-Identifier: Apache-2.0
"""`ledger serve`: the service, on a TCP port for everybody and on a Unix socket for the operator of the machine."""

import gc
import math
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import click
import uvicorn

from ledger.app import Application
from ledger.commands.sole_writer import sole_writer
from ledger.commands.terminal import data_option, option, refusals, say
from ledger.log.errors import ConfigurationError
from ledger.settings import Settings
from ledger.web.asgi import ASGIApp
from ledger.web.connections import Bounds, Connections

BACKLOG = 2048
DRAIN_SECONDS = 30
OTHER_FILES = 256
"""Open files that are no connections of callers: databases, sockets, logs."""


@click.command()
@option("--host", default="127.0.0.1", help="address to listen on")
@option("--port", type=click.IntRange(0, 65535), default=8000, help="port to listen on; 0 takes a free one")
@option("--root-interval", type=click.FloatRange(0.05, 60), default=10.0, help="seconds between root-log commitments")
@option("--max-queued", type=click.IntRange(1), default=20_000, help="events that may wait before callers get 503")
@option("--rate", type=click.FloatRange(0, 1e6), default=0.0, help="events per second and key; 0 is no limit")
@option("--burst", type=click.IntRange(0), default=0, help="events at once after a pause; 0 takes ten seconds' worth")
@option(
    "--stranger-rate",
    type=click.FloatRange(0, 1e6),
    default=20.0,
    help="requests per second and address without a live key; 0 is no limit",
)
@option("--max-connections", type=click.IntRange(1, 1_000_000), default=4096, help="open connections at once")
@option("--max-streams", type=click.IntRange(0, 1_000_000), default=256, help="open event streams at once")
@option("--heartbeat", type=click.FloatRange(0.1, 3600), default=15.0, help="seconds between signs of a silent stream")
@option(
    "--request-timeout",
    type=click.FloatRange(0.1, 3600),
    default=20.0,
    help="seconds for a head, and for getting on with a body or an answer",
)
@option("--idle-timeout", type=click.FloatRange(0.1, 86_400), default=75.0, help="seconds between requests")
@option("--login-attempts", type=click.IntRange(0, 10_000), default=10, help="logins from an address in 5 minutes")
@option("--password-memory", type=click.IntRange(8, 1 << 22), default=64 << 10, help="KiB that a password's hash costs")
@option("--password-passes", type=click.IntRange(1, 100), default=3, help="passes over that memory")
@option(
    "--tally-interval",
    type=click.FloatRange(0.05, 86_400),
    default=10.0,
    help="seconds between entries that say how often somebody was refused",
)
@option("--key-header", multiple=True, help="further header that may carry a key (repeatable)")
@option("--agent-header", multiple=True, help="further header that names the agent (repeatable)")
@option("--tenant-header", multiple=True, help="further header that names the tenant (repeatable)")
@option("--proxy", multiple=True, help="address or network of a proxy that says who its callers are (repeatable)")
@option("--cors-origin", multiple=True, help="web origin that may call the API (repeatable)")
@option("--access-log/--no-access-log", default=False, help="log a line per request")
@data_option
@refusals
def command(
    settings: Settings,
    host: str,
    port: int,
    root_interval: float,
    max_queued: int,
    rate: float,
    burst: int,
    stranger_rate: float,
    max_connections: int,
    max_streams: int,
    heartbeat: float,
    request_timeout: float,
    idle_timeout: float,
    login_attempts: int,
    password_memory: int,
    password_passes: int,
    tally_interval: float,
    key_header: tuple[str, ...],
    agent_header: tuple[str, ...],
    tenant_header: tuple[str, ...],
    proxy: tuple[str, ...],
    cors_origin: tuple[str, ...],
    access_log: bool,
) -> None:
    """Run the service. SIGTERM finishes what was taken, then stops.

    \b
    Examples:
      ledger serve
      ledger serve --data /srv/ledger --host 0.0.0.0 --port 8080
      ledger serve --database-url postgresql://ledger@db/ledger
    """
    seconds = root_interval, heartbeat, request_timeout, idle_timeout, tally_interval
    if any(map(math.isnan, (*seconds, rate, stranger_rate))):
        raise ConfigurationError("a number of seconds, or of events per second, is missing: nan is none")
    serve(
        replace(
            settings,
            host=host,
            port=port,
            root_interval=root_interval,
            max_queued=max_queued,
            rate=rate,
            burst=burst,
            stranger_rate=stranger_rate,
            max_connections=max_connections,
            max_streams=max_streams,
            heartbeat=heartbeat,
            request_timeout=request_timeout,
            idle_timeout=idle_timeout,
            login_attempts=login_attempts,
            password_memory=password_memory,
            password_passes=password_passes,
            tally_interval=tally_interval,
            key_headers=(*settings.key_headers, *key_header),
            agent_headers=(*settings.agent_headers, *agent_header),
            tenant_headers=(*settings.tenant_headers, *tenant_header),
            proxies=proxy,
            cors_origins=cors_origin,
            access_log=access_log,
        )
    )


def serve(settings: Settings) -> None:
    """Serve until a signal. Raises InUseError when another process serves the directory."""
    with sole_writer(settings):
        application = Application(settings)
        bounds = Bounds(_room_for(settings.max_connections), settings.request_timeout, settings.idle_timeout)
        connections = Connections(bounds, application.shell, application.streams.end)
        server = uvicorn.Server(server_config(application, connections))
        # The operator's socket is for a directory that this process alone may write to; others may write to a database.
        sockets = [_listen_tcp(settings)] if settings.shared else [_listen_tcp(settings), _listen_unix(settings)]
        # For a signal before the server listens to signals itself, and for the one that it raises again after it has
        # drained: drained is a success.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: setattr(server, "should_exit", True))
        address, port = sockets[0].getsockname()[:2]
        settle_interpreter()
        say(f"ledger: serving {settings.where} on http://{address}:{port}")
        try:
            server.run(sockets)
            if not server.started:
                raise ConfigurationError("the service did not start; its log says why")
        finally:
            if not settings.shared:
                settings.socket.unlink(missing_ok=True)


def settle_interpreter() -> None:
    """Two habits of the interpreter that a service suffers from.

    The garbage collector goes through all that the program consists of, again and again, for nothing: a quarter of the
    time. What requests leave behind is seldom a cycle.

    A thread that comes back from the database waits for the one that runs to be interrupted, and it holds the head of a
    log meanwhile: a millisecond instead of five.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    sys.setswitchinterval(0.001)


def server_config(application: ASGIApp, connections: Connections | None = None) -> uvicorn.Config:
    """How an application is served. Without `connections` nothing is bounded, as for what a benchmark compares with."""
    return uvicorn.Config(
        application,
        # What uvicorn calls for each new connection, usually a class.
        http="httptools" if connections is None else cast(Any, connections.protocol),
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        # Which proxies are believed is the application's business (web/proxies.py). The server would believe
        # everything that comes from this machine, and rates would be somebody's own choice.
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
    )


def _room_for(connections: int) -> int:
    """How many connections there are files for, at most `connections`. The soft limit of open files is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Twice the connections may be open for a moment, and those beyond the limit until they have been told.
    wanted = 2 * connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            connections = max(1, (soft - OTHER_FILES) // 2)
            say(f"ledger: {soft} files may be open, which is enough for {connections} connections")
    return connections


def _listen_tcp(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:
        # A name that cannot be encoded is a TypeError here.
        reason = getattr(error, "strerror", None) or "not an address"
        raise ConfigurationError(f"cannot listen on {settings.host}:{settings.port}: {reason}") from error
    listener.listen(BACKLOG)
    return listener


def _listen_unix(settings: Settings) -> socket.socket:
    """The operator's socket. The lock is held, so a socket file that is there was left by a killed process."""
    with suppress(FileNotFoundError):
        settings.socket.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(settings.socket))
    except OSError as error:
        raise ConfigurationError(f"cannot make the socket {settings.socket}: {error}") from error
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    return listener
