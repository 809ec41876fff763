# SPDX-License-Identifier: Apache-2.0
"""Entries that look like one that was checked before, told by one regular expression instead of being parsed.

A log has millions of entries and a few shapes: the same type with the same members, other values. Once an entry has passed
all rules of spec/entry.md and spec/events.md, a pattern is made of it that has its names, its order and its source as they
are, and for each value what its rule allows: fewer spellings than the rule, never more. So what fits the pattern is valid by
the same rules, and what does not fit is parsed and checked as ever; nothing is refused here.

Only types without conditions between their fields, and fields whose rules a pattern can say, have a shape.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from ledger_verify import catalogue
from ledger_verify.between_fields import BETWEEN_FIELDS
from ledger_verify.field_rules import CHOICES, SEALED

if TYPE_CHECKING:
    from ledger_verify.entry import Entry

MAX_SHAPES = 32

# Printable ASCII that JSON writes as it is: a part of what the rule `text` allows.
_TEXT = rb'"[ !#-\[\]-~]{1,200}"'
_UUID7 = rb'"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"'
# Which days exist is asked of those that were seen.
_TIME = rb'"(?P<%b>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"'
_COMMITMENT = rb'\{"\$sealed":"(?P<digest%d>[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"\}'


class Shape(NamedTuple):
    """A pattern, and the numbers of its groups."""

    pattern: re.Pattern[bytes]
    name: str  # of type and version
    known: catalogue.EventType
    pointers: tuple[str, ...]  # of the sealed fields
    digests: tuple[int, ...]  # of their commitments
    id: int
    dates: tuple[int, ...]


class Shapes:
    """The shapes of one log's entries, learnt from those that were parsed."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._dates: set[bytes] = set()

    def match(self, raw: bytes) -> tuple[Shape, re.Match[bytes]] | None:
        """The shape of a valid entry; None for one that has to be parsed."""
        for place, shape in enumerate(self._shapes):
            found = shape.pattern.fullmatch(raw)
            if found is not None:
                for group in shape.dates:
                    if found[group] not in self._dates:
                        return None
                if place:  # the newest first: the next entry is likely to have the same
                    self._shapes.insert(0, self._shapes.pop(place))
                return shape, found
        return None

    def learn(self, entry: Entry) -> None:
        """Take over the shape and the days of an entry that passed all checks."""
        event = json.loads(entry.text)
        for name in ("recordedat", "time"):
            if name in event and len(self._dates) < 10_000:
                self._dates.add(event[name][:10].encode("ascii"))
        shape = None if entry.known is None else _shape(event, entry.known)
        # An entry need not fit its own shape: of the spellings that a rule allows the pattern knows the usual ones.
        if shape is not None and shape not in self._shapes:
            self._shapes.insert(0, shape)
            del self._shapes[MAX_SHAPES:]


def _shape(event: dict[str, object], known: catalogue.EventType) -> Shape | None:
    """The shape of a valid event, if its type can have one."""
    data = event["data"]
    assert isinstance(data, dict)
    if known.governing or event["type"] in BETWEEN_FIELDS:
        return None
    pointers: list[str] = []
    fields = [_field(name, data[name], known, pointers) for name in sorted(data)]
    if None in fields:
        return None
    members = {
        "data": rb"\{" + b",".join(field for field in fields if field is not None) + rb"\}",
        "id": _UUID7,
        "recordedat": _TIME % b"recordedat",
        "subject": b'"(?P=subject)"',
        "time": _TIME % b"time",
    }
    for name in ("source", "specversion", "type"):
        members[name] = _literal(event[name])
    pattern = rb"\{" + b",".join(_name(name) + members[name] for name in sorted(event)) + rb"\}"
    compiled = re.compile(pattern)
    group = compiled.groupindex
    return Shape(
        compiled,
        f"{event['type']} v{data['v']}",
        known,
        tuple(pointers),
        tuple(group[f"digest{number}"] for number in range(len(pointers))),
        group["id"],
        tuple(group[name] for name in ("recordedat", "time") if name in event),
    )


def _field(name: str, value: object, known: catalogue.EventType, pointers: list[str]) -> bytes | None:
    """A member of `data`; notes the pointers of what is sealed. None where the rule cannot be said by a pattern."""
    start = _name(name)
    if name == "v":
        return start + _literal(value)
    rule = known.required.get(name) or known.optional[name]
    pointer = f"/data/{name}"
    if rule == "sealed" or (rule == "sealed_arguments" and isinstance(value, dict) and SEALED in value):
        pointers.append(pointer)
        return start + _COMMITMENT % (len(pointers) - 1)
    if rule == "sealed_arguments" and isinstance(value, dict):
        arguments = []
        for argument in sorted(value):
            arguments.append(_name(argument) + _COMMITMENT % len(pointers))
            pointers.append(f"{pointer}/{argument}")
        return start + rb"\{" + b",".join(arguments) + rb"\}"
    if rule == "text":
        return start + (_TEXT if name != known.subject else b'"(?P<subject>' + _TEXT[1:-1] + b')"')
    if rule in CHOICES:
        return start + b"(?:" + b"|".join(_literal(choice) for choice in CHOICES[rule]) + b")"
    return None


def _name(name: str) -> bytes:
    return _literal(name) + b":"


def _literal(value: object) -> bytes:
    return re.escape(json.dumps(value, ensure_ascii=False).encode("utf-8"))
