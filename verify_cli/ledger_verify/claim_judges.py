# SPDX-License-Identifier: Apache-2.0
"""Claims held against the entries of a range, in one pass (spec/claims.md, "Claims").

A judge is shown each entry once, in leaf order, and says at the end what came of it. It remembers no entries: two numbers,
the first entry that contradicts the claim and the first that may, and for `earlier` and `between` a little for each
combination of variables.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import claims
from ledger_verify.claims import Claim
from ledger_verify.disclosure import Disclosure
from ledger_verify.earlier import Earlier
from ledger_verify.entry import Entry
from ledger_verify.entry_values import At
from ledger_verify.governing import Chain
from ledger_verify.stretches import Stretches
from ledger_verify.three_valued import Answer, Doubt, either, opposite


class Finding(NamedTuple):
    """What came of a claim.

    If it is false, `leaf_index` is the first entry that contradicts it, None where none does by itself, and `got` and `want`
    say how. If it cannot be told, it is the first entry that may contradict it, or may count.
    """

    claim: Claim
    answer: Answer
    leaf_index: int | None
    event_id: str | None
    got: str
    want: str
    matched: int
    notes: list[str]


class Judges:
    """All claims of a file over one range: `begin` and `visit` are what `verify_export` takes."""

    def __init__(self, file: list[Claim]) -> None:
        self._judges = [_JUDGES[claim.kind](claim) for claim in file]

    def begin(self, start: int, chain: Chain) -> None:
        for judge in self._judges:
            judge.begin(start, chain)

    def visit(self, index: int, entry: Entry, shown: dict[str, Disclosure]) -> None:
        at = At(index, entry, shown)
        for judge in self._judges:
            if judge.types is None or entry.type in judge.types:  # any other matches none of its patterns
                judge.see(at)

    def findings(self, end: int) -> list[Finding]:
        return [judge.finding(end) for judge in self._judges]


class _Judge:
    """One claim. `matched` counts the entries that are certainly meant by it, `in_doubt` those that may be."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.types = claim.types
        self.matched = 0
        self.in_doubt = 0
        self._start = 0
        self._between = None if claim.after is None and claim.before is None else Stretches(claim)
        self._against: tuple[At, str, str] | None = None
        self._doubt: tuple[At, Doubt] | None = None

    def begin(self, start: int, chain: Chain) -> None:
        """Before the first entry: where the range starts, and the governing entries before it."""
        self._start = start
        if self._between is not None:
            self._between.begin(start, chain.before, chain.before_is_whole)

    def see(self, at: At) -> None:
        meant = self.claim.pattern.match(at)
        if self._between is not None:
            meant = self._between.see(at, meant)
        if meant is not False:
            self.matched += meant is True
            self.in_doubt += meant is not True
            holds = self.holds(at, meant)
            if holds is False and self._against is None:
                self._against = (at, *self.why_not(at))
            elif isinstance(holds, Doubt) and self._doubt is None:
                self._doubt = at, holds

    def holds(self, at: At, meant: Answer) -> Answer:
        """Whether the claim holds of an entry that is or may be meant."""
        return opposite(meant)

    def why_not(self, at: At) -> tuple[str, str]:
        """What such an entry has, and what it should have."""
        return self.claim.pattern.described(at), "no such entry"

    def finding(self, end: int) -> Finding:
        if self._against is not None:
            at, got, want = self._against
            return self.found(False, at, got, want, end)
        if self._doubt is not None:
            at, doubt = self._doubt
            return self.found(doubt, at, "", "", end)
        return self.found(True, None, "", "", end)

    def found(self, answer: Answer, at: At | None, got: str, want: str, end: int) -> Finding:
        index, event_id = (None, None) if at is None else (at.leaf_index, at.entry.id)
        return Finding(self.claim, answer, index, event_id, got, want, self.matched, self._notes(end))

    def _notes(self, end: int) -> list[str]:
        """What a claim that holds does not say by that."""
        claim, notes = self.claim, []
        if self._between is not None and not self._between.opened:
            notes.append("no entry matches after: nothing to check")
        elif claim.kind == claims.ALWAYS and not self.matched + self.in_doubt:
            notes.append("no entry matches always: nothing to check")
        if self._between is not None and not self._between.closed:
            notes.append("no entry matches before: looked at up to the end of the range")
        low = claim.after + 1 if isinstance(claim.after, int) else self._start
        high = claim.before if isinstance(claim.before, int) else end
        if max(low, self._start) >= min(high, end):
            notes.append(f"no entry of the range, {self._start} to {end - 1}, lies there: nothing to check")
        elif low < self._start or high > end:
            notes.append(f"of the entries {low} to {high - 1} only those of the range, {self._start} to {end - 1}")
        return notes


class _Always(_Judge):
    """Each entry that is meant has something itself, or has something before it."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim)
        self._earlier = None if claim.earlier is None else Earlier(claim)

    def begin(self, start: int, chain: Chain) -> None:
        super().begin(start, chain)
        if self._earlier is not None:
            self._earlier.begin(start, chain.before, chain.before_is_whole)

    def see(self, at: At) -> None:
        super().see(at)
        if self._earlier is not None:  # afterwards, since no entry is an earlier one of its own
            self._earlier.see(at)

    def holds(self, at: At, meant: Answer) -> Answer:
        if self._earlier is not None:
            return either(opposite(meant), self._earlier.found(at))
        assert self.claim.has is not None
        return either(opposite(meant), self.claim.has.match(at))

    def why_not(self, at: At) -> tuple[str, str]:
        described = self.claim.pattern.described(at)
        if self._earlier is not None:
            got, want = self._earlier.why_not(at)
        else:
            assert self.claim.has is not None
            got, want = self.claim.has.failing(at)
        return f"{described}: {got}", want


class _Count(_Judge):
    """The number of entries that are meant lies between two bounds."""

    def holds(self, at: At, meant: Answer) -> Answer:
        """One entry can only be one too many; that there are too few is known at the end."""
        most = self.claim.at_most
        return False if meant is True and most is not None and self.matched > most else meant

    def finding(self, end: int) -> Finding:
        least, most = self.claim.at_least or 0, self.claim.at_most
        highest = self.matched + self.in_doubt
        if self._against is not None:
            return self.found(False, self._against[0], f"{self.matched} entries", f"at most {most}", end)
        if highest < least:
            return self.found(False, None, f"{highest} entries", f"at least {least}", end)
        if self.matched >= least and (most is None or highest <= most):
            return self.found(True, None, "", "", end)
        assert self._doubt is not None, "between the two numbers lie the entries in doubt"
        return self.found(self._doubt[1], self._doubt[0], "", "", end)


_JUDGES = {claims.NEVER: _Judge, claims.ALWAYS: _Always, claims.COUNT: _Count}
