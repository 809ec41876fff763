# SPDX-License-Identifier: Apache-2.0
"""An export as one file (spec/export.md, "As one file"): POSIX ustar, of which every byte is given by names and contents.

So no reader of archives is needed, with all that such a reader might be talked into. The header that each file must have is
written down here, and the one in the archive is compared with it; links, other owners, names with `..` in them and whatever
else an archive can hold are simply other bytes. Nothing is ever unpacked.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from typing import BinaryIO

from ledger_verify.errors import CannotTellError, MalformedError, VerificationError

FOLDER = "ledger-export/"
BLOCK = 512
_RECORD = 20 * BLOCK
_SIZE = re.compile(rb"([0-7]{11})\0")


class Archive:
    """Where in an archive each of its files lies."""

    def __init__(self, path: str, places: dict[str, tuple[int, int]]) -> None:
        self._path = path
        self._places = places

    @classmethod
    def of(cls, file: BinaryIO, names: Iterable[str]) -> Archive:
        """The archive in an open file, which must hold exactly these names in this order. Closes it."""
        with file:
            start = _read(file, 0, BLOCK, whole=False)
            if not start.startswith(FOLDER.encode()) and start[257:262] != b"ustar":
                raise CannotTellError("neither the folder of an export nor an archive of one")
            places, place = {}, 0
            for name in names:
                size = _member_size(_read(file, place, BLOCK), name)
                place += BLOCK
                places[name] = (place, size)
                place += size + -size % BLOCK
                if any(_read(file, places[name][0] + size, -size % BLOCK)):
                    raise MalformedError(f"{name} is not padded with zeros in the archive")
            end = place + 2 * BLOCK
            end += -end % _RECORD
            # Read up to where it must end, and a byte beyond: the tail is no longer than a record and two blocks.
            tail = _read(file, place, end - place + 1, whole=False)
            if tail != bytes(end - place):
                raise MalformedError(
                    "the archive does not end as it must", got=f"{len(tail)} bytes after the last file"
                )
            return cls(os.fspath(file.name), places)

    def open(self, name: str) -> BinaryIO:
        """A file of the archive, as a stream of its own."""
        place, size = self._places[name]
        try:
            return io.BufferedReader(_Part(open(self._path, "rb", buffering=0), place, size), 1 << 16)
        except OSError as error:
            raise CannotTellError(f"cannot read {name}: {error.strerror}") from None


class _Part(io.RawIOBase):
    """Bytes [place, place + size) of a file."""

    def __init__(self, file: io.FileIO, place: int, size: int) -> None:
        self._file = file
        self._file.seek(place)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]
        count = self._file.readinto(view) if view else 0
        self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def header(name: str, size: int) -> bytes:
    """The only header that a file of this name and size may have."""
    fields = (
        (FOLDER + name).encode().ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,  # mode, owner, group
        b"%011o\0" % size,
        b"00000000000\0",  # time
        b" " * 8,  # checksum, counted as spaces
        b"0" + bytes(100) + b"ustar\0" + b"00" + bytes(247),  # regular; no link, no names of owner and group, no device
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _member_size(block: bytes, name: str) -> int:
    digits = _SIZE.match(block, 124)
    if digits is not None and block == header(name, int(digits[1], 8)):
        return int(digits[1], 8)
    raise VerificationError(
        "the archive is not one of an export",
        got="another header",
        want=f"that of the file {FOLDER}{name}",
        hint="It was packed anew, or is no export: unpacked into a folder, the files themselves can be checked",
    )


def _read(file: BinaryIO, place: int, size: int, whole: bool = True) -> bytes:
    try:
        file.seek(place)
        raw = file.read(size)
    except OSError as error:
        raise CannotTellError(f"cannot read the export: {error.strerror}") from None
    if whole and len(raw) != size:
        raise MalformedError("the archive ends early", got=f"{place + len(raw)} bytes")
    return raw
