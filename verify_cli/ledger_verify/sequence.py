# SPDX-License-Identifier: Apache-2.0
"""Entries of one log in leaf order: what each must be, and what it must be beside those before it (spec/entry.md, E1–E6).

A log that is not ours has other entries, which are bytes and nothing more. `claims_to_be_ours` tells the two apart by what
the bytes say of themselves, so whoever relies on the rules asks for them and leaves nothing to be found out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ledger_verify import catalogue
from ledger_verify.entry import MAX_ENTRY_BYTES, Entry, check_position, parse_entry
from ledger_verify.errors import VerificationError

LEDGER = "ledger"
ANY = "any"
DETECT = "detect"
MAX_GOVERNING = 1000


def claims_to_be_ours(raw: bytes, origin: str) -> bool:
    """Whether the bytes are JSON that names `origin` as its source and the envelope of our entries."""
    if not raw.startswith(b"{") or len(raw) > MAX_ENTRY_BYTES:
        return False
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("specversion") == "1.0" and value.get("source") == origin


class EntrySequence:
    """Checks entries one after the other.

    `governing` holds the indexes that the next governing entry's `as_of` may have: one, but for entries of unknown types,
    whose class is not known. It does not grow with the log: of very many unknown entries in a row the later ones count as
    possibly governing without being remembered. Where a sequence starts amid a log and nothing is said of the governing
    entries before, any index there will do, until a known governing entry is met. The keys of logs are remembered, one for
    each log that is announced.
    """

    def __init__(self, origin: str, start: int = 0, last_id: str = "", governing: Iterable[int] = ()) -> None:
        self._origin = origin
        self._start = start
        self.last_id = last_id
        self.governing = list(governing)
        self._known_before = bool(self.governing)
        self._keys: dict[str, object] = {}  # by origin the newest key that was announced
        self.unknown_types = 0

    def check(self, text: str, index: int) -> Entry:
        """The entry in `text`, which stands at `index`."""
        entry = parse_entry(text)
        if entry.source != self._origin:
            raise VerificationError("the entry is from another log", got=entry.source, want=self._origin)
        if entry.id <= self.last_id:
            raise VerificationError("ids do not increase (E1)", got=entry.id, want=f"more than {self.last_id}")
        self.last_id = entry.id
        check_position(entry, index)
        self._check_as_of(entry, index)
        if entry.known is not None and "vkey" in entry.data:
            self._check_key(entry)
        return entry

    def _check_key(self, entry: Entry) -> None:
        """R3, R5: a log is announced once, and each of its keys follows the one before, as far as that was seen."""
        origin = str(entry.data["origin"])
        known = self._keys.get(origin)
        if entry.type == catalogue.CREATED and known is not None:
            raise VerificationError("a log is announced twice (R3)", got=origin)
        if entry.type == catalogue.ROTATED and known not in (None, entry.data["previous_vkey"]):
            raise VerificationError(
                "the key that is replaced is not the one in force (R5)",
                got=entry.data["previous_vkey"],
                want=known,
                hint="Somebody announced a key by means of one that had been replaced",
            )
        self._keys[origin] = entry.data["vkey"]

    def _check_as_of(self, entry: Entry, index: int) -> None:
        """E4, E6: `as_of` is the last governing entry before this one, as far as it was seen."""
        if entry.known is None:
            self.unknown_types += 1
            if len(self.governing) < MAX_GOVERNING:
                self.governing.append(index)
            return
        as_of = entry.data.get("as_of")
        if isinstance(as_of, int) and not self._may_be_governing(as_of):
            governing = entry.known.governing
            raise VerificationError(
                f"as_of is not the last governing entry ({'E4' if governing else 'E6'})",
                got=as_of,
                want=self.governing[-1] if self.governing else None,
                hint="A governing entry is missing, or the decision was made on a state that was no longer in force",
            )
        if entry.known.governing:
            self.governing = [index]
            self._known_before = True

    def _may_be_governing(self, index: int) -> bool:
        return (
            index in self.governing
            or (index < self._start and not self._known_before)
            or (len(self.governing) == MAX_GOVERNING and index > self.governing[-1])
        )
