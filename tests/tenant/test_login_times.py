# SPDX-License-Identifier: Apache-2.0
"""How long logging in takes: as long for who is nobody as for who is a member, and nobody else waits for it."""

import random
import threading
import time
from collections.abc import Iterator
from statistics import mean, variance

import httpx
import pytest

from tests.ledgers import Ledger
from tests.running import Service

API = "/api/v1"
MEMBER, PASSWORD = "member@example.com", "a password that is right"
TRIES = 100
HEALTH_SECONDS = 0.05
LOGINS = 20


@pytest.fixture
def set_up(fresh_ledger: Ledger, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service with one member, whose password costs what the test says."""
    place, keys = fresh_ledger
    with Service(place, keys, "--login-attempts", "0", "--stranger-rate", "0", *request.param) as service:
        with service.client() as owner:
            made = owner.post(f"{API}/setup", json={"email": MEMBER, "password": PASSWORD})
            assert made.status_code == 201, made.text
        yield service


CHEAP = ["--password-memory", "256", "--password-passes", "1"]


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("set_up", [CHEAP], indirect=True)
def test_unknown_address_takes_as_long_as_a_wrong_password(set_up: Service) -> None:
    """Welch's t stays below 4.5, the bound of leakage tests (ISO/IEC 17825)."""
    times: dict[str, list[float]] = {MEMBER: [], "nobody@example.com": []}
    with set_up.client("") as client:
        order = [email for email in times for _ in range(TRIES)]
        random.Random(5).shuffle(order)
        for email in [MEMBER, *order]:
            started = time.perf_counter()
            answer = client.post(f"{API}/auth/login", json={"email": email, "password": "a password that is wrong"})
            times[email].append(time.perf_counter() - started)
            assert answer.status_code == 401
    # The first opened the connection.
    known, unknown = times[MEMBER][1:], times["nobody@example.com"]
    assert abs(welch(trimmed(known), trimmed(unknown))) < 4.5


def trimmed(times: list[float]) -> list[float]:
    """Without the tenth at each end: what else the machine did is no news of the member."""
    return sorted(times)[len(times) // 10 : -len(times) // 10]


def welch(one: list[float], other: list[float]) -> float:
    return (mean(one) - mean(other)) / (variance(one) / len(one) + variance(other) / len(other)) ** 0.5


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("set_up", [[]], indirect=True)
def test_health_is_told_while_many_log_in(set_up: Service) -> None:
    """At the full cost of a password. One of a few rounds, since other tests share the processors."""
    assert any(worst_health(set_up) < HEALTH_SECONDS for _ in range(4))


def worst_health(service: Service) -> float:
    """The 99th percentile of answers of /health while logins are in flight all the time."""
    done = threading.Event()
    inside = threading.Semaphore(0)

    def log_in() -> None:
        with service.client("") as client:
            while not done.is_set():
                inside.release()
                answer = client.post(f"{API}/auth/login", json={"email": MEMBER, "password": PASSWORD})
                assert answer.status_code == 200, answer.text

    threads = [threading.Thread(target=log_in) for _ in range(LOGINS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        inside.acquire(timeout=30)
    times = []
    with httpx.Client(base_url=service.url, timeout=30) as client:
        client.get("/health")
        for _ in range(150):
            started = time.perf_counter()
            assert client.get("/health").status_code == 200
            times.append(time.perf_counter() - started)
    done.set()
    for thread in threads:
        thread.join()
    return sorted(times)[len(times) * 99 // 100]
