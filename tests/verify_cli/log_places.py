# SPDX-License-Identifier: Apache-2.0
"""Logs to read: in memory, with a count of what was read, and as a folder."""

from __future__ import annotations

from pathlib import Path

from .textbook import Signer, tiled_log

SIGNER = Signer("example.com/log", b"tiled")


def any_entries(size: int, start: int = 0) -> list[bytes]:
    """Entries of somebody else's log, one of them empty."""
    return [f"entry {number}".encode() if number != 1 else b"" for number in range(start, size)]


def any_log(size: int) -> dict[str, bytes]:
    return tiled_log(SIGNER, any_entries(size))


class Memory:
    """Files by path. `asked` are those that were read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []

    def read(self, path: str, limit: int) -> bytes | None:
        self.asked.append(path)
        return self.files.get(path)


def write_log(folder: Path, files: dict[str, bytes]) -> Path:
    """A log as a folder. A name is a file and a folder at once never, since partial tiles have a suffix."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
