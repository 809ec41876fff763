# SPDX-License-Identifier: Apache-2.0
"""Bytes that tests compare with or break: a leaf put together by hand, a line of the heads tree by the page."""

import base64
from hashlib import sha256
from typing import Any

from ledger.log.canonical import encode
from ledger.log.entry import IdSource, compose, format_time, format_uuid
from tests.log.world import NOON


def leaf(**changes: Any) -> bytes:
    """A `key.revoked` entry."""
    parts = {
        "data": encode({"actor": "operator", "as_of": 2, "key_id": "k", "v": 1}),
        "id": format_uuid(IdSource(0).next(NOON)),
        "recordedat": format_time(NOON),
        "source": "localhost/log/1",
        "subject": "k",
        "time": None,
        "type": "key.revoked",
    }
    return compose(**(parts | changes))


def heads_line(origin: str, note: str) -> bytes:
    """spec/root-log.md in the tests' own words."""
    body = note[: note.index("\n\n") + 1]
    parts = (base64.b64encode(sha256(text.encode()).digest()) for text in (origin, body))
    return b" ".join(parts) + b"\n"
