# SPDX-License-Identifier: Apache-2.0
"""The entries of an export with what is disclosed of them (spec/export.md, steps 3, 4, 5 and 9), in one pass.

The range [from, to) of leaves is hashed into a compact range that starts with the subtrees of `left` and ends with those of
`right`. Which subtrees those are follows from the three numbers alone, so the operator can neither drop nor add a line: the
root hash would be another one.

Entries, disclosures and the states of fields are met line by line, so the memory needed does not grow with the export, but
for 16 bytes of each commitment (S5: none may occur twice). Most entries look like one before, and need not be parsed
(entry_shapes.py).
"""

from __future__ import annotations

from binascii import hexlify
from functools import cache
from typing import Callable

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, parse_jcs
from ledger_verify.commitment_set import CommitmentSet
from ledger_verify.disclosure import Disclosure, check_disclosures
from ledger_verify.entry import MAX_ENTRY_BYTES, Entry
from ledger_verify.entry_shapes import Shapes
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.export_files import DISCLOSURES, ENTRIES, GOVERNING, DigestedFile
from ledger_verify.field_lines import FieldLines
from ledger_verify.governing import Chain
from ledger_verify.manifest import STATES, Manifest
from ledger_verify.merkle import CompactRange, cover, leaf_hash
from ledger_verify.sequence import EntrySequence

MAX_DISCLOSURE_LINE_BYTES = 16_000_000

Visit = Callable[[int, Entry, "dict[str, Disclosure]"], None]
"""Is shown each entry of the range in leaf order, with its index and its disclosures by pointer. What it gathers must not
be used before `verify_export` has returned: that nothing is missing is known at the end.
"""


class ExportEntries:
    """Reads the three streams; `types` and `states` count what was found."""

    def __init__(self, manifest: Manifest, chain: Chain, visit: Visit | None) -> None:
        self.types: dict[str, int] = {}
        self.states = dict.fromkeys(STATES, 0)
        known = (chain.last_before,) if manifest.start else ()
        self.sequence = EntrySequence(manifest.checkpoint.origin, manifest.start, governing=known)
        self._manifest = manifest
        self._tree = CompactRange()
        self._chain = chain
        self._visit = visit
        self._commitments = CommitmentSet()
        self._shapes = Shapes()
        # What no erasure and no disclosure concerns is withheld, field by field.
        self._withheld = cache(lambda pointers: dict.fromkeys(pointers, "withheld"))

    def read(self, entries: DigestedFile, disclosures: DigestedFile, fields: DigestedFile) -> None:
        start, end = self._manifest.start, self._manifest.end
        with step("step 4"):
            self._append_subtrees("left", self._manifest.left, 0, start)
        disclosed = _DisclosureLines(disclosures, start, end)
        states = FieldLines(fields)
        index = start
        for lines in entries.batches(MAX_ENTRY_BYTES):
            self._read_batch(lines[: end - index], index, disclosed, states)
            index += len(lines)
            if index > end:
                with step("step 3"):
                    raise VerificationError(f"{ENTRIES} has too many lines", want=end - start)
        if index != end:
            with step("step 3"):
                raise VerificationError(f"{ENTRIES} has too few lines", got=index - start, want=end - start)
        assert disclosed.finished, "each line's index lies in the range and was met by its entry"
        with step("step 4"):
            checkpoint = self._manifest.checkpoint
            self._append_subtrees("right", self._manifest.right, end, checkpoint.tree_size)
            if self._tree.root() != checkpoint.root_hash:
                raise VerificationError(
                    "the entries fold to another root hash",
                    got=self._tree.root(),
                    want=checkpoint.root_hash,
                    hint="An entry was changed, left out or added",
                )
        with step("step 5"):
            repeated = self._commitments.repeated()
            if repeated is not None:
                raise VerificationError(
                    "a commitment occurs twice (S5)", got=f"one that begins with {hexlify(repeated).decode()}"
                )
        states.end()
        with step("step 9"):
            if self.states != self._manifest.fields:
                raise VerificationError("fields counts something else", got=self._manifest.fields, want=self.states)

    def _read_batch(self, lines: list[bytes], first: int, disclosed: _DisclosureLines, states: FieldLines) -> None:
        digests: list[bytes] = []
        withheld = 0
        sequence, match = self.sequence, self._shapes.match
        # Whoever wants to see the entries wants them parsed; and of what was erased each field is asked for.
        quick = self._visit is None and not self._chain.erasures
        for index, line in enumerate(lines, first):
            if quick and index != disclosed.next_index:
                known = match(line)
                if known is not None:
                    shape, found = known
                    entry_id = found[shape.id].decode("ascii")
                    if entry_id > sequence.last_id:
                        sequence.last_id = entry_id
                        self.types[shape.name] += 1
                        if shape.digests:
                            digests += found.group(0, *shape.digests)[1:]
                        withheld += len(shape.digests)
                        states.check(index, self._withheld(shape.pointers))
                        continue
            digests += self._read_entry(line, index, disclosed, states)
        self.states["withheld"] += withheld
        self._tree.extend([leaf_hash(line) for line in lines])
        self._commitments.add(digests)

    def _read_entry(self, line: bytes, index: int, disclosed: _DisclosureLines, states: FieldLines) -> list[bytes]:
        """Check one entry in full; returns the digests of its commitments."""
        with step("step 3"), step(f"entry {index}"):
            entry = self.sequence.check(decode_utf8(line, "the entry"), index)
            if entry.known is not None and entry.known.governing and index not in self._chain.in_range:
                raise VerificationError(f"a governing entry is missing from {GOVERNING} (step 7)", got=entry.type)
        shown = disclosed.check(index, entry)
        states.check(index, self._states(index, entry, shown))
        if self._visit is not None:
            self._visit(index, entry, shown)
        name = f"{entry.type} v{entry.version}"
        self.types[name] = self.types.get(name, 0) + 1
        self._shapes.learn(entry)
        return [digest.encode("ascii") for digest in entry.commitments.values()]

    def _states(self, index: int, entry: Entry, shown: dict[str, Disclosure]) -> dict[str, str]:
        """The state of each sealed field by pointer. An erased value that is disclosed all the same is what it is (S7)."""
        states = {}
        for pointer in entry.commitments:
            if pointer in shown:
                state = "disclosed"
            else:
                state = "erased" if self._chain.erasures and self._chain.erased(index, pointer) else "withheld"
            states[pointer] = state
            self.states[state] += 1
        return states

    def _append_subtrees(self, what: str, hashes: list[bytes], start: int, end: int) -> None:
        levels = cover(start, end)
        if len(hashes) != len(levels):
            raise VerificationError(f"{what} has the wrong number of hashes", got=len(hashes), want=len(levels))
        for level, subtree_hash in zip(levels, hashes):
            self._tree.append(subtree_hash, level)


