# SPDX-License-Identifier: Apache-2.0
"""What the table's names in braces stand for: things of a tenant that are really there, and belong to production."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import ClassVar

from tests.access.world import Credential, World
from tests.running import event
from tests.web.asking import API

AGENT_ID = "an-agent"
LASTING = {
    "agent_id",
    "agent_secret",
    "date",
    "issuer",
    "member_email",
    "path",
    "provider",
    "refresh_token",
    "tenant_id",
}
"""What a request that was let in neither changes nor uses up."""

_NAME = re.compile(r"\{(\w+)\}")

Made = dict[str, str]


class Things:
    """Makes things when they are first named, and others once `forget` was called. What is made together is of one
    thing: an export's id and the name of a file in it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        self._made.clear()

    def spend(self, text: str) -> None:
        """After a request that may have changed or used up what it named."""
        if not LASTING.issuperset(_NAME.findall(text)):
            self.forget()

    async def fill(self, text: str, tenant: str, asker: Credential | None, reporter: Credential | None) -> str:
        """A path or a body, names in it replaced by things of a tenant for somebody to ask for. Events in them are
        reported by `reporter`, where it matters by whom.
        """
        for name in sorted(set(_NAME.findall(text))):
            text = text.replace(f"{{{name}}}", await self._thing(name, tenant, asker, reporter))
        return text

    async def _thing(self, name: str, tenant: str, asker: Credential | None, reporter: Credential | None) -> str:
        if name == "read_token":
            return "nobody" if asker is None else asker.secret
        holder = tenant
        if name in ("event_id", "leaf_index") and reporter is not None:
            holder = reporter.secret
        if (holder, name) not in self._made:
            made = await (self._makers[name](self, tenant) if holder == tenant else self._event(tenant, reporter))
            self._made |= {(holder, other): value for other, value in made.items()}
        return self._made[holder, name]

    async def _event(self, tenant: str, reporter: Credential | None = None) -> Made:
        world = self._world
        by = reporter or await world.key(tenant, "agent")
        body = json.dumps({"events": [event(world.new_name(), agent_id=world.agent_id)]})
        [item] = (await world.ask("POST", f"{API}/events", by.headers, body)).json()["items"]
        return {"event_id": item["event_id"], "leaf_index": str(item["leaf_index"])}

    async def _key(self, tenant: str) -> Made:
        key_id, credential = await self._world.new_key(tenant, "agent", "production")
        return {"key_id": key_id, "key": credential.secret}

    async def _member(self, tenant: str) -> Made:
        member_id, email = await self._world.new_member(tenant, "readonly")
        _, refresh_token = await self._world.log_in_script(tenant, "readonly", email)
        return {"member_id": member_id, "member_email": email, "refresh_token": refresh_token}

    async def _invitation(self, tenant: str) -> Made:
        invited = await self._world.as_owner(tenant, "POST", "/members", {"email": self._world.new_address()})
        return {"invitation": invited.json()["invitation"]}

    async def _credential(self, tenant: str) -> Made:
        """Of an agent who is none of those that ask."""
        credential_id, secret = await self._world.new_credential(tenant, AGENT_ID)
        token = await self._world.agent_token(tenant, AGENT_ID, secret)
        return {
            "agent_id": AGENT_ID,
            "credential_id": credential_id,
            "agent_secret": secret,
            "agent_token": token.secret,
        }

    async def _export(self, tenant: str) -> Made:
        """An export that is ready. Until it is, whoever makes it, and others that wait before it, needs the loop."""
        while (begun := await self._world.as_owner(tenant, "POST", "/audit/exports", {"to": 1})).status == 429:
            await asyncio.sleep(0)
        status = begun.json()
        while status["status"] == "running":
            await asyncio.sleep(0)
            status = (await self._world.as_owner(tenant, "GET", f"/audit/exports/{status['export_id']}")).json()
        return {"export_id": status["export_id"], "name": status["files"][0]["name"]}

    async def _share(self, tenant: str) -> Made:
        made = (await self._world.as_owner(tenant, "POST", "/audit/shares", {})).json()
        return {"share_id": made["id"], "token": made["token"]}

    async def _provider(self, tenant: str) -> Made:
        """A provider by which one can log in, of a name that no other tenant's has."""
        name, issuer = f"of-{tenant}", self._world.issuer
        body = {"provider": name, "issuer": issuer, "client_id": "ledger"}
        await self._world.as_owner(tenant, "PUT", "/auth/sso/config", body)
        return {"provider": name, "issuer": issuer}

    async def _tenant(self, tenant: str) -> Made:
        described = (await self._world.as_owner(tenant, "GET", "/tenant")).json()
        return {"tenant_id": described["tenant_id"], "log_id": described["origin"].rpartition("/")[2]}

    async def _day(self, tenant: str) -> Made:
        [day, *_] = (await self._world.as_owner(tenant, "GET", "/transparency/roots")).json()["items"]
        return {"date": day["date"]}

    async def _tile(self, tenant: str) -> Made:
        return {"path": "checkpoint"}

    async def _unused(self, tenant: str) -> Made:
        return {"call_id": self._world.new_name(), "email": self._world.new_address()}

    _makers: ClassVar[dict[str, Callable[["Things", str], Awaitable[Made]]]] = {
        "event_id": _event, "leaf_index": _event,
        "key_id": _key, "key": _key,
        "member_id": _member, "member_email": _member, "refresh_token": _member,
        "invitation": _invitation,
        "agent_id": _credential, "credential_id": _credential, "agent_secret": _credential, "agent_token": _credential,
        "export_id": _export, "name": _export,
        "share_id": _share, "token": _share,
        "provider": _provider, "issuer": _provider,
        "tenant_id": _tenant, "log_id": _tenant,
        "date": _day,
        "path": _tile,
        "call_id": _unused, "email": _unused,
    }  # fmt: skip
