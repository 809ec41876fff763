# SPDX-License-Identifier: Apache-2.0
"""Three tenants of a service in this process, everybody in them, and what they present."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from ledger.app import Application
from ledger.log.entry import format_time
from ledger.settings import Settings
from ledger.web.asked import SESSION_COOKIE
from tests.web.asking import API, Clock, application

PASSWORD = "correct horse battery"
HOST = "ledger.test"
HOUR = 3_600_000
FIRST, SECOND, THIRD = "first", "second", "third"
PEOPLE = ("owner", "ciso", "dpo", "architect", "auditor", "readonly")

Headers = Mapping[str, str]


class Credential(NamedTuple):
    """What somebody of a tenant presents. `cookie` tells how: as a browser does, or in the header Authorization."""

    tenant: str
    role: str
    secret: str
    cookie: bool = False

    @property
    def headers(self) -> dict[str, str]:
        if self.cookie:
            return {"cookie": f"{SESSION_COOKIE}={self.secret}", "x-requested-with": "tests"}
        return {"authorization": f"Bearer {self.secret}"}


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body of an answer that is no refusal."""
        assert self.status < 300, (self.status, self.body)
        return json.loads(self.body)


class World:
    """Whoever is asked for is made when he is first needed, by an owner of his tenant."""

    agent_id = "our-agent"

    def __init__(self, app: Application, clock: Clock, issuer: str, tenant_id: str, owner_key: str) -> None:
        """`issuer` is a provider by which members can log in."""
        self.app = app
        self.clock = clock
        self.issuer = issuer
        self.tenant_ids = {FIRST: tenant_id}
        self._owners = {FIRST: Credential(FIRST, "owner", owner_key)}
        self._known: dict[tuple[str, ...], Credential] = {}
        self._number = 0

    async def ask(self, method: str, target: str, headers: Headers, body: str = "") -> Answer:
        """One request from another machine, whose end of the connection closes once it was sent."""
        path, _, query = target.partition("?")
        messages = [{"type": "http.request", "body": body.encode()}]
        start: dict[str, Any] = {}
        content = bytearray()

        async def receive() -> Any:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            start.update(message if message["type"] == "http.response.start" else {})
            content.extend(message.get("body", b""))

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
            "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in {"host": HOST, **headers}.items()],
            "client": ("192.0.2.7", 50000), "server": (HOST, 8000),
        }  # fmt: skip
        await self.app(scope, receive, send)
        return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, bytes(content))

    async def as_owner(self, tenant: str, method: str, path: str, body: Any = None) -> Answer:
        text = "" if body is None else json.dumps(body)
        return await self.ask(method, API + path, self._owners[tenant].headers, text)

    def new_name(self) -> str:
        """A name that nothing has yet."""
        self._number += 1
        return f"name-{self._number}"

    def new_address(self) -> str:
        return f"{self.new_name()}@example.com"

    # ----------------------------------------------------------------------------------------------------- credentials

    async def key(self, tenant: str, role: str, env: str = "all") -> Credential:
        name = ("key", tenant, role, env)
        if name not in self._known:
            _, self._known[name] = await self.new_key(tenant, role, env)
        return self._known[name]

    async def session(self, tenant: str, role: str) -> Credential:
        """A member's cookie, or the token of an agent."""
        name = ("session", tenant, role)
        if name not in self._known:
            self._known[name] = await self.new_session(tenant, role)
        return self._known[name]

    def forget_session(self, tenant: str, role: str) -> None:
        """A session that has ended, so that the next to ask has another one."""
        self._known.pop(("session", tenant, role), None)

    def wait_a_day(self) -> None:
        """No session lasts so long."""
        self.clock.now += 24 * HOUR
        self._known.clear()

    async def new_key(
        self, tenant: str, role: str, env: str = "all", expires_at: str | None = None
    ) -> tuple[str, Credential]:
        """A key's id, and the key."""
        body = {"env": env, "label": "one", "role": role, "expires_at": expires_at}
        made = (await self.as_owner(tenant, "POST", "/keys", body)).json()
        return made["id"], Credential(tenant, role, made["key"])

    async def new_session(self, tenant: str, role: str) -> Credential:
        if role == "agent":
            _, secret = await self.new_credential(tenant, self.agent_id)
            return await self.agent_token(tenant, self.agent_id, secret)
        _, email = await self.new_member(tenant, role)
        return await self.log_in(tenant, role, email)

    async def new_member(self, tenant: str, role: str) -> tuple[str, str]:
        """The id of a member who has just joined, and his address."""
        email = self.new_address()
        body = {"email": email, "password": PASSWORD, "role": role}
        return (await self.as_owner(tenant, "POST", "/members", body)).json()["id"], email

    async def log_in(self, tenant: str, role: str, email: str) -> Credential:
        answer = await self._present(tenant, "/auth/login", email=email, password=PASSWORD)
        assert answer.status == 200, answer.body
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return Credential(tenant, role, cookie.partition("=")[2], cookie=True)

    async def log_in_script(self, tenant: str, role: str, email: str) -> tuple[Credential, str]:
        """A token for requests, and the one to get others with."""
        answer = (await self._present(tenant, "/auth/token", email=email, password=PASSWORD)).json()
        return Credential(tenant, role, answer["access_token"]), answer["refresh_token"]

    async def new_credential(self, tenant: str, agent_id: str) -> tuple[str, str]:
        """An agent's credential for production: its id and its secret."""
        answer = (await self.as_owner(tenant, "POST", f"/agents/{agent_id}/credentials", {})).json()
        return answer["id"], answer["secret"]

    async def agent_token(self, tenant: str, agent_id: str, secret: str) -> Credential:
        answer = await self.ask(
            "POST", f"{API}/auth/agent/token", {}, json.dumps({"agent_id": agent_id, "secret": secret})
        )
        return Credential(tenant, "agent", answer.json()["access_token"])

    async def _present(self, tenant: str, path: str, **body: str) -> Answer:
        return await self.ask("POST", API + path, {"x-tenant-id": self.tenant_ids[tenant]}, json.dumps(body))

    # ------------------------------------------------------------------------------------- credentials that are no more

    async def revoked(self, tenant: str, role: str) -> list[Credential]:
        """What was good until it was revoked, in every form that somebody of the role can have."""
        key_id, key = await self.new_key(tenant, role)
        await self._must(tenant, "DELETE", f"/keys/{key_id}")
        if role == "agent":
            agents = [self.new_name(), self.new_name()]
            ids, secrets = zip(*[await self.new_credential(tenant, agent) for agent in agents], strict=True)
            tokens = [await self.agent_token(tenant, *each) for each in zip(agents, secrets, strict=True)]
            await self._must(tenant, "DELETE", f"/agents/{agents[0]}/credentials/{ids[0]}")
            await self._must(tenant, "POST", "/auth/revoke", {"agent_id": agents[1]})
            return [key, *tokens]
        ended = await self.new_session(tenant, role)
        assert (await self.ask("POST", f"{API}/auth/logout", ended.headers)).status == 204
        member_id, email = await self.new_member(tenant, role)
        suspended = [await self.log_in(tenant, role, email), (await self.log_in_script(tenant, role, email))[0]]
        await self._must(tenant, "PATCH", f"/members/{member_id}", {"status": "suspended"})
        return [key, ended, *suspended]

    async def expiring(self, tenant: str, role: str) -> list[Credential]:
        """What is good now, and in a day no more."""
        _, key = await self.new_key(tenant, role, expires_at=format_time(self.clock() + HOUR))
        if role == "agent":
            return [key, await self.new_session(tenant, role)]
        _, email = await self.new_member(tenant, role)
        return [key, await self.log_in(tenant, role, email), (await self.log_in_script(tenant, role, email))[0]]

    async def _must(self, tenant: str, method: str, path: str, body: Any = None) -> None:
        answer = await self.as_owner(tenant, method, path, body)
        assert answer.status < 300, (path, answer.body)

    async def populate(self) -> None:
        """Two more tenants, with what each has but once: a member, a check that ran, and for all a closed day."""
        for tenant in (SECOND, THIRD):
            made = (
                await self.as_owner(FIRST, "POST", "/admin/tenants", {"tenant_id": tenant, "plan": "enterprise"})
            ).json()
            self.tenant_ids[tenant] = made["tenant_id"]
            self._owners[tenant] = Credential(tenant, "owner", made["owner_key"])
        for tenant in self.tenant_ids:
            await self.session(tenant, "owner")
            await self._must(tenant, "POST", "/transparency/verify")
        await self._must(FIRST, "POST", "/transparency/roots")


@asynccontextmanager
async def new_world(place: Settings, keys: Mapping[str, str], now: int, issuer: str) -> AsyncIterator[World]:
    """`keys` is what `ledger init` printed; the clock stands at `now`."""
    clock = Clock(now)
    limits = {"stranger_rate": 0, "login_attempts": 0, "password_memory": 8, "password_passes": 1}
    async with application(place, clock, **limits) as app:
        world = World(app, clock, issuer, keys["tenant_id"], keys["owner_key"])
        await world.populate()
        yield world