class _DisclosureLines:
    """The lines of disclosures.jsonl, met one by one by the entries that they belong to."""

    def __init__(self, file: DigestedFile, start: int, end: int) -> None:
        self._lines = file.lines(MAX_DISCLOSURE_LINE_BYTES)
        self._start, self._end = start, end
        self._index = start - 1
        self._disclosures: object = None
        self._advance()

    def check(self, index: int, entry: Entry) -> dict[str, Disclosure]:
        """Check the line of this entry, if it has one; returns the disclosures by pointer."""
        if self._disclosures is None or self._index != index:
            return {}
        with step("step 5"), step(f"entry {index}"):
            shown = {found.pointer: found for found in check_disclosures(self._disclosures, entry)}
            if not shown:
                raise MalformedError(f"{DISCLOSURES} has a line without disclosures")
        self._advance()
        return shown

    @property
    def next_index(self) -> int:
        """The entry that the next line belongs to; -1 behind the last line."""
        return -1 if self._disclosures is None else self._index

    @property
    def finished(self) -> bool:
        return self._disclosures is None

    def _advance(self) -> None:
        line = next(self._lines, None)
        if line is None:
            self._disclosures = None
            return
        with step("step 5"):
            what = f"a line of {DISCLOSURES}"
            members = shapes.members(parse_jcs(decode_utf8(line, what), what), ("disclosures", "index"), what)
            index = shapes.integer(members["index"], "index")
            if not self._start <= index < self._end:
                raise VerificationError("an index lies outside the range", got=index)
            if index <= self._index:
                raise VerificationError("indexes do not increase", got=index, want=f"more than {self._index}")
            self._index, self._disclosures = index, shapes.array(members["disclosures"], "disclosures")
