# SPDX-License-Identifier: Apache-2.0
"""Conventions and operation of the service (CAPABILITIES X)."""

import re

import httpx

from tests.coverage.cases import ORIGIN, Apart, Ask, Cases
from tests.running import event
from tests.tables import alter
from tests.web.asking import API, NO_SUCH_EVENT, asgi_client, locations, problem_of

CASES = Cases()
show = CASES.show

HEX32 = re.compile(r"[0-9a-f]{32}")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def described(ask: Ask) -> dict[str, dict[str, dict[str, object]]]:
    """The operations of the OpenAPI document, by path and method."""
    paths: dict[str, dict[str, dict[str, object]]] = ask.world.nobody.get("/openapi.json").json()["paths"]
    return paths


# ---------------------------------------------------------------------------------------------------- conventions (X01)


@show("000-047", "002-079")
def all_that_needs_a_credential_lies_below_one_base(ask: Ask) -> None:
    paths = described(ask)
    outside = {path for path in paths if not path.startswith(f"{API}/")}
    assert outside == {"/health", "/ready", "/status", "/.well-known/jwks.json"}
    assert len(paths) - len(outside) > 20


@show("001-014", "003-205")
def body_is_json(ask: Ask) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"events": [%s]}'
    good = ask.world.agent.post(f"{API}/events", json={"events": [event(ask.world.name())]}, headers=headers)
    bad = ask.world.agent.post(f"{API}/events", content=body % b"x", headers=headers)
    assert good.status_code == 200
    problem_of(bad, 400)


