# SPDX-License-Identifier: Apache-2.0
"""Exports as spec/export.md has them, made of a log of the tests, with none of the package's code.

Whoever signs is the operator of the log, and can write what he likes: `sign_manifest` brings all that follows from the
files up to date and signs it.
"""

from __future__ import annotations

import json
import tarfile
from base64 import urlsafe_b64decode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .textbook import b64_list, file_bytes, listed, subtrees

if TYPE_CHECKING:
    from .world import Log

EXPORT_FILES = (
    "README.txt",
    "disclosures.jsonl",
    "entries.jsonl",
    "fields.jsonl",
    "governing.jsonl",
    "keys.jsonl",
    "ledger-verify.pyz",
)
MANIFEST = "manifest.note"


class Way(NamedTuple):
    """The head that an export stands under, and the way from it up to the root log."""

    size: int
    root: dict[str, object]
    keys: list[bytes]
    daily_root: object = None


def write_export(folder: Path, log: Log, exported: range, way: Way, *, disclose: bool = True) -> Path:
    """An export of a range of leaves (spec/export.md)."""
    folder.mkdir(parents=True, exist_ok=True)
    start, end, size = exported.start, exported.stop, way.size
    shown = {i: log.disclosures[i] for i in range(start, end) if disclose and i in log.disclosures}
    files = {
        "README.txt": b"Words for people.\n",
        "disclosures.jsonl": b"".join(file_bytes({"disclosures": d, "index": i}) for i, d in sorted(shown.items())),
        "entries.jsonl": b"".join(entry.encode() + b"\n" for entry in log.entries[start:end]),
        "governing.jsonl": b"".join(log.governing_lines(size)),
        "keys.jsonl": b"".join(way.keys),
        "ledger-verify.pyz": b"#!/usr/bin/env python3\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hashes = log.hashes[:size]
    manifest = {
        "checkpoint": log.checkpoint(size),
        "daily_root": way.daily_root,
        "disclose": ["* *"] if disclose else [],
        "fields": {},
        "format": "ledger-export/v3",
        "from": start,
        "left": b64_list(subtrees(hashes, 0, start)),
        "origin": log.origin,
        "right": b64_list(subtrees(hashes, end, size)),
        "root": way.root,
        "to": end,
    }
    sign_manifest(folder, log, manifest)
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.note").read_text().split("\n")[0])
    return manifest


def sign_manifest(folder: Path, log: Log, manifest: dict[str, Any], *, states: bool = True) -> None:
    """List the files as they are now, say what state each field is in, and sign: all that an operator could do."""
    if states:
        found = field_states(folder, manifest["from"])
        (folder / "fields.jsonl").write_bytes(field_lines(found, manifest["from"]))
        every = [state for fields in found for state in fields.values()]
        manifest = manifest | {"fields": {name: every.count(name) for name in ("disclosed", "erased", "withheld")}}
    files = {name: (folder / name).read_bytes() for name in EXPORT_FILES if (folder / name).is_file()}
    text = file_bytes({"files": listed(files), **manifest}).decode()
    (folder / "manifest.note").write_bytes(log.signer.sign(text).encode())


def field_states(folder: Path, start: int) -> list[dict[str, str]]:
    """The state of every sealed field of each exported entry, where the lines can be read at all."""
    shown: set[tuple[int, str]] = set()
    for line in json_lines(folder / "disclosures.jsonl"):
        for text in line.get("disclosures", []):
            with suppress(ValueError):
                shown.add((line["index"], json.loads(urlsafe_b64decode(text + "=="))[1]))
    chain = [line.get("entry", "") for line in json_lines(folder / "governing.jsonl")]
    erasures = [json.loads(entry)["data"] for entry in chain if '"type":"disclosure.erased"' in entry]

    def state(index: int, pointer: str) -> str:
        if (index, pointer) in shown:
            return "disclosed"
        named = any(
            a <= index < b and pointer in data.get("pointers", [pointer])
            for data in erasures
            for a, b in data["ranges"]
        )
        return "erased" if named else "withheld"

    return [
        {pointer: state(index, pointer) for pointer in sealed_pointers(entry)}
        for index, entry in enumerate(json_lines(folder / "entries.jsonl"), start)
    ]


def sealed_pointers(value: object, pointer: str = "") -> list[str]:
    if not isinstance(value, dict):
        return []
    if "$sealed" in value:
        return [pointer]
    return [found for name, member in value.items() for found in sealed_pointers(member, f"{pointer}/{name}")]


def field_lines(states: list[dict[str, str]], start: int) -> bytes:
    runs: list[tuple[dict[str, str], int, int]] = []
    for index, fields in enumerate(states, start):
        if fields and runs and runs[-1][0] == fields and runs[-1][2] == index:
            runs[-1] = (fields, runs[-1][1], index + 1)
        elif fields:
            runs.append((fields, index, index + 1))
    return b"".join(file_bytes({"fields": fields, "from": a, "to": b}) for fields, a, b in runs)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are JSON objects."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def archive(folder: Path, path: Path, **changes: object) -> Path:
    """The export as one file, packed by the standard library. `changes` go into the header of the entries."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted((*EXPORT_FILES, MANIFEST)):
            info = tarfile.TarInfo(f"ledger-export/{name}")
            info.size = (folder / name).stat().st_size
            if name == "entries.jsonl":
                for field_name, value in changes.items():
                    setattr(info, field_name, value)
            with (folder / name).open("rb") as file:
                tar.addfile(info, file)
    return path
