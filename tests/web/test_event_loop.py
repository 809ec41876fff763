# SPDX-License-Identifier: Apache-2.0
"""A database across a network may be slow; the event loop never waits for it.

The store here answers from every thread but that of the event loop, and says that other processes write to it. Every
route that reads is asked; whatever asks the store from the event loop ends as a 500.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.app import Application
from ledger.log.errors import UnavailableError
from ledger.log.store.sqlite import SqliteStore
from ledger.settings import Settings
from tests.running import event, run_ledger
from tests.web.asking import API, asgi_client

EVENTS = [event("one"), event("two")]


class DistantStore:
    """A store that must not be asked where waiting for it would stop everything else."""

    shared = True

    def __init__(self, path: Path) -> None:
        self._store = SqliteStore(path)
        self.gone = False

    def close(self) -> None:
        self._store.close()

    def __getattr__(self, name: str) -> Any:
        def asked(*arguments: Any) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                if self.gone:
                    raise UnavailableError("the database cannot be reached", cause="at 10.0.0.7") from None
                return getattr(self._store, name)(*arguments)
            raise AssertionError(f"{name} was called on the event loop")

        return asked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, str]]:
    data = tmp_path_factory.mktemp("distant") / "data"
    keys = json.loads(run_ledger("init", "--json", data=data).stdout)
    return Settings(data, guard=data / "guard", root_interval=0.05), keys


async def _ask_all(client: httpx.AsyncClient) -> dict[str, int]:
    """Every way to read, and those ways to write that read first; the status of each."""
    answers = dict[str, httpx.Response]()

    async def ask(path: str, method: str = "GET", **body: Any) -> Any:
        answers[f"{method} {path}"] = answer = await client.request(method, path, **body)
        return answer

    reported = await ask(f"{API}/events?receipts=full", "POST", json={"events": EVENTS})
    items = reported.json()["items"]
    # Once more, so that receipts of entries that are there already are read.
    await ask(f"{API}/events?receipts=full&", "POST", json={"events": EVENTS})
    made = (await ask(f"{API}/keys", "POST", json={"env": "staging", "label": "x", "role": "agent"})).json()
    await ask(f"{API}/keys/validate", "POST", json={"key": made["key"]})
    await ask(f"{API}/keys/{made['id']}", "DELETE")
    day = (await ask(f"{API}/transparency/roots", "POST")).json()
    await ask(f"{API}/transparency/roots?", "POST", json={"date": day["date"]})
    receipt = await ask(f"{API}/receipts/{items[0]['event_id']}?disclose=all")
    await ask(f"{API}/receipts/verify", "POST", content=receipt.content)
    await ask(f"{API}/transparency/roots/verify", "POST", content=json.dumps(day, sort_keys=True) + "\n")
    await ask(f"{API}/transparency/verify", "POST")
    await ask(f"{API}/signing-keys/rotate", "POST", json={"purpose": "log"})
    log_id = (await ask(f"{API}/transparency/head")).json()["origin"].rsplit("/", 1)[1]
    for path in (
        "/health", f"{API}/health", f"{API}/health/details", "/ready", "/status", "/metrics",
        f"{API}/events", f"{API}/events?disclose=all", f"{API}/events/{items[0]['event_id']}?disclose=all",
        f"{API}/receipts/key", f"{API}/receipts/{items[1]['event_id']}",
        f"{API}/transparency/checkpoint", f"{API}/transparency/inclusion/{items[0]['event_id']}",
        f"{API}/transparency/inclusion?leaf_index=1", f"{API}/transparency/inclusion?leaf_index=1&tree_size=3",
        f"{API}/transparency/consistency?from=1&to=4",
        f"{API}/transparency/consistency?from={day['date']}&to={day['date']}",
        f"{API}/transparency/roots", f"{API}/transparency/roots/{day['date']}", f"{API}/transparency/verify",
        f"{API}/transparency/keys", f"{API}/keys", "/root/checkpoint", "/root/tile/0/000.p/3",
        "/root/tile/entries/000.p/3", f"/log/{log_id}/checkpoint", f"/log/{log_id}/tile/0/000.p/3",
        f"/log/{log_id}/tile/entries/000.p/3",
    ):  # fmt: skip
        await ask(path)
    await ask(f"{API}/events/search", "POST", json={"search": "pay"})
    return {path: answer.status_code for path, answer in answers.items()}


def test_no_route_asks_the_store_on_the_event_loop(made: tuple[Settings, dict[str, str]]) -> None:
    settings, keys = made

    app = Application(settings, store=DistantStore(settings.database))  # type: ignore[arg-type]

    async def live() -> dict[str, int]:
        await app.start()
        try:
            async with asgi_client(app, keys["owner_key"]) as client:
                return await _ask_all(client)
        finally:
            await app.stop()

    statuses = asyncio.run(live())
    assert len(statuses) > 30
    assert {path: status for path, status in statuses.items() if not 200 <= status < 300} == {}


def test_without_a_database_everything_is_refused_at_once(made: tuple[Settings, dict[str, str]]) -> None:
    """What was true a second ago may not be any more; what needs no database still answers."""
    settings, keys = made

    store = DistantStore(settings.database)
    app = Application(settings, store=store)  # type: ignore[arg-type]

    async def live() -> dict[str, httpx.Response]:
        await app.start()
        try:
            async with asgi_client(app, keys["owner_key"]) as client, asgi_client(app) as nobody:
                await client.get(f"{API}/events")
                store.gone = True
                async with asyncio.timeout(20):
                    while (await nobody.get("/ready")).status_code == 200:
                        await asyncio.sleep(0.05)
                paths = ("/health", "/ready", "/status", "/root/checkpoint", "/root/tile/0/000.p/3")
                answers = {path: await nobody.get(path) for path in paths}
                for path in (f"{API}/events", f"{API}/transparency/head", f"{API}/keys", f"{API}/health/details"):
                    answers[path] = await client.get(path)
                answers["POST"] = await client.post(f"{API}/events", json={"events": EVENTS})
                async with asgi_client(app, "lk_production_somebody") as stranger:
                    answers["stranger"] = await stranger.get(f"{API}/events")
                store.gone = False
                async with asyncio.timeout(20):
                    while (await nobody.get("/ready")).status_code != 200:
                        await asyncio.sleep(0.05)
                answers["again"] = await client.get(f"{API}/events")
                return answers
        finally:
            store.gone = False
            await app.stop()

    answers = asyncio.run(live())
    fine = {"/health", "/status", "/root/checkpoint", "again"}
    assert {path for path, answer in answers.items() if answer.status_code == 200} == fine
    assert {answers[path].status_code for path in answers.keys() - fine} == {503}
    assert {answers[path].headers["retry-after"] for path in answers.keys() - fine - {"/ready"}} <= {"1", "5"}
    assert (answers["/health"].json()["status"], answers["/health"].json()["db"]) == ("degraded", False)
    assert answers["/ready"].json()["ready"] is False and answers["/ready"].json()["reason"]
    assert answers["/status"].json()["status"] == "degraded"
    assert not any("10.0.0.7" in answer.text for answer in answers.values())
