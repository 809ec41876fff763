# SPDX-License-Identifier: Apache-2.0
"""The command `state`: who could act after an entry of an export (spec/state.md, "Asking an export").

The export is verified as ever, and its governing entries are folded on the way. That none is missing up to the entry that is
asked about is shown by the next governing one, which names the one before it, or by the entries between, if the export has
them all. Where neither does, or where nobody here knows what an entry means, the answer is that it cannot be told.
"""

from __future__ import annotations

from ledger_verify.disclosure import Disclosure
from ledger_verify.entry import Entry
from ledger_verify.errors import CannotTellError, VerificationError, shown, step
from ledger_verify.export import Export, verify_export
from ledger_verify.outcomes import export_outcome
from ledger_verify.report import Outcome
from ledger_verify.state_lines import state_lines
from ledger_verify.tenant_state import TenantState, folds
from ledger_verify.trust import TrustedKeys

# What the result repeats of the export.
_OF_EXPORT = ("origin", "tree_size", "root_hash", "signed_by", "cosigned_by", "root", "date", "notes")


def state_outcome(path: str, at: int, keys: TrustedKeys) -> Outcome:
    """The state after entry `at`. Raises VerificationError and CannotTellError."""
    folding = Folding(at)
    export = verify_export(path, keys, folding.visit, watch=folding.govern)
    folding.settle(export)
    evidence = export_outcome(path, export)
    checked = evidence.details["checked"]
    assert isinstance(checked, list)
    details = {
        "at": at,
        "last_governing": folding.last,
        "state": folding.state.as_object(),
        **{name: evidence.details[name] for name in _OF_EXPORT},
        "checked": [*checked, "state"],
    }
    sentence = f"who could act after entry {at} of {shown(export.origin, 255)}, last governed by entry {folding.last}"
    return evidence._replace(sentence=sentence, details=details, lines=tuple(state_lines(folding.state)))


class Folding:
    """Is shown the governing entries and then those of the range; `state` counts once `settle` has not raised."""

    def __init__(self, at: int) -> None:
        self.state = TenantState()
        self.last = -1
        self._at = at
        self._followed: bool | None = None  # whether the first governing entry behind is known to name the one before
        self._strange: tuple[int, Entry] | None = None  # the first that may govern in a way that is not known here
        self._broken: VerificationError | None = None

    def govern(self, index: int, entry: Entry) -> None:
        if index > self._at:
            if self._followed is None:
                self._followed = entry.known is not None
            return
        self.last = index
        if self._strange is not None or self._broken is not None:
            return
        if entry.known is None or not folds(entry.type, entry.version):
            self._strange = index, entry
            return
        try:
            with step(f"entry {index}"):
                self.state.apply(index, entry.type, entry.data)
        except VerificationError as error:
            self._broken = error

    def visit(self, index: int, entry: Entry, disclosures: dict[str, Disclosure]) -> None:
        """Among the entries behind the last of the chain one of an unknown type may govern, unless the chain goes on."""
        if self.last < index <= self._at and entry.known is None and not self._followed and self._strange is None:
            self._strange = index, entry

    def settle(self, export: Export) -> None:
        """Raise what keeps the state from being told, now that the export is verified."""
        if self._at >= export.checkpoint.tree_size:
            raise CannotTellError(
                f"there is no entry {self._at} in this tree of {export.checkpoint.tree_size} entries. Give an index below "
                "that, or take a later export"
            )
        if self._broken is not None:
            raise self._broken
        if self._strange is not None:
            index, entry = self._strange
            raise CannotTellError(
                f"it is not known what entry {index} means for who may act: it is of type {shown(entry.type)} "
                f"v{entry.version}. A newer verifier may know it"
            )
        seen = export.start <= self.last + 1 and self._at < export.end
        if not self._followed and self.last < self._at and not seen:
            raise CannotTellError(
                f"nothing shows that no governing entry stands between entry {self.last} and entry {self._at}: no later one "
                f"names the one before it, and the export does not have all of entries {self.last + 1} to {self._at}. "
                "Take one that has them"
            )
