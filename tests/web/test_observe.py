# SPDX-License-Identifier: Apache-2.0
"""The outermost shell: ids, traces, CORS, measurements, the access log."""

import json
import re

import pytest

from tests.running import Service, event, eventually
from tests.web.asking import API, report

ORIGIN = "https://console.example"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEX32 = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def service(template_ledger, module_room):
    """A service that a web page of ORIGIN may call, with an access log."""
    source, keys = template_ledger
    flags = ("--cors-origin", ORIGIN, "--access-log", "--root-interval", "0.2")
    with Service(module_room.copy(source), keys, *flags) as running:
        yield running


# ----------------------------------------------------------------------------------------------------------------- ids


@pytest.mark.parametrize("path", ["/health", "/nothing", f"{API}/events", f"{API}/receipts/key"])
def test_every_answer_has_ids_of_its_own(nobody, path):
    first, second = nobody.get(path), nobody.get(path)
    for name in ("x-request-id", "x-trace-id"):
        assert HEX32.fullmatch(first.headers[name])
        assert first.headers[name] != second.headers[name]
    assert first.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("given", ["r-1", "A.b_c-9", "x" * 100])
def test_request_id_of_the_caller_is_kept(nobody, given):
    answer = nobody.get(f"{API}/events", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["x" * 101, "a b", "a/b", "ä".encode("latin-1"), "a\tb", "<script>"])
def test_odd_request_id_is_replaced(nobody, given):
    answer = nobody.get("/health", headers={"x-request-id": given})
    assert HEX32.fullmatch(answer.headers["x-request-id"])


def test_trace_of_the_caller_is_kept(nobody):
    answer = nobody.get("/health", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert answer.headers["x-trace-id"] == TRACE


@pytest.mark.parametrize(
    "given", [TRACE, f"00-{TRACE[1:]}-00f067aa0ba902b7-01", f"00-{TRACE.upper()}-00f067aa0ba902b7-01", "00-x-y-01"]
)
def test_malformed_trace_is_replaced(nobody, given):
    trace = nobody.get("/health", headers={"traceparent": given}).headers["x-trace-id"]
    assert HEX32.fullmatch(trace)
    assert trace != TRACE


# ---------------------------------------------------------------------------------------------------------------- CORS


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "events"), ("POST", "keys"), ("DELETE", "keys/x"), ("GET", "receipts/x"), ("GET", "transparency/head")],
)
def test_preflight_of_an_allowed_page_is_answered(service, method, path):
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,idempotency-key,x-api-key",
    }
    with service.client("") as client:
        answer = client.options(f"{API}/{path}", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "x-api-key"} <= set(allowed)


@pytest.mark.parametrize("path", [f"{API}/events", f"{API}/receipts/{'x' * 36}", f"{API}/transparency/head", "/health"])
def test_answers_can_be_read_by_an_allowed_page_only(service, path):
    with service.client() as client:
        allowed = client.get(path, headers={"origin": ORIGIN})
        other = client.get(path, headers={"origin": "https://evil.example"})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in allowed.headers["vary"].lower()
    assert "access-control-allow-origin" not in other.headers


def test_reported_event_s_headers_can_be_read_by_an_allowed_page(service):
    with service.client() as client:
        good = client.post(f"{API}/events", json={"events": [event("from-a-page")]}, headers={"origin": ORIGIN})
        bad = client.post(f"{API}/events", content=b"{", headers={"origin": ORIGIN})
    assert (good.status_code, bad.status_code) == (200, 400)
    for answer in (good, bad):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "ledger-event-id" in good.headers["access-control-expose-headers"].lower()


def test_preflight_of_another_page_is_refused(service):
    with service.client("") as client:
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answer = client.options(f"{API}/events", headers=asked)
    assert answer.status_code >= 400
    assert "access-control-allow-origin" not in answer.headers


# ---------------------------------------------------------------------------------------------------------- access log


def logged(service):
    """The records of the service's log, as far as they are written."""
    lines = service.log_path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def test_access_log_has_a_line_per_request_and_no_secrets(service):
    with service.client() as client:
        report(client, event("logged-call", payload={"reason": "a secret reason"}))
        client.get(f"{API}/events", params={"search": "a secret search"}, headers={"x-request-id": "find-me"})
    lines = eventually(lambda: (read := logged(service)) and any("find-me" in r.values() for r in read) and read)
    [line] = [line for line in lines if line.get("id") == "find-me"]
    assert (line["method"], line["path"], line["status"]) == ("GET", f"{API}/events", 200)
    assert line["ms"] >= 0
    text = json.dumps(lines)
    for secret in ("a secret", "logged-call", service.keys["owner_key"], "GB123"):
        assert secret not in text


# ------------------------------------------------------------------------------------------------------------- metrics


def counted(text):
    return dict(re.findall(r"^(ledger_http_requests_total\{.*?\}) (\S+)$", text, re.MULTILINE))


def test_requests_are_counted_by_template(service, owner, nobody):
    before = counted(nobody.get("/metrics").text)
    owner.get(f"{API}/transparency/roots/2020-01-01")
    owner.get(f"{API}/transparency/roots/2020-01-02")
    after = counted(nobody.get("/metrics").text)
    name = f'ledger_http_requests_total{{method="GET",route="{API}/transparency/roots/{{date}}",status="404"}}'
    assert float(after[name]) == float(before.get(name, 0)) + 2
    assert not any("2020" in name for name in after)


def test_paths_that_nobody_serves_make_no_series_of_their_own(nobody):
    for n in range(20):
        nobody.get(f"/scan/{n}.php")
    assert not any("scan" in name for name in counted(nobody.get("/metrics").text))
