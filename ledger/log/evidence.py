# SPDX-License-Identifier: Apache-2.0
"""Verifying receipts and day documents that somebody kept, against the keys this service knows.

A convenience for callers who trust the service. The steps are those of spec/receipt.md and spec/day.md; the independent
check of the same files is `ledger-verify`, which shares no code with this.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from ledger.log import canonical
from ledger.log.days import DayDocument
from ledger.log.entry import Envelope
from ledger.log.errors import MalformedRequestError
from ledger.log.events import Event
from ledger.log.events.logs import DayClosed, HeadsCommitted
from ledger.log.fold import LogsState, State
from ledger.log.leaf import InvalidEntryError
from ledger.log.ledger import Ledger
from ledger.log.receipts import Receipt, RootProof, heads_line
from ledger.log.rules import read_foreign_leaf
from ledger.log.sealed import digest_of, read_foreign_disclosure
from ledger.tlog.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from ledger.tlog.errors import MalformedError, TlogError
from ledger.tlog.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.tlog.note import VerifierKey, parse_vkey
from ledger.tlog.text import parse_hash

_File = TypeVar("_File", Receipt, DayDocument)


class _RefusedError(Exception):
    """The evidence does not hold; the text says why."""


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """The keys to trust: every key that each log ever had, by origin."""

    root_origin: str
    history: Mapping[str, Sequence[VerifierKey]]

    def of(self, origin: str) -> Sequence[VerifierKey]:
        """Raises MalformedError for an origin that is not known."""
        if origin not in self.history:
            raise MalformedError(f"there is no log {origin!r} here")
        return self.history[origin]


def known_keys(ledger: Ledger) -> KnownKeys:
    """What the root log says of the keys of this ledger."""
    return keys_in(ledger.root.committed.state, ledger.root.origin)


def keys_in(root_state: State, root_origin: str) -> KnownKeys:
    vkeys = root_state[LogsState].vkeys
    return KnownKeys(root_origin, {origin: [parse_vkey(vkey) for _, vkey in keys] for origin, keys in vkeys.items()})


def verify_receipt(keys: KnownKeys, text: bytes) -> str | None:
    """None when the receipt file holds, else why not."""
    return _reason(lambda: _check_receipt(keys, _read_file(text, Receipt)))


def verify_own_receipt(ledger: Ledger, text: bytes) -> str | None:
    """The same, and that this ledger has the very entry at that place: a fork of it would have signed another one."""
    reason = verify_receipt(known_keys(ledger), text)
    if reason is None:
        receipt = msgspec.json.decode(text, type=Receipt)
        origin = read_checkpoint(receipt.checkpoint).origin
        [number] = [record.number for record in ledger.records() if record.origin == origin]
        here = ledger.store.leaves(number, receipt.leaf_index, receipt.leaf_index + 1)
        if here != [receipt.entry.encode()]:
            reason = f"our key signed this, but {origin!r} has another entry at index {receipt.leaf_index}, or none"
    return reason


def verify_day(keys: KnownKeys, text: bytes) -> str | None:
    """None when the day document holds, else why not."""
    return _reason(lambda: _check_day(keys, _read_file(text, DayDocument)))


def _reason(check: Callable[[], None]) -> str | None:
    try:
        check()
    except (_RefusedError, TlogError, InvalidEntryError) as refusal:
        return str(refusal)
    except (msgspec.MsgspecError, MalformedRequestError, ValueError, RecursionError) as error:
        return f"not in the format: {error}"
    return None


def _read_file(text: bytes, shape: type[_File]) -> _File:
    if not text.endswith(b"\n"):
        raise _RefusedError("a file of this format ends in one newline")
    # The shape first: it refuses most of what is no such file at once, where strict reading would take its time.
    value = msgspec.json.decode(text[:-1], type=shape)
    canonical.read_strict(text[:-1])
    return value


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise _RefusedError(reason)


def _check_receipt(keys: KnownKeys, receipt: Receipt) -> None:
    envelope, _ = read_foreign_leaf(receipt.entry.encode())
    # The origin is only a hint where to look for the key; the signature then binds it.
    checkpoint = _open(keys, receipt.checkpoint)
    _require(
        checkpoint.origin == envelope.source, f"the entry is of {envelope.source!r}, the head of {checkpoint.origin!r}"
    )
    _include(receipt.leaf_index, receipt.entry, receipt.inclusion_path, checkpoint)
    _check_disclosures(envelope, receipt.disclosures)
    if receipt.root is not None:
        _check_root(keys, receipt.root, checkpoint.origin, receipt.checkpoint)
    if receipt.daily_root is not None:
        _check_day(keys, receipt.daily_root)
        _require(
            receipt.root is not None
            and receipt.daily_root.heads.entry == receipt.root.entry
            and receipt.daily_root.entry_index == receipt.root.entry_index + 1,
            "the day is not the one that closed over this receipt's root entry",
        )


def _check_root(keys: KnownKeys, root: RootProof, origin: str, note: str) -> None:
    head = _open(keys, root.checkpoint)
    _require(head.origin == keys.root_origin, f"{head.origin!r} is not the root log")
    committed = _event(root.entry, head)
    if not isinstance(committed, HeadsCommitted):
        raise _RefusedError("root.entry is not a heads.committed entry")
    _require(committed.count == root.heads_count, f"the entry commits {committed.count} heads, not {root.heads_count}")
    line = leaf_hash(heads_line(origin, note))
    verify_inclusion(root.heads_index, root.heads_count, line, _path(root.heads_path), parse_hash(committed.root))
    _include(root.entry_index, root.entry, root.entry_path, head)


def _check_day(keys: KnownKeys, day: DayDocument) -> None:
    head = _open(keys, day.checkpoint)
    _require(head.origin == keys.root_origin, f"{head.origin!r} is not the root log")
    closed, committed = _event(day.entry, head), _event(day.heads.entry, head)
    if not isinstance(closed, DayClosed) or not isinstance(committed, HeadsCommitted):
        raise _RefusedError("a day needs a day.closed entry behind a heads.committed entry")
    _require(closed.date == day.date, f"the entry closes {closed.date}, not {day.date}")
    _require(closed.previous is UNSET or closed.previous < closed.date, "the day before is not earlier")
    _include(day.entry_index, day.entry, day.inclusion_path, head)
    _include(day.entry_index - 1, day.heads.entry, day.heads.inclusion_path, head)
    if day.previous_checkpoint is None:
        _require(closed.previous is UNSET and not day.consistency_path, "the day before is missing")
        return
    previous = _open(keys, day.previous_checkpoint)
    _require(previous.origin == head.origin, f"{previous.origin!r} is not the root log")
    _require(closed.previous is not UNSET, "the first day has no day before")
    _require(previous.size < head.size, "the day before is not older")
    verify_consistency(previous.size, head.size, _path(day.consistency_path), previous.root, head.root)


def _check_disclosures(envelope: Envelope, texts: Sequence[str]) -> None:
    """Each belongs to a commitment of the entry (S2), in the order of their pointers, none twice (S4)."""
    pointers = []
    for text in texts:
        pointer = read_foreign_disclosure(text).pointer
        value: Any = {"data": msgspec.json.decode(envelope.data)}
        for step in pointer.split("/")[1:]:
            value = value.get(step) if isinstance(value, dict) else None
        _require(
            value == {"$sealed": digest_of(text)},
            f"a disclosure does not belong to the commitment at {pointer[:80]!r}",
        )
        pointers.append(pointer)
    _require(all(a < b for a, b in pairwise(pointers)), "disclosures are not in the order of their pointers")


def _event(entry: str, head: Checkpoint) -> Event:
    """The event of an entry that must be of the log of `head`."""
    envelope, event = read_foreign_leaf(entry.encode())
    _require(envelope.source == head.origin, f"an entry of {envelope.source!r} is not one of {head.origin!r}")
    return event


def _open(keys: KnownKeys, note: str) -> Checkpoint:
    """The checkpoint of a note that a key of this ledger signed, whichever log's it is."""
    origin = read_checkpoint(note).origin
    return open_checkpoint(note, keys.of(origin))


def _include(index: int, entry: str, path: Sequence[str], head: Checkpoint) -> None:
    verify_inclusion(index, head.size, leaf_hash(entry.encode()), _path(path), head.root)


def _path(path: Sequence[str]) -> list[bytes]:
    return [parse_hash(value) for value in path]
