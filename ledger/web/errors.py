# SPDX-License-Identifier: Apache-2.0
"""Refusals that only HTTP knows, beside those of `ledger/log/errors.py`.

LedgerError
├── TooSlowError               408  send it faster, on a connection of its own
├── UnsupportedEncodingError   415  send the body as it is
├── OutOfRangeError            416  ask for a part that is there
└── TooLargeError              413
    ├── UrlTooLongError        414  put the filters into a body
    └── HeadTooLargeError      431  send fewer and shorter header fields
"""

from ledger.log.errors import LedgerError, TooLargeError


class TooSlowError(LedgerError):
    code = "TOO_SLOW"


class UnsupportedEncodingError(LedgerError):
    code = "UNSUPPORTED_ENCODING"


class OutOfRangeError(LedgerError):
    """`size` is that of the whole, in bytes."""

    code = "VALIDATION_ERROR"

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class UrlTooLongError(TooLargeError):
    """The target of a request is longer than any of ours."""


class HeadTooLargeError(TooLargeError):
    """The header fields of a request are too many, or too long."""
