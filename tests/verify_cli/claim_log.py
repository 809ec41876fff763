# SPDX-License-Identifier: Apache-2.0
"""A log to hold claims against: keys, reviews, refunds with sealed amounts, an erasure; and exports of its parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from .exports import Way, write_export
from .textbook import Signer, seal, sha256
from .world import Log, commit_heads, genesis, head_line, root_member

KEY = [
    "--key", Signer("localhost/log/claims", b"claims").vkey, "--root-key", Signer("localhost/root", b"root").vkey,
]  # fmt: skip


def call(log: Log, agent: str, tool: str, call_id: str, amount: str | None = None, **changes: str) -> int:
    """A call.reported whose argument `amount`, if there is one, is sealed and disclosed."""
    index = len(log.entries)
    data: dict[str, Any] = {
        "agent_id": agent,
        "call_id": call_id,
        "env": "production",
        "key_id": "k1",
        "mode": "enforce",
        "tool_name": tool,
        "verdict": "allow",
        **changes,
    }
    if amount is not None:
        disclosure, sealed = seal("/data/tool_args/amount", amount, sha256(b"%d" % index))
        data["tool_args"] = {"amount": sealed}
        log.disclosures[index] = [disclosure]
    return log.append("call.reported", data, agent)


def govern_key(log: Log, what: str, key: str) -> int:
    data: dict[str, Any] = {"actor": "operator", "key_id": key}
    if what == "key.created":
        data |= {"role": "agent", "env": "all", "label": seal("/data/label", '"x"', sha256(key.encode()))[1]}
    return log.govern(what, data, key)


def claims_log() -> Log:
    """Sixteen entries for which every claim of the page's example holds, and for a reason."""
    log = Log(Signer("localhost/log/claims", b"claims"))
    genesis(log, "tenant")
    govern_key(log, "key.created", "k0")  # 1
    govern_key(log, "key.created", "k1")  # 2
    call(log, "ann", "payments.refund", "c-1", "120.50", key_id="k0")  # 3
    govern_key(log, "key.revoked", "k0")  # 4
    call(log, "ann", "payments.refund", "c-2", "9000", key_id="k0", verdict="deny")  # 5
    call(log, "bob", "review", "c-3")  # 6
    call(log, "bob", "review", "c-3")  # 7
    call(log, "eve", "review", "c-4")  # 8
    call(log, "eve", "review", "c-3")  # 9
    call(log, "ann", "payments.refund", "c-3", "9.5e3")  # 10
    call(log, "ann", "payments.refund", "c-5", "12", mode="observe")  # 11
    call(log, "ann", "mail", "c-6")  # 12
    log.govern(
        "disclosure.erased",
        {"actor": "operator", "grounds": "other", "ranges": [[11, 12]], "pointers": ["/data/tool_args/amount"]},
    )  # 13
    call(log, "bob", "mail", "c-7")  # 14
    call(log, "bob", "mail", "c-8")  # 15
    return log


def export(log: Log, folder: Path, start: int = 0, end: int | None = None, withhold: tuple[int, ...] = ()) -> str:
    """Write an export of leaves [start, end), without the disclosures of some entries."""
    size = len(log.entries)
    root = Log(Signer("localhost/root", b"root"))
    genesis(root, "root")
    root.govern("log.created", {"origin": log.origin, "vkey": log.signer.vkey}, log.origin)
    lines = commit_heads(root, [(log, size)])
    way = Way(size, root_member(root, 2, lines, head_line(log, size)), root.key_lines(log.origin))
    shown = {index: texts for index, texts in log.disclosures.items() if index not in withhold}
    exported = range(start, size if end is None else end)
    return str(write_export(folder, replace(log, disclosures=shown), exported, way))


def write_claims(path: Path, *claims: dict[str, Any]) -> str:
    named = [{"name": f"claim {number}"} | claim for number, claim in enumerate(claims)]
    path.write_text(json.dumps({"format": "ledger-claims/v1", "claims": named}))
    return str(path)
