# SPDX-License-Identifier: Apache-2.0
"""The table of who is let in (table.py) holds: every route, asked by every role with every kind of credential."""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import TypeVar

import pytest

from ledger.aliases import ALIASES
from tests.access.table import ROLES, ROWS, Row, Words
from tests.access.things import Things
from tests.access.world import FIRST, SECOND, THIRD, Credential, Headers, World, new_world
from tests.ledgers import Ledger, Room
from tests.tenant.sso.hostile import Hostile, Said
from tests.web.asking import API

pytestmark = pytest.mark.any_store("who is let in is the same on every store")

DOCUMENTS = {
    "/docs", "/docs/assets/{name}", "/redoc",
    "/openapi.json", "/openapi.json/openapi.json", "/openapi.json/{path}",
}  # fmt: skip
"""Pages that describe the service, and are the same for everybody."""

ENDS_SESSION = {f"{API}/auth/logout", f"{API}/auth/revoke"}
SAFE = ("GET", "HEAD")
WRITE_ALL_THE_SAME = {f"{API}/audit/export", f"{API}/audit/logs/verify"}
"""Paths of routes that are asked by GET and put something into the log."""

_Result = TypeVar("_Result")


class Site:
    """The world with what was revoked and what has expired in it, and the loop that it runs in."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        self._runner = runner
        self.world = world
        self.things = Things(world)
        self.revoked: dict[str, list[Credential]] = {}
        self.expired: dict[str, list[Credential]] = {}

    async def prepare(self) -> None:
        for role in ROLES:
            self.expired[role] = good = await self.world.expiring(*_whose(role))
            answers = [await self.world.ask("GET", f"{API}/auth/me", each.headers) for each in good]
            assert {answer.status for answer in answers} == {200}
        self.world.wait_a_day()
        for role in ROLES:
            self.revoked[role] = await self.world.revoked(*_whose(role))

    def run(self, asking: Awaitable[_Result]) -> _Result:
        async def awaited() -> _Result:
            return await asking

        return self._runner.run(awaited())

    async def words(self, row: Row) -> Words:
        """What the row's words are in truth."""
        self.things.forget()
        world = self.world
        found: dict[str, list[list[str]]] = {name: [] for name in Words._fields}
        for role in ROLES:
            tenant, theirs = _whose(role)
            elsewhere = THIRD if tenant == SECOND else tenant
            session, key = await world.session(tenant, theirs), await world.key(tenant, theirs)
            staging = await world.key(tenant, theirs, "staging")
            # What one agent reported another does not see, so that each is asked for what is its own.
            found["session"].append([await self.answer(row, session, tenant, session if role == "agent" else None)])
            found["key"].append([await self.answer(row, key, tenant, key if role == "agent" else None)])
            found["staging"].append([await self.answer(row, staging, tenant)])
            others = [await world.key(elsewhere, theirs)]
            if row.words.session == row.words.key:
                others.append(await world.session(elsewhere, theirs))
            found["other"].append([await self.answer(row, asker, SECOND) for asker in others])
            found["revoked"].append([await self.answer(row, asker, tenant) for asker in self.revoked[role]])
            found["expired"].append([await self.answer(row, asker, tenant) for asker in self.expired[role]])
        found["nobody"] = [[await self.answer(row, None, SECOND)]]
        return Words(*("".join(map(_agreed, found[name])) for name in Words._fields))

    async def answer(
        self,
        row: Row,
        asker: Credential | None,
        tenant: str,
        reporter: Credential | None = None,
        headers: Headers | None = None,
    ) -> str:
        """What somebody gets who asks for things of a tenant, as a character of the table. `headers` are sent instead
        of his own.
        """
        target, body = [await self.things.fill(text, tenant, asker, reporter) for text in (row.target, row.body)]
        if headers is None:
            headers = {} if asker is None else asker.headers
        answer = await self.world.ask(row.method, target, headers, body)
        if row.method not in SAFE and answer.status < 300:
            self.things.spend(row.target + row.body)
            if row.route[1] in ENDS_SESSION and asker is not None:
                self.world.forget_session(asker.tenant, asker.role)
        if answer.status in (401, 403, 404):
            return str(answer.status)[2]
        return "." if answer.status < 500 else f"[{answer.status}: {answer.body.decode()}]"


def _whose(role: str) -> tuple[str, str]:
    """The tenant that a role of the table is in, and what it is called there."""
    return (FIRST, "owner") if role == "operator" else (SECOND, role)


def _agreed(answers: Iterable[str]) -> str:
    """What all forms of a credential get; all answers where they differ."""
    different = sorted(set(answers))
    return different[0] if len(different) == 1 else f"[{' '.join(different)}]"


@pytest.fixture(scope="module")
def site(template_ledger: Ledger, module_room: Room) -> Iterator[Site]:
    source, keys = template_ledger
    place = module_room.copy(source)
    with asyncio.Runner() as runner, Hostile() as provider:
        provider.describe()
        provider.answers["/jwks"] = Said(b'{"keys": []}')
        stack = AsyncExitStack()
        world = runner.run(
            stack.enter_async_context(new_world(place, keys, time.time_ns() // 1_000_000, provider.issuer))
        )
        try:
            made = Site(runner, world)
            runner.run(made.prepare())
            yield made
        finally:
            runner.run(stack.aclose())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.target}")
def test_whoever_should_is_let_in_and_nobody_else(site: Site, row: Row) -> None:
    got = site.run(site.words(row))
    assert got._asdict() == row.words._asdict()


def test_every_route_has_a_row_and_every_row_a_route(site: Site) -> None:
    aliases = {
        (method, API + path.replace(":str}", "}"))
        for handler, paths in ALIASES
        for method in handler.http_methods
        for path in paths
    }
    served = {
        (method, route.path_format)
        for route in site.world.app.litestar.routes
        for method in route.methods
        if method != "OPTIONS" and route.path_format not in DOCUMENTS
    }
    assert aliases < served
    assert {row.route for row in ROWS} == served - aliases


def test_write_by_cookie_needs_what_only_an_own_page_can_add(site: Site) -> None:
    session = site.run(site.world.session(SECOND, "owner"))
    headers = {name: value for name, value in session.headers.items() if name == "cookie"}
    for row in ROWS:
        if row.by_header and (row.method not in SAFE or row.route[1] in WRITE_ALL_THE_SAME):
            assert site.run(site.answer(row, session, SECOND, headers=headers)) == "3", row


def test_tenant_that_is_named_must_be_the_credential_s(site: Site) -> None:
    key = site.run(site.world.key(SECOND, "owner"))
    for named in (THIRD, "no-such-tenant"):
        headers = key.headers | {"x-tenant-id": named}
        for row in ROWS:
            if row.by_header:
                assert site.run(site.answer(row, key, SECOND, headers=headers)) == "3", row
