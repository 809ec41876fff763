# SPDX-License-Identifier: Apache-2.0
"""Seeds of the real grammar, from the published vectors in `spec/vectors`."""

import json
from base64 import b64decode, urlsafe_b64decode
from functools import cache
from pathlib import Path
from typing import Any

from tests.running import event
from tests.verify_cli import good_events
from tests.verify_cli.textbook import jcs

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"


@cache
def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def of(name: str, member: str, *, kind: str | None = None) -> tuple[bytes, ...]:
    """A member of each case, as bytes and without repeats; that of cases of one kind, where they have kinds."""
    found = [
        case[member] for case in vectors(name)["cases"] if member in case and (kind is None or case.get("kind") == kind)
    ]
    return tuple(dict.fromkeys(text.encode("utf-8", "surrogatepass") for text in found if isinstance(text, str)))


def entries() -> tuple[bytes, ...]:
    """Those of the vectors, and one of each type."""
    return of("entries", "entry") + tuple(jcs(good_events.event(kind)).encode() for kind in good_events.DATA)


def vkeys() -> tuple[bytes, ...]:
    return of("notes", "vkey") + tuple(vkey.encode() for vkey in vectors("receipts")["vkeys"].values())


def bundles() -> tuple[bytes, ...]:
    found = [case for case in vectors("tiles")["cases"] if case["kind"] == "bundle"]
    return tuple(b64decode(case["bundle"]) for case in found)


def disclosures() -> tuple[bytes, ...]:
    cases = vectors("disclosures")["cases"]
    return tuple(dict.fromkeys(text.encode() for case in cases for text in case["disclosures"]))


def sealed_values() -> tuple[bytes, ...]:
    """JSON as callers send it: beneath a disclosure nothing is canonical."""
    found = [urlsafe_b64decode(text + b"=" * (-len(text) % 4)) for text in disclosures()[:4]]
    return (*found, b'{"a": [1.0, 1e5, -0, "\\u00e9", null, {"b": 12345678901234567890}]}', b" [ ] ", b'"x"', b"1E400")


def manifests() -> tuple[bytes, ...]:
    return tuple(case["files"]["manifest.note"].encode() for case in vectors("exports")["cases"])


def reports() -> tuple[bytes, ...]:
    """Bodies as agents send them."""
    payload = {
        "tool_args": {"amount": 98.7, "a b": [1, {"x": "é"}]},
        "principal": {"user_id": "ada"},
        "reason": "because",
        "result": [None, 1e5],
        "side_effect": "write",
        "environment": "production",
        "policy_version": "3",
        "data_subject": "ada",
    }
    manifest = {
        "agent_id": "payments-agent",
        "policy_version": "3",
        "contracts": [{"id": "c", "type": "pre", "tool": "send_money", "mode": "enforce"}],
    }
    bodies = [
        {"events": [event("a"), event("b", payload=payload, verdict="block")]},
        {"events": [event("c", timestamp=None)], "agent_manifest": manifest},
        {"events": []},
    ]
    return (*(json.dumps(body).encode() for body in bodies), b'{"events":[{"call_id":"\\u0061"}]}')
