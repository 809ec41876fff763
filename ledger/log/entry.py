# SPDX-License-Identifier: Apache-2.0
"""The envelope of an entry (spec/entry.md): CloudEvents 1.0 in strict JCS, and its two orders, ids and times.

A leaf is put together from parts that are canonical already. That is safe because the eight member names are fixed and
sorted, and it keeps the work under the lock to one concatenation: everything but `id` and `recordedat` is known before.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from ledger.log import canonical

MAX_ENTRY_BYTES = 60_000
ENTRY_RULE = "strict-jcs/v1"

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z\Z")
_RANDOM_BITS = 74
_LOW_BITS = (1 << 62) - 1  # of them, those below the variant
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A leaf, read. `data` is left as bytes: its shape depends on `type`."""

    data: msgspec.Raw
    id: str
    recordedat: str
    source: str
    specversion: Literal["1.0"]
    subject: str | msgspec.UnsetType = msgspec.UNSET
    time: str | msgspec.UnsetType = msgspec.UNSET
    type: str


_decoder = msgspec.json.Decoder(Envelope)


def read_envelope(leaf: bytes) -> Envelope:
    """The envelope of stored leaf bytes. Raises msgspec.MsgspecError when they are not one."""
    return _decoder.decode(leaf)


def compose(
    *, data: bytes, id: str, recordedat: str, source: str, subject: str | None, time: str | None, type: str
) -> bytes:
    """Leaf bytes. `data` must be strict JCS, `source` and `type` free of characters that JSON escapes."""
    optional = b"" if subject is None else b',"subject":' + canonical.encode(subject)
    if time is not None:
        optional += b',"time":"' + time.encode() + b'"'
    return b'{"data":%b,"id":"%b","recordedat":"%b","source":"%b","specversion":"1.0"%b,"type":"%b"}' % (
        data,
        id.encode(),
        recordedat.encode(),
        source.encode(),
        optional,
        type.encode(),
    )


class IdSource:
    """UUIDv7s (RFC 9562 §5.7) that strictly increase, whatever the clock does.

    The 74 random bits count up within a millisecond, and while the clock is behind the last id.
    """

    def __init__(self, last: int) -> None:
        self.last = last

    def next(self, now: int) -> int:
        """The next id as an integer, at `now` milliseconds since the epoch."""
        if 0 < now == self.last >> 80 and ~self.last & _LOW_BITS:
            self.last += 1
            return self.last
        milliseconds, random = uuid_parts(self.last)
        if now > milliseconds:
            # The top bit stays clear so that counting up does not run over.
            milliseconds, random = now, int.from_bytes(os.urandom(10)) >> 7
        else:
            random += 1
            if random >> _RANDOM_BITS:
                milliseconds, random = milliseconds + 1, 0
        self.last = uuid_from_parts(milliseconds, random)
        return self.last


def uuid_from_parts(milliseconds: int, random: int) -> int:
    high, low = random >> 62, random & _LOW_BITS
    return milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low


def uuid_parts(value: int) -> tuple[int, int]:
    return value >> 80, (value >> 64 & 0xFFF) << 62 | value & _LOW_BITS


def format_uuid(value: int) -> str:
    text = value.to_bytes(16, "big").hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_id(now: int) -> str:
    """An id for something that is about to be made, at `now` milliseconds since the epoch."""
    return format_uuid(IdSource(0).next(now))


def parse_uuid(text: str) -> int | None:
    """The integer of a UUIDv7 in its one spelling, else None."""
    return int(text.replace("-", ""), 16) if _UUID7.match(text) else None


def format_time(milliseconds: int) -> str:
    """RFC 3339, UTC, milliseconds, Z."""
    return format_datetime(_EPOCH + timedelta(milliseconds=milliseconds))


def format_datetime(moment: datetime) -> str:
    """The same of an aware datetime. Raises OverflowError near the ends of the calendar."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> int:
    """Milliseconds since the epoch of a time in exactly our form. Raises ValueError."""
    if not _TIME.match(text):
        raise ValueError(f"not a time with milliseconds and Z: {text[:40]!r}")
    # What is left to refuse are days that no month has. `fromisoformat` alone takes many other forms.
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def format_date(milliseconds: int) -> str:
    return format_time(milliseconds)[:10]
