# SPDX-License-Identifier: Apache-2.0
"""Asking a service and judging its answers: what the tests of HTTP share."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
from ledger_verify import TrustedKeys, trusted_keys
from ledger_verify.receipt import Receipt, verify_receipt

from ledger import deployment
from ledger.app import Application
from ledger.settings import Settings
from ledger.web.asgi import ASGIApp
from ledger.web.asked import AskedReader
from ledger.web.front import Front
from ledger.web.observe import Metrics, Observe
from tests.running import Service, event

API = "/api/v1"
NO_SUCH_EVENT = "01a20000-0000-7000-8000-000000000000"
NO_SUCH_EXPORT = "0" * 32
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

_Result = TypeVar("_Result")


def back_door(application: Application) -> Observe:
    """The application with its hot routes taken away, so that Litestar's router answers everything."""
    front = Front(application.service, {}, [])
    reader = AskedReader(Settings(Path()).key_headers)
    return Observe(front, cast(ASGIApp, application.litestar), Metrics(), reader, access_log=False)


def report(client: httpx.Client, *events: dict[str, Any], receipts: bool = False, **members: Any) -> dict[str, Any]:
    """Report events that must be taken; the answer's body."""
    query = {"receipts": "full"} if receipts else {}
    answer = client.post(f"{API}/events", params=query, json={"events": list(events), **members})
    assert answer.status_code == 200, answer.text
    return answer.json()


def event_with(call_id: str, **texts: str) -> bytes:
    """A body with one event, members of whose payload are given as JSON text, to be sent byte for byte."""
    body = json.dumps({"events": [event(call_id, payload={name: f"@{name}@" for name in texts})]})
    for name, text in texts.items():
        body = body.replace(f'"@{name}@"', text)
    return body.encode()


def problem_of(answer: httpx.Response, status: int, code: str = "VALIDATION_ERROR") -> dict[str, Any]:
    """The problem document of an answer, which must have this status and code and the one form of all errors."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["instance"] == httpx.URL(str(answer.request.url)).path
    assert {"type", "title", "detail"} < body.keys()
    return body


def locations(problem: dict[str, Any]) -> list[list[str | int]]:
    return [error["loc"] for error in problem["errors"]]


def leaf_of(client: httpx.Client, event_id: str) -> dict[str, Any]:
    """The entry in the event's receipt, parsed."""
    return json.loads(client.get(f"{API}/receipts/{event_id}").raise_for_status().json()["entry"])


def trust(service: Service) -> TrustedKeys:
    return trusted_keys([service.keys["log_vkey"]], [service.keys["root_vkey"]])


def verified(service: Service, receipt: bytes) -> Receipt:
    """The receipt as the independent verifier understands it; it raises when a step fails."""
    return verify_receipt(receipt, trust(service))


def verified_inline(service: Service, receipt: dict[str, Any]) -> Receipt:
    """The same of a receipt inside a larger answer, written as a file first."""
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return verified(service, text.encode() + b"\n")


def disclosed(receipt: Receipt) -> dict[str, str]:
    """JSON text of each disclosed value by pointer."""
    return {disclosure.pointer: disclosure.value for disclosure in receipt.disclosures}


def decode_hashes(values: list[str]) -> list[bytes]:
    return [base64.b64decode(value, validate=True) for value in values]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Clock:
    """A clock that stands still until it is moved, for an application in this process."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def application(place: Settings, clock: Clock | None = None, **changes: Any) -> AsyncIterator[Application]:
    """The service's application in this process, without its timed jobs."""
    running = Application(replace(place, **changes), jobs=False, clock=clock or deployment.clock)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def asgi_client(asgi: Any, key: str = "", remote: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client of an application in this process. The port matters: without one it would be the operator's socket."""
    transport = httpx.ASGITransport(app=asgi, client=(remote, 50000), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=transport, base_url="http://ledger.test:8000", headers=headers)
