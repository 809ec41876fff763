# SPDX-License-Identifier: Apache-2.0
"""Proofs over a stored log: which hashes (`tlog.merkle`), read from the edge in memory or from stored tiles, then
folded.

A proof reads at most one tile a tree level of eight; recently read tiles are kept, so that the proofs of neighbours
cost no reading at all.
"""

import threading
from collections.abc import Sequence

from ledger.log.errors import DamagedError
from ledger.log.store import Store
from ledger.tlog.edge import Edge, FullTile
from ledger.tlog.merkle import consistency_ranges, fold, leaf_hash, node_hash, siblings, subtrees
from ledger.tlog.text import format_base64
from ledger.tlog.tiles import HEIGHT, WIDTH, locate, stored_hash

CACHED_TILES = 128
"""16 kB each, for all logs together."""
KEPT_PATHS = 4096
"""Paths above nodes that are kept with the newest edge, some 200 bytes each."""
KEPT_ENDS = 64
"""Earlier sizes of a log whose right edge is kept, up to 2 kB each."""


class TileCache:
    """The tiles last read or written, oldest dropped first. Full tiles never change, so nothing is ever stale."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[int, int, int], bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, int]) -> bytes | None:
        return self._tiles.get(key)

    def put(self, key: tuple[int, int, int], tile: bytes) -> None:
        with self._lock:
            self._tiles[key] = tile
            while len(self._tiles) > CACHED_TILES:
                del self._tiles[next(iter(self._tiles))]


class Tree:
    """The hashes of one log. `edge` is always passed in: it says which committed state a proof belongs to."""

    def __init__(self, store: Store, log_number: int, cache: TileCache) -> None:
        self._store = store
        self._log_number = log_number
        self._cache = cache
        self._ends_of: dict[int, list[bytes | None]] = {}

    def load_edge(self, size: int) -> Edge:
        """The edge of the committed tree of `size`, from at most 255 leaves and 255 tile roots a level.

        Raises DamagedError when one of them is missing.
        """
        if size == 0:
            return Edge()
        full = size // WIDTH
        leaves = self._store.leaves(self._log_number, full * WIDTH, size)
        if len(leaves) != size % WIDTH:
            raise self._missing_entry(full * WIDTH, size)
        partial = [[leaf_hash(leaf) for leaf in leaves]]
        level = 0
        while full:
            start = full - full % WIDTH
            roots = self._store.tile_roots(self._log_number, level, start, full)
            if len(roots) != full - start:
                raise DamagedError(
                    f"of the full tiles {level}/{start} to {level}/{full - 1} of log {self._log_number} "
                    f"only {len(roots)} are there"
                )
            partial.append(roots)
            full //= WIDTH
            level += 1
        return Edge.load(size, partial)

    def _missing_entry(self, start: int, stop: int) -> DamagedError:
        found = [row.leaf_index for row in self._store.rows(self._log_number, start, stop)]
        index = next(index for index in range(start, stop) if index not in found)
        return DamagedError(f"entry {index} of log {self._log_number} is missing")

    def remember(self, tiles: Sequence[FullTile]) -> None:
        for tile in tiles:
            self._cache.put((self._log_number, tile.level, tile.number), tile.hashes)

    def stored_tile(self, level: int, number: int) -> bytes:
        """A full tile with its interior hashes."""
        key = (self._log_number, level, number)
        tile = self._cache.get(key)
        if tile is None:
            tile = self._store.tile(*key)
            if tile is None:
                raise DamagedError(
                    f"full tile {level}/{number} of log {self._log_number} is missing: run `ledger check`"
                )
            self._cache.put(key, tile)
        return tile

    def tile(self, edge: Edge, level: int, number: int, width: int) -> bytes:
        """The first `width` hashes of a tile that has at least as many in the tree of `edge`."""
        if level < len(edge.rows) and number == edge.size >> HEIGHT * (level + 1):
            return b"".join(edge.rows[level][0][:width])
        return self.stored_tile(level, number)[: width * 32]

    def inclusion_path(self, edge: Edge, index: int, size: int) -> list[bytes]:
        """Path of leaf `index` in the tree of the first `size` leaves, index < size <= edge.size (RFC 9162
        §2.1.3.1).
        """
        ends = edge.ends() if size == edge.size else self._ends(edge, size)
        path = []
        for level, sibling in siblings(index, size):
            end = ends[level] if sibling == size >> level else None
            path.append(self._hash(edge, level, sibling) if end is None else end)
        return path

    def newest_path(self, edge: Edge, index: int) -> list[str]:
        """The same under the newest head, in base64. Leaves under one node share the path above it, so receipts of one
        batch differ in little but their lowest hashes; paths that were made under a head are kept with its edge.
        """
        return self._newest_path(edge, edge.ends(), 0, index)

    def _newest_path(self, edge: Edge, ends: Sequence[bytes | None], level: int, node: int) -> list[str]:
        """The path above a node (`merkle.siblings`, from this level on)."""
        last = edge.size - 1 >> level
        if not last:
            return []
        key = node << 6 | level
        path = edge.paths.get(key)
        if path is None:
            tile = node >> HEIGHT
            if level % HEIGHT == 0 and tile < edge.size >> level + HEIGHT:
                # A full tile has all eight of its levels.
                path = self._path_in_tile(level // HEIGHT, node)
                path += self._newest_path(edge, ends, level + HEIGHT, tile)
            else:
                path = self._newest_path(edge, ends, level + 1, node >> 1)
                sibling = node ^ 1
                if sibling <= last:
                    end = ends[level] if sibling == edge.size >> level else None
                    path = [format_base64(self._hash(edge, level, sibling) if end is None else end), *path]
            # A leaf is asked for once, the nodes above it again and again.
            if level:
                if len(edge.paths) >= KEPT_PATHS:
                    edge.paths.clear()
                edge.paths[key] = path
        return path

    def _path_in_tile(self, level: int, node: int) -> list[str]:
        """The path from a node at the bottom of a full tile to the tile's root."""
        tile, position = self.stored_tile(level, node >> HEIGHT), node & WIDTH - 1
        return [format_base64(stored_hash(tile, row, position >> row ^ 1)) for row in range(HEIGHT)]

    def _ends(self, edge: Edge, size: int) -> list[bytes | None]:
        """`Edge.ends` of an earlier size. Receipts ask for those of the same few committed heads again and again."""
        ends = self._ends_of.get(size)
        if ends is None:
            ends = [None]
            for level in range(size.bit_length()):
                end = ends[-1]
                if size >> level & 1:
                    perfect = self._hash(edge, level, (size >> level) - 1)
                    end = perfect if end is None else node_hash(perfect, end)
                ends.append(end)
            self._ends_of[size] = ends
            if len(self._ends_of) > KEPT_ENDS:
                self._ends_of.pop(next(iter(self._ends_of)), None)
        return ends

    def consistency_path(self, edge: Edge, old: int, new: int) -> list[bytes]:
        """Proof that the first `old` leaves are a prefix of the first `new`, old <= new <= edge.size (RFC 9162
        §2.1.4.1).
        """
        return [self._range_hash(edge, lo, hi) for lo, hi in consistency_ranges(old, new)]

    def subtree_hashes(self, edge: Edge, lo: int, hi: int) -> list[bytes]:
        """Hashes of the perfect subtrees that cover leaves [lo, hi)."""
        return [self._hash(edge, level, index) for level, index in subtrees(lo, hi)]

    def root(self, edge: Edge, size: int) -> bytes:
        return fold(self.subtree_hashes(edge, 0, size))

    def _range_hash(self, edge: Edge, lo: int, hi: int) -> bytes:
        return fold(self.subtree_hashes(edge, lo, hi))

    def _hash(self, edge: Edge, level: int, index: int) -> bytes:
        tile_level, number, row, position = locate(level, index)
        found = edge.hash(tile_level, number, row, position)
        return stored_hash(self.stored_tile(tile_level, number), row, position) if found is None else found
