# SPDX-License-Identifier: Apache-2.0
"""The composition root: the one place where layers meet. Everything is made here and passed in."""

import asyncio
from collections.abc import Callable
from typing import cast

import structlog

from ledger.api import make_api
from ledger.deployment import FIRST_TENANT, clock, open_ledger
from ledger.jobs import schedule
from ledger.log.erasure import finish_all
from ledger.log.errors import LedgerError, UnavailableError
from ledger.log.exporting import Exports
from ledger.log.roots import RootLog
from ledger.log.store import Store
from ledger.settings import Settings
from ledger.tenant.activity import connected_agents
from ledger.tenant.passwords import Cost
from ledger.tenant.people import require_gone
from ledger.tenant.principals import Principals
from ledger.tenant.sso import auth_provider
from ledger.tenant.tenancy import Tenancy
from ledger.web import (
    events,
    receipts,
    transparency,
)
from ledger.web.access import Access
from ledger.web.asgi import ASGIApp, Receive, Scope, Send
from ledger.web.asked import AskedReader
from ledger.web.front import Front
from ledger.web.observe import Metrics, Observe
from ledger.web.proxies import Proxies
from ledger.web.rates import Rates
from ledger.web.service import Service
from ledger.web.streams import Streams

_log = structlog.get_logger("ledger.app")


class Application:
    """The ASGI application of one process."""

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: bool = True,
        clock: Callable[[], int] = clock,
        store: Store | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = open_ledger(settings, clock=clock, store=store)
        rates = Rates(settings.rate, settings.burst, settings.stranger_rate)
        cost = Cost(settings.password_memory, settings.password_passes)
        self._tenancy = tenancy = Tenancy.of(self._ledger, cost, FIRST_TENANT, settings.login_attempts)
        principals = Principals(self._ledger, tenancy, FIRST_TENANT, rates)
        self._roots = RootLog(self._ledger)
        self._ready: str | None = "starting"
        access = Access(principals.recall, principals.resolve, principals.local_operator, rates)
        assert self._ledger.spool is not None
        self._exports = Exports(self._ledger, self._ledger.spool, settings.verifier, self._roots.commit_heads)
        self._scheduler = None
        if jobs:
            sweep, flush = self._exports.sweep, self._tenancy.tallies.flush
            self._scheduler = schedule(self._roots, settings.root_interval, sweep, flush, settings.tally_interval)
        self.streams = Streams(self._ledger.sequencer, settings.max_streams, settings.heartbeat)
        self.service = Service(
            self._ledger,
            access,
            self._roots,
            self._exports,
            self.streams,
            settings.verifier,
            self._why_not_ready,
            require_gone,
            tenancy.usage.quota_of,
            auth_provider=auth_provider,
            connected_agents=lambda log: connected_agents(self._ledger.store, log, self._ledger.clock()),
        )
        metrics = Metrics()
        self.litestar = make_api(self.service, tenancy, metrics, settings)
        front = Front(
            self.service,
            {("POST", "/api/v1/events"): events.report_events},
            [
                ("GET", "/api/v1/receipts/", receipts.fetch_receipt),
                ("GET", "/api/v1/transparency/inclusion/", transparency.prove_inclusion),
            ],
            settings.cors_origins,
        )
        behind = cast(ASGIApp, self.litestar)
        reader = AskedReader(settings.key_headers, settings.agent_headers, settings.tenant_headers)
        proxies = Proxies(settings.proxies)
        self.shell = Observe(front, behind, metrics, reader, proxies=proxies, access_log=settings.access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self.shell(scope, receive, send)

    async def start(self) -> None:
        self._ledger.start()
        # In a thread, since it can take as long as what is left to be erased.
        await asyncio.to_thread(finish_all, self._ledger)
        await self._exports.sweep()
        if self._scheduler is not None:
            self._scheduler.start()
        self._ready = None

    async def stop(self) -> None:
        """Finish what was taken. Requests are over by now; what they queued is committed before the store closes.

        A service commits to its logs once more, so that the rollback guard knows of all that it acknowledged.
        """
        self._ready = "stopping"
        self.streams.end()
        await self._exports.stop()
        await self._tenancy.tallies.flush(last=True)
        self._tenancy.passwords.close()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            try:
                await self._roots.commit_heads()
            except LedgerError as error:
                _log.warning("last_commitment_failed", error=error.message)
        await self._ledger.stop()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _why_not_ready(self) -> str | None:
        reason = self._ready or self._ledger.sequencer.halted
        if reason is None:
            try:
                self._ledger.require_current()
            except UnavailableError as error:
                return error.message
        return reason
