# SPDX-License-Identifier: Apache-2.0
"""Ten thousand members, keys and agents in one tenant: what that costs a start, and each request."""

import asyncio
import time
from statistics import median

import pytest

from ledger.app import Application
from ledger.deployment import FIRST_TENANT
from ledger.tenant.state import TenantState
from ledger.web.asked import SESSION_COOKIE, AskedReader
from tests.ledgers import Ledger
from tests.tenant.crowd import Crowd, make_crowd
from tests.web.asking import application

COUNT = 10_000
FOLD_SECONDS = 2.0
REQUEST_SECONDS = 0.0001
TRIES = 3


@pytest.fixture
def crowded(fresh_ledger: Ledger) -> tuple[Ledger, Crowd]:
    place, keys = fresh_ledger

    async def fill() -> Crowd:
        async with application(place) as running:
            ledger = running.service.ledger
            return await make_crowd(ledger, ledger.log(FIRST_TENANT), COUNT)

    return (place, keys), asyncio.run(fill())


@pytest.mark.only_on("sqlite")
def test_crowd_costs_a_start_two_seconds_at_most_and_a_request_a_tenth_of_a_millisecond(
    crowded: tuple[Ledger, Crowd],
) -> None:
    (place, _), crowd = crowded

    async def measure() -> tuple[float, dict[str, float]]:
        starts, requests = [], dict[str, float]()
        for _ in range(TRIES):
            async with application(place) as running:
                started = time.perf_counter()
                state = running.service.ledger.log(FIRST_TENANT).committed.state[TenantState]
                starts.append(time.perf_counter() - started)
                assert len(state.members) == len(state.credentials) == len(state.keys) - 1 == COUNT
        async with application(place) as running:
            for name, secrets in crowd._asdict().items():
                await ask(running, name, secrets)
                requests[name] = median([await ask(running, name, secrets) for _ in range(TRIES)])
        return min(starts), requests

    start, requests = asyncio.run(measure())
    assert start < FOLD_SECONDS
    assert all(seconds < REQUEST_SECONDS for seconds in requests.values()), requests


async def ask(running: Application, name: str, secrets: list[str]) -> float:
    """Have everybody authenticated once; the seconds that one takes."""
    reader = AskedReader(["X-API-Key"])
    headers = [
        [(b"cookie", f"{SESSION_COOKIE}={secret}".encode())]
        if name == "cookies"
        else [(b"authorization", f"Bearer {secret}".encode())]
        for secret in secrets
    ]
    started = time.perf_counter()
    for each in headers:
        principal = await running.service.access.principal(reader.read("GET", each, ("host", 80)))
        assert principal.log.number == FIRST_TENANT
    return (time.perf_counter() - started) / len(secrets)
