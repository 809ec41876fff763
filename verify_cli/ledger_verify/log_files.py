# SPDX-License-Identifier: Apache-2.0
"""The files of a log, from a folder or a server, each with the length or the number of entries that its name says.

A file that is not there teaches nothing about the log: the verdict is "could not tell". A partial tile may be gone once
the full one is there, so that one is read instead and cut.
"""

from __future__ import annotations

import os
import stat
from typing import Protocol

from ledger_verify.canonical import decode_utf8
from ledger_verify.encodings import HASH_BYTES
from ledger_verify.errors import CannotTellError, MalformedError
from ledger_verify.files import is_url
from ledger_verify.merkle import CompactRange, cover, perfect_root
from ledger_verify.note import MAX_NOTE_BYTES
from ledger_verify.tiles import HEIGHT, MAX_BUNDLE_BYTES, WIDTH, Tile, parse_bundle, parse_tile, tile_of

_KEPT_TILES = 64


class Source(Protocol):
    """Where files lie."""

    def read(self, path: str, limit: int) -> bytes | None: ...


class Folder:
    """A folder laid out as the log's URLs are."""

    def __init__(self, path: str) -> None:
        self._path = path
        if not os.path.isdir(path):
            raise CannotTellError("there is no such folder")

    def read(self, path: str, limit: int) -> bytes | None:
        try:
            # Opened without waiting: a pipe has no length, and nobody at its other end.
            descriptor = os.open(os.path.join(self._path, *path.split("/")), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with open(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise CannotTellError(f"{path} is not a regular file")
                raw = stream.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CannotTellError(f"cannot read {path}: {error.strerror}") from None
        if len(raw) > limit:
            raise MalformedError(f"{path} is too long", want=f"at most {limit} bytes")
        return raw


def open_source(place: str) -> Source:
    """The source that a URL or the path of a folder names."""
    if is_url(place):
        from ledger_verify.log_http import HttpLog  # what reads files alone never loads what speaks to the network

        return HttpLog(place)
    return Folder(place)


class LogFiles:
    """The files of one log, counted as they are read. Nothing in them is believed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: dict[Tile, list[bytes]] = {}
        self.tiles_read = 0
        self.bundles_read = 0

    def checkpoint(self) -> str:
        raw = self._source.read("checkpoint", MAX_NOTE_BYTES)
        if raw is None:
            raise CannotTellError("there is no file `checkpoint`: not the place of a log, or no such log there")
        return decode_utf8(raw, "the checkpoint")

    def hashes(self, tile: Tile) -> list[bytes]:
        """The hashes of a tile."""
        self.tiles_read += 1
        raw, whole = self._read(tile, WIDTH * HASH_BYTES)
        return parse_tile(raw, whole)[: tile.width]

    def entries(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle."""
        self.bundles_read += 1
        raw, whole = self._read(tile, MAX_BUNDLE_BYTES)
        return parse_bundle(raw, whole)[: tile.width]

    def range_hash(self, start: int, end: int, size: int) -> bytes:
        """Root hash over the leaves [start, end) of the tree of `size`, a node of that tree; some tiles are kept for the next.

        The subtrees that cover such a range lie in it as those of [0, end - start) do in a tree.
        """
        tree = CompactRange()
        for level in cover(0, end - start):
            tree.append(self._subtree(level, start + tree.size >> level, size), level)
        return tree.root()

    def _subtree(self, level: int, index: int, size: int) -> bytes:
        tile_level, row = divmod(level, HEIGHT)
        number, position = divmod(index << row, WIDTH)
        tile = tile_of(tile_level, number, size)
        if tile not in self._kept:
            if len(self._kept) == _KEPT_TILES:
                del self._kept[next(iter(self._kept))]
            self._kept[tile] = self.hashes(tile)
        return perfect_root(self._kept[tile][position : position + (1 << row)])

    def _read(self, tile: Tile, limit: int) -> tuple[bytes, Tile]:
        """The bytes of a tile and its name, which may be that of the full one."""
        for name in dict.fromkeys((tile, tile._replace(width=WIDTH))):
            raw = self._source.read(name.path, limit)
            if raw is not None:
                return raw, name
        raise CannotTellError(f"the log lacks {tile.path}, which its checkpoint implies")
