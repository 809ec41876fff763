# SPDX-License-Identifier: Apache-2.0
"""Where a claim looks: between an entry that matches `after` and the next that matches `before` (spec/claims.md, "Between").

An entry at i is inside if some entry k < i matches `after` and no entry l with k < l <= i matches `before`. Read from left
to right that is one bit, open or shut, for each combination of variables:

    inside(i) = open(i) and not before(i)               open(i + 1) = after(i) or inside(i)

and since `and` and `or` distribute over each other in three values as they do in two, the bit may as well be a doubt.
Where a side is an index, or not given, comparing does it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger_verify.claims import Claim
from ledger_verify.entry import Entry
from ledger_verify.entry_values import At
from ledger_verify.patterns import Pattern
from ledger_verify.three_valued import Answer, Doubt, both, either, opposite

Key = tuple[str, ...]


def before_range(start: int) -> Doubt:
    """That something before the range may matter."""
    why = "what stands up to it may matter, and is not in the export"
    return Doubt(start - 1, None, why, "Ask for an export of the log from its first entry on, and run this again")


class Stretches:
    """The open and the shut of one claim. Remembers a bit for each combination of variables that `after` or `before` had."""

    def __init__(self, claim: Claim) -> None:
        self.opened = not isinstance(
            claim.after, Pattern
        )  # whether any entry matched, for who wonders what was checked
        self.closed = not isinstance(claim.before, Pattern)
        self._after, self._before = claim.after, claim.before
        self._names = tuple(sorted(claim.anchors[0].variables)) if claim.anchors else ()
        # The bit of each combination, and how many entries had by then opened or shut nobody knows which.
        self._bits: dict[Key, tuple[Answer, int]] = {}
        self._unseen: Answer = self.opened  # the bit of all others, at first
        self._for_whom = 0
        self._last_opening: tuple[int, Doubt] | None = None
        self._last_shutting: tuple[int, Doubt] | None = None
        self._first = claim.after + 1 if isinstance(claim.after, int) else 0
        self._own = claim.pattern

    def begin(self, start: int, before: Iterable[tuple[int, Entry]], whole: bool) -> None:
        """Take account of what stands before the range: the governing entries are known, if they are all there."""
        after, close = self._after, self._before
        hidden = before_range(start)
        self.opened = self.opened or start > 0
        if isinstance(after, Pattern):
            if start and not (whole and after.governing_only):
                self._unseen = hidden
            elif start:
                shut = isinstance(close, Pattern) and not close.governing_only
                for index, entry in before:
                    self._move(At(index, entry, {}), closing=not shut)
                if shut:
                    self._bits = {key: (both(bit, hidden), when) for key, (bit, when) in self._bits.items()}
        elif isinstance(close, Pattern) and start > self._first:
            if whole and close.governing_only:
                for index, entry in before:
                    self._move(At(index, entry, {}), closing=True)
            else:
                self._unseen = hidden

    def see(self, at: At, meant: Answer) -> Answer:
        """Whether an entry that the claim's pattern means is inside, by its own variables; and what it opens and closes."""
        inside = both(meant, self._inside(at)) if meant is not False else False
        self._move(at, closing=True)
        return inside

    def _inside(self, at: At) -> Answer:
        if isinstance(self._before, int) and at.leaf_index >= self._before:
            return False
        if at.leaf_index < self._first:
            return False
        key = self._own.key(at, self._names)
        if isinstance(key, Doubt):
            return key
        return both(self._bit(key), opposite(self._closes(at, key)))

    def _closes(self, at: At, key: Key) -> Answer:
        """Whether the entry matches `before` with that combination."""
        if not isinstance(self._before, Pattern):
            return False
        answer = self._before.match(at)
        if answer is False:
            return False
        own = self._before.key(at, self._names)
        return own if isinstance(own, Doubt) else own == key and answer

    def _move(self, at: At, closing: bool) -> None:
        if isinstance(self._before, Pattern) and closing and at.leaf_index >= self._first:
            answer = self._before.match(at)
            if answer is not False:
                self.closed = True
                self._turn(at, self._before, answer, opens=False)
        if isinstance(self._after, Pattern):
            answer = self._after.match(at)
            if answer is not False:
                self.opened = True
                self._turn(at, self._after, answer, opens=True)

    def _turn(self, at: At, anchor: Pattern, answer: Answer, opens: bool) -> None:
        key = anchor.key(at, self._names)
        if isinstance(key, Doubt):
            self._for_whom += 1
            if opens:
                self._last_opening = self._for_whom, key
            else:
                self._last_shutting = self._for_whom, key
            return
        bit = either(answer, self._bit(key)) if opens else both(opposite(answer), self._bit(key))
        self._bits[key] = bit, self._for_whom

    def _bit(self, key: Key) -> Answer:
        """Whether it is open for a combination. What since opened or shut for nobody knows whom may have been for this one."""
        bit, when = self._bits.get(key, (self._unseen, 0))
        if self._last_opening is not None and self._last_opening[0] > when:
            bit = either(bit, self._last_opening[1])
        if self._last_shutting is not None and self._last_shutting[0] > when:
            bit = both(bit, self._last_shutting[1])
        return bit
