# SPDX-License-Identifier: Apache-2.0
"""Times and windows as callers write them."""

import re
from datetime import datetime

from ledger.log.errors import InvalidRequestError

_WINDOWS = {"1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000}
_ZONED = re.compile(r".*(?:Z|[+-]\d\d:\d\d)\Z")


def read_moment(text: str, place: str, now: int) -> int:
    """Milliseconds since the epoch of an RFC 3339 time, or of a window (1h, 6h, 24h, 7d, 30d) before `now`.

    Raises InvalidRequestError at query parameter or body member `place`.
    """
    if text in _WINDOWS:
        return now - _WINDOWS[text]
    try:
        if not _ZONED.match(text):
            raise ValueError
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequestError.at(
            ["query", place], f"not an RFC 3339 time with zone, nor one of {', '.join(_WINDOWS)}"
        ) from None
