# SPDX-License-Identifier: Apache-2.0
"""What came before an entry: how many entries match `earlier` with the same variables (spec/claims.md, "always").

The number is known from below and from above: those that certainly match, and with them those that may. Of each combination
of variables no more is remembered than it takes to reach `at_least`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger_verify.canonical import write_jcs
from ledger_verify.claims import Claim
from ledger_verify.entry import Entry
from ledger_verify.entry_values import At, pointer_of, value_at
from ledger_verify.stretches import Key, before_range
from ledger_verify.three_valued import Answer, Doubt


class Earlier:
    """The earlier entries of one claim."""

    def __init__(self, claim: Claim) -> None:
        assert claim.earlier is not None and claim.at_least is not None
        self._own, self._pattern, self._distinct = claim.pattern, claim.earlier, claim.distinct
        self._wanted = claim.at_least
        self._names = tuple(sorted(self._pattern.variables))
        self._tallies: dict[Key, _Tally] = {}
        self._for_whom = 0  # entries of which nobody knows for which combination they count
        self._doubt: Doubt | None = None
        self._hidden: Doubt | None = None

    def begin(self, start: int, before: Iterable[tuple[int, Entry]], whole: bool) -> None:
        """Count what stands before the range, or remember that it could not be counted."""
        if start and whole and self._pattern.governing_only:
            for index, entry in before:
                self.see(At(index, entry, {}))
        elif start:
            self._hidden = before_range(start)

    def see(self, at: At) -> None:
        """Count an entry for those after it."""
        answer = self._pattern.match(at)
        if answer is False:
            return
        value: object = str(at.leaf_index) if self._distinct is None else value_at(at, self._distinct)
        if not isinstance(value, (str, bool, int, Doubt)):
            return  # without a value it is not distinct from any
        key = self._pattern.key(at, self._names)
        if isinstance(key, Doubt):
            self._for_whom += 1
            self._doubt = self._doubt or key
            return
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally()
        tally.add(answer, value, self._wanted)

    def found(self, at: At) -> Answer:
        """Whether enough of them came before an entry of the claim."""
        key = self._own.key(at, self._names)
        if isinstance(key, Doubt):
            return key
        tally = self._tallies.get(key, _NONE)
        if tally.at_least >= self._wanted:
            return True
        if tally.at_most + self._for_whom >= self._wanted:
            doubt = tally.doubt or self._doubt
            assert doubt is not None, "the two numbers differ by what is in doubt"
            return doubt
        return self._hidden or False

    def why_not(self, at: At) -> tuple[str, str]:
        """What came before an entry of which `found` is false, and what should have."""
        key = self._own.key(at, self._names)
        assert not isinstance(key, Doubt)
        distinct = "" if self._distinct is None else f" with distinct {pointer_of(self._distinct)}"
        found = self._tallies.get(key, _NONE).at_most + self._for_whom
        return f"{found} such entries before it", f"at least {self._wanted}{distinct}"


class _Tally:
    """How many distinct values there are for one combination of variables."""

    def __init__(self) -> None:
        self.doubt: Doubt | None = None
        self._certain: set[str] = set()
        self._possible: set[str] = set()
        self._unread = 0  # entries whose value cannot be read, and may be none that counts

    def add(self, answer: Answer, value: object, wanted: int) -> None:
        if isinstance(answer, Doubt) or isinstance(value, Doubt):
            self.doubt = self.doubt or (answer if isinstance(answer, Doubt) else _as_doubt(value))
        if isinstance(value, Doubt):
            self._unread += 1
        elif answer is True and len(self._certain) < wanted:
            self._certain.add(write_jcs(value))
        elif answer is not True and self.at_most < wanted:
            self._possible.add(write_jcs(value))

    @property
    def at_least(self) -> int:
        return len(self._certain)

    @property
    def at_most(self) -> int:
        return len(self._certain | self._possible) + self._unread


_NONE = _Tally()


def _as_doubt(value: object) -> Doubt | None:
    return value if isinstance(value, Doubt) else None
