# SPDX-License-Identifier: Apache-2.0
"""Parts of a file (RFC 9110 §14): so that whoever was cut off goes on where he was."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from ledger.log.errors import NotFoundError
from ledger.web.errors import OutOfRangeError

_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})")
_CHUNK = 1 << 18


def asked_part(header: str | None, if_range: str | None, tag: str, size: int) -> range | None:
    """The bytes that a request asks for; None for the whole file: where no part is asked for, several are, or what the
    caller has the beginning of is another file than this.

    Raises OutOfRangeError for a part that is not there.
    """
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-" or (if_range is not None and if_range != tag):
        return None
    if not match["first"]:
        part = range(max(0, size - int(match["last"])), size)
    else:
        first, last = int(match["first"]), match["last"]
        if last and int(last) < first:
            return None
        part = range(first, min(int(last) + 1, size) if last else size)
    if not part:
        raise OutOfRangeError(f"there is no such part of {size} bytes", size)
    return part


async def read_part(path: Path, part: range) -> AsyncIterator[bytes]:
    """The bytes of a file, a bounded piece at a time, none of them read by the event loop.

    Raises NotFoundError as soon as the file is removed: what was erased is handed out no further.
    """
    kept = anyio.Path(path)
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(part.start)
        left = len(part)
        while left and (piece := await file.read(min(left, _CHUNK))):
            if not await kept.exists():
                raise NotFoundError("the file was removed while it was fetched")
            left -= len(piece)
            yield piece
