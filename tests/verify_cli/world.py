# SPDX-License-Identifier: Apache-2.0
"""A small world of good evidence: a root log with two closed days, a tenant's log with sealed calls, and their files.

Everything is derived from fixed seeds, so a failure can be repeated. Nothing here uses the package under test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .exports import Way, write_export
from .textbook import (
    Signer,
    b64,
    b64_list,
    consistency,
    file_bytes,
    inclusion,
    jcs,
    leaf,
    mth,
    seal,
    sha256,
    uuid7,
)


@dataclass
class Log:
    """Entries of one log, and the statements about them."""

    signer: Signer
    entries: list[str] = field(default_factory=list)
    disclosures: dict[int, list[str]] = field(default_factory=dict)
    last_governing: int = -1
    governing: list[int] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.signer.name

    @property
    def hashes(self) -> list[bytes]:
        return [leaf(entry.encode()) for entry in self.entries]

    def envelope(self, kind: str, data: dict[str, object], subject: str | None = None, v: int = 1) -> dict[str, object]:
        index = len(self.entries)
        event: dict[str, object] = {
            "data": {"v": v, **data},
            "id": uuid7(1000 + index),
            "recordedat": f"2026-11-22T08:{index // 60 % 60:02d}:{index % 60:02d}.000Z",
            "source": self.origin,
            "specversion": "1.0",
            "type": kind,
        }
        if subject is not None:
            event["subject"] = subject
        return event

    def append(self, kind: str, data: dict[str, object], subject: str | None = None) -> int:
        self.entries.append(jcs(self.envelope(kind, data, subject)))
        return len(self.entries) - 1

    def govern(self, kind: str, data: dict[str, object], subject: str | None = None) -> int:
        if self.last_governing >= 0:
            data = {"as_of": self.last_governing, **data}
        self.last_governing = self.append(kind, data, subject)
        self.governing.append(self.last_governing)
        return self.last_governing

    def governing_lines(self, size: int) -> list[bytes]:
        """The governing chain of the tree of `size`, as an export has it."""
        return [
            file_bytes({"entry": self.entries[i], "index": i, "path": self.path(i, size)})
            for i in self.governing
            if i < size
        ]

    def key_lines(self, origin: str, size: int | None = None) -> list[bytes]:
        """The history of a log's keys in this root log, as an export has it."""
        lines = []
        for index in self.governing:
            event = json.loads(self.entries[index])
            if event["type"] in ("log.created", "signing_key.rotated") and event["data"]["origin"] == origin:
                lines.append(file_bytes({"entry": self.entries[index], "index": index, "path": self.path(index, size)}))
        return lines

    def call(self, arguments: dict[str, str], **optional: str) -> int:
        """A call.reported with each argument (name → JSON text) sealed, and `reason` too."""
        index = len(self.entries)
        shown, sealed = [], {}
        for name, text in sorted(arguments.items()):
            salt = sha256(f"{index} {name}".encode())
            disclosure, sealed[name] = seal(f"/data/tool_args/{name}", text, salt)
            shown.append((f"/data/tool_args/{name}", disclosure))
        disclosure, reason = seal("/data/reason", '"because"', sha256(f"{index} reason".encode()))
        shown.append(("/data/reason", disclosure))
        data: dict[str, object] = {
            "agent_id": "agent-7",
            "call_id": f"call-{index}",
            "env": "production",
            "key_id": "k1",
            "mode": "enforce",
            "reason": reason,
            "tool_args": sealed,
            "tool_name": "payments.refund",
            "verdict": "allow",
            **optional,
        }
        self.disclosures[index] = [d for _, d in sorted(shown)]
        return self.append("call.reported", data, "agent-7")

    def receipt(self, index: int) -> dict[str, object]:
        """The receipt of an entry under the newest head, with nothing beside it."""
        return {
            "checkpoint": self.checkpoint(),
            "daily_root": None,
            "disclosures": [],
            "entry": self.entries[index],
            "format": "ledger-receipt/v1",
            "inclusion_path": self.path(index),
            "leaf_index": index,
            "root": None,
        }

    def body(self, size: int | None = None) -> str:
        size = len(self.entries) if size is None else size
        return f"{self.origin}\n{size}\n{b64(mth(self.hashes[:size]))}\n"

    def checkpoint(self, size: int | None = None) -> str:
        return self.signer.sign(self.body(size))

    def path(self, index: int, size: int | None = None) -> list[str]:
        return b64_list(inclusion(index, self.hashes[:size]))


def genesis(log: Log, kind: str) -> None:
    data: dict[str, object] = {
        "entry_rule": "strict-jcs/v1",
        "kind": kind,
        "origin": log.origin,
        "vkey": log.signer.vkey,
    }
    if kind == "root":
        data["max_commit_delay"] = 60
    log.govern("log.genesis", data, log.origin)


