# SPDX-License-Identifier: Apache-2.0
"""What a case is given: a way to ask for its row, and a world with whatever it may need, made when it is first used."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple, TypeVar

import httpx

from ledger.app import Application
from ledger.settings import Settings
from tests.coverage.rows import Row
from tests.ledgers import Ledger
from tests.running import Service, event, eventually
from tests.tenant.people_world import People
from tests.web.asking import API, application, asgi_client, report

ORIGIN = "https://console.example"
"""Of web pages that may call the service."""

_Result = TypeVar("_Result")


class World:
    """One running service for all cases, and those who ask it."""

    def __init__(self, service: Service, make_ledger: Callable[[], Ledger], stack: ExitStack) -> None:
        self.service = service
        self._make_ledger = make_ledger
        self._stack = stack
        self._numbers = count()

    def name(self) -> str:
        """A name that nothing else in this world has."""
        return f"covered-{next(self._numbers)}"

    def key(self, **wanted: Any) -> dict[str, Any]:
        """A fresh API key, an agent's unless another role is wanted."""
        return self.service.create_key(**wanted)

    def client(self, key: str) -> httpx.Client:
        """A client with a key; "" is none."""
        return self._stack.enter_context(self.service.client(key))

    @cached_property
    def owner(self) -> httpx.Client:
        return self.client(self.service.keys["owner_key"])

    @cached_property
    def agent(self) -> httpx.Client:
        return self.client(self.key()["key"])

    @cached_property
    def auditor(self) -> httpx.Client:
        return self.client(self.key(role="auditor", env="all")["key"])

    @cached_property
    def nobody(self) -> httpx.Client:
        return self.client("")

    @cached_property
    def people(self) -> People:
        """Members of the service's tenant, and agents."""
        return People(self.service)

    def reported(self, **changes: Any) -> dict[str, Any]:
        """A decision of its own, reported by the agent: call_id, event_id, leaf_index."""
        [item] = report(self.agent, event(self.name(), **changes))["items"]
        return item

    def receipt(self, event_id: str) -> bytes:
        """The receipt file of an event."""
        return self.owner.get(f"{API}/receipts/{event_id}").raise_for_status().content

    @cached_property
    def day(self) -> str:
        """The date of a closed day."""
        return str(self.owner.post(f"{API}/transparency/roots").raise_for_status().json()["date"])

    def apart(self, ask: Callable[["Apart"], Awaitable[_Result]], **settings: Any) -> _Result:
        """What `ask` gives with a service of its own in this process, on a fresh ledger: for cases that need other
        settings or a `clock` of their own, or that would disturb the others.
        """

        async def run() -> _Result:
            place, keys = self._make_ledger()
            async with application(place, **settings) as app, asgi_client(app, keys["owner_key"]) as client:
                return await ask(Apart(place, app, client))

        return asyncio.run(run())

    def before_start(self, ask: Callable[["Apart"], Awaitable[_Result]]) -> _Result:
        """The same with a service that has not started yet."""

        async def run() -> _Result:
            place, keys = self._make_ledger()
            app = Application(place, jobs=False)
            async with asgi_client(app, keys["owner_key"]) as client:
                result = await ask(Apart(place, app, client))
            await app.start()
            await app.stop()
            return result

        return asyncio.run(run())

    def export(self, asked: httpx.Response, name: str) -> httpx.Response:
        """A file of the export that an answer promised."""
        assert asked.status_code == 202, asked.text
        where = asked.headers["location"]
        eventually(lambda: self.owner.get(where).json()["status"] != "running", "an export")
        return self.owner.get(f"{where}/{name}")


class Apart(NamedTuple):
    """A service in this process, where its ledger is, and its owner's client."""

    place: Settings
    app: Application
    client: httpx.AsyncClient


class Ask:
    """Asks for one row: by its own method, under its own path."""

    def __init__(self, row: Row, world: World) -> None:
        self.row = row
        self.world = world
        self.asked = 0

    def __call__(
        self,
        by: httpx.Client | None = None,
        names: Mapping[str, object] | None = None,
        at: str = "",
        **request: Any,
    ) -> httpx.Response:
        """The answer, to the owner unless somebody else asks. `names` are those in the path, in its order; `at` is our
        own method and path for rows that have none.
        """
        self.asked += 1
        method, _, path = at.partition(" ")
        if self.row.has_path:
            method, path = self.row.method, self.row.filled(dict(names or {}))
        return (self.world.owner if by is None else by).request(method, path, **request)

    async def through(self, client: httpx.AsyncClient, **request: Any) -> httpx.Response:
        """The same of a service apart, for a path without names."""
        self.asked += 1
        return await client.request(self.row.method, self.row.filled({}), **request)


Case = Callable[[Ask], None]


class Cases(dict[str, Case]):
    """Cases by the ids of the rows that they show."""

    def show(self, *rows: str) -> Callable[[Case], Case]:
        def keep(case: Case) -> Case:
            for row in rows:
                assert row not in self, f"{row} is shown twice"
                self[row] = case
            return case

        return keep
