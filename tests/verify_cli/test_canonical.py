# SPDX-License-Identifier: Apache-2.0
"""Strict JSON and strict JCS: what is written is read, what is read was written so, everything else is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.canonical import (
    MAX_DEPTH,
    MAX_VALUE_DEPTH,
    parse_any_json,
    parse_jcs,
    parse_jcs_file,
    write_jcs,
)

BIG = 2**53 - 1
characters = st.characters(exclude_categories=["Cs"])
text = st.text(characters, max_size=8)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-BIG, BIG), text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=20,
)


@given(values)
@settings(deadline=None)
def test_reading_what_was_written_gives_the_value(value: object) -> None:
    written = write_jcs(value)
    assert parse_jcs(written, "it") == value
    assert json.loads(written) == value
    assert parse_jcs_file(written.encode() + b"\n", "it") == value


@given(st.one_of(st.text(max_size=40), st.text(alphabet='{}[]",:0123-.eE\\u \n', max_size=40)))
def test_reading_is_total_and_what_is_read_is_written_the_same(candidate: str) -> None:
    try:
        value = parse_jcs(candidate, "it")
    except VerificationError as error:
        assert str(error)
    else:
        assert write_jcs(value) == candidate


@given(st.binary(max_size=60))
def test_files_of_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        value = parse_jcs_file(raw, "it")
    except VerificationError as error:
        assert str(error)
    else:
        assert write_jcs(value).encode() + b"\n" == raw


@given(values)
@settings(deadline=None)
def test_ascii_values_are_written_as_the_standard_library_does(value: object) -> None:
    """For names below U+E000 the two orders agree."""
    reference = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if all(ord(c) < 0xE000 for c in reference):
        assert write_jcs(value) == reference


def test_names_are_sorted_by_utf16_code_units() -> None:
    """RFC 8785 §3.2.3: U+1F600 is D83D DE00 in UTF-16 and so comes before U+FB33."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    want = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(write_jcs(dict.fromkeys(names, 0)))) == want


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        " 1",
        "1 ",
        "\ufeff1",
        '{"a": 1}',
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":1}',
        '{"\ufb33":1,"\U0001f600":1}',
        "[1,]",
        "1.0",
        "1e0",
        "-0",
        "01",
        "+1",
        str(BIG + 1),
        str(-BIG - 1),
        "9" * 5000,
        "1" * 18,
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        '"\\u00e9"',
        '"\\/"',
        '"\\u000a"',
        '"\\u001F"',
        '"\\ud83d\\ude00"',
        '"\\ud800"',
        '{"\\udc00":1}',
        '"\x01"',
        '"a',
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    ],
)
def test_other_spellings_are_refused(candidate: str) -> None:
    with pytest.raises(VerificationError):
        parse_jcs(candidate, "it")


@pytest.mark.parametrize("candidate", [str(BIG), str(-BIG), '"\x7f\u2028é"', '"\\u001f\\b\\t\\n\\f\\r\\"\\\\"', "null"])
def test_the_one_spelling_is_read(candidate: str) -> None:
    assert write_jcs(parse_jcs(candidate, "it")) == candidate


def test_nesting_up_to_the_bound_is_read() -> None:
    for depth, parse in ((MAX_DEPTH, parse_jcs), (MAX_VALUE_DEPTH, parse_any_json)):
        assert parse("[" * depth + "]" * depth, "it") is not None
        with pytest.raises(VerificationError, match="nested too deeply"):
            parse("[" * (depth + 1) + "]" * (depth + 1), "it")
        assert parse("[" + ",".join(["[]"] * 2000) + "]", "it") is not None


@pytest.mark.parametrize("raw", [b"", b"\n", b"1", b"1\r\n", b"1\n\n", b'"\xff"\n', b'"\xed\xa0\x80"\n', b"1\n\0"])
def test_a_file_is_utf8_and_ends_with_one_newline(raw: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_jcs_file(raw, "it")


@pytest.mark.parametrize(
    "candidate", ["1e999", "-0", "9" * 5000, ' { "b" : 1 , "a" : [ 2.50 ] } ', '"\\ud83d\\ude00"', '"\\\\ud800"', "[]"]
)
def test_any_json_is_read_where_any_is_allowed(candidate: str) -> None:
    parse_any_json(candidate, "it")
    assert json.loads(candidate.replace("9" * 5000, "9")) is not None


@pytest.mark.parametrize(
    "candidate",
    [
        '{"a":1,"a":2}',
        '[{"a":{"b":1,"b":1}}]',
        '"\\ud800"',
        '["\\uDFFF"]',
        '{"\\ud800":1}',
        "NaN",
        "[Infinity]",
        "",
        "٣",
    ],
)
def test_what_is_not_json_is_refused_everywhere(candidate: str) -> None:
    with pytest.raises(VerificationError):
        parse_any_json(candidate, "it")


def test_a_value_without_json_form_is_refused() -> None:
    for value in (1.5, {1, 2}, b"x", [object()]):
        with pytest.raises(VerificationError):
            write_jcs(value)
