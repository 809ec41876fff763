# SPDX-License-Identifier: Apache-2.0
"""What a request line asks for: the URL, taken apart or refused."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ledger.log.errors import LedgerError, MalformedRequestError

_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Target(NamedTuple):
    """What a request line asks for."""

    method: str
    path: str
    query: bytes


def plain_target(method: bytes, url: bytes) -> Target | None:
    """The parts of a URL that is nothing but a path and a query, without escapes; None for every other one."""
    if b"%" in url or b"#" in url or not url.isascii():
        return None
    path, _, query = url.partition(b"?")
    return Target(method.decode(), path.decode(), query)


def wrong_target(url: bytes) -> LedgerError | None:
    """What is wrong with the escapes in a URL: no two routes, and no two stores, would read them alike."""
    if _BROKEN_PERCENT.search(url):
        return MalformedRequestError("a % in a URL begins two hexadecimal digits")
    text = unquote_to_bytes(url)
    if b"\0" in text:
        return MalformedRequestError("a URL holds no NUL")
    try:
        text.decode()
    except UnicodeDecodeError:
        return MalformedRequestError("a URL is UTF-8, percent-encoded")
    return None
