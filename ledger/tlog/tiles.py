# SPDX-License-Identifier: Apache-2.0
"""tlog-tiles (c2sp.org/tlog-tiles): where the hashes and entries of a log live.

A tile of level L and number N holds up to 256 hashes: entry i is the hash of the perfect subtree at tree level 8·L with
index 256·N + i. A *full* tile never changes. The *partial* tile at the right edge is named with its width.

    /tile/0/x001/x234/067           full tile of leaf hashes 1234067
    /tile/1/000.p/17                first tile of level 1 while it has 17 hashes
    /tile/entries/000               the first 256 entries

A full tile is stored with its 255 interior hashes behind it, row by row from the leaves up, so that any hash a proof
needs is one slice away: 511 hashes, 16,352 bytes.
"""

import re
from dataclasses import dataclass

from ledger.tlog.errors import MalformedError
from ledger.tlog.text import MAX_INTEGER

WIDTH = 256
HEIGHT = 8
TILE_BYTES = WIDTH * 32
STORED_BYTES = (2 * WIDTH - 1) * 32
MAX_LEVEL = 63
MAX_NUMBER = MAX_INTEGER >> HEIGHT

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<groups>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """A tile of hashes, or with `level` None a bundle of entries. `width` is 256 for a full one."""

    level: int | None
    number: int
    width: int = WIDTH

    def format(self) -> str:
        groups, rest = [f"{self.number % 1000:03d}"], self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_path(path: str) -> TilePath:
    """The tile that `path` (without leading slash) names. Raises MalformedError.

    Formatting the result must give the path back, which refuses leading groups of zeros and whatever the pattern
    misses.
    """
    match = _PATH.match(path) if len(path) < 100 else None
    if match is None:
        raise MalformedError(f"not a tile path: {path[:80]!r}")
    level = None if match["level"] == "entries" else int(match["level"])
    tile = TilePath(level, int(match["groups"].replace("x", "").replace("/", "")), int(match["width"] or WIDTH))
    if tile.format() != path or (level or 0) > MAX_LEVEL or tile.number > MAX_NUMBER or tile.width > WIDTH:
        raise MalformedError(f"not a tile path: {path[:80]!r}")
    return tile


def tile_width(level: int, number: int, size: int) -> int:
    """How many hashes tile (level, number) has in a tree of `size`: 0 when it does not exist, 256 when it is full."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH))


def locate(level: int, index: int) -> tuple[int, int, int, int]:
    """Where the perfect subtree (level, index) is: (tile level, tile number, row in the tile, position in the row)."""
    tile_level, row = divmod(level, HEIGHT)
    return tile_level, index >> (HEIGHT - row), row, index & ((WIDTH >> row) - 1)


def stored_hash(tile: bytes, row: int, position: int) -> bytes:
    """A hash out of a stored full tile (511 hashes)."""
    start = 32 * (2 * WIDTH - (2 * WIDTH >> row) + position)
    return tile[start : start + 32]


def format_bundle(entries: list[bytes]) -> bytes:
    """An entry bundle: each entry behind its length as two bytes, big-endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises MalformedError."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 2], "big")
        entry = data[position + 2 : position + 2 + length]
        if position + 2 + length > len(data):
            raise MalformedError(f"entry bundle is cut short in entry {len(entries)}")
        entries.append(entry)
        position += 2 + length
    return entries
