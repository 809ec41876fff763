# SPDX-License-Identifier: Apache-2.0
"""The governing chain of an export: every governing entry of the log, each with its own proof (spec/export.md, step 7).

Each governing entry names the one before it, and the first is the genesis. So with the last of them the whole chain is
fixed: none can be left out without breaking it, wherever the exported range begins and ends. What it says of erasures is
kept; of the others only those in the range are, to be held against its entries. Whoever asks is given those before the range,
or is shown all of them on the way.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Callable, NamedTuple

from ledger_verify import catalogue, shapes
from ledger_verify.entry import Entry
from ledger_verify.errors import VerificationError, step
from ledger_verify.export_files import GOVERNING, DigestedFile
from ledger_verify.manifest import Manifest
from ledger_verify.proven_entry import MAX_LINE_BYTES, read_proven_entry

Watch = Callable[[int, Entry], None]
"""Is shown each governing entry in leaf order, wherever it stands. What it gathers must not be used before all steps hold."""


class Erasure(NamedTuple):
    """A `disclosure.erased` entry: which fields of which entries; `pointers` None for all."""

    entry_index: int
    starts: list[int]
    ends: list[int]
    pointers: frozenset[str] | None

    def names(self, index: int, pointer: str) -> bool:
        """Whether the field of that entry was erased."""
        place = bisect_right(self.starts, index) - 1
        return place >= 0 and index < self.ends[place] and (self.pointers is None or pointer in self.pointers)


class Chain(NamedTuple):
    """The chain as far as the checkpoint goes. `in_range` has the indexes of those in the exported range.

    `last_before` is the index of the last one before the range, or -1. `before_is_whole` says that none can be missing
    there: each names the one before it, up to one that stands in the range or after it.
    """

    entries: int
    last: int
    in_range: set[int]
    erasures: list[Erasure]
    before: list[tuple[int, Entry]]
    last_before: int
    before_is_whole: bool

    def erased(self, index: int, pointer: str) -> bool:
        return any(erasure.names(index, pointer) for erasure in self.erasures)


def read_chain(file: DigestedFile, manifest: Manifest, keep_before: bool = False, watch: Watch | None = None) -> Chain:
    """Step 7: every line of governing.jsonl. `keep_before` asks for the entries before the range."""
    count, last, last_before = 0, -1, -1
    in_range: set[int] = set()
    erasures: list[Erasure] = []
    before: list[tuple[int, Entry]] = []
    linked, before_is_whole = True, manifest.start == 0
    for line in file.lines(MAX_LINE_BYTES):
        with step("step 7"):
            index, entry = read_proven_entry(line, GOVERNING, manifest.checkpoint, last)
            with step(f"entry {index}"):
                _check_link(index, entry, last)
            linked = linked and entry.known is not None  # nobody looked at the as_of of the others
            if index < manifest.start:
                last_before = index
                before += [(index, entry)] * keep_before
            elif linked:
                before_is_whole = True
            if manifest.start <= index < manifest.end:
                in_range.add(index)
            if watch is not None:
                watch(index, entry)
            if entry.type == catalogue.ERASED and entry.known is not None:
                erasures.append(_erasure(index, entry))
        count, last = count + 1, index
    if not count:
        with step("step 7"):
            raise VerificationError(f"{GOVERNING} is empty", want="the genesis at least")
    # What concerns none of the exported entries need not be asked for each of them.
    concerned = [
        erasure for erasure in erasures if erasure.starts[0] < manifest.end and erasure.ends[-1] > manifest.start
    ]
    return Chain(count, last, in_range, concerned, before, last_before, before_is_whole)


def _check_link(index: int, entry: Entry, last: int) -> None:
    if last < 0 and index != 0:
        raise VerificationError("the chain does not begin with the genesis (E2)", got=f"{entry.type} at {index}")
    # Of a type that is not known it cannot be told whether it governs; the next one says so.
    if entry.known is not None:
        if not entry.known.governing:
            raise VerificationError("the entry is no governing one", got=entry.type)
        if index and entry.data.get("as_of") != last:
            raise VerificationError(
                "as_of is not the governing entry before (E4)",
                got=entry.data.get("as_of"),
                want=last,
                hint=f"A governing entry is missing from {GOVERNING}, or is too many",
            )


def _erasure(index: int, entry: Entry) -> Erasure:
    ranges = [
        [shapes.integer(bound, "ranges") for bound in shapes.array(pair, "ranges")]
        for pair in shapes.array(entry.data["ranges"], "ranges")
    ]
    pointers = entry.data.get("pointers")
    return Erasure(
        index,
        [start for start, _ in ranges],
        [end for _, end in ranges],
        None
        if pointers is None
        else frozenset(shapes.string(p, "pointers") for p in shapes.array(pointers, "pointers")),
    )
