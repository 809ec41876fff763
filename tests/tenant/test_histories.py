# SPDX-License-Identifier: Apache-2.0
"""Random histories of commands by random people: the live state is the fold from zero, a second process folds the same,
and who is refused leaves the log as it was.
"""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.app import Application
from ledger.deployment import FIRST_TENANT
from ledger.log.fold import empty_state, fold
from ledger.tenant.state import TenantState
from tests.ledgers import Ledger
from tests.running import run_ledger, run_verifier
from tests.tenant.test_state_outside import plain
from tests.web.asking import API, application, asgi_client

COMMANDS = 60
ROLES = ("owner", "ciso", "dpo", "architect", "auditor", "readonly")
PASSWORD = "a password for all of them"


class History:
    """Draws commands, and sends each as somebody who may or may not do that."""

    def __init__(self, running: Application, seed: int, owner_key: str) -> None:
        self.log = running.service.ledger.log(FIRST_TENANT)
        self.random = random.Random(seed)
        self.running = running
        self.secrets = [owner_key]
        self.ids: dict[str, list[str]] = {"members": [], "keys": [], "credentials": []}
        self.refused = self.taken = 0

    async def go_on(self) -> None:
        method, path, body = self.draw()
        secret = self.random.choice(self.secrets)
        size = self.log.committed.head.size
        async with asgi_client(self.running, secret) as client:
            answer = await client.request(method, f"{API}/{path}", json=body)
        assert answer.status_code < 500, answer.text
        if answer.is_success:
            self.taken += 1
            await self.keep(path, answer)
        else:
            self.refused += 1
            assert self.log.committed.head.size == size, answer.text

    def draw(self) -> tuple[str, str, Any]:
        pick, role = self.random.choice, self.random.choice(ROLES)
        member, key, credential = (pick(self.ids[name] or ["nobody"]) for name in self.ids)
        email = f"{self.random.randrange(12)}@example.com"
        return pick(
            [
                ("POST", "setup", {"email": email, "password": PASSWORD}),
                ("POST", "members", {"email": email, "role": role, "password": PASSWORD}),
                ("POST", "members", {"email": email, "role": role}),
                ("PATCH", f"members/{member}", {"role": role}),
                ("PATCH", f"members/{member}", {"status": pick(["active", "suspended"])}),
                ("DELETE", f"members/{member}", None),
                ("POST", "auth/token", {"email": email, "password": PASSWORD}),
                ("POST", "auth/logout", None),
                ("POST", "auth/revoke", {"member_id": member}),
                ("POST", "auth/revoke", {"agent_id": pick(["a", "b"])}),
                ("PATCH", "auth/me", {"name": "Somebody"}),
                ("PATCH", "auth/me", {"password": {"current": PASSWORD, "new": PASSWORD}}),
                ("POST", "keys", {"env": pick(["all", "staging"]), "label": "one", "role": pick([role, "agent"])}),
                ("DELETE", f"keys/{key}", None),
                ("POST", f"agents/{pick(['a', 'b'])}/credentials", {"env": "staging"}),
                ("DELETE", f"agents/{pick(['a', 'b'])}/credentials/{credential}", None),
            ]
        )

    async def keep(self, path: str, answer: httpx.Response) -> None:
        """Remember whom and what there is now, for later commands."""
        made = answer.json() if answer.content else {}
        if secret := made.get("key") if path == "keys" else made.get("access_token"):
            self.secrets.append(secret)
        if path in ("setup", "members"):
            self.ids["members"].append(made["id"])
        elif path == "keys":
            self.ids["keys"].append(made["id"])
        elif path.endswith("/credentials"):
            self.ids["credentials"].append(made["id"])


@pytest.mark.parametrize("seed", range(4))
def test_state_is_the_fold_and_an_outsider_s_fold(fresh_ledger: Ledger, seed: int, tmp_path: Path) -> None:
    place, keys = fresh_ledger

    async def live_a_while() -> tuple[dict[str, Any], int]:
        changes = {"password_memory": 8, "password_passes": 1, "login_attempts": 0, "stranger_rate": 0}
        async with application(place, **changes) as running:
            history = History(running, seed, keys["owner_key"])
            for _ in range(COMMANDS):
                await history.go_on()
            assert history.refused and history.taken
            ledger, log = running.service.ledger, history.log
            committed = log.committed
            zero = fold(empty_state(ledger.parts), ledger.store.governing(log.number, 0))
            assert committed.state == zero
            return plain(committed.state[TenantState]), committed.state.governing

    state, governing = asyncio.run(live_a_while())
    exported = run_ledger("export", "--out", str(tmp_path / "export"), data=place)
    assert exported.returncode == 0, exported.stderr
    trust = ("--key", keys["log_vkey"], "--root-key", keys["root_vkey"])
    told = run_verifier("state", str(tmp_path / "export"), "--at", str(governing), *trust, "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    [result] = json.loads(told.stdout)["results"]
    assert result["state"] == state
