# SPDX-License-Identifier: Apache-2.0
"""Entries as PostgreSQL takes them fastest: one buffer in the binary format of COPY.

A file is a signature, rows, and a trailer; a row is its number of columns and then each value behind its length, -1 for
NULL (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format").
"""

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct

from ledger.log.store import Row

COLUMNS = 17

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
# Number of columns, then length and value of leaf_index, recorded_at, log_number, governing, event_id.
_FIXED = Struct(">hiqiqiii?i16s").pack
_LENGTH = Struct(">i").pack
_DIGEST = _LENGTH(16)


def copy_buffer(rows: Iterable[tuple[int, Row]]) -> bytes:
    """The COPY data of rows, each with the number of its log, for the columns of `copy_entries`."""
    parts = [_SIGNATURE]
    for log_number, row in rows:
        (leaf_index, event_id, kind, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env,
         dedup, request, data_key, leaf, sealed) = row  # fmt: skip
        parts += (
            _FIXED(COLUMNS, 8, leaf_index, 8, recorded_at, 4, log_number, 1, governing, 16, event_id),
            _texts(kind, key_id, agent_id, tool_name, verdict, mode, env),
            _value(dedup),
            _value(request),
            _value(data_key),
            _LENGTH(len(leaf)),
            leaf,
            _value(sealed),
        )
    parts.append(_TRAILER)
    return b"".join(parts)


def _value(value: bytes | None) -> bytes:
    if value is None:
        return _NULL
    return (_DIGEST if len(value) == 16 else _LENGTH(len(value))) + value


# Agents repeat themselves: the same few combinations make up nearly all rows.
@lru_cache(maxsize=4096)
def _texts(*texts: str | None) -> bytes:
    return b"".join(_value(None if text is None else text.encode()) for text in texts)
