# SPDX-License-Identifier: Apache-2.0
"""Text encodings with exactly one spelling for each value.

The standard library is lenient: `int()` takes `" 42"`, `"+42"`, `"4_2"` and Arabic digits; `b64decode` drops junk, and
even its strict mode reads `AA==` and `AB==` as the same byte. A second spelling of the same value is a byte of evidence
that anybody may change, so each reader here accepts what its writer would have written and nothing else
(spec/README.md, "Conventions"; C2SP signed-note and tlog-checkpoint).
"""

from __future__ import annotations

import binascii
import re

from ledger_verify.errors import MalformedError

MAX_INDEX = 2**63 - 1  # sizes and indexes in note text; the bound of C2SP tlog-tiles
MAX_INTEGER = 2**53 - 1  # integers in JSON (spec/README.md)
HASH_BYTES = 32

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{3}Z")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_URLSAFE_TO_STANDARD = str.maketrans("-_", "+/")
_STANDARD_TO_URLSAFE = str.maketrans("+/", "-_")


def decode_base64(text: str, what: str, size: int | None = None) -> bytes:
    """The bytes of canonical RFC 4648 §4 base64 with padding; `size` demands a length."""
    try:
        raw = binascii.a2b_base64(text.encode("ascii"))
    except ValueError:  # includes binascii.Error and UnicodeEncodeError
        raise MalformedError(f"{what} is not base64", got=text) from None
    if encode_base64(raw) != text:
        raise MalformedError(f"{what} is not canonical base64", got=text, want=encode_base64(raw))
    if size is not None and len(raw) != size:
        raise MalformedError(f"{what} has the wrong length", got=f"{len(raw)} bytes", want=f"{size} bytes")
    return raw


def encode_base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def decode_base64url(text: str, what: str, size: int | None = None) -> bytes:
    """The bytes of canonical RFC 4648 §5 base64url without padding; `size` demands a length."""
    try:
        raw = binascii.a2b_base64(text.translate(_URLSAFE_TO_STANDARD).encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise MalformedError(f"{what} is not base64url", got=text) from None
    if encode_base64url(raw) != text:
        raise MalformedError(f"{what} is not canonical base64url", got=text, want=encode_base64url(raw))
    if size is not None and len(raw) != size:
        raise MalformedError(f"{what} has the wrong length", got=f"{len(raw)} bytes", want=f"{size} bytes")
    return raw


def encode_base64url(raw: bytes) -> str:
    return encode_base64(raw).rstrip("=").translate(_STANDARD_TO_URLSAFE)


def parse_decimal(text: str, what: str) -> int:
    """A decimal integer of note text: no sign, no leading zero, at most 2^63 - 1."""
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_INDEX:
        raise MalformedError(f"{what} is not a decimal integer below 2^63", got=text)
    return int(text)


def check_date(text: str, what: str) -> None:
    """`YYYY-MM-DD`, and a day that exists."""
    match = _DATE.fullmatch(text)
    if match is None or not _day_exists(int(match[1]), int(match[2]), int(match[3])):
        raise MalformedError(f"{what} is not a date", got=text, want="YYYY-MM-DD")


def check_time(text: str, what: str) -> None:
    """RFC 3339 in UTC with milliseconds and `Z`. A leap second (`:60`) has no place on the service's clock."""
    match = _TIME.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59 or int(match[4]) > 59:
        raise MalformedError(f"{what} is not a time", got=text, want="YYYY-MM-DDThh:mm:ss.sssZ")
    check_date(match[1], what)


def check_uuid7(text: str, what: str) -> None:
    """RFC 9562 version 7, lower case, with hyphens."""
    if _UUID7.fullmatch(text) is None:
        raise MalformedError(f"{what} is not a lower-case UUIDv7", got=text)


def _day_exists(year: int, month: int, day: int) -> bool:
    if year < 1 or not 1 <= month <= 12:  # the calendar of the service begins with year 1
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= day <= days[month - 1]
