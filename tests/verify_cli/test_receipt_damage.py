# SPDX-License-Identifier: Apache-2.0
"""A receipt damaged in every way, as the command meets it: each bit, each length, each line, each hash of a path.

`test_receipt_mutations` asks the library the same of bytes and values; here it is the exit code that counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .refusal import Command
from .small_export import changed_lines, cuts, flips, line_changes
from .textbook import file_bytes
from .world import World

pytestmark = pytest.mark.usefixtures("quick")
INDEX = 6
NOTES = (
    ("checkpoint",),
    ("root", "checkpoint"),
    ("daily_root", "checkpoint"),
    ("daily_root", "previous_checkpoint"),
)
PATHS = (
    ("inclusion_path",),
    ("root", "entry_path"),
    ("root", "heads_path"),
    ("daily_root", "consistency_path"),
    ("daily_root", "inclusion_path"),
    ("daily_root", "heads", "inclusion_path"),
)


@pytest.fixture(scope="module")
def file(small: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("damage") / "receipt.json"
    path.write_bytes(file_bytes(small.receipt(INDEX)))
    return path


@pytest.fixture(scope="module")
def command(file: Path, small: World) -> Command:
    return Command("receipt", file, small)


@pytest.mark.parametrize("part", range(8))
def test_every_bit_of_the_file(part: int, file: Path, command: Command) -> None:
    """Of all of it, which is less than 4,096 bytes."""
    bits = 8 * file.stat().st_size
    assert bits <= 8 * 4096
    chosen = range(part * bits // 8, (part + 1) * bits // 8)
    assert command.must_refuse_all(flips(file, chosen)) == len(chosen)


def test_every_length(file: Path, command: Command) -> None:
    size = file.stat().st_size
    assert command.must_refuse_all(cuts(file, range(size - 1, -1, -1))) == size


def test_its_line(file: Path, command: Command) -> None:
    assert command.must_refuse_all(changed_lines(file)) == 3


def written(file: Path, small: World, where: tuple[str, ...], value: object) -> None:
    receipt: Any = small.receipt(INDEX)
    holder = receipt
    for name in where[:-1]:
        holder = holder[name]
    holder[where[-1]] = value
    file.write_bytes(file_bytes(receipt))


def member(small: World, where: tuple[str, ...]) -> Any:
    value: Any = json.loads(file_bytes(small.receipt(INDEX)))
    for name in where:
        value = value[name]
    return value


@pytest.mark.parametrize("where", NOTES, ids=".".join)
def test_each_line_of_its_notes(where: tuple[str, ...], file: Path, small: World, command: Command) -> None:
    lines = member(small, where).encode().splitlines(keepends=True)
    assert len(lines) == 5
    for what, changed in line_changes(lines):
        written(file, small, where, b"".join(changed).decode())
        if what == "line 4 doubled":
            # Whatever stands below a checkpoint besides the log's own signature is for others, as C2SP has it.
            assert command.answer()[0] == 0
        else:
            assert command.must_refuse(f"{where}: {what}") == 1
    file.write_bytes(file_bytes(small.receipt(INDEX)))
    assert command.answer()[0] == 0


@pytest.mark.parametrize("where", PATHS, ids=".".join)
def test_each_hash_of_its_paths(where: tuple[str, ...], file: Path, small: World, command: Command) -> None:
    hashes = [text.encode() for text in member(small, where)]
    changes = [*line_changes(hashes), ("one more", [*hashes, bytes(43).replace(b"\0", b"A") + b"="])]
    for what, changed in changes:
        written(file, small, where, [text.decode() for text in changed])
        assert command.must_refuse(f"{where}: {what}") == 1
    file.write_bytes(file_bytes(small.receipt(INDEX)))
    assert command.answer()[0] == 0
