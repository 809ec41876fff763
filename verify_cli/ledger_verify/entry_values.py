# SPDX-License-Identifier: Apache-2.0
"""What stands at a place of an entry, as far as it can be read (spec/claims.md, "Values").

A place is a JSON Pointer from the entry's root, e.g. /data/verdict or /data/tool_args/amount. On the way to it may stand
the commitment to a sealed value: where that is disclosed the way leads on inside of the value, and else it ends in a doubt.
Of an entry whose type or version is not known only the envelope and `data.v` can be read, since nothing says what else
its members mean.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, Union

from ledger_verify.disclosure import Disclosure
from ledger_verify.entry import Entry
from ledger_verify.errors import shown
from ledger_verify.field_rules import is_commitment
from ledger_verify.three_valued import Doubt

ENVELOPE = ("type", "subject", "time", "recordedat", "id", "source")
TIMES = ("time", "recordedat")

Tokens = tuple[str, ...]
Number = Union[int, Decimal]


class At(NamedTuple):
    """An entry at its index, with its disclosures by pointer."""

    leaf_index: int
    entry: Entry
    shown: dict[str, Disclosure]


class Absent:
    """That nothing stands at the place."""


class Unread:
    """A number that no computer should be asked to compare, e.g. 1e9999999999999999999."""


ABSENT = Absent()
UNREAD = Unread()


def value_at(at: At, tokens: Tokens) -> object:
    """The JSON value at a place, ABSENT, or a Doubt. Numbers are int or Decimal, or UNREAD."""
    entry = at.entry
    if tokens[0] != "data":
        found = getattr(entry, tokens[0])
        return ABSENT if found is None else found
    if entry.known is None and tokens != ("data", "v"):
        return unknown(at)
    value: object = entry.data.get(tokens[1], ABSENT)
    if not isinstance(value, (dict, list)):  # the usual case, and claims ask for millions of values
        return value if len(tokens) == 2 else ABSENT
    value = entry.data
    for position, token in enumerate(tokens[1:], 2):
        value = _member(value, token)
        if value is ABSENT:
            return ABSENT
        if is_commitment(value):
            pointer = pointer_of(tokens[:position])
            disclosed = at.shown.get(pointer)
            if disclosed is None:
                then = "Ask for an export that discloses it, and run this again"
                return Doubt(at.leaf_index, pointer, "its value is withheld", then)
            return _within(disclosed_value(disclosed), tokens[position:])
    return value


def stands_at(at: At, tokens: Tokens) -> bool | Doubt:
    """Whether there is anything: a commitment is, whether or not its value is disclosed."""
    found = value_at(at, tokens)
    if isinstance(found, Doubt):
        return True if found.pointer == pointer_of(tokens) else found
    return found is not ABSENT


def unknown(at: At) -> Doubt:
    entry = at.entry
    why = f"this verifier does not know the event {shown(entry.type)} v{entry.version}"
    return Doubt(at.leaf_index, None, why, "A newer ledger-verify may know it")


def disclosed_value(disclosure: Disclosure) -> object:
    """The value that the JSON text of a checked disclosure stands for."""
    return _DECODER.decode(disclosure.value)


def pointer_of(tokens: Tokens) -> str:
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def _within(value: object, tokens: Tokens) -> object:
    for token in tokens:
        value = _member(value, token)
    return value


def _member(value: object, token: str) -> object:
    if isinstance(value, dict):
        return value.get(token, ABSENT)
    if isinstance(value, list) and token.isascii() and token.isdigit() and str(int(token[:9])) == token:
        return value[int(token)] if int(token) < len(value) else ABSENT
    return ABSENT


def _number(token: str) -> object:
    """By value, and exactly: a limit of 1000 is exceeded by 1000.0000000000000001 and met by 1e3."""
    if len(token) <= 17 and token.lstrip("-").isdigit():
        return int(token)
    try:
        return Decimal(token)
    except InvalidOperation:
        return UNREAD


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_number)
