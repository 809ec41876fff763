# SPDX-License-Identifier: Apache-2.0
"""Exports: a complete range of a log, with a proof that nothing between was left out (spec/export.md).

The range [from, to) of leaves is hashed line by line into a compact range that starts with the subtrees of `left` and ends
with those of `right`. Which subtrees those are follows from the three numbers alone, so the operator can neither drop nor
add a line: the root hash would be another one.

The governing chain comes first (governing.py): what was erased is said by entries that come later. Then entries and
disclosures are met line by line in one pass, so the memory needed does not grow with the export, but for 16
bytes of each commitment and their place in a set (S5: none may occur twice).
"""

from __future__ import annotations

from typing import Callable, NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, parse_jcs
from ledger_verify.checkpoint import Checkpoint
from ledger_verify.day import Day
from ledger_verify.disclosure import Disclosure, check_disclosures
from ledger_verify.encodings import decode_base64url
from ledger_verify.entry import MAX_ENTRY_BYTES, Entry
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.export_files import (
    DISCLOSURES,
    ENTRIES,
    GOVERNING,
    LISTED_FILES,
    DigestedFile,
    Manifest,
    parse_manifest,
    read_folder,
)
from ledger_verify.governing import Chain, read_chain
from ledger_verify.heads import RootMember
from ledger_verify.merkle import CompactRange, cover
from ledger_verify.receipt import verify_daily_root, verify_log_signature, verify_root
from ledger_verify.sequence import EntrySequence
from ledger_verify.trust import Signed, TrustedKeys

MAX_DISCLOSURE_LINE_BYTES = 16_000_000

Visit = Callable[[int, Entry, "dict[str, Disclosure]"], None]
"""Is shown each entry of the range in leaf order, with its index and its disclosures by pointer. What it gathers must not
be used before `verify_export` has returned: that nothing is missing is known at the end.
"""


class Export(NamedTuple):
    """An export whose steps all hold; `signed` says under which trusted keys."""

    origin: str
    start: int
    end: int
    checkpoint: Checkpoint
    types: dict[str, int]
    unknown_types: int
    disclosed: int
    withheld: int
    erased: int
    governing: Chain
    root: RootMember | None
    day: Day | None
    signed: Signed


def verify_export(path: str, keys: TrustedKeys, visit: Visit | None = None) -> Export:
    """Verify an export folder. Raises CannotTellError if it cannot be read."""
    raw = read_folder(path)
    with step("step 2"):
        manifest = parse_manifest(raw)
    # Step 6 before the streams: a wrong key is found at once, and what is read then is from a log that is trusted.
    with step("step 6, as in a receipt"):
        log_signed = verify_log_signature(manifest.checkpoint, keys)
        root, root_signed = verify_root(manifest.root, manifest.checkpoint, keys)
        day = verify_daily_root(manifest.daily_root, root, keys)
    # Step 7 before the entries, since it says what was erased of them.
    chain = read_chain(DigestedFile(path, GOVERNING, manifest), manifest)
    for name in LISTED_FILES:
        if name not in (ENTRIES, DISCLOSURES, GOVERNING):
            for _ in DigestedFile(path, name, manifest).chunks():
                pass
    entries = _Entries(manifest, chain, visit)
    entries.read(DigestedFile(path, ENTRIES, manifest), DigestedFile(path, DISCLOSURES, manifest))
    return Export(
        origin=manifest.checkpoint.origin,
        start=manifest.start,
        end=manifest.end,
        checkpoint=manifest.checkpoint,
        types=entries.types,
        unknown_types=entries.sequence.unknown_types,
        disclosed=entries.disclosed,
        withheld=len(entries.digests) - entries.disclosed - entries.erased,
        erased=entries.erased,
        governing=chain,
        root=root,
        day=day,
        signed=Signed(log_signed, root_signed),
    )


class _Entries:
    """Steps 3 to 5: the lines of the two streams, in one pass."""

    def __init__(self, manifest: Manifest, chain: Chain, visit: Visit | None) -> None:
        self.types: dict[str, int] = {}
        self.disclosed = 0
        self.erased = 0
        self.digests: set[bytes] = set()
        self.sequence = EntrySequence(manifest.checkpoint.origin, manifest.start)
        self._manifest = manifest
        self._tree = CompactRange()
        self._chain = chain
        self._visit = visit

    def read(self, entries: DigestedFile, disclosures: DigestedFile) -> None:
        start, end = self._manifest.start, self._manifest.end
        with step("step 4"):
            self._append_subtrees("left", self._manifest.left, 0, start)
        disclosed = _DisclosureLines(disclosures, start, end)
        index = start
        for line in entries.lines(MAX_ENTRY_BYTES):
            with step("step 3"):
                if index == end:
                    raise VerificationError(f"{ENTRIES} has too many lines", want=end - start)
                with step(f"entry {index}"):
                    entry = self._check_entry(decode_utf8(line, "the entry"), index)
            self._tree.append(entry.leaf_hash)
            shown = disclosed.check(index, entry)
            self.disclosed += len(shown)
            if self._chain.erasures:
                # An erased value that is disclosed all the same is what it is (S7).
                self.erased += sum(self._chain.erased(index, p) for p in entry.commitments if p not in shown)
            if self._visit is not None:
                self._visit(index, entry, shown)
            index += 1
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

    def _append_subtrees(self, what: str, hashes: list[bytes], start: int, end: int) -> None:
        levels = cover(start, end)
        if len(hashes) != len(levels):
            raise VerificationError(f"{what} has the wrong number of hashes", got=len(hashes), want=len(levels))
        for level, subtree_hash in zip(levels, hashes):
            self._tree.append(subtree_hash, level)

    def _check_entry(self, text: str, index: int) -> Entry:
        entry = self.sequence.check(text, index)
        if entry.known is not None and entry.known.governing and index not in self._chain.in_range:
            raise VerificationError(f"a governing entry is missing from {GOVERNING} (step 7)", got=entry.type)
        for digest in entry.commitments.values():
            raw = decode_base64url(digest, "a commitment")[:16]
            if raw in self.digests:
                raise VerificationError("a commitment occurs twice (S5)", got=digest)
            self.digests.add(raw)
        name = f"{entry.type} v{entry.version}"
        self.types[name] = self.types.get(name, 0) + 1
        return entry


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
