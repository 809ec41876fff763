# SPDX-License-Identifier: Apache-2.0
"""Finding an entry by its id without an index: ids increase with the leaf index, so a search can tell by a few rows.

Each of the first steps looks at the roundest index that is left, so that however the log grows they look at the same
few thousand entries, whose ids are remembered. Within what is left then, ids grow about evenly, since they begin with
the time: where an id should be is nearly where it is. Where one guess was far off, the next step halves.
"""

from collections.abc import Callable

from ledger.log.store import Row

KEPT_IDS = 8192
"""At least so many ids are remembered, and at most twice as many; some 150 bytes each."""

_Place = tuple[int, int]
"""A leaf index and the id there, as an integer."""


class IdSearch:
    """A search in logs whose rows `row_at(log_number, leaf_index)` reads."""

    def __init__(self, row_at: Callable[[int, int], Row]) -> None:
        self._row_at = row_at
        self._ids: dict[int, bytes] = {}

    def find(self, log_number: int, event_id: bytes, low: int, high: int) -> Row | None:
        """The row with this id among the entries [low, high) of a log."""
        below = above = None
        coarse = max(1, high.bit_length() - KEPT_IDS.bit_length())
        position = log_number << 40
        while low < high:
            # All of [low, high) above the lowest of its bits in which two of its members differ is one number.
            bits = ((high - 1) ^ low).bit_length()
            if bits <= coarse:
                break
            middle = (high - 1) >> (bits - 1) << (bits - 1)
            found = self._ids.get(position | middle)
            if found is None:
                found = self._remembered(log_number, middle)
            if found < event_id:
                low, below = middle + 1, (middle, found)
            elif found > event_id:
                high, above = middle, (middle, found)
            else:
                return self._row_at(log_number, middle)
        return self._find_near(log_number, event_id, low, high, below, above)

    def _remembered(self, log_number: int, index: int) -> bytes:
        if len(self._ids) >= 2 * KEPT_IDS:
            self._ids.clear()
        found = self._ids[log_number << 40 | index] = self._row_at(log_number, index).event_id
        return found

    def _find_near(
        self,
        log_number: int,
        event_id: bytes,
        low: int,
        high: int,
        below: tuple[int, bytes] | None,
        above: tuple[int, bytes] | None,
    ) -> Row | None:
        """The same, with an entry before and one behind where these are known, and their ids."""
        wanted = int.from_bytes(event_id)
        before = None if below is None else (below[0], int.from_bytes(below[1]))
        behind = None if above is None else (above[0], int.from_bytes(above[1]))
        left = 2 * (high - low)
        while low < high:
            middle = (low + high) // 2
            if before is not None and behind is not None and 2 * (high - low) <= left:
                middle = _guess(wanted, before, behind, low, high - 1)
            left = high - low
            row = self._row_at(log_number, middle)
            if row.event_id == event_id:
                return row
            place = middle, int.from_bytes(row.event_id)
            if place[1] < wanted:
                low, before = middle + 1, place
            else:
                high, behind = middle, place
        return None


def _guess(wanted: int, before: _Place, behind: _Place, low: int, last: int) -> int:
    """Where between two entries an id would be if they grew evenly, but within [low, last]."""
    (start, least), (stop, most) = before, behind
    return min(last, max(low, start + (wanted - least) * (stop - start) // (most - least)))
