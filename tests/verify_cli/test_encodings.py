# SPDX-License-Identifier: Apache-2.0
"""Each value has one spelling, and each spelling that is read is the one that is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.encodings import (
    check_date,
    check_time,
    check_uuid7,
    decode_base64,
    decode_base64url,
    encode_base64,
    encode_base64url,
    parse_decimal,
)

from .textbook import b64, b64url


@given(st.binary(max_size=100))
def test_base64_round_trip(raw: bytes) -> None:
    assert encode_base64(raw) == b64(raw) and decode_base64(b64(raw), "it") == raw
    assert encode_base64url(raw) == b64url(raw) and decode_base64url(b64url(raw), "it") == raw


@given(st.text(alphabet="AB9+/-_= \n\u0660é", max_size=12))
def test_what_decodes_encodes_to_itself(text: str) -> None:
    for decode, encode in ((decode_base64, b64), (decode_base64url, b64url)):
        try:
            raw = decode(text, "it")
        except VerificationError:
            continue
        assert encode(raw) == text


@pytest.mark.parametrize("text", ["AB==", "AA", "AA=", "A===", "AA==\n", " AA==", "AA==AA==", "A-==", "A", "===="])
def test_second_spellings_of_base64_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        decode_base64(text, "it")


@pytest.mark.parametrize("text", ["AB", "AA==", "A", "A+", "AA\n", "AAAA=", "A A"])
def test_second_spellings_of_base64url_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        decode_base64url(text, "it")


@given(st.integers(0, 2**63 - 1))
def test_decimal_round_trip(value: int) -> None:
    assert parse_decimal(str(value), "it") == value


@pytest.mark.parametrize(
    "text", ["", "00", "01", "-1", "+1", " 1", "1 ", "1_0", "٣", "1.0", "0x1", str(2**63), "9" * 9999]
)
def test_other_spellings_of_integers_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_decimal(text, "it")


@given(st.datetimes(), st.integers(0, 999))
def test_every_time_of_the_calendar_is_read(moment, millisecond: int) -> None:
    date = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
    assert check_date(date, "it") is None
    assert check_time(f"{date}T{moment:%H:%M:%S}.{millisecond:03d}Z", "it") is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T08:30:00Z",
        "2026-11-22T08:30:00.00Z",
        "2026-11-22T08:30:00.000000Z",
        "2026-11-22T08:30:00.000+00:00",
        "2026-11-22t08:30:00.000z",
        "2026-11-22 08:30:00.000Z",
        "2026-11-22T24:00:00.000Z",
        "2026-11-22T23:60:00.000Z",
        "2026-11-22T23:59:60.000Z",
        "2026-02-29T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "2026-00-01T00:00:00.000Z",
        "2026-01-00T00:00:00.000Z",
        "2026-11-22T08:30:00.000Z\n",
        "٢٠٢٦-11-22T08:30:00.000Z",
        "",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        check_time(text, "it")


def test_leap_days() -> None:
    for year, leap in ((2024, True), (2100, False), (2000, True), (2023, False)):
        if leap:
            assert check_date(f"{year}-02-29", "it") is None
        else:
            with pytest.raises(VerificationError):
                check_date(f"{year}-02-29", "it")


@pytest.mark.parametrize(
    "text",
    [
        "019A0000-03f1-73f1-8000-0000000003f1",
        "019a0000-03f1-43f1-8000-0000000003f1",
        "019a0000-03f1-73f1-c000-0000000003f1",
        "019a000003f173f180000000000003f1",
        "019a0000-03f1-73f1-8000-0000000003f1\n",
        "{019a0000-03f1-73f1-8000-0000000003f1}",
    ],
)
def test_other_ids_are_refused(text: str) -> None:
    assert check_uuid7("019a0000-03f1-73f1-8000-0000000003f1", "it") is None
    with pytest.raises(VerificationError):
        check_uuid7(text, "it")
