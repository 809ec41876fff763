# SPDX-License-Identifier: Apache-2.0
"""Entries: one event in strict JCS, whose bytes are the preimage of a leaf (spec/entry.md).

Hash first, then parse: the leaf hash is over the bytes as given, so no canonicaliser stands between the evidence and the
proof. An entry that is not strict JCS, has an unknown member or lacks one is not valid, whatever the proofs say. A type
that is not in the catalogue is no error: its envelope and its commitments are checked, its fields are not, and `known` is
None so that the report can say so.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import NamedTuple

from ledger_verify import catalogue, field_rules, shapes
from ledger_verify.canonical import encode_utf8, parse_jcs
from ledger_verify.encodings import check_time, check_uuid7
from ledger_verify.entry_shapes import Shape, Shapes
from ledger_verify.errors import MalformedError, VerificationError
from ledger_verify.merkle import leaf_hash

MAX_ENTRY_BYTES = 60_000

_REQUIRED = ("data", "id", "recordedat", "source", "specversion", "type")
_OPTIONAL = ("subject", "time")


_shapes = Shapes()
_met: list[str] = []
_FEW = 8


class Entry(NamedTuple):
    """A valid entry: its leaf hash, and what the bytes say."""

    text: str
    leaf_hash: bytes
    id: str
    source: str
    type: str
    version: int
    recordedat: str
    data: dict[str, object]
    known: catalogue.EventType | None
    commitments: dict[str, str]  # JSON Pointer from the entry's root → digest
    subject: str | None
    time: str | None


def parse_entry(text: str, what: str = "the entry") -> Entry:
    """The entry in `text`, checked by entry.md and, for known types, by events.md."""
    raw = encode_utf8(text, what)
    like = _shapes.match(raw)
    entry = None if like is None else _entry_like(text, raw, *like)
    if entry is None:
        entry = parse_anew(text, raw, what)
        _met.append(entry.type)
        if len(_met) > _FEW:  # for a single receipt no pattern is made
            _shapes.learn(entry)
            del _met[_FEW:]
    return entry


def parse_anew(text: str, raw: bytes, what: str = "the entry") -> Entry:
    """The same without regard to any entry before; `raw` is the text in UTF-8."""
    if len(raw) > MAX_ENTRY_BYTES:
        raise MalformedError(f"{what} is too long", got=f"{len(raw)} bytes", want=f"at most {MAX_ENTRY_BYTES}")
    event = shapes.members(parse_jcs(text, what), _REQUIRED, what, _OPTIONAL)
    shapes.exactly(event["specversion"], "1.0", f"{what}: specversion")
    event_id = shapes.string(event["id"], f"{what}: id")
    check_uuid7(event_id, f"{what}: id")
    recordedat = shapes.string(event["recordedat"], f"{what}: recordedat")
    check_time(recordedat, f"{what}: recordedat")
    time = None
    if "time" in event:
        time = shapes.string(event["time"], f"{what}: time")
        check_time(time, f"{what}: time")
    source = shapes.string(event["source"], f"{what}: source")
    field_rules.check_origin(source, f"{what}: source")
    event_type = shapes.string(event["type"], f"{what}: type")
    if not event_type:
        raise MalformedError(f"{what}: type is empty")
    data = event["data"]
    if not isinstance(data, dict) or "v" not in data:
        raise MalformedError(f"{what}: data is not an object with a version v")
    version = shapes.integer(data["v"], f"{what}: data.v")

    known = catalogue.find(event_type, version)
    commitments = field_rules.check_unknown(data) if known is None else field_rules.check_known(known, event_type, data)
    if len(set(commitments.values())) != len(commitments):
        raise VerificationError(f"{what}: one commitment stands in two fields (S5)")
    subject = _check_subject(event, data, known, what)
    if event_type == catalogue.GENESIS and known is not None and data["origin"] != source:
        raise MalformedError(f"{what}: the genesis is of another log", got=data["origin"], want=source)
    return Entry(
        text, leaf_hash(raw), event_id, source, event_type, version, recordedat, data, known, commitments, subject, time
    )


def _entry_like(text: str, raw: bytes, shape: Shape, found: re.Match[bytes]) -> Entry | None:
    """The entry in a text that has the shape of one checked before, and so is valid but for S5."""
    commitments = {pointer: found[group].decode("ascii") for pointer, group in zip(shape.pointers, shape.digests)}
    if len(set(commitments.values())) != len(commitments):
        return None
    event = json.loads(text)
    data = event["data"]
    return Entry(
        text=text,
        leaf_hash=leaf_hash(raw),
        id=event["id"],
        source=event["source"],
        type=event["type"],
        version=data["v"],
        recordedat=event["recordedat"],
        data=data,
        known=shape.known,
        commitments=commitments,
        subject=event.get("subject"),
        time=event.get("time"),
    )


@lru_cache(maxsize=64)
def parse_shared_entry(text: str, what: str) -> Entry:
    """`parse_entry` for the root log's entries, which thousands of receipts repeat. Nobody changes the result."""
    return parse_entry(text, what)


def demand_type(entry: Entry, event_type: str, what: str) -> None:
    """Check that an entry is of a known version of `event_type`."""
    if entry.type != event_type or entry.known is None:
        raise VerificationError(
            f"{what} is of another type", got=f"{entry.type} v{entry.version}", want=f"{event_type} v1"
        )


def check_position(entry: Entry, index: int) -> None:
    """What the leaf index decides: the genesis stands first and only there (E2), `as_of` points back (E4)."""
    if (entry.type == catalogue.GENESIS) != (index == 0):
        raise VerificationError(
            "log.genesis stands at index 0 and nowhere else (E2)", got=f"{entry.type} at index {index}"
        )
    as_of = entry.data.get("as_of")
    if entry.known is not None and isinstance(as_of, int) and as_of >= index:
        raise VerificationError("as_of does not point back (E4)", got=as_of, want=f"less than {index}")
    if entry.type == catalogue.ERASED and entry.known is not None:
        last = shapes.array(shapes.array(entry.data["ranges"], "ranges")[-1], "ranges")[1]
        if shapes.integer(last, "ranges") > index:
            raise VerificationError("an erasure names entries that come after it", got=last, want=f"at most {index}")


def _check_subject(
    event: dict[str, object], data: dict[str, object], known: catalogue.EventType | None, what: str
) -> str | None:
    """events.md, column "subject": the field that `subject` repeats, or no subject at all. Returns it."""
    if known is None:
        subject = shapes.string(event["subject"], f"{what}: subject") if "subject" in event else None
        if subject == "":
            raise MalformedError(f"{what}: subject is empty")
        return subject
    if known.subject is None:
        if "subject" in event:
            raise MalformedError(f"{what}: an event of this type has no subject")
        return None
    if event.get("subject") != data[known.subject]:
        raise MalformedError(
            f"{what}: subject is not the event's {known.subject}",
            got=event.get("subject", "nothing"),
            want=data[known.subject],
        )
    return shapes.string(event["subject"], f"{what}: subject")
