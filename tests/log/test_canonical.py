# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON against Trail of Bits' rfc8785, Python's own parser and the published data of RFC 8785."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.log.canonical import MAX_SAFE_INTEGER, encode, read_strict, refuse_duplicates
from ledger.log.errors import InvalidRequestError, LedgerError, MalformedRequestError

PUBLISHED = ["arrays", "french", "structures", "unicode", "weird"]
INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
SCALARS = st.none() | st.booleans() | INTEGERS | st.text()
ASCII_NAMES = st.text(st.characters(max_codepoint=0x7F))
# Names on both sides of where UTF-16 and code points sort differently, and with what must be escaped.
NAMES = st.text() | st.text(st.sampled_from('a"\\/\x00\x1f\x7f\u00e9\u20ac\ud7ff\ue000\uffff\U00010000\U0001f602'))


def values(names: st.SearchStrategy[str], scalars: st.SearchStrategy[Any] = SCALARS) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=12
    )


def is_strict(text: bytes) -> bool:
    try:
        read_strict(text)
    except MalformedRequestError:
        return False
    return True


@given(values(ASCII_NAMES))
def test_encode_equals_rfc8785_for_ascii_names(value: Any) -> None:
    assert encode(value) == rfc8785.dumps(value)


@given(values(NAMES))
@example({"\ue000": 1, "\U00010000": 2, "\uffff": 3})
def test_read_strict_takes_what_rfc8785_writes(value: Any) -> None:
    assert read_strict(rfc8785.dumps(value)) == value


@given(values(NAMES), st.data())
def test_read_strict_refuses_every_other_spelling(value: Any, data: st.DataObject) -> None:
    """Whatever means the same and is written otherwise: white space, escapes, order, forms of numbers."""
    canonical = rfc8785.dumps(value)
    spelling = data.draw(
        st.builds(
            json.dumps,
            st.just(value),
            ensure_ascii=st.booleans(),
            indent=st.none() | st.integers(0, 1),
            separators=st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")]),
            sort_keys=st.booleans(),
        )
    ).encode()
    assert is_strict(spelling) == (spelling == canonical)


@given(values(NAMES), st.data())
def test_read_strict_takes_an_edited_text_only_if_it_is_canonical(value: Any, data: st.DataObject) -> None:
    """The law for any bytes: what is read is what rfc8785 writes for the value that was read."""
    text = rfc8785.dumps(value)
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
    piece = data.draw(
        st.binary(max_size=2) | st.sampled_from([b" ", b"0", b"-", b".0", b"e0", b"\\u0041", b"\\/", b"\n"])
    )
    edited = text[:start] + piece + text[start + length :]
    try:
        read = read_strict(edited)
    except MalformedRequestError:
        return
    assert rfc8785.dumps(read) == edited


@pytest.mark.parametrize(
    "text",
    ["", " ", "nul", "{", "[1,]", "1 ", "\n1", "1\n", "01", "+1", "-0", "1.0", "1e2", "1E400", "NaN", "Infinity",
     "-Infinity",
     "9007199254740992", "-9007199254740992", "1" * 5000, '{"a":1,"a":1}', '{"b":1,"a":1}', '{"a":{"x":1,"x":1}}',
     '"\\u0041"', '"\\/"', '"\\u000A"', '"\\u001F"', '"\\ud800"', '"\\ud83d\\ude02"', '"\t"', "\ufeff1", "'a'"],
)  # fmt: skip
def test_read_strict_refuses(text: str) -> None:
    assert not is_strict(text.encode())


@pytest.mark.parametrize("text", [b"\xff", b'"\xed\xa0\x80"', b'"\xc0\x80"', b"[" * 100_000, b'{"a":' * 100_000])
def test_read_strict_refuses_bytes_that_break_parsers(text: bytes) -> None:
    assert not is_strict(text)


def test_read_strict_takes_the_largest_integers() -> None:
    assert read_strict(b"[9007199254740991,-9007199254740991]") == [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER]


@pytest.mark.parametrize("name", PUBLISHED)
def test_read_strict_takes_the_published_outputs(shared: Path, name: str) -> None:
    """cyberphone/json-canonicalization, testdata; `values` is left out, since it has floats."""
    given_text = (shared / "vectors/rfc8785/input" / f"{name}.json").read_bytes()
    output = (shared / "vectors/rfc8785/output" / f"{name}.json").read_bytes().rstrip(b"\n")
    listed = bytes.fromhex((shared / "vectors/rfc8785/outhex" / f"{name}.txt").read_text())
    # One of the inputs writes an integer as 56.0.
    assert read_strict(output) == json.loads(given_text)
    assert output == listed
    assert not is_strict(given_text)


