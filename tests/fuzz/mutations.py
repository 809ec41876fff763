# SPDX-License-Identifier: Apache-2.0
"""Inputs for fuzz targets: edits of seeds of the real grammar, in their bytes or in the JSON they hold; and noise."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

TOKENS: tuple[bytes, ...] = (
    b"\0", b"\n", b"\r\n", b"\n\n", b" ", b"\t", b"\xef\xbb\xbf", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80",
    "— ".encode(), "٣".encode(), "\u200b".encode(), "\u2028".encode(), "\x7f\x85\xa0".encode(), "😀".encode(),
    b"\\u0000", b"\\ud800", b"\\ud83d\\ude00", b"\\/", b"\\u00E9", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":",
    b"null", b"true", b"NaN", b"Infinity", b"-0", b"01", b"1.0", b"1e0", b"+1", b"1_0", b"9007199254740991",
    b"9007199254740992", b"9223372036854775808", b"1" + b"0" * 5000, b'{"a":1,"a":2}', b'{"$sealed":1}', b'"$x":',
    b"/", b"//", b"..", b"x001/", b".p/1", b"%00", b"+", b"=", b"==", b"-", b"_", b"[" * 200, b"]" * 200,
    b'{"a":' * 200, b"2016-12-31T23:59:60.000Z", b"0000-01-01", b"9999-12-31T23:59:59.999Z",
)  # fmt: skip
ATOMS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53 - 1, 2**53, 2**63, -(2**63), 1.5, 1e300, "", "x", "x" * 300, "\0", "é", "😀",
    "\u2028", "$", "A" * 43, "a b", "a+b", "2026-02-30", [], {}, [[]], {"": {}}, {"$sealed": "A" * 43}, {"$sealed": 1},
    {"v": 2},
)  # fmt: skip
NAMES = ("v", "$sealed", "$", "", "id", "type", "é", "😀", "\ue000", "a/b", "~", "as_of", "x" * 70)


@st.composite
def edited(draw: st.DrawFn, seeds: Sequence[bytes], most: int = 4) -> bytes:
    """A seed with up to `most` edits of its bytes."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 0, 1, 1, 2, 4, 16, 64, 4096))))
        match draw(st.integers(0, 5)):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:start] + draw(st.sampled_from(TOKENS)) + data[end:]
            case 2:
                data = data[:start] + draw(st.binary(max_size=6)) + data[end:]
            case 3:
                data = data[:end] + data[start:]
            case 4 if start < len(data):
                data = data[:start] + bytes([data[start] ^ 1 << draw(st.integers(0, 7))]) + data[start + 1 :]
            case _:
                other = draw(st.sampled_from(seeds))
                data = data[:start] + other[draw(st.integers(0, len(other))) :]
    return data


@st.composite
def restructured(draw: st.DrawFn, seeds: Sequence[Any]) -> Any:
    """The JSON value of a seed with one to three changes somewhere inside, also inside of JSON in its strings."""
    value = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 3))):
        value = _changed(draw, value)
    return value


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(value)))
        members = dict(value)
        match draw(st.integers(0, 5)):
            case 0:
                del members[name]
            case 1:
                members[draw(st.sampled_from(NAMES))] = members.pop(name)
            case 2:
                members[draw(st.sampled_from(NAMES))] = draw(st.sampled_from(ATOMS))
            case _:
                members[name] = _changed(draw, value[name])
        return members
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        place = draw(st.integers(0, len(value) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value[: place + 1] + value[place:]
            case _:
                return [*value[:place], _changed(draw, value[place]), *value[place + 1 :]]
    if isinstance(value, str) and value and draw(st.integers(0, 3)):
        inner = _read(_unchanged, value.encode("utf-8", "replace"))
        if inner is not None:
            return write(_changed(draw, inner)).decode()
        return draw(edited([value.encode()], 2)).decode("utf-8", "replace")
    return draw(st.sampled_from(ATOMS))


def write(value: Any) -> bytes:
    """Strict JCS of a value, as long as its names are of the basic plane."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def inputs(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Inputs for a target. Seeds that are JSON, or base64url of JSON, are also changed beneath their encoding."""
    ways = [edited(seeds), st.binary(max_size=64)]
    for read, finish in _ENCODINGS:
        values = [value for seed in seeds if (value := _read(read, seed)) is not None]
        if values:
            changed = restructured(values).map(write)
            ways += [changed.map(finish), st.builds(lambda data, finish=finish: finish(data), edited_map(changed))]
    return st.one_of(ways)


def edited_map(strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """What a strategy gives, with an edit of its bytes."""
    return strategy.flatmap(lambda data: edited([data], 1))


def _read(read: Callable[[bytes], bytes], seed: bytes) -> Any:
    try:
        value = json.loads(read(seed))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def _unchanged(data: bytes) -> bytes:
    return data


def _decoded(data: bytes) -> bytes:
    return urlsafe_b64decode(data + b"=" * (-len(data) % 4))


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


_ENCODINGS: tuple[tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]], ...] = (
    (lambda seed: seed if not seed.endswith(b"\n") else b"", _unchanged),
    (lambda seed: seed[:-1] if seed.endswith(b"\n") else b"", lambda data: data + b"\n"),
    (_decoded, _encoded),
)


def enlarged(seeds: Sequence[bytes], most: int) -> list[bytes]:
    """Long inputs: what a careless parser needs quadratic time or a deep stack for."""
    pieces = [
        b"[",
        b'{"a":',
        b"9",
        b"1.",
        b"-",
        b" ",
        b"\n",
        b"\n\n",
        b"a",
        b"\\",
        b'"',
        b'"a":1,',
        b"x001/",
        b"=",
        b"+",
    ]
    pieces += [
        b"A",
        b"\xff",
        b"\0",
        "— ".encode(),
        "é".encode(),
        b"0",
        b"1,",
        b"{},",
        b"W1tb",
        b'"\\u0041",',
        b'"\\"[",',
    ]
    found = []
    for piece in pieces:
        found.append(piece * (most // len(piece)))
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        depth = most // (len(opening) + len(closing))
        found += [opening * depth + closing * depth, opening * 900 + b"1," * (most // 2 - 4000) + closing * 900]
    for seed in sorted(seeds, key=len)[:: max(1, len(seeds) // 4)]:
        half = len(seed) // 2
        for piece in (seed or b"x", b"9", b"A", b"\n", b"[", b" "):
            found.append(seed[:half] + piece * ((most - len(seed)) // len(piece)) + seed[half:])
    return [data[:most] for data in found]
