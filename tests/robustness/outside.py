# SPDX-License-Identifier: Apache-2.0
"""The checks of somebody outside: over HTTP and with `ledger_verify`, never by looking into the service."""

import base64
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import httpx
import msgspec
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.errors import VerificationError
from ledger_verify.merkle import verify_consistency

PATIENCE_SECONDS = 30
PAUSE_SECONDS = 0.05
"""Before somebody who was refused asks again: what Retry-After asks for, though shorter."""


class Patient(httpx.HTTPTransport):
    """Asks again after a 503, as one should, for a bounded time."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            response = super().handle_request(request)
            if response.status_code != 503 or time.monotonic() > deadline:
                return response
            response.close()
            time.sleep(PAUSE_SECONDS)


class Acknowledged(NamedTuple):
    """An event as the service acknowledged it, with its receipt's bytes."""

    call_id: str
    event_id: str
    leaf_index: int
    receipt: bytes


class _Item(msgspec.Struct):
    call_id: str
    event_id: str
    leaf_index: int


class _Answer(msgspec.Struct):
    items: list[_Item]
    receipts: list[msgspec.Raw]


def report(client: httpx.Client, events: Sequence[dict[str, Any]]) -> list[Acknowledged]:
    """Report events with full receipts. Raises httpx.HTTPError when no acknowledgement came."""
    response = client.post("/api/v1/events", params={"receipts": "full"}, json={"events": list(events)})
    return acknowledged_in(response.raise_for_status())


def acknowledged_in(response: httpx.Response) -> list[Acknowledged]:
    """What an answer acknowledges, each event with its receipt."""
    answer = msgspec.json.decode(response.content, type=_Answer)
    return [
        Acknowledged(item.call_id, item.event_id, item.leaf_index, bytes(receipt) + b"\n")
        for item, receipt in zip(answer.items, answer.receipts, strict=True)
    ]


def listed(client: httpx.Client, **filters: str) -> Iterator[tuple[str, str, int]]:
    """call_id, event_id and leaf index of every reported event."""
    cursor: dict[str, str] = {}
    while True:
        parameters = {"type": "call.reported", "limit": "200", **filters, **cursor}
        page = client.get("/api/v1/events", params=parameters).raise_for_status().json()
        for item in page["items"]:
            yield item["data"]["call_id"], item["event_id"], item["leaf_index"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def check_heads(client: httpx.Client, heads: dict[tuple[int, bytes], str]) -> list[str]:
    """Ask for a consistency proof from each of these heads to the present one, and verify it; what is wrong."""
    present = parse_checkpoint(client.get("/api/v1/transparency/checkpoint").raise_for_status().text)
    problems = [f"two heads of size {size}" for size, count in Counter(size for size, _ in heads).items() if count > 1]
    for (size, root), whose in heads.items():
        parameters = {"from": size, "to": present.tree_size}
        response = client.get("/api/v1/transparency/consistency", params=parameters)
        if response.status_code != 200:
            problems.append(f"the head of {whose}, size {size}: {response.text}")
            continue
        path = [base64.b64decode(text) for text in response.json()["consistency_path"]]
        try:
            verify_consistency(size, present.tree_size, path, root, present.root_hash)
        except VerificationError as error:
            problems.append(f"the head of {whose}, size {size}: {error}")
    return problems