@pytest.mark.parametrize("name", ["arrays", "unicode"])
def test_encode_writes_the_published_outputs(shared: Path, name: str) -> None:
    given_text = (shared / "vectors/rfc8785/input" / f"{name}.json").read_bytes()
    output = (shared / "vectors/rfc8785/output" / f"{name}.json").read_bytes().rstrip(b"\n")
    assert encode(json.loads(given_text)) == output


def test_read_strict_refuses_the_published_floats(shared: Path) -> None:
    assert not is_strict((shared / "vectors/rfc8785/output/values.json").read_bytes())


# Bodies from outside: any spelling, but no name twice


class Repeated(Exception):
    """A name occurs twice in one object."""


def walk(text: str) -> Any:
    """The textbook: parse every object as the list of its pairs, then look for repeats."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if any(names.count(name) > 1 for name in names):
            raise Repeated
        return dict(pairs)

    return json.loads(text, object_pairs_hook=members)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """JSON with white space and escapes, in which any object may have gained a member once more."""

    def spell(text: str) -> str:
        spelled = json.dumps(text, ensure_ascii=draw(st.booleans()))
        if text[:1].isalpha() and draw(st.booleans()):
            return f'"\\u{ord(text[0]):04x}{spelled[2:]}' if ord(text[0]) < 0x80 else spelled
        return spelled

    def write(value: Any) -> str:
        space = draw(st.sampled_from(["", "", " ", "\n\t"]))
        if isinstance(value, dict):
            members = [f"{spell(name)}{space}:{write(member)}" for name, member in value.items()]
            if value and draw(st.integers(0, 3)) == 0:
                name = draw(st.sampled_from(sorted(value)))
                members.insert(draw(st.integers(0, len(members))), f"{spell(name)}:{draw(st.integers(0, 9))}")
            return "{" + f"{space},".join(members) + space + "}"
        if isinstance(value, list):
            return "[" + f",{space}".join(map(write, value)) + "]"
        return spell(value) if isinstance(value, str) else json.dumps(value)

    floats = st.floats(allow_nan=False, allow_infinity=False)
    return write(draw(values(st.text(st.sampled_from("abé😂"), max_size=2), SCALARS | floats | st.integers())))


@given(texts())
def test_refuse_duplicates_agrees_with_a_plain_walk(text: str) -> None:
    try:
        walk(text)
    except Repeated:
        with pytest.raises(InvalidRequestError, match="occurs twice"):
            refuse_duplicates(text.encode())
    else:
        refuse_duplicates(text.encode())


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_refuse_duplicates_finds_a_repeat_at_any_depth(depth: int) -> None:
    for inner, repeated in (('{"a":1,"b":2}', False), ('{"a":1,"\\u0061":1}', True)):
        text = '{"x":[' * depth + inner + "]}" * depth
        if repeated:
            with pytest.raises(InvalidRequestError, match="member name 'a' occurs twice"):
                refuse_duplicates(text.encode())
        else:
            refuse_duplicates(text.encode())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{"a":"\\ud800"}', InvalidRequestError),
        (b'{"a":["x",{"b":"\\udc00\\ud800"}]}', InvalidRequestError),
        (b'{"\\ud83d":1}', InvalidRequestError),
        (b"", MalformedRequestError),
        (b"{", MalformedRequestError),
        (b"{}x", MalformedRequestError),
        (b"\xff", MalformedRequestError),
        (b'{"a":"\xed\xa0\x80"}', MalformedRequestError),
        (b"NaN", MalformedRequestError),
        (b'{"a":-Infinity}', MalformedRequestError),
        (b'{"a":01}', MalformedRequestError),
        (b"[" * 100_000, MalformedRequestError),
        (b"[" * 100_000 + b"]" * 100_000, MalformedRequestError),
    ],
)
def test_refuse_duplicates_refuses_what_is_no_strict_json(text: bytes, error: type[LedgerError]) -> None:
    with pytest.raises(error):
        refuse_duplicates(text)


def test_refuse_duplicates_names_the_place_of_a_lone_surrogate() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        refuse_duplicates(b'{"events":[{},{"reason":"\\ud800"}]}')
    assert caught.value.details["errors"][0]["loc"] == ["body", "events", 1, "reason"]


def test_refuse_duplicates_takes_a_surrogate_pair_and_huge_numbers() -> None:
    refuse_duplicates(b'{"a":"\\ud83d\\ude02","b":1e400,"c":' + b"9" * 5000 + b"}")


@given(st.binary(max_size=40) | st.from_regex(re.compile(r'[{}\[\]":,a0\\u1 ]{0,20}', re.ASCII)).map(str.encode))
def test_refuse_duplicates_answers_any_bytes_with_a_typed_error(text: bytes) -> None:
    try:
        refuse_duplicates(text)
    except LedgerError:
        return
    assert json.loads(text) is not ...
