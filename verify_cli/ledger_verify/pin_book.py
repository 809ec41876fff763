# SPDX-License-Identifier: Apache-2.0
"""The pin book: checkpoints that its owner once verified, against which all later ones are held (spec/pins.md).

Each pin is a signed checkpoint, the vkey under which it was verified, and the day document if it came with one. The book is
its owner's own file, and as trustworthy as the place where it lies; every signature in it is checked whenever it is read.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_jcs_file, write_jcs
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint, signed_by
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError
from ledger_verify.files import read_file, write_file
from ledger_verify.note import VerifierKey, format_vkey, parse_vkey

FORMAT = "ledger-pins/v1"
_MEMBERS = ("checkpoint", "day", "vkey")


class Pin(NamedTuple):
    """A verified checkpoint. `day` is the day document that it stands in, as parsed."""

    checkpoint: Checkpoint
    key: VerifierKey
    day: object = None

    @property
    def date(self) -> str | None:
        return str(self.day["date"]) if isinstance(self.day, dict) else None


def read_pins(path: str, must_exist: bool = True) -> list[Pin]:
    """The pins of a book, sorted by origin and size."""
    if not must_exist and not os.path.lexists(path):
        return []
    raw = read_file(path, what="the pin book")
    try:
        return _parse(raw)
    except VerificationError as error:
        raise CannotTellError(f"the pin book is unusable: {error}. Take it from a backup") from None


def write_pins(path: str, pins: list[Pin]) -> None:
    value = {
        "format": FORMAT,
        "pins": [
            {"checkpoint": pin.checkpoint.text, "day": pin.day, "vkey": format_vkey(pin.key)}
            for pin in sorted(pins, key=_place)
        ],
    }
    write_file(path, write_jcs(value).encode("utf-8") + b"\n", "the pin book")


def add_pin(pins: list[Pin], pin: Pin) -> list[Pin]:
    """The pins with one more. For a tree that is there already, the one with a day document stays."""
    same = [old for old in pins if _place(old) == _place(pin)]
    if any(old.checkpoint.root_hash != pin.checkpoint.root_hash for old in same):
        raise AssertionError("a conflict is for the caller to find")
    if same and (pin.day is None or same[0].day is not None):
        return pins
    return [*(old for old in pins if _place(old) != _place(pin)), pin]


def pins_of(pins: list[Pin], origin: str) -> list[Pin]:
    return [pin for pin in pins if pin.checkpoint.origin == origin]


def _place(pin: Pin) -> tuple[str, int]:
    return pin.checkpoint.origin, pin.checkpoint.tree_size


def _parse(raw: bytes) -> list[Pin]:
    book = shapes.members(parse_jcs_file(raw, "the pin book"), ("format", "pins"), "the pin book")
    shapes.exactly(book["format"], FORMAT, "format")
    pins: list[Pin] = []
    for position, item in enumerate(shapes.array(book["pins"], "pins")):
        what = f"pins[{position}]"
        pin = shapes.members(item, _MEMBERS, what)
        checkpoint = parse_checkpoint(shapes.string(pin["checkpoint"], f"{what}.checkpoint"), extensions=True)
        key = parse_vkey(shapes.string(pin["vkey"], f"{what}.vkey"))
        signed_by(checkpoint, [key], "vkey")
        day = pin["day"]
        if day is not None and (not isinstance(day, dict) or day.get("checkpoint") != checkpoint.text):
            raise MalformedError(f"{what}.day is not the day document of its checkpoint")
        pins.append(Pin(checkpoint, key, day))
        if len(pins) > 1 and _place(pins[-2]) >= _place(pins[-1]):
            raise MalformedError(f"{what} is out of order or repeated")
    return pins
