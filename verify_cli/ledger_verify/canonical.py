# SPDX-License-Identifier: Apache-2.0
"""Strict JSON, and the strict JCS of our files (RFC 8785 restricted; spec/README.md, "Conventions").

The evidence is bytes. Two JSON texts that "mean the same" are two different leaves, so a file of ours has exactly one
spelling, and a reader proves it the blunt way: parse, write again with the writer below, compare character by character.
That one comparison refuses white space, unsorted or repeated members, other escapes, `1.0`, `1e0`, `-0`, `+1` and
escaped surrogates, without a rule for each.

Numbers are integers of at most 2^53 - 1 in magnitude. Member names are sorted by UTF-16 code units, which differs from
Python's order by code points only between U+E000–U+FFFF and the characters beyond U+FFFF.

Nesting is bounded, so that no input reaches the interpreter's recursion limit and the verdict is the same on every
machine: 100 levels for files and entries, 500 for disclosed values, which may be any JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NoReturn

from ledger_verify.encodings import MAX_INTEGER
from ledger_verify.errors import MalformedError

MAX_DEPTH = 100
MAX_VALUE_DEPTH = 500

_MUST_ESCAPE = re.compile("[\x00-\x1f]")
_SHORT_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_jcs(text: str, what: str) -> object:
    """The value of strict JCS text.

    The standard library's writer spells everything as ours does, but for the order of names beyond U+DFFF. So where it
    writes the very text that was read, that is the answer; and whatever else it is, ours is asked and says what is wrong.
    """
    if text.isascii() or _BEYOND_SURROGATES.search(text) is None:
        try:
            value: object = _QUICK_DECODER.decode(text)
            _check_depth(value, text, MAX_DEPTH, what)
            if _QUICK_ENCODER.encode(value) == text:
                return value
        except (ValueError, RecursionError, MalformedError):
            pass
    return parse_jcs_carefully(text, what)


def parse_jcs_carefully(text: str, what: str) -> object:
    """The same as `parse_jcs`, by our own writer alone."""
    value = _decode(_JCS_DECODER, text, what)
    _check_depth(value, text, MAX_DEPTH, what)
    again = write_jcs(value)
    if again != text:
        at = next((i for i, (a, b) in enumerate(zip(text, again)) if a != b), min(len(text), len(again)))
        raise MalformedError(
            f"{what} is not strict JCS from character {at} on",
            got=text[at : at + 20] or "the end",
            want=again[at : at + 20] or "the end",
            hint="The text was edited, or written by something else than the service",
        )
    return value


def parse_jcs_file(raw: bytes, what: str) -> object:
    """The value of a file of strict JCS and one final newline."""
    text = decode_utf8(raw, what)
    if not text.endswith("\n"):
        raise MalformedError(f"{what} does not end with a newline", hint="The file may have been cut off")
    return parse_jcs(text[:-1], what)


def parse_json(raw: bytes, what: str) -> object:
    """The value of JSON in any spelling, as the service answers: integers only, no member name twice."""
    text = decode_utf8(raw, what)
    value = _decode(_JCS_DECODER, text, what)
    _check_depth(value, text, MAX_DEPTH, what)
    if _SURROGATE_ESCAPE.search(text) is not None:
        _refuse_lone_surrogates(value, what)
    return value


def parse_any_json(text: str, what: str) -> object:
    """The value of any JSON text without repeated names, lone surrogates, NaN and infinities (sealed-fields.md, S1).

    Numbers are not converted: their text is what counts, and it may have any length.
    """
    value = _decode(_ANY_DECODER, text, what)
    _check_depth(value, text, MAX_VALUE_DEPTH, what)
    if _SURROGATE_ESCAPE.search(text) is not None:
        _refuse_lone_surrogates(value, what)
    return value


def write_jcs(value: object) -> str:
    """Strict JCS of a value made of dict, list, str, int, bool and None."""
    if isinstance(value, str):
        return _quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(write_jcs, value)) + "]"
    if isinstance(value, dict):
        names = sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_utf16)
        return "{" + ",".join([_quote(name) + ":" + write_jcs(value[name]) for name in names]) + "}"
    raise MalformedError("not a value of strict JCS", got=type(value).__name__)


def decode_utf8(raw: bytes, what: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8 at byte {error.start}") from None


def encode_utf8(text: str, what: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedError(f"{what} holds half of a surrogate pair") from None


def _quote(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if _MUST_ESCAPE.search(text) is not None:
        text = _MUST_ESCAPE.sub(lambda m: _SHORT_ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", text)
    return f'"{text}"'


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _decode(decoder: json.JSONDecoder, text: str, what: str) -> object:
    try:
        value: object = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedError(f"{what} is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise MalformedError(f"{what} is nested too deeply") from None
    except MalformedError as error:
        error.problem = f"{what}: {error.problem}"
        raise
    return value


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(members)
    if len(result) != len(members):
        seen: set[str] = set()
        name = next(name for name, _ in members if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MalformedError("a member name occurs twice", got=name)
    return result


def _integer(token: str) -> int:
    # Seventeen characters hold every allowed integer. Python's int() raises ValueError beyond 4300 digits.
    if len(token) > 17 or abs(int(token)) > MAX_INTEGER:
        raise MalformedError("an integer is larger than 2^53 - 1", got=token)
    return int(token)


def _no_float(token: str) -> NoReturn:
    raise MalformedError("a number is not an integer", got=token)


def _no_constant(token: str) -> NoReturn:
    raise MalformedError("not a JSON number", got=token)


def _number_unread(token: str) -> int:
    return 0


_JCS_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_no_float, parse_constant=_no_constant
)
# A name that occurs twice needs no hook here: what is written again has it once, so it is another text.
_QUICK_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_no_float, parse_constant=_no_constant)
_QUICK_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))
_BEYOND_SURROGATES = re.compile("[\ue000-\U0010ffff]")
_ANY_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_number_unread, parse_float=_number_unread, parse_constant=_no_constant
)


def _check_depth(value: object, text: str, limit: int, what: str) -> None:
    if text.count("[") + text.count("{") <= limit:
        return  # the usual case, without a look at the value
    level = [value]
    for _ in range(limit):
        level = [member for item in level for member in _members(item)]
        if not level:
            return
    if any(isinstance(item, (dict, list)) for item in level):
        raise MalformedError(f"{what} is nested too deeply", want=f"at most {limit} levels")


def _members(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _refuse_lone_surrogates(value: object, what: str) -> None:
    queue = [value]
    while queue:
        item = queue.pop()
        if isinstance(item, dict):
            queue += item.keys()
            queue += item.values()
        elif isinstance(item, list):
            queue += item
        elif isinstance(item, str):
            encode_utf8(item, what)
