# SPDX-License-Identifier: Apache-2.0
"""What was erased beside the entries of a log, as its `disclosure.erased` entries say."""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from ledger.log.entry import read_envelope
from ledger.log.events import UnknownEventError, read_event
from ledger.log.events.logs import DisclosureErased
from ledger.log.store import Store

_NAMED = DisclosureErased.type.encode()


def recorded_erasures(store: Store, log_number: int) -> Iterator[tuple[int, DisclosureErased]]:
    """All erasures of a log, with their indexes, oldest first. What cannot be read is left to a check."""
    for index, leaf in store.governing(log_number, 0):
        if _NAMED not in leaf:
            continue
        try:
            event = read_event(read_envelope(leaf))
        except (UnknownEventError, msgspec.MsgspecError, ValueError):
            continue
        if isinstance(event, DisclosureErased):
            yield index, event


class _Every:
    """Has every pointer."""

    def __contains__(self, pointer: object) -> bool:
        return True


EVERY: Container[str] = _Every()


class _Erasure(NamedTuple):
    """Entries [start, stop) of each pair, and which fields of them; None for all."""

    starts: list[int]
    stops: list[int]
    pointers: frozenset[str] | None


class Erased(NamedTuple):
    """Which fields of which entries some erasures name."""

    erasures: tuple[_Erasure, ...] = ()

    @classmethod
    def by(cls, events: Iterable[DisclosureErased]) -> "Erased":
        return cls(
            tuple(
                _Erasure(
                    [start for start, _ in event.ranges],
                    [stop for _, stop in event.ranges],
                    None if event.pointers is UNSET else frozenset(event.pointers),
                )
                for event in events
            )
        )

    def within(self, start: int, stop: int) -> "Erased":
        """Only what concerns entries [start, stop)."""
        parts = []
        for starts, stops, pointers in self.erasures:
            first, last = bisect_right(stops, start), bisect_left(starts, stop)
            if first < last:
                parts.append(_Erasure(starts[first:last], stops[first:last], pointers))
        return Erased(tuple(parts))

    def fields(self, index: int) -> Container[str]:
        """The pointers that are named of an entry; EVERY for all there are."""
        named: set[str] = set()
        for starts, stops, pointers in self.erasures:
            place = bisect_right(starts, index) - 1
            if place >= 0 and index < stops[place]:
                if pointers is None:
                    return EVERY
                named |= pointers
        return named


NOTHING_ERASED = Erased()
