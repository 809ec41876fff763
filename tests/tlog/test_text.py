# SPDX-License-Identifier: Apache-2.0
import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.tlog.errors import MalformedError
from ledger.tlog.text import MAX_INTEGER, format_base64, parse_base64, parse_decimal, parse_hash

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# Whole groups of four, then none, two or three characters whose spare bits are zero.
CANONICAL = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?")
near_base64 = st.text(st.sampled_from("ABQgwz09+/=-_ \n"), max_size=50)


@given(st.integers(0, MAX_INTEGER))
@example(0)
@example(MAX_INTEGER)
def test_decimal_is_read_as_python_writes_it(value):
    assert parse_decimal(str(value)) == value


@given(st.text() | st.text(st.sampled_from("0123456789+-_. \n٣３"), max_size=24) | st.integers().map(str))
def test_parse_decimal_takes_one_text_a_value(text):
    shortest = text.isascii() and text.isdigit() and len(text) < 20 and str(int(text)) == text
    if shortest and int(text) <= MAX_INTEGER:
        assert parse_decimal(text) == int(text)
    else:
        with pytest.raises(MalformedError):
            parse_decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "\n", "-0", "-1", "+1", "00", "01", "1 ", " 1", "1\n", "\n1", "1\0", "1_0", "1,000", "1.0", "1e3"],
        *["0x1", "0b1", "0o1", "٣", "３", "²", "१", "½", "\ud800", "inf", "None"],
        *["9223372036854775808", "18446744073709551616", "99999999999999999999", "9" * 5000],
    ],
)
def test_parse_decimal_refuses(text):
    with pytest.raises(MalformedError, match="not a decimal integer"):
        parse_decimal(text)


@given(st.binary())
def test_base64_is_read_as_it_is_written(data):
    text = format_base64(data)
    assert text == base64.b64encode(data).decode()
    assert parse_base64(text) == data


@given(st.text() | near_base64)
def test_parse_base64_takes_one_text_a_value(text):
    if CANONICAL.fullmatch(text):
        assert base64.b64encode(parse_base64(text)).decode() == text
    else:
        with pytest.raises(MalformedError):
            parse_base64(text)


@pytest.mark.parametrize("data", [b"a", b"ab"])
def test_parse_base64_takes_one_of_the_texts_that_decode_alike(data):
    """The last character before the padding carries four or two bits too many."""
    text = format_base64(data)
    padding = text.count("=")
    kept = text[: 3 - padding]
    accepted = []
    for character in ALPHABET:
        try:
            parse_base64(kept + character + "=" * padding)
        except MalformedError:
            continue
        accepted.append(character)
    assert len(accepted) == 64 >> 2 * padding
    assert text[3 - padding] in accepted


@pytest.mark.parametrize(
    "text",
    [
        *["A", "AA", "AAA", "AAAAA", "=", "====", "A===", "AA=A", "AA= =", "AA===", "AAAA====", "AA==AA==", "AAA,"],
        *["AA==\n", "AA\n==", " AA==", "AAA-", "AAA_", "AB==", "AAB=", "AAAé", "ＡＡＡＡ", "AAA\ud800", "\0AAA"],
    ],
)
def test_parse_base64_refuses(text):
    with pytest.raises(MalformedError, match="base64"):
        parse_base64(text)


@pytest.mark.parametrize("length", [0, 1, 20, 30, 31, 32, 33, 34, 48, 64])
def test_parse_hash_takes_32_bytes_and_nothing_else(length):
    """31 and 33 bytes have 44 characters too."""
    data = bytes(range(length))
    text = format_base64(data)
    if length == 32:
        assert parse_hash(text) == data
    else:
        with pytest.raises(MalformedError, match="not a base64 SHA-256 hash"):
            parse_hash(text)


@given(st.data(), st.binary(min_size=32, max_size=32))
def test_parse_hash_takes_no_second_text_of_a_hash(edited, data, value):
    text = format_base64(value)
    changed = data.draw(edited(text))
    try:
        parsed = parse_hash(changed)
    except MalformedError:
        assert changed != text
    else:
        assert format_base64(parsed) == changed
