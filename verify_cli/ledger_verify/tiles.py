# SPDX-License-Identifier: Apache-2.0
"""tlog-tiles (C2SP): how the hashes and entries of a log are cut into files, and what a tree's right edge is.

Entry i of tile N at level L is the root hash of the perfect subtree over the 256^L leaves from (256 N + i) 256^L on. A full
tile has 256 hashes and never changes. The right-most tile of a level is partial, named with its width, and absent when it
would be empty; its hashes stand in no tile above. Entries are bundled as the hashes of level 0 are.

    tile/0/x001/x234/067            full tile of leaf hashes, number 1234067
    tile/1/000.p/17                 the only tile of level 1 while it has 17 hashes
    tile/entries/000.p/3            the only bundle of a log with 3 entries

Which files a tree of a given size has follows from the size alone. No name is ever taken from the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger_verify.encodings import HASH_BYTES
from ledger_verify.errors import MalformedError
from ledger_verify.merkle import CompactRange, perfect_root

WIDTH = 256
HEIGHT = 8
MAX_LEVELS = 8  # 256^8 leaves are more than any tree has
MAX_ENTRY_BYTES = 65_535
MAX_BUNDLE_BYTES = WIDTH * (2 + MAX_ENTRY_BYTES)


class Tile(NamedTuple):
    """The name of a tile of hashes, or with `level` None of a bundle of entries. `width` is 256 for a full one."""

    level: int | None
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The file's path below the log's."""
        groups, rest = [f"{self.number % 1000:03d}"], self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"


def tile_of(level: int | None, number: int, size: int) -> Tile:
    """Tile `number` of a level as a tree of `size` leaves has it."""
    hashes = size >> HEIGHT * (level or 0)
    return Tile(level, number, min(WIDTH, hashes - number * WIDTH))


def parse_tile(raw: bytes, tile: Tile) -> list[bytes]:
    """The hashes of a tile. A file that is longer or shorter than its name says is refused."""
    if len(raw) != tile.width * HASH_BYTES:
        raise MalformedError(
            f"{tile.path} has the wrong length", got=f"{len(raw)} bytes", want=f"{tile.width * HASH_BYTES} bytes"
        )
    return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]


def parse_bundle(raw: bytes, tile: Tile) -> list[bytes]:
    """The entries of a bundle, each behind its length in two bytes; exactly as many as its name says."""
    entries: list[bytes] = []
    at = 0
    while at < len(raw):
        index = tile.number * WIDTH + len(entries)
        if len(entries) == tile.width:
            raise MalformedError(f"{tile.path} goes on after its last entry", got=f"{len(raw) - at} bytes more")
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if end > len(raw) or at + 2 > len(raw):
            raise MalformedError(
                f"{tile.path} is cut short in entry {index}", got=f"{len(raw) - at} bytes", want=f"{end - at} bytes"
            )
        entries.append(raw[at + 2 : end])
        at = end
    if len(entries) != tile.width:
        raise MalformedError(f"{tile.path} has too few entries", got=len(entries), want=tile.width)
    return entries


class RightEdge:
    """The partial tiles of a tree, from the leaves up: all that is needed to append to it, at most 255 hashes a level."""

    def __init__(self, rows: Iterable[Iterable[bytes]] = ()) -> None:
        self.rows: list[list[bytes]] = [list(row) for row in rows]
        self.size = sum(len(row) << HEIGHT * level for level, row in enumerate(self.rows))

    def append(self, leaf_hash: bytes) -> Iterator[tuple[Tile, list[bytes]]]:
        """Append a leaf, and give each tile that becomes full by it, from the leaves up."""
        self.size += 1
        value = leaf_hash
        for level in range(MAX_LEVELS):
            if level == len(self.rows):
                self.rows.append([])
            row = self.rows[level]
            row.append(value)
            if len(row) < WIDTH:
                return
            self.rows[level] = []
            yield Tile(level, (self.size >> HEIGHT * (level + 1)) - 1), row
            value = perfect_root(row)

    def partial_tiles(self) -> Iterator[tuple[Tile, list[bytes]]]:
        """The partial tiles of the tree as it is."""
        for level, row in enumerate(self.rows):
            if row:
                yield Tile(level, self.size >> HEIGHT * (level + 1), len(row)), row

    def root(self) -> bytes:
        tree = CompactRange()
        for level in reversed(range(len(self.rows))):
            for value in self.rows[level]:
                tree.append(value, HEIGHT * level)
        return tree.root()


def edge_widths(size: int) -> list[int]:
    """How many hashes each row of the right edge of a tree has, from the leaves up, without empty rows at the top."""
    widths = []
    while size:
        widths.append(size % WIDTH)
        size //= WIDTH
    return widths
