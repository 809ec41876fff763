# SPDX-License-Identifier: Apache-2.0
"""Cursors: opaque to callers, and pinned to the tree size of the first page so that later entries shift nothing."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from ledger.log.errors import InvalidRequestError


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The next page of a listing of the first `size` entries: those below index `below`."""

    size: int
    below: int

    def format(self) -> str:
        return urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def read_cursor(text: str, loc: list[str | int]) -> Cursor:
    """Raises InvalidRequestError at `loc` for a text that no answer of ours had."""
    try:
        cursor = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        if 0 <= cursor.below <= cursor.size < 1 << 40 and cursor.format() == text:
            return cursor
    except (ValueError, msgspec.MsgspecError, RecursionError):
        pass
    raise InvalidRequestError.at(loc, "not a cursor of this service")
