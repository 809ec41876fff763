# SPDX-License-Identifier: Apache-2.0
"""The envelope: one spelling, ids that only go up, times in one form."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.canonical import encode, read_strict
from ledger.log.entry import (
    IdSource,
    compose,
    format_date,
    format_datetime,
    format_time,
    format_uuid,
    parse_time,
    parse_uuid,
    read_envelope,
    uuid_from_parts,
    uuid_parts,
)
from ledger.log.leaf import InvalidEntryError, read_leaf
from tests.log.formats import leaf
from tests.log.world import NOON as NOW

SOURCES = st.from_regex(r"[a-z0-9.-]{1,40}/log/[0-9a-f]{16}", fullmatch=True)
TYPES = st.from_regex(r"[a-z_]{1,20}\.[a-z_]{1,20}", fullmatch=True)
DATA = st.dictionaries(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), st.integers(0, 9) | st.text(), max_size=4
)
MOMENTS = st.integers(parse_time("0001-01-01T00:00:00.000Z"), parse_time("9999-12-31T23:59:59.999Z"))


@given(
    data=DATA,
    now=st.integers(0, parse_time("9999-12-31T23:59:59.999Z")),
    source=SOURCES,
    subject=st.none() | st.text(),
    time=st.none() | MOMENTS.map(format_time),
    type=TYPES,
)
def test_composed_entry_is_strict_jcs_and_reads_back(
    data: dict[str, Any], now: int, source: str, subject: str | None, time: str | None, type: str
) -> None:
    event_id, recordedat = format_uuid(IdSource(0).next(now)), format_time(now)
    composed = compose(
        data=encode(data), id=event_id, recordedat=recordedat, source=source, subject=subject, time=time, type=type
    )
    expected = {
        "data": data,
        "id": event_id,
        "recordedat": recordedat,
        "source": source,
        "specversion": "1.0",
        "type": type,
    }
    optional = {"subject": subject, "time": time}
    assert read_strict(composed) == expected | {name: value for name, value in optional.items() if value is not None}
    envelope = read_envelope(composed)
    assert (bytes(envelope.data), envelope.id, envelope.recordedat) == (encode(data), event_id, recordedat)
    assert (envelope.source, envelope.type) == (source, type)
    assert envelope.subject == (msgspec.UNSET if subject is None else subject)
    assert envelope.time == (msgspec.UNSET if time is None else time)


@pytest.mark.parametrize("missing", ["data", "id", "recordedat", "source", "specversion", "type"])
def test_envelope_without_a_required_member_is_refused(missing: str) -> None:
    members = read_strict(leaf())
    del members[missing]
    with pytest.raises(msgspec.ValidationError):
        read_envelope(encode(members))


@pytest.mark.parametrize(
    "changes",
    [{"more": 1}, {"datacontenttype": "application/json"}, {"specversion": "1.1"}, {"subject": None}, {"id": 7}],
)
def test_envelope_with_another_member_or_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_envelope(encode(read_strict(leaf()) | changes))


# The leaf, read strictly


def test_leaf_reads_back_and_every_changed_byte_is_another_entry_or_none() -> None:
    """A changed byte may give another valid entry, whose own bytes it then is; nothing reads as what it is not."""
    good = leaf(time="2026-03-01T11:00:00.000Z")
    said = read_leaf(good)
    for position in range(len(good)):
        for change in (1, 0x20, 0x80):
            changed = good[:position] + bytes([good[position] ^ change]) + good[position + 1 :]
            try:
                assert read_leaf(changed) != said
            except InvalidEntryError:
                continue


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b'{"as_of":2,"actor":"operator","key_id":"k","v":1}'},
        {"data": b'{"actor":"operator","as_of":2,"key_id":"k","v":1 }'},
        {"data": b'{"actor":"operator","as_of":2,"key_id":"k"}'},
        {"data": b'{"actor":"operator","as_of":2,"key_id":"k","v":2}'},
        {"data": b'{"actor":"operator","as_of":2.0,"key_id":"k","v":1}'},
        {"data": b'{"actor":"operator","as_of":2,"key_id":"k","more":"x","v":1}'},
        {"data": b'{"actor":{"$sealed":"x"},"as_of":2,"key_id":"k","v":1}'},
        {"data": b"{}"},
        {"data": b"[]"},
        {"data": b"7"},
        {"type": "key.unknown"},
        {"type": "key.created"},
        {"id": "00000000-0000-4000-8000-000000000000"},
        {"id": format_uuid(IdSource(0).next(NOW)).upper().replace("0", "A")},
        {"recordedat": "2026-03-01T12:00:00Z"},
        {"recordedat": "2026-02-30T12:00:00.000Z"},
        {"recordedat": "2026-03-01T12:00:00.000+00:00"},
        {"time": "yesterday"},
    ],
)
def test_leaf_that_is_no_entry_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEntryError):
        read_leaf(leaf(**changes))


def test_leaf_with_an_empty_subject_keeps_it() -> None:
    assert read_leaf(leaf(subject=""))[0].subject == ""


# Ids


@given(st.lists(st.integers(-5, NOW + 5) | st.integers(NOW - 3, NOW + 3), min_size=1, max_size=50), st.integers(0, NOW))
def test_ids_strictly_increase_whatever_the_clock_does(clock: list[int], start: int) -> None:
    source = IdSource(IdSource(0).next(start))
    ids = [source.last, *map(source.next, clock)]
    assert all(a < b for a, b in pairwise(ids))
    texts = [format_uuid(value) for value in ids]
    assert texts == sorted(set(texts)), "text order is leaf order"
    for value, text in zip(ids, texts, strict=True):
        uuid = UUID(text)
        assert (uuid.version, uuid.variant, uuid.int) == (7, "specified in RFC 4122", value)
        assert parse_uuid(text) == value


@given(st.integers(1, NOW), st.integers(1, 1000))
def test_id_tells_the_time_when_the_clock_moves_on(before: int, later: int) -> None:
    source = IdSource(IdSource(0).next(before))
    assert uuid_parts(source.next(before + later))[0] == before + later


def test_ids_count_up_within_a_millisecond_and_run_over_into_the_next() -> None:
    full = uuid_from_parts(NOW, (1 << 74) - 2)
    source = IdSource(full)
    assert uuid_parts(source.next(NOW)) == (NOW, (1 << 74) - 1)
    assert uuid_parts(source.next(NOW)) == (NOW + 1, 0)
    assert uuid_parts(source.next(NOW)) == (NOW + 1, 1)


@given(st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 74) - 1))
def test_id_parts_go_in_and_out(milliseconds: int, random: int) -> None:
    value = uuid_from_parts(milliseconds, random)
    assert uuid_parts(value) == (milliseconds, random)
    assert UUID(int=value).version == 7


def test_new_ids_are_random() -> None:
    assert len({IdSource(0).next(NOW) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    ["", "0", "01a2013b00bf715c95f8fb5db729f327", "01A2013B-00BF-715C-95F8-FB5DB729F327",
     "{01a2013b-00bf-715c-95f8-fb5db729f327}",
     "01a2013b-00bf-415c-95f8-fb5db729f327", "01a2013b-00bf-715c-c5f8-fb5db729f327",
     "01a2013b-00bf-715c-95f8-fb5db729f327\n",
     "01a2013b-00bf-715c-95f8-fb5db729f32٣", " 01a2013b-00bf-715c-95f8-fb5db729f327"],
)  # fmt: skip
def test_id_in_another_spelling_is_none(text: str) -> None:
    assert parse_uuid(text) is None


# Times


@given(MOMENTS)
def test_time_goes_out_and_in(milliseconds: int) -> None:
    text = format_time(milliseconds)
    assert parse_time(text) == milliseconds
    assert (
        text == (datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"
    )
    assert format_date(milliseconds) == text[:10]


@given(st.from_regex(r"[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{3}Z", fullmatch=True))
def test_time_that_is_read_is_written_the_same(text: str) -> None:
    try:
        milliseconds = parse_time(text)
    except ValueError:
        with pytest.raises(ValueError):
            datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    else:
        assert format_time(milliseconds) == text


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)), st.integers(-1439, 1439))
def test_datetime_of_any_zone_is_written_in_utc(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = format_datetime(aware)
    assert len(text) == 24 and text[10] == "T" and text[-1] == "Z"
    again = datetime.fromisoformat(text)
    assert timedelta() <= aware.astimezone(UTC) - again < timedelta(milliseconds=1)


@pytest.mark.parametrize("moment", [datetime.max, datetime.min])
def test_datetime_beyond_the_calendar_is_an_overflow(moment: datetime) -> None:
    ahead = -1 if moment == datetime.max else 1
    with pytest.raises(OverflowError):
        format_datetime(moment.replace(tzinfo=timezone(timedelta(hours=ahead))))


@pytest.mark.parametrize(
    "text",
    ["", "2026-03-01", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.0Z", "2026-03-01T12:00:00.0000Z",
     "2026-03-01T12:00:00,000Z",
     "2026-03-01t12:00:00.000Z", "2026-03-01T12:00:00.000z", "2026-03-01T12:00:00.000+00:00",
     "2026-03-01 12:00:00.000Z",
     "2026-3-01T12:00:00.000Z", "2026-02-29T12:00:00.000Z", "2026-03-01T24:00:00.000Z", "2026-03-01T12:00:60.000Z",
     "2026-03-01T12:00:00.000Z\n", "٢026-03-01T12:00:00.000Z", "02026-03-01T12:00:00.000Z"],
)  # fmt: skip
def test_time_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
