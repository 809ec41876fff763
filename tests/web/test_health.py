# SPDX-License-Identifier: Apache-2.0
"""Liveness, readiness, status and metrics."""

import asyncio
import time

import pytest

import ledger
from ledger.app import Application
from ledger.web.health import _is_loopback
from tests.running import event, eventually
from tests.web.asking import API, Clock, application, asgi_client, problem_of, report


def test_health_says_four_things_and_two(nobody):
    health = nobody.get("/health").json()
    assert set(health) == {"status", "version", "uptime", "db"}
    assert (health["status"], health["version"], health["db"]) == ("ok", ledger.__version__, True)
    assert health["uptime"] > 0
    assert nobody.get(f"{API}/health").json() == {"status": "ok", "bootstrap_complete": True}


@pytest.mark.parametrize("path", ["/health", f"{API}/health", "/ready", "/status"])
def test_probes_may_ask_without_a_body(nobody, path):
    """What only wants the status asks with HEAD, and gets that of GET (RFC 9110 §9.3.2)."""
    answer, whole = nobody.head(path), nobody.get(path)
    assert (answer.status_code, answer.content) == (whole.status_code, b"") == (200, b"")
    assert answer.headers["content-type"] == whole.headers["content-type"]
    assert {"GET", "HEAD"} <= set(nobody.put(path).headers["allow"].split(", "))


def test_details_are_for_those_who_read_the_log(service, owner, agent, nobody):
    details = owner.get(f"{API}/health/details").json()
    assert details["log_size"] == service.size()
    assert details["root_log_size"] >= 3
    assert details["queued_events"] == 0
    assert details["database"]["connected"] is True
    problem_of(agent.get(f"{API}/health/details"), 403, "FORBIDDEN")
    problem_of(nobody.get(f"{API}/health/details"), 401, "UNAUTHORIZED")


def test_details_say_how_the_request_came(owner):
    """By its own word: the service speaks no TLS, and a proxy that does says so."""
    for said, https in (("https", True), ("HTTPS, http", True), ("http", False), ("http, https", False), ("", False)):
        details = owner.get(f"{API}/health/details", headers={"x-forwarded-proto": said}).json()
        assert details["base_url_https"] is https, said
    assert owner.get(f"{API}/health/details").json()["base_url_https"] is False


def test_details_count_agents_that_reported_lately(fresh_ledger):
    place, keys = fresh_ledger
    clock = Clock(round(time.time() * 1000) + 3_600_000)

    async def counted():
        async with application(place, clock=clock) as app, asgi_client(app, keys["owner_key"]) as client:

            async def count():
                return (await client.get(f"{API}/health/details")).json()["connected_agents"]

            counts = [await count()]
            for number, agent_id in enumerate(("one", "two", "one")):
                body = {"events": [event(f"call-{number}", agent_id=agent_id)]}
                (await client.post(f"{API}/events", json=body)).raise_for_status()
                counts.append(await count())
                clock.now += 200_000
            clock.now += 300_000
            return [*counts, await count()]

    assert asyncio.run(counted()) == [0, 1, 2, 2, 0]


def test_status_follows_the_root_log(owner, nobody):
    before = nobody.get("/status").json()
    report(owner, event("status"))
    assert eventually(lambda: nobody.get("/status").json()["root_log_size"] > before["root_log_size"])
    day = owner.post(f"{API}/transparency/roots").json()["date"]
    assert nobody.get("/status").json()["last_day"] == day


def test_service_is_ready_between_start_and_stop(fresh_ledger, nobody):
    assert nobody.get("/ready").json() == {"ready": True, "reason": None}
    place, _ = fresh_ledger

    async def live():
        async with application(place) as app, asgi_client(app) as client:
            during = await client.get("/ready")
            writable = app.service.ready()
        return during, writable, app.service.ready()

    during, writable, after = asyncio.run(live())
    assert (during.status_code, writable) == (200, None)
    assert after == "stopping"


def test_service_that_has_not_started_is_not_ready(fresh_ledger):
    async def ask():
        app = Application(fresh_ledger[0], jobs=False)
        async with asgi_client(app) as client:
            answer, status = await client.get("/ready"), (await client.head("/ready")).status_code
        await app.start()
        await app.stop()
        return answer, status

    answer, status = asyncio.run(ask())
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reason": "starting"})
    assert status == 503


def test_without_the_setting_no_web_page_may_call(nobody):
    answer = nobody.get("/health", headers={"origin": "https://console.example"})
    assert not any(name.startswith("access-control") for name in answer.headers)


# ------------------------------------------------------------------------------------------------------------- metrics


def test_metrics_are_open_on_this_machine(nobody):
    answer = nobody.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["content-type"].count("charset") == 1
    assert "ledger_queued_events 0.0" in answer.text
    assert "ledger_root_log_size" in answer.text


def test_metrics_need_a_key_from_elsewhere(fresh_ledger):
    place, keys = fresh_ledger

    async def ask():
        answers = {}
        async with application(place) as app:
            async with asgi_client(app, keys["owner_key"]) as owner:
                made = await owner.post(f"{API}/keys", json={"env": "all", "label": "x"})
            for who, key in {"nobody": "", "agent": made.json()["key"], "owner": keys["owner_key"]}.items():
                for remote in ("192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"):
                    async with asgi_client(app, key, remote) as client:
                        answers[who, remote] = (await client.get("/metrics")).status_code
        return answers

    answers = asyncio.run(ask())
    for remote in ("192.0.2.1", "2001:db8::1"):
        assert [answers[who, remote] for who in ("nobody", "agent", "owner")] == [401, 403, 200]
    for remote in ("127.0.0.1", "::1"):
        assert {answers[who, remote] for who in ("nobody", "agent", "owner")} == {200}


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("192.0.2.1", False), ("0.0.0.0", False), ("::", False),
     ("localhost", False), ("", False), ("127.0.0.1.example", False)],
)  # fmt: skip
def test_loopback_is_judged_by_the_address(host, local):
    assert _is_loopback(host) is local
