# SPDX-License-Identifier: Apache-2.0
"""An export as one file (spec/export.md, "As one file"): POSIX ustar, the same bytes for the same export."""

import os
import tarfile
from pathlib import Path

from ledger.log.errors import InvalidRequestError

ARCHIVE = "export.tar"
FOLDER = "ledger-export"
MAX_FILE_BYTES = 8**11 - 1
"""A size is eleven octal digits."""


def pack(folder: Path, path: Path) -> None:
    """Pack an export's folder into a new file.

    Raises InvalidRequestError for a file that is too long for the format.
    """
    with tarfile.open(path, "x", format=tarfile.USTAR_FORMAT) as archive:
        for source in sorted(folder.iterdir()):
            info = tarfile.TarInfo(f"{FOLDER}/{source.name}")
            info.size = source.stat().st_size
            if info.size > MAX_FILE_BYTES:
                raise InvalidRequestError.at(
                    ["from", "to"], f"{source.name} would have {info.size} bytes, {MAX_FILE_BYTES} fit: export in parts"
                )
            with source.open("rb") as file:
                archive.addfile(info, file)


def unpack(path: Path, folder: Path) -> None:
    """Unpack an export into a new folder that only its owner may read."""
    folder.mkdir(mode=0o700)
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            name = info.name.removeprefix(f"{FOLDER}/")
            source = archive.extractfile(info)
            # It is our own, and all the same nothing leads out of the folder.
            assert source is not None and "/" not in name and name not in (".", "..")
            with open(folder / name, "xb", opener=private) as file:
                while part := source.read(1 << 20):
                    file.write(part)


def private(path: str, flags: int) -> int:
    """Opens a file for its owner only: it may disclose what is sealed."""
    return os.open(path, flags, 0o600)
