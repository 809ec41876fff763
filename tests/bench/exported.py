# SPDX-License-Identifier: Apache-2.0
"""An export of as many entries as one likes, of 500 bytes each, signed and whole: as of a large log of small calls.

Made without a ledger, since what is measured is reading it. Each call has two sealed fields, both withheld.
"""

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.edge import Edge
from ledger.tlog.merkle import leaf_hash, root_hash
from ledger.tlog.note import SigningKey

ENTRY_BYTES = 500
ORIGIN, ROOT_ORIGIN = "bench.example/log/0123456789abcdef", "bench.example/root"
_AT_ONCE = 10_000


def make_export(folder: Path, size: int) -> tuple[str, str]:
    """Write the export of a log of `size` entries; returns the vkeys of the log and of the root log."""
    folder.mkdir()
    key, root_key = (SigningKey(origin, Ed25519PrivateKey.generate()) for origin in (ORIGIN, ROOT_ORIGIN))
    genesis = _entry(0, ORIGIN, "log.genesis", _genesis(key, "tenant"), ORIGIN)
    edge, path = Edge(), _FirstPath()
    with (folder / "entries.jsonl").open("wb") as file:
        for first in range(0, size, _AT_ONCE):
            entries = [call(index) for index in range(first, min(first + _AT_ONCE, size))]
            if first == 0:
                entries[0] = genesis
            hashes = [leaf_hash(entry) for entry in entries]
            edge.append(hashes)
            path.append(hashes)
            file.write(b"".join(entry + b"\n" for entry in entries))
    checkpoint = Checkpoint(ORIGIN, size, edge.root()).sign(key)
    root_log = _RootLog(root_key, key, checkpoint)
    states = {"fields": {"/data/reason": "withheld", "/data/tool_args/amount": "withheld"}, "from": 1, "to": size}
    _write_lines(folder / "governing.jsonl", {"entry": genesis.decode(), "index": 0, "path": _base64(path.finish())})
    _write_lines(folder / "keys.jsonl", root_log.proven(1))
    _write_lines(folder / "fields.jsonl", states)
    for name in ("README.txt", "disclosures.jsonl", "ledger-verify.pyz"):
        (folder / name).write_bytes(b"")
    manifest = {
        "checkpoint": checkpoint,
        "daily_root": None,
        "disclose": [],
        "fields": {"disclosed": 0, "erased": 0, "withheld": 2 * (size - 1)},
        "files": [_listed(path) for path in sorted(folder.iterdir())],
        "format": "ledger-export/v3",
        "from": 0,
        "left": [],
        "origin": ORIGIN,
        "right": [],
        "root": root_log.member(),
        "to": size,
    }
    (folder / "manifest.note").write_text(key.sign(_jcs(manifest).decode() + "\n"))
    return key.vkey.format(), root_key.vkey.format()


def call(index: int) -> bytes:
    """A reported call of ENTRY_BYTES bytes, or one less."""
    reason, amount = (
        urlsafe_b64encode(hashlib.sha256(b"%d %d" % (index, field)).digest()).rstrip(b"=") for field in (0, 1)
    )
    seconds, milliseconds = divmod(index, 1000)
    day, seconds = divmod(seconds, 86_400)
    clock = seconds // 3600, seconds // 60 % 60, seconds % 60, milliseconds
    return (
        b'{"data":{"agent_id":"payments","call_id":"%010d","env":"production","key_id":"01a20000-0001","mode":"enforce",'
        b'"reason":{"$sealed":"%b"},"tool_args":{"amount":{"$sealed":"%b"}},"tool_name":"pay","v":1,"verdict":"%b"},'
        b'"id":"%b","recordedat":"2026-03-%02dT%02d:%02d:%02d.%03dZ","source":"%b","specversion":"1.0",'
        b'"subject":"payments","type":"call.reported"}'
    ) % (index, reason, amount, b"allow" if index % 7 else b"deny", _id(index), 1 + day % 28, *clock, ORIGIN.encode())


def _id(index: int) -> bytes:
    return b"019ca945-%04x-7%03x-8000-%012x" % (index >> 32 & 0xFFFF, index >> 20 & 0xFFF, index)


def _jcs(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _base64(hashes: list[bytes]) -> list[str]:
    return [b64encode(value).decode() for value in hashes]


def _write_lines(path: Path, *lines: dict[str, Any]) -> None:
    path.write_bytes(b"".join(_jcs(line) + b"\n" for line in lines))


def _listed(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "name": path.name,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "size": path.stat().st_size,
        }


def _entry(index: int, origin: str, kind: str, data: dict[str, Any], subject: str | None = None) -> bytes:
    event = {
        "data": {"v": 1, **data},
        "id": _id(index).decode(),
        "recordedat": "2026-03-01T00:00:00.000Z",
        "source": origin,
        "specversion": "1.0",
        "type": kind,
    }
    return _jcs(event if subject is None else event | {"subject": subject})


def _genesis(key: SigningKey, kind: str) -> dict[str, Any]:
    data = {"entry_rule": "strict-jcs/v1", "kind": kind, "origin": key.name, "vkey": key.vkey.format()}
    return data | ({"max_commit_delay": 60} if kind == "root" else {})


class _FirstPath:
    """The inclusion path of leaf 0, from the leaves as they come."""

    def __init__(self) -> None:
        self._hashes: list[bytes] = []

    def append(self, hashes: list[bytes]) -> None:
        self._hashes += hashes

    def finish(self) -> list[bytes]:
        """The roots over [1, 2), [2, 4), [4, 8) and so on: what stands beside the path from leaf 0 up."""
        size, start, path = len(self._hashes), 1, []
        while start < size:
            path.append(root_hash(self._hashes[start : 2 * start]))
            start *= 2
        return path


class _RootLog:
    """A root log of three entries: its genesis, the log's announcement, and the head."""

    def __init__(self, key: SigningKey, log_key: SigningKey, checkpoint: str) -> None:
        body = checkpoint.split("\n\n")[0] + "\n"
        digests = [b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (ORIGIN, body)]
        heads_root = root_hash([leaf_hash(f"{' '.join(digests)}\n".encode())])
        created = {"as_of": 0, "origin": ORIGIN, "vkey": log_key.vkey.format()}
        self._entries = [
            _entry(0, ROOT_ORIGIN, "log.genesis", _genesis(key, "root"), ROOT_ORIGIN),
            _entry(1, ROOT_ORIGIN, "log.created", created, ORIGIN),
            _entry(2, ROOT_ORIGIN, "heads.committed", {"count": 1, "root": b64encode(heads_root).decode()}),
        ]
        self._hashes = [leaf_hash(entry) for entry in self._entries]
        self._checkpoint = Checkpoint(ROOT_ORIGIN, 3, root_hash(self._hashes)).sign(key)

    def proven(self, index: int) -> dict[str, Any]:
        first, second, third = self._hashes
        path = [[second, third], [first, third], [root_hash([first, second])]][index]
        return {"entry": self._entries[index].decode(), "index": index, "path": _base64(path)}

    def member(self) -> dict[str, Any]:
        found = self.proven(2)
        return {
            "checkpoint": self._checkpoint,
            "entry": found["entry"],
            "entry_index": 2,
            "entry_path": found["path"],
            "heads_count": 1,
            "heads_index": 0,
            "heads_path": [],
        }