@dataclass
class World:
    """A root log with a closed day, and one tenant's log with calls."""

    log: Log
    root: Log
    heads_lines: list[str]
    heads_entry: int
    day_entry: int
    log_size: int
    previous_size: int
    previous_root_size: int

    @property
    def keys(self) -> dict[str, list[str]]:
        return {"log": [self.log.signer.vkey], "root": [self.root.signer.vkey]}

    def receipt(self, index: int, *, disclose: bool = True, root: bool = True, day: bool = True) -> dict[str, object]:
        return {
            "checkpoint": self.log.checkpoint(self.log_size),
            "daily_root": self.day() if day else None,
            "disclosures": self.log.disclosures.get(index, []) if disclose else [],
            "entry": self.log.entries[index],
            "format": "ledger-receipt/v1",
            "inclusion_path": self.log.path(index, self.log_size),
            "leaf_index": index,
            "root": self.root_member() if root else None,
        }

    def root_member(self, size: int | None = None) -> dict[str, object]:
        line = head_line(self.log, self.log_size)
        return root_member(self.root, self.heads_entry, self.heads_lines, line, size)

    def day(self) -> dict[str, object]:
        size = self.day_entry + 1
        return {
            "checkpoint": self.root.checkpoint(size),
            "consistency_path": b64_list(consistency(self.previous_root_size, self.root.hashes[:size])),
            "date": "2026-11-22",
            "entry": self.root.entries[self.day_entry],
            "entry_index": self.day_entry,
            "format": "ledger-day/v1",
            "heads": {
                "entry": self.root.entries[self.heads_entry],
                "inclusion_path": self.root.path(self.heads_entry, size),
            },
            "inclusion_path": self.root.path(self.day_entry, size),
            "previous_checkpoint": self.root.checkpoint(self.previous_root_size),
        }

    def first_day(self) -> dict[str, object]:
        """The document of the day closed before: it has no predecessor."""
        size = self.previous_root_size
        index = size - 1
        return {
            "checkpoint": self.root.checkpoint(size),
            "consistency_path": [],
            "date": "2026-11-21",
            "entry": self.root.entries[index],
            "entry_index": index,
            "format": "ledger-day/v1",
            "heads": {
                "entry": self.root.entries[index - 1],
                "inclusion_path": self.root.path(index - 1, size),
            },
            "inclusion_path": self.root.path(index, size),
            "previous_checkpoint": None,
        }

    def export(self, folder: Path, start: int, end: int, *, day: bool = True, disclose: bool = True) -> Path:
        """Write an export of leaves [start, end)."""
        keys = self.root.key_lines(self.log.origin)
        return write_export(
            folder,
            self.log,
            range(start, end),
            Way(self.log_size, self.root_member(), keys, self.day() if day else None),
            disclose=disclose,
        )


def head_line(log: Log, size: int) -> str:
    return f"{b64(sha256(log.origin.encode()))} {b64(sha256(log.body(size).encode()))}\n"


def build_world(calls: int = 21, owner: bytes = b"", verdicts: dict[int, str] | None = None) -> World:
    """Another owner has the same names and other keys; `verdicts` has those that are not "allow", by leaf index."""
    root = Log(Signer("localhost/root", owner + b"root"))
    log = Log(Signer("localhost/log/5f0c", owner + b"tenant"))
    other = Log(Signer("localhost/log/9a1b", owner + b"other"))

    def verdict() -> dict[str, str]:
        index = len(log.entries)
        return {} if verdicts is None or index not in verdicts else {"verdict": verdicts[index]}

    genesis(root, "root")
    for tenant in (log, other):
        root.govern("log.created", {"origin": tenant.origin, "vkey": tenant.signer.vkey}, tenant.origin)
        genesis(tenant, "tenant")
    log.govern("tenant.created", {"actor": "operator", "tenant_id": "t-1"}, "t-1")
    _, label = seal("/data/label", '"first key"', sha256(b"label"))
    key = {"actor": "operator", "env": "production", "key_id": "k1", "label": label, "role": "agent"}
    log.govern("key.created", key, "k1")
    for _ in range(5):
        log.call({"amount": "4200", "currency": '"GBP"'}, side_effect="money", **verdict())
    previous_size = len(log.entries)
    commit_heads(root, [(log, previous_size), (other, 1)])
    root.govern("day.closed", {"date": "2026-11-21"}, "2026-11-21")
    previous_root_size = len(root.entries)
    for number in range(calls - 5):
        log.call({"amount": f"{number}.50", "note": '{"text": "Grüße", "n": [1, 2.5e3, null]}'}, **verdict())
        if number % 6 == 3:
            commit_heads(root, [(log, len(log.entries))])
    log_size = len(log.entries)
    lines = commit_heads(root, [(log, log_size), (other, 1)])
    heads_entry = len(root.entries) - 1
    day_entry = root.govern("day.closed", {"date": "2026-11-22", "previous": "2026-11-21"}, "2026-11-22")
    commit_heads(root, [(other, 1)])
    return World(log, root, lines, heads_entry, day_entry, log_size, previous_size, previous_root_size)


def root_member(
    root: Log, heads_entry: int, lines: list[str], own_line: str, size: int | None = None
) -> dict[str, object]:
    """The way up from one of the heads that an entry of the root log commits to."""
    own = lines.index(own_line)
    return {
        "checkpoint": root.checkpoint(size),
        "entry": root.entries[heads_entry],
        "entry_index": heads_entry,
        "entry_path": root.path(heads_entry, size),
        "heads_count": len(lines),
        "heads_index": own,
        "heads_path": b64_list(inclusion(own, [leaf(line.encode()) for line in lines])),
    }


def commit_heads(root: Log, heads: list[tuple[Log, int]]) -> list[str]:
    lines = sorted(head_line(log, size) for log, size in heads)
    heads_root = b64(mth([leaf(line.encode()) for line in lines]))
    root.append("heads.committed", {"count": len(lines), "root": heads_root})
    return lines
