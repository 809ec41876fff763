# SPDX-License-Identifier: Apache-2.0
"""Times and windows as callers write them."""

import re
from datetime import UTC, datetime, timedelta

from ledger.log.errors import InvalidRequestError

_WINDOWS = {"1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000}
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:[0-5]\d)\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_moment(text: str, loc: list[str | int], now: int, *, ahead: bool = False) -> int:
    """Milliseconds since the epoch of an RFC 3339 time, or of a window (1h, 6h, 24h, 7d, 30d) before `now`, or `ahead`
    of it.

    Raises InvalidRequestError at `loc`.
    """
    if text in _WINDOWS:
        return now + _WINDOWS[text] if ahead else now - _WINDOWS[text]
    try:
        if not _RFC3339.match(text.upper()):
            raise ValueError
        return (datetime.fromisoformat(text.upper()).astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InvalidRequestError.at(loc, f"not an RFC 3339 time with zone, nor one of {', '.join(_WINDOWS)}") from None