@show("001-015")
def preflight_allows_the_key_header(ask: Ask) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key",
    }
    answer = ask.world.nobody.options(f"{API}/events", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-api-key" in answer.headers["access-control-allow-headers"].lower().split(", ")


@show("003-206")
def request_id_is_carried_or_made(ask: Ask) -> None:
    for path in ("/health", f"{API}/events"):
        given = ask.world.nobody.get(path, headers={"x-request-id": "from-a-caller"})
        assert given.headers["x-request-id"] == "from-a-caller"
        assert HEX32.fullmatch(ask.world.nobody.get(path).headers["x-request-id"])


@show("003-207")
def trace_id_is_that_of_the_caller_s_trace(ask: Ask) -> None:
    traced = ask.world.nobody.get("/health", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert traced.headers["x-trace-id"] == TRACE
    assert HEX32.fullmatch(ask.world.nobody.get("/health").headers["x-trace-id"])


@show("004-055")
def api_does_not_depend_on_where_it_is_served(ask: Ask) -> None:
    """One document under every name of the host, and nothing in it names one."""
    here = ask.world.nobody.get("/openapi.json")
    there = ask.world.nobody.get("/openapi.json", headers={"host": "gateway.example"})
    assert here.content == there.content
    assert {server["url"] for server in here.json().get("servers", [])} <= {"/"}


# --------------------------------------------------------------------------------------------------------- errors (X02)


@show("000-066", "004-051")
def refusals_have_one_form(ask: Ask) -> None:
    world = ask.world
    for answer, status, code in (
        (world.nobody.get(f"{API}/events"), 401, "UNAUTHORIZED"),
        (world.agent.get(f"{API}/keys"), 403, "FORBIDDEN"),
        (world.owner.get(f"{API}/events/{NO_SUCH_EVENT}"), 404, "NOT_FOUND"),
    ):
        problem_of(answer, status, code)

    async def too_fast_and_broken(apart: Apart) -> list[httpx.Response]:
        async with asgi_client(apart.app) as stranger:
            answers = [await stranger.get(f"{API}/events") for _ in range(9)]
        alter(apart.place, lambda tables: tables.change("update entries set leaf = ?", b"damaged"))
        return [answers[-1], await apart.client.get(f"{API}/events")]

    limited, broken = world.apart(too_fast_and_broken, stranger_rate=0.5)
    problem = problem_of(limited, 429, "RATE_LIMITED")
    assert int(limited.headers["retry-after"]) == problem["retry_after"] > 0
    assert problem_of(broken, 500, "INTERNAL").keys() <= problem.keys()


@show("001-021")
def key_is_missing_wrong_or_out_of_scope(ask: Ask) -> None:
    world = ask.world
    problem_of(world.nobody.get(f"{API}/events"), 401, "UNAUTHORIZED")
    problem_of(world.nobody.get(f"{API}/events", headers={"x-api-key": "lk_production_x"}), 401, "UNAUTHORIZED")
    elsewhere = event(world.name(), payload={"environment": "staging"})
    problem_of(world.agent.post(f"{API}/events", json={"events": [elsewhere]}), 403, "FORBIDDEN")


@show("004-052")
def what_is_wrong_is_listed_place_by_place(ask: Ask) -> None:
    wrong = event(ask.world.name(), verdict="perhaps")
    problem = problem_of(ask.world.agent.post(f"{API}/events", json={"events": [wrong]}), 422, "VALIDATION_ERROR")
    assert locations(problem) == [["body", "events", 0, "verdict"]]
    assert problem["errors"][0]["msg"]


# ---------------------------------------------------------------------------------------------------- description (X03)


@show("001-022")
def machines_find_an_index(ask: Ask) -> None:
    answer = ask.world.nobody.get("/llms.txt")
    assert answer.headers["content-type"].startswith("text/plain") and answer.text.startswith("# ")
    links = re.findall(r"\]\(([^)#]+)", answer.text)
    assert "/openapi.json" in links
    assert all(ask.world.nobody.get(link).status_code == 200 for link in links)


@show("003-209")
def document_is_made_from_the_routes(ask: Ask) -> None:
    document = ask.world.nobody.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, item in document["paths"].items():
        for method in item:
            answer = ask.world.nobody.request(method, re.sub(r"\{\w+\}", "x", path))
            assert answer.status_code != 405, (method, path)


@show("003-210")
def document_can_be_read_in_two_explorers(ask: Ask) -> None:
    for path, page in (("/docs", "swagger-ui"), ("/redoc", "redoc")):
        answer = ask.world.nobody.get(path)
        assert answer.headers["content-type"].startswith("text/html") and page in answer.text


@show("003-221")
def one_document_describes_every_operation(ask: Ask) -> None:
    operations = [operation for item in described(ask).values() for operation in item.values()]
    assert all(operation["summary"] and operation["tags"] and operation["responses"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations) > 28


# --------------------------------------------------------------------------------------------- health and metrics (X04)


@show("002-005")
def short_health_says_two_things(ask: Ask) -> None:
    answer = ask(by=ask.world.nobody)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "bootstrap_complete": True})


@show("002-088")
def short_health_is_degraded_without_the_store(ask: Ask) -> None:
    async def health(apart: Apart) -> list[object]:
        answers = [(await apart.client.get(f"{API}/health")).json()]
        alter(apart.place, lambda tables: tables.change("alter table heads rename to lost"))
        answers.append((await apart.client.get(f"{API}/health")).json())
        alter(apart.place, lambda tables: tables.change("alter table lost rename to heads"))
        return answers

    want = [{"status": status, "bootstrap_complete": True} for status in ("ok", "degraded")]
    assert ask.world.apart(health) == want


@show("002-006")
def health_in_detail_is_for_those_who_may(ask: Ask) -> None:
    details = ask().json()
    assert details["status"] == "ok" and re.fullmatch(r"\d+\.\d+\.\d+", details["version"])
    assert details["database"]["connected"] is True and details["database"]["latency_ms"] >= 0
    problem_of(ask(by=ask.world.nobody), 401, "UNAUTHORIZED")


@show("002-089")
def health_in_detail_has_the_members_of_the_seed(ask: Ask) -> None:
    """But for Redis, of which there is none."""
    world = ask.world
    world.reported()
    details = ask(at=f"GET {API}/health/details", headers={"x-forwarded-proto": "https"}).json()
    assert re.fullmatch(r"\d+\.\d+\.\d+", details["version"]) and details["database"].keys() == {
        "connected",
        "latency_ms",
    }
    assert (details["base_url_https"], details["workers"]) == (True, 1) and details["connected_agents"] >= 1

    async def providers(apart: Apart) -> list[str]:
        found = []
        for enabled in (None, False, True):
            if enabled is not None:
                wanted = {"provider": "acme", "issuer": "https://login.example", "client_id": "x", "enabled": enabled}
                (await apart.client.put(f"{API}/auth/sso/config", json=wanted)).raise_for_status()
            found.append((await apart.client.get(f"{API}/health/details")).json()["auth_provider"])
        return found

    assert world.apart(providers) == ["local", "local", "oidc"]


@show("003-198", "004-031")
def service_says_that_it_lives(ask: Ask) -> None:
    health = ask(by=ask.world.nobody).json()
    assert (health["status"], health["db"]) == ("ok", True)
    assert health.keys() == {"status", "version", "uptime", "db"} and health["uptime"] > 0


@show("003-199")
def readiness_names_what_it_follows_from(ask: Ask) -> None:
    answer = ask(by=ask.world.nobody)
    probes = {"database": True, "writer": True}
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reason": None, "probes": probes})

    refused = ask.world.before_start(lambda apart: ask.through(apart.client))
    assert (refused.status_code, refused.json()["reason"]) == (503, "starting")


@show("003-200", "003-219")
def status_is_public_and_says_little(ask: Ask) -> None:
    status = ask(by=ask.world.nobody, at="GET /status").json()
    assert status.keys() == {"status", "root_log_size", "last_day"} and status["status"] == "ok"
    problem_of(ask.world.nobody.get(f"{API}/health/details"), 401, "UNAUTHORIZED")


@show("004-032", "004-049")
def readiness_is_503_when_nothing_is_taken(ask: Ask) -> None:
    at = "GET /ready"
    assert ask(by=ask.world.nobody, at=at).status_code == 200
    health = ask.world.nobody.get("/health").json()
    assert health.keys() == {"status", "version", "uptime", "db"}

    refused = ask.world.before_start(lambda apart: apart.client.get("/ready"))
    assert (refused.status_code, refused.json()["ready"]) == (503, False)


@show("003-201", "004-033")
def metrics_are_in_the_form_of_prometheus(ask: Ask) -> None:
    answer = ask(by=ask.world.nobody)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE ledger_http_requests_total counter" in answer.text
    assert re.search(r'^ledger_http_requests_total\{.*status="200"\} \d', answer.text, re.MULTILINE)
