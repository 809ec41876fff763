# SPDX-License-Identifier: Apache-2.0
"""The right edge of a growing tree: all a writer must hold to append and to sign.

Per tile level the edge keeps the partial tile with its interior hashes; everything to the left is in full tiles, which
never change. Appending a leaf costs on average one leaf hash and one node hash; the root costs at most 63. The edge of
a tree of any size is at most 511 hashes a level, so memory does not grow with the log.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from ledger.tlog.merkle import EMPTY_ROOT, node_hash
from ledger.tlog.tiles import HEIGHT, WIDTH

MANY = 16
"""From so many hashes on it pays to add them a row at a time."""


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that has just become full. `hashes` are its 511 hashes, row by row from the leaves up."""

    level: int
    number: int
    hashes: bytes


class Edge:
    """Partial tiles of a tree, one a level. `rows[level][row]` has the hashes of one row, as many as are complete."""

    __slots__ = ("_ends", "paths", "rows", "size")

    def __init__(self) -> None:
        self.size = 0
        self.rows: list[list[list[bytes]]] = []
        self._ends: list[bytes | None] | None = None
        self.paths: dict[int, list[str]] = {}
        """For whoever shows proofs under this edge: what is kept here goes when the edge grows."""

    @classmethod
    def load(cls, size: int, partial: list[list[bytes]]) -> "Edge":
        """The edge of a tree of `size` from the bottom rows of its partial tiles, lowest level first."""
        assert size >> (HEIGHT * len(partial)) == 0
        edge = cls()
        for level, hashes in enumerate(partial):
            assert len(hashes) == (size >> (HEIGHT * level)) % WIDTH
            edge.rows.append(_empty_rows())
            _push(edge.rows[level], hashes)
        edge.size = size
        return edge

    def copy(self) -> "Edge":
        """A working copy: what is appended to it does not show here. Hashes are shared, rows are not."""
        other = Edge()
        other.size = self.size
        other.rows = [[row.copy() for row in tile] for tile in self.rows]
        return other

    def append(self, leaf_hashes: Iterable[bytes]) -> list[FullTile]:
        """Add leaves; returns the tiles that became full, in the order in which they did."""
        leaves = list(leaf_hashes)
        full: list[FullTile] = []
        self._ends = None
        self.paths = {}
        taken = 0
        while taken < len(leaves):
            part = leaves[taken : taken + WIDTH - self.size % WIDTH]
            taken += len(part)
            self.size += len(part)
            self._extend(0, part, full)
        return full

    def append_tiles(self, roots: Iterable[bytes]) -> list[FullTile]:
        """Add full tiles of leaves by their roots, to a tree that ends where a tile does. Returns the tiles of higher
        levels that became full.
        """
        assert self.size % WIDTH == 0
        full: list[FullTile] = []
        self._ends = None
        self.paths = {}
        for root in roots:
            self.size += WIDTH
            self._row_of_tiles(0)
            self._extend(1, [root], full)
        return full

    def _extend(self, level: int, values: list[bytes], full: list[FullTile]) -> None:
        """Add hashes to the tile at the edge of a level, no more than it has room for; `size` counts them already."""
        tile = self._row_of_tiles(level)
        _push(tile, values)
        if len(tile[0]) == WIDTH:
            # The tile's root is the next hash of the level above, and a new tile begins here.
            number = (self.size >> HEIGHT * (level + 1)) - 1
            full.append(FullTile(level, number, b"".join(map(b"".join, tile))))
            self.rows[level] = _empty_rows()
            self._extend(level + 1, tile[HEIGHT], full)

    def _row_of_tiles(self, level: int) -> list[list[bytes]]:
        if level == len(self.rows):
            self.rows.append(_empty_rows())
        return self.rows[level]

    def ends(self) -> list[bytes | None]:
        """Per level the hash of the tree's last subtree where that is cut short: of leaves [size rounded down to a
        multiple of 2^level, size). None where there are no such leaves. The last one is the root.
        """
        if self._ends is None:
            hashes: list[bytes | None] = [None]
            for level in range(self.size.bit_length()):
                end = hashes[-1]
                if self.size >> level & 1:
                    perfect = self.rows[level // HEIGHT][level % HEIGHT][-1]
                    end = perfect if end is None else node_hash(perfect, end)
                hashes.append(end)
            self._ends = hashes
        return self._ends

    def root(self) -> bytes:
        """Root hash (RFC 6962 §2.1) of the whole tree."""
        return self.ends()[-1] or EMPTY_ROOT

    def hash(self, level: int, number: int, row: int, position: int) -> bytes | None:
        """A hash of a partial tile, or None when tile (level, number) is not at the edge."""
        if level < len(self.rows) and number == self.size >> HEIGHT * (level + 1):
            hashes = self.rows[level][row]
            if position < len(hashes):
                return hashes[position]
        return None


def _empty_rows() -> list[list[bytes]]:
    return [[] for _ in range(HEIGHT + 1)]


def _push(tile: list[list[bytes]], values: list[bytes]) -> None:
    """Add hashes to the bottom row, and to the rows above what they complete there."""
    if len(values) < MANY:
        for value in values:
            _push_one(tile, value)
        return
    # A row at a time: half of the time of one by one, since no step is taken between two hashes but the loop's own.
    tile[0] += values
    for below, above in pairwise(tile):
        first = 2 * len(above)
        pairs = zip(below[first::2], below[first + 1 :: 2], strict=False)
        above += [sha256(b"\x01" + left + right).digest() for left, right in pairs]


def _push_one(tile: list[list[bytes]], value: bytes) -> None:
    """Each row that gets an even count completes a hash of the row above."""
    row = 0
    tile[0].append(value)
    while row < HEIGHT and not len(tile[row]) & 1:
        hashes = tile[row]
        row += 1
        tile[row].append(node_hash(hashes[-2], hashes[-1]))
