# SPDX-License-Identifier: Apache-2.0
"""Times and windows as callers write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.entry import format_time
from ledger.log.errors import InvalidRequestError
from ledger.web.times import read_moment

NOW = 1_772_366_400_123
LOC = ["query", "since"]


@given(st.integers(0, 253_402_300_799_999))
def test_time_formatted_and_read_is_the_same_millisecond(moment):
    assert read_moment(format_time(moment), LOC, NOW) == moment


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), st.integers(-23 * 60, 23 * 60), st.sampled_from(["T", " "])
)
def test_offset_is_taken_into_account(moment, minutes, separator):
    text = moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(separator)
    utc = moment.replace(tzinfo=UTC) - timedelta(minutes=minutes)
    assert read_moment(text, LOC, NOW) == (utc - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(("window", "hours"), [("1h", 1), ("6h", 6), ("24h", 24), ("7d", 168), ("30d", 720)])
def test_window_counts_back_from_now(window, hours):
    assert read_moment(window, LOC, NOW) == NOW - hours * 3_600_000


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2026-03-01T12:00:00.1239999Z", 1_772_366_400_123),
        ("2026-03-01t12:00:00z", 1_772_366_400_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_forms_that_the_rfc_allows_are_read(text, want):
    assert read_moment(text, LOC, NOW) == want


@pytest.mark.parametrize(
    "text",
    ["", "x", "2h", "1H ", "-1h", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01T12:00Z", "2026-03-01T12Z",
     "20260301T120000Z", "2026-W09-7T12:00:00Z", "2026-060T12:00:00Z", "2026-03-01T12:00:00Z\n",
     " 2026-03-01T12:00:00Z",
     "2026-03-01T12:00:00+0100", "2026-03-01T12:00:00+01", "2026-03-01T12:00:00+25:00", "2026-03-01T12:00:00+01:60",
     "2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z", "2026-03-01T24:00:00Z", "2026-06-30T23:59:60Z",
     "٢٠٢٦-03-01T12:00:00Z", "2026-03-01T12:00:00,5Z", "2026-03-01T12:00:00.Z", "0001-01-01T00:00:00+10:00",
     "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z", "1772366400", "now"],
)  # fmt: skip
def test_other_text_is_refused_at_its_place(text):
    with pytest.raises(InvalidRequestError) as refusal:
        read_moment(text, LOC, NOW)
    assert refusal.value.details["errors"][0]["loc"] == LOC
