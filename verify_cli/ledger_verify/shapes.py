# SPDX-License-Identifier: Apache-2.0
"""The shape of JSON objects: exactly these members, each of its type.

Member names and types come from the tables in spec/receipt.md, spec/day.md and spec/export.md. What is unknown is refused
rather than skipped: a member that no reader looks at is a place where anything may be written into evidence.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable

from ledger_verify.encodings import HASH_BYTES, MAX_INTEGER, decode_base64, encode_base64
from ledger_verify.errors import MalformedError

MAX_PATH = 64  # hashes in a proof of any tree below 2^63 leaves


def members(value: object, required: Iterable[str], what: str, optional: Iterable[str] = ()) -> dict[str, object]:
    """`value` as an object that has all of `required`, any of `optional`, and nothing else."""
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object", got=kind_of(value))
    names = set(value)
    missing = set(required) - names
    if missing:
        raise MalformedError(f"{what} lacks a member", want=min(missing))
    unknown = names.difference(required, optional)
    if unknown:
        raise MalformedError(f"{what} has an unknown member", got=min(unknown))
    return value


def string(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"{what} is not a string", got=kind_of(value))
    return value


def integer(value: object, what: str) -> int:
    """An integer from 0 to 2^53 - 1. `True` is an int to Python and none to JSON."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise MalformedError(f"{what} is not an integer from 0 to 2^53 - 1", got=kind_of(value))
    return value


def array(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise MalformedError(f"{what} is not an array", got=kind_of(value))
    return value


def hash_bytes(value: object, what: str) -> bytes:
    return decode_base64(string(value, what), what, HASH_BYTES)


def hashes(value: object, what: str, limit: int = MAX_PATH) -> list[bytes]:
    items = array(value, what)
    if len(items) > limit:
        raise MalformedError(f"{what} is too long", got=len(items), want=f"at most {limit} hashes")
    try:  # all at once; whatever is wrong with one is said below
        found = [a2b_base64(item) for item in items]  # type: ignore[arg-type]
        if all(len(raw) == HASH_BYTES for raw in found) and list(map(encode_base64, found)) == items:
            return found
    except (ValueError, TypeError):
        pass
    return [hash_bytes(item, f"{what}[{position}]") for position, item in enumerate(items)]


def exactly(value: object, want: str, what: str) -> None:
    if string(value, what) != want:
        raise MalformedError(f"{what} is another one", got=value, want=want)


def kind_of(value: object) -> str:
    """What a JSON value is, in words that do not repeat it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return str(value) if abs(value) <= MAX_INTEGER else "an integer beyond 2^53 - 1"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else type(value).__name__
