# SPDX-License-Identifier: Apache-2.0
"""The checks of somebody outside: over HTTP and with `ledger_verify`, never by looking into the service."""

import base64
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import msgspec
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.errors import VerificationError
from ledger_verify.merkle import verify_consistency
from ledger_verify.receipt import Receipt, verify_receipt
from ledger_verify.trust import TrustedKeys, trusted_keys

from tests.running import Service

SIGNATURES = 15
"""Receipts of which the signature is checked too; it takes the verifier a few milliseconds each."""


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


@dataclass
class Findings:
    """What the outside check found. `problems` is empty when the service kept its word."""

    acknowledged: int = 0
    found: int = 0
    lost: int = 0
    duplicates: int = 0
    problems: list[str] = field(default_factory=list)


def report(client: httpx.Client, events: Sequence[dict[str, Any]]) -> list[Acknowledged]:
    """Report events with full receipts. Raises httpx.HTTPError when no acknowledgement came."""
    response = client.post("/api/v1/events", params={"receipts": "full"}, json={"events": list(events)})
    answer = msgspec.json.decode(response.raise_for_status().content, type=_Answer)
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


def inspect(service: Service, acknowledged: Iterable[Acknowledged], chance: random.Random) -> Findings:
    """Everything that was acknowledged is where its receipt says, once, under a head that extends the receipt's."""
    acknowledged = list(acknowledged)
    findings = Findings(acknowledged=len(acknowledged))
    keys = trusted_keys([service.keys["log_vkey"]], [service.keys["root_vkey"]])
    with service.client(verify=False) as client:
        places: dict[str, list[tuple[str, int]]] = {}
        for call_id, event_id, leaf_index in listed(client):
            places.setdefault(call_id, []).append((event_id, leaf_index))
        findings.duplicates = sum(len(found) - 1 for found in places.values())
        for one in acknowledged:
            if (one.event_id, one.leaf_index) in places.get(one.call_id, []):
                findings.found += 1
            else:
                findings.lost += 1
                findings.problems.append(f"{one.call_id} is not at {one.leaf_index}: {places.get(one.call_id)}")
        signed = set(chance.sample(range(len(acknowledged)), min(SIGNATURES, len(acknowledged))))
        heads: dict[tuple[int, bytes], str] = {}
        for number, one in enumerate(acknowledged):
            try:
                receipt = verify_receipt(one.receipt, keys if number in signed else TrustedKeys())
                _check_words(receipt, one)
            except VerificationError as error:
                findings.problems.append(f"receipt of {one.call_id}: {error}")
            else:
                heads[receipt.checkpoint.tree_size, receipt.checkpoint.root_hash] = one.call_id
        findings.problems += check_heads(client, heads)
    repeated = [call_id for call_id, found in places.items() if len(found) > 1]
    findings.problems += [f"{call_id} is in the log {len(places[call_id])} times" for call_id in repeated]
    return findings


def _check_words(receipt: Receipt, one: Acknowledged) -> None:
    said = receipt.entry.data["call_id"], receipt.entry.id, receipt.leaf_index
    if said != (one.call_id, one.event_id, one.leaf_index):
        raise VerificationError("the receipt is of another event than the answer", got=said)


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
