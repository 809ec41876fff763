# SPDX-License-Identifier: Apache-2.0
"""Exports: a complete range of a log, with a proof that nothing between was left out (spec/export.md).

The range [from, to) of leaves is hashed line by line into a compact range that starts with the subtrees of `left` and ends
with those of `right`. Which subtrees those are follows from the three numbers alone, so the operator can neither drop nor
add a line: the root hash would be another one.

The keys' history and the governing chain come first: what was erased is said by entries that come later. Then entries,
disclosures and the states of fields are met line by line in one pass, so the memory needed does not grow with the export,
but for 16 bytes of each commitment and their place in a set (S5: none may occur twice).
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
from ledger_verify.export_files import DISCLOSURES, ENTRIES, FIELDS, GOVERNING, KEYS, DigestedFile, ExportFiles
from ledger_verify.field_lines import FieldLines
from ledger_verify.governing import Chain, read_chain
from ledger_verify.heads import RootMember
from ledger_verify.key_history import LogKey, read_key_history
from ledger_verify.manifest import STATES, Manifest, read_manifest
from ledger_verify.merkle import CompactRange, cover
from ledger_verify.receipt import verify_daily_root, verify_log_signature, verify_root
from ledger_verify.sequence import EntrySequence
from ledger_verify.trust import Signed, TrustedKeys

MAX_DISCLOSURE_LINE_BYTES = 16_000_000

Visit = Callable[[int, Entry, "dict[str, Disclosure]"], None]
"""Is shown each entry of the range in leaf order, with its index and its disclosures by pointer. What it gathers must not
be used before `verify_export` has returned: that nothing is missing is known at the end.
"""

Begin = Callable[[int, Chain], None]
"""Is told, before the first entry is shown, where the range starts, and the chain with the governing entries before."""


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
    disclose: list[str]
    governing: Chain
    keys: list[LogKey]
    root: RootMember
    day: Day | None
    signed: Signed


def verify_export(path: str, keys: TrustedKeys, visit: Visit | None = None, begin: Begin | None = None) -> Export:
    """Verify an export, a folder or an archive. Raises CannotTellError if it cannot be read."""
    files = ExportFiles.of(path)
    manifest = read_manifest(files.manifest())
    # Step 6 before the streams: a wrong key is found at once, and what is read then is from a log that is trusted.
    with step("step 6, as in a receipt"):
        log_signed = verify_log_signature(manifest.checkpoint, keys)
        root, root_signed = verify_root(manifest.root, manifest.checkpoint, keys)
        if root is None:
            raise MalformedError("root is null", want="the way up to the root log")
        day = verify_daily_root(manifest.daily_root, root, keys)

    def listed(name: str) -> DigestedFile:
        return files.digested(name, manifest.files)

    history = read_key_history(listed(KEYS), manifest, root)
    # Step 7 before the entries, since it says what was erased of them.
    chain = read_chain(listed(GOVERNING), manifest, keep_before=begin is not None)
    if begin is not None:
        begin(manifest.start, chain)
    for name in manifest.files:
        if name not in (ENTRIES, DISCLOSURES, GOVERNING, KEYS, FIELDS):
            for _ in listed(name).chunks():
                pass
    entries = _Entries(manifest, chain, visit)
    entries.read(listed(ENTRIES), listed(DISCLOSURES), listed(FIELDS))
    return Export(
        origin=manifest.checkpoint.origin,
        start=manifest.start,
        end=manifest.end,
        checkpoint=manifest.checkpoint,
        types=entries.types,
        unknown_types=entries.sequence.unknown_types,
        **entries.states,
        disclose=manifest.disclose,
        governing=chain,
        keys=history,
        root=root,
        day=day,
        signed=Signed(log_signed, root_signed),
    )


class _Entries:
    """Steps 3 to 5 and 9: the lines of the three streams, in one pass."""

    def __init__(self, manifest: Manifest, chain: Chain, visit: Visit | None) -> None:
        self.types: dict[str, int] = {}
        self.states = dict.fromkeys(STATES, 0)
        self.digests: set[bytes] = set()
        known = (chain.last_before,) if manifest.start else ()
        self.sequence = EntrySequence(manifest.checkpoint.origin, manifest.start, governing=known)
        self._manifest = manifest
        self._tree = CompactRange()
        self._chain = chain
        self._visit = visit

    def read(self, entries: DigestedFile, disclosures: DigestedFile, fields: DigestedFile) -> None:
        start, end = self._manifest.start, self._manifest.end
        with step("step 4"):
            self._append_subtrees("left", self._manifest.left, 0, start)
        disclosed = _DisclosureLines(disclosures, start, end)
        states = FieldLines(fields)
        index = start
        for line in entries.lines(MAX_ENTRY_BYTES):
            with step("step 3"):
                if index == end:
                    raise VerificationError(f"{ENTRIES} has too many lines", want=end - start)
                with step(f"entry {index}"):
                    entry = self._check_entry(decode_utf8(line, "the entry"), index)
            self._tree.append(entry.leaf_hash)
            shown = disclosed.check(index, entry)
            states.check(index, self._states(index, entry, shown))
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
        states.end()
        with step("step 9"):
            if self.states != self._manifest.fields:
                raise VerificationError("fields counts something else", got=self._manifest.fields, want=self.states)

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
