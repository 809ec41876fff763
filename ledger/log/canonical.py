# SPDX-License-Identifier: Apache-2.0
"""Strict JCS (spec/README.md): the one JSON text of a value, and strict reading of JSON from outside.

RFC 8785 orders member names by UTF-16 code units and msgspec by code points. The two differ only where a name holds a
character beyond the BMP, so msgspec's C encoder is used for everything with ASCII names, which is all we write.
"""

import json
import re
from typing import Any

import msgspec

from ledger.log.errors import InvalidRequestError, MalformedRequestError

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 100
"""How deep a file or an entry of ours nests at most (spec/README.md)."""
MAX_VALUE_DEPTH = 500
"""How deep a disclosed value may nest, which the verifier reads as well."""

_encoder = msgspec.json.Encoder(order="sorted")
_plain_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[\]{}]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: Any) -> bytes:
    """Canonical bytes of a Struct or of builtin values with ASCII member names and no floats."""
    return _encoder.encode(value)


def read_strict(text: bytes) -> Any:
    """Value of a strict JCS text: the reader's check that re-encoding gives the same bytes.

    Takes objects with any member names. Raises MalformedRequestError.
    """
    try:
        value = json.loads(
            text.decode(),
            object_pairs_hook=_unique,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_safe_integer,
        )
        if _jcs(value).encode() == text and nests_at_most(MAX_DEPTH, text):
            return value
    except (ValueError, RecursionError, _DuplicateNameError):
        pass
    raise MalformedRequestError("not strict JCS")


def _jcs(value: Any) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_jcs(name)}:{_jcs(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_jcs, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def refuse_duplicates(body: bytes) -> None:
    """Refuse JSON in which an object has a name twice, at any depth, or a string has a lone surrogate.

    Most bodies take the short way: text that equals its own decoding, encoded again, cannot hold a name twice, since
    decoding would have dropped one. Raises MalformedRequestError (not JSON) or InvalidRequestError.
    """
    try:
        again = _plain_encoder.encode(_decoder.decode(body))
        if again == body or again == msgspec.json.format(body, indent=-1):
            return
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_number, parse_int=str)
        if b"\\u" in body:  # UTF-8 has none, so only an escape can be one
            _refuse_surrogates(value, ["body"])
    except _DuplicateNameError as error:
        raise InvalidRequestError.at(["body"], f"member name {error.name[:80]!r} occurs twice in one object") from None
    except RecursionError:
        raise MalformedRequestError("JSON is nested too deeply") from None
    except ValueError as error:
        raise MalformedRequestError(f"not JSON: {error}") from None


def _refuse_surrogates(value: Any, loc: list[str | int]) -> None:
    if isinstance(value, str) and _SURROGATE.search(value):
        raise InvalidRequestError.at(loc, "a string has a lone surrogate")
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_surrogates(name, loc)
            _refuse_surrogates(member, [*loc, name])
    elif isinstance(value, list):
        for position, member in enumerate(value):
            _refuse_surrogates(member, [*loc, position])


def nests_at_most(depth: int, text: bytes) -> bool:
    """Whether a JSON text nests no deeper. Counting brackets settles it for all but the strangest."""
    return text.count(b"{") + text.count(b"[") <= depth or nesting(text) <= depth


def nesting(text: bytes) -> int:
    """How many levels deep a JSON text nests; a bare scalar is 0."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


class _DuplicateNameError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateNameError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return members


def _refuse_number(text: str) -> Any:
    raise ValueError(f"number not allowed: {text[:32]}")


def _safe_integer(text: str) -> int:
    if len(text) > 17 or abs(value := int(text)) > MAX_SAFE_INTEGER or str(value) != text:
        raise ValueError(f"integer not allowed: {text[:32]}")
    return value
