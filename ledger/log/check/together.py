# SPDX-License-Identifier: Apache-2.0
"""Many entries of one type against what is stored beside them, a column at a time.

This says yes, or nothing: a False sends the caller to `entry.py`, which looks at one entry after the other and alone
may say what is wrong. So nothing here needs to know why two columns differ, and a fault of the store costs no more
than the time of looking again.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any

from ledger.log.check.entry import Place
from ledger.log.entry import parse_time
from ledger.log.events import Event, Governing, catalogue
from ledger.log.events.calls import CallReported
from ledger.log.leaf import LeafReader
from ledger.log.report import call_identity
from ledger.log.store import Row
from ledger.log.working_copy import DIGEST_BYTES, keyed_digest

_milliseconds = lru_cache(4096)(parse_time)
"""Entries of one commit have the same `recordedat`."""

_REPORTED = ("key_id", "env")
"""Kept in columns for events of an agent only."""
_OPEN = (*_REPORTED, "agent_id", "tool_name", "verdict", "mode")

_STORED = attrgetter("sealed", "data_key")


class EntriesOfType:
    """Checks entries of one type that is not governing."""

    def __init__(self, event: type[Event], reader: LeafReader) -> None:
        self._reader = reader
        self._is_call = event is CallReported
        fields = event.__struct_fields__
        said = [name for name in _OPEN if name in fields and ("agent_id" in fields or name not in _REPORTED)]
        constant = ["type", "governing", *(name for name in _OPEN if name not in said)]
        if not self._is_call:
            constant += ["dedup", "request"]
        # The same getter for the fields of a leaf and for the columns of a row.
        self._said = attrgetter(*said) if said else None
        self._constant = attrgetter(*constant)
        nothing: dict[str, Any] = dict.fromkeys(Row._fields)
        self._constants = {self._constant(Row(**(nothing | {"type": event.type, "governing": False})))}

    def all_well(self, place: Place, rows: Sequence[Row]) -> bool:
        """Whether nothing is wrong with any of these entries. That their ids follow each other is not looked at."""
        read = self._reader.read([row.leaf for row in rows])
        if read is None:
            return False
        entries, pointers, digests = read
        data = [entry.data for entry in entries]
        return (
            {entry.source for entry in entries} == {place.origin}
            and "".join([entry.id for entry in entries]).replace("-", "")
            == b"".join([row.event_id for row in rows]).hex()
            and [_milliseconds(entry.recordedat) for entry in entries] == [row.recorded_at for row in rows]
            and (self._said is None or list(map(self._said, data)) == list(map(self._said, rows)))
            and set(map(self._constant, rows)) == self._constants
            and (not self._is_call or _digests_fit(place, rows, data))
            and _disclosures_fit(place, rows, pointers, digests)
        )


def _digests_fit(place: Place, rows: Sequence[Row], calls: Sequence[Any]) -> bool:
    pepper = place.pepper
    if pepper is not None:
        expected = [keyed_digest(pepper, call_identity(call)) for call in calls]
        if expected != [row.dedup for row in rows]:
            return False
    return {row.request is not None and len(row.request) for row in rows} == {DIGEST_BYTES}


def _disclosures_fit(
    place: Place, rows: Sequence[Row], pointers: Sequence[tuple[str, ...]], digests: Sequence[str]
) -> bool:
    stored = [sealed is not None and data_key is not None for sealed, data_key in map(_STORED, rows)]
    if stored != list(map(bool, pointers)):
        return False
    if not all(stored):
        if set(compress(map(_STORED, rows), [not here for here in stored])) != {(None, None)}:
            return False
        rows, pointers = list(compress(rows, stored)), list(compress(pointers, stored))
    return place.opener is None or not rows or place.opener.fit(rows, pointers, digests)


def _checks() -> dict[str, EntriesOfType]:
    """By type, for all of which entries can be looked at together. Governing ones are few and looked at singly."""
    readers = {
        name: (event, LeafReader.of(event)) for name, event in catalogue().items() if not issubclass(event, Governing)
    }
    return {name: EntriesOfType(event, reader) for name, (event, reader) in readers.items() if reader is not None}


CHECKS = _checks()
