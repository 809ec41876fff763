# SPDX-License-Identifier: Apache-2.0
"""The few scalars that the text formats share: decimals, base64 and hashes on a line.

Python's own parsers are too kind for evidence: `int` takes `+4`, `4_2` and Arabic digits, and `b64decode` maps several
texts to the same bytes. Each parser here accepts exactly one text per value.
"""

import base64
import binascii
import re

from ledger.tlog.errors import MalformedError

MAX_INTEGER = 2**63 - 1
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


def parse_decimal(text: str) -> int:
    """The integer below 2^63 that `text` is the shortest decimal of."""
    if not _DECIMAL.match(text) or (value := int(text)) > MAX_INTEGER:
        raise MalformedError(f"not a decimal integer below 2^63: {text[:32]!r}")
    return value


def format_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def parse_base64(text: str) -> bytes:
    """The bytes whose canonical padded base64 (RFC 4648 §4) is `text`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError(f"not base64: {text[:32]!r}") from None
    # The last character of a group can carry bits that decoding throws away.
    if format_base64(data) != text:
        raise MalformedError(f"not canonical base64: {text[:32]!r}")
    return data


def parse_hash(text: str) -> bytes:
    """A 32-byte hash in base64, 44 characters."""
    if len(text) != 44 or len(data := parse_base64(text)) != 32:
        raise MalformedError(f"not a base64 SHA-256 hash: {text[:48]!r}")
    return data
