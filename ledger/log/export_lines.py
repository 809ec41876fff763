# SPDX-License-Identifier: Apache-2.0
"""The files of an export that have a line for each entry, or for each run of them (spec/export.md, "Files")."""

from collections.abc import Callable, Container
from pathlib import Path
from typing import BinaryIO

from ledger.log import canonical
from ledger.log.disclosing import Disclosing
from ledger.log.entry import read_envelope
from ledger.log.erased import Erased, recorded_erasures
from ledger.log.events import read_event
from ledger.log.events.logs import LogCreated, SigningKeyRotated
from ledger.log.export_spool import FieldCounts
from ledger.log.ledger import Ledger
from ledger.log.receipts import base64_path, disclosures_of
from ledger.log.sealed import commitments_of, decrypt, read_disclosure
from ledger.log.store import Row
from ledger.log.working_copy import Committed, Log

CHUNK = 1000


def write_entries(
    ledger: Ledger,
    log: Log,
    exported: range,
    folder: Path,
    disclosing: Disclosing,
    size: int,
    progress: Callable[[int], None],
) -> FieldCounts:
    """entries.jsonl, disclosures.jsonl and fields.jsonl, as the tree of the first `size` leaves has it."""
    named = [event for index, event in recorded_erasures(ledger.store, log.number) if index < size]
    erased = Erased.by(named).within(exported.start, exported.stop)
    with (
        (folder / "entries.jsonl").open("wb") as entries,
        (folder / "disclosures.jsonl").open("wb") as disclosures,
        (folder / "fields.jsonl").open("wb") as fields,
    ):
        states = _States(fields)
        for first in range(exported.start, exported.stop, CHUNK):
            rows = ledger.store.rows(log.number, first, min(first + CHUNK, exported.stop))
            for row in rows:
                entries.write(row.leaf + b"\n")
                pointers = _sealed_pointers(row)
                shown = _shown(ledger, log, row, disclosing) if pointers and disclosing else {}
                if shown:
                    line = {"disclosures": list(shown.values()), "index": row.leaf_index}
                    disclosures.write(canonical.encode(line) + b"\n")
                states.add(row.leaf_index, pointers, shown, erased.fields(row.leaf_index))
            progress(len(rows))
        states.end()
    return states.counts


def write_governing(ledger: Ledger, log: Log, committed: Committed, size: int, path: Path) -> None:
    """The governing chain of the tree of the first `size` leaves."""
    with path.open("wb") as lines:
        for index, leaf in ledger.store.governing(log.number, 0):
            if index >= size:
                break
            lines.write(_proven(log, committed, index, leaf, size))


def write_keys(ledger: Ledger, log: Log, size: int, path: Path) -> str:
    """What the first `size` entries of the root log announce of this log's keys. Returns the newest one."""
    root = ledger.root
    committed = root.committed
    named, newest = log.origin.encode(), ""
    with path.open("wb") as lines:
        for index, leaf in ledger.store.governing(root.number, 0):
            if index >= size:
                break
            if named in leaf:
                event = read_event(read_envelope(leaf))
                if isinstance(event, LogCreated | SigningKeyRotated) and event.origin == log.origin:
                    lines.write(_proven(root, committed, index, leaf, size))
                    newest = event.vkey
    return newest


def _proven(log: Log, committed: Committed, index: int, leaf: bytes, size: int) -> bytes:
    path = base64_path(log.tree.inclusion_path(committed.edge, index, size))
    return canonical.encode({"entry": leaf.decode(), "index": index, "path": path}) + b"\n"


def _sealed_pointers(row: Row) -> tuple[str, ...]:
    if b'{"$sealed":"' not in row.leaf:
        return ()
    return tuple(pointer for pointer, _ in commitments_of(read_event(read_envelope(row.leaf))))


def _shown(ledger: Ledger, log: Log, row: Row, disclosing: Disclosing) -> dict[str, str]:
    """The disclosures of an entry that the rules show, by pointer and in its order."""
    if row.sealed is None or row.data_key is None:
        return {}
    key = ledger.keystore.find(row.data_key)
    # Without the key something of it was erased just now, and the rest is sealed anew.
    texts = (
        disclosures_of(ledger, log, row.leaf_index) if key is None else decrypt(row.sealed, key, log.origin.encode())
    )
    found = {read_disclosure(text).pointer: text for text in texts}
    return {pointer: text for pointer, text in found.items() if disclosing.shows(row.type, pointer)}


class _States:
    """Writes a line for each run of entries whose sealed fields are the same and in the same states."""

    def __init__(self, file: BinaryIO) -> None:
        self._counts = dict.fromkeys(FieldCounts.__struct_fields__, 0)
        self._file = file
        self._fields: dict[str, str] = {}
        self._start = self._stop = 0

    def add(self, index: int, pointers: tuple[str, ...], shown: Container[str], erased: Container[str]) -> None:
        fields = {}
        for pointer in pointers:
            state = "disclosed" if pointer in shown else "erased" if pointer in erased else "withheld"
            fields[pointer] = state
            self._counts[state] += 1
        if index != self._stop or fields != self._fields:
            self.end()
            self._fields, self._start = fields, index
        self._stop = index + 1

    @property
    def counts(self) -> FieldCounts:
        return FieldCounts(**self._counts)

    def end(self) -> None:
        if self._fields:
            line = {"fields": self._fields, "from": self._start, "to": self._stop}
            self._file.write(canonical.encode(line) + b"\n")
        self._fields = {}
