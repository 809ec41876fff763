# SPDX-License-Identifier: Apache-2.0
"""A small export that has something of everything, and changes of it, one at a time, undone by the next.

The log has nine leaves, of which six are exported: calls, an erasure of one of them, and the entry by which its key
was changed. It is closed by a day, there is a tree on either side of the range, and each file has several lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .test_key_history import Turned
from .textbook import Signer
from .world import Log, World, commit_heads, genesis

START, END, SIZE = 2, 8, 9


def build_small_world() -> World:
    root, log = Log(Signer("localhost/root", b"root")), Log(Signer("localhost/log/turned", b"first"))
    genesis(root, "root")
    genesis(log, "tenant")
    root.govern("log.created", {"origin": log.origin, "vkey": log.signer.vkey}, log.origin)
    log.govern("tenant.created", {"actor": "operator", "tenant_id": "t-1"}, "t-1")
    log.call({"amount": "1"})
    log.call({})
    previous_size = len(log.entries)
    commit_heads(root, [(log, previous_size)])
    root.govern("day.closed", {"date": "2026-11-21"}, "2026-11-21")
    previous_root_size = len(root.entries)
    newer = Signer(log.origin, b"second")
    rotation = Turned.rotation(log.signer, newer)
    root.govern("signing_key.rotated", rotation, log.origin)
    log.govern("signing_key.rotated", rotation, log.origin)
    log.signer = newer
    log.govern("disclosure.erased", {"actor": "operator", "grounds": "other", "ranges": [[3, 4]]})
    log.disclosures[3] = []
    for _ in range(3):
        log.call({})
    lines = commit_heads(root, [(log, SIZE)])
    heads_entry = len(root.entries) - 1
    day = root.govern("day.closed", {"date": "2026-11-22", "previous": "2026-11-21"}, "2026-11-22")
    return World(log, root, lines, heads_entry, day, SIZE, previous_size, previous_root_size)


def write_small_export(world: World, folder: Path) -> Path:
    world.log.disclosures = {index: shown for index, shown in world.log.disclosures.items() if shown}
    return world.export(folder, START, END)


@contextmanager
def opened(path: Path) -> Iterator[tuple[int, bytes]]:
    """A file to be changed in place, which costs less than writing it anew, and left as it was."""
    descriptor = os.open(path, os.O_RDWR)
    raw = path.read_bytes()
    try:
        yield descriptor, raw
    finally:
        os.ftruncate(descriptor, len(raw))
        os.pwrite(descriptor, raw, 0)
        os.close(descriptor)


def flips(path: Path, bits: Iterable[int]) -> Iterator[str]:
    """Each of these bits of the file flipped, the others intact."""
    with opened(path) as (descriptor, raw):
        for bit in bits:
            place = bit // 8
            os.pwrite(descriptor, bytes([raw[place] ^ 1 << bit % 8]), place)
            yield f"{path.name}: bit {bit % 8} of byte {place} flipped"
            os.pwrite(descriptor, raw[place : place + 1], place)


def cuts(path: Path, lengths: Iterable[int]) -> Iterator[str]:
    """The file cut off at each of these lengths, which decrease."""
    with opened(path) as (descriptor, _):
        for length in lengths:
            os.ftruncate(descriptor, length)
            yield f"{path.name}: cut off after {length} bytes"


def line_changes(lines: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Each line dropped, doubled, and swapped with the one behind it, if that is another one; the last byte cut off."""
    for i, line in enumerate(lines):
        yield f"line {i} dropped", lines[:i] + lines[i + 1 :]
        yield f"line {i} doubled", [*lines[: i + 1], *lines[i:]]
        if line != (lines[i + 1] if i + 1 < len(lines) else line):
            yield f"line {i} swapped", [*lines[:i], lines[i + 1], line, *lines[i + 2 :]]
    if lines:
        yield "last byte cut off", [*lines[:-1], lines[-1][:-1]]


def changed_lines(path: Path) -> Iterator[str]:
    """The file with each of these changes of its lines, the others intact."""
    raw = path.read_bytes()
    for what, lines in line_changes(raw.splitlines(keepends=True)):
        path.write_bytes(b"".join(lines))
        yield f"{path.name}: {what}"
    path.write_bytes(raw)
