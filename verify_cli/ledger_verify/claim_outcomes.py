# SPDX-License-Identifier: Apache-2.0
"""What is said of each claim: that it holds, which entry contradicts it first, or what could not be read.

A claim that holds is as good as the evidence that it holds over. One that does not hold is not verified even without a
trusted key: whoever made the export, it does not say what was claimed.
"""

from __future__ import annotations

from ledger_verify.claim_judges import Finding
from ledger_verify.errors import shown
from ledger_verify.export import Export
from ledger_verify.outcomes import export_outcome
from ledger_verify.report import Outcome, failure
from ledger_verify.three_valued import Doubt
from ledger_verify.trust import CANNOT_TELL, NOT_VERIFIED

# What a claim's result repeats of the export that it holds over.
_OF_EXPORT = ("from", "to", "origin", "tree_size", "root_hash", "signed_by", "root", "date")


def claim_outcomes(file: str, export: Export, findings: list[Finding]) -> list[Outcome]:
    """A result for each claim, in the order of the claims file."""
    evidence = export_outcome(file, export)
    return [_outcome(evidence, export, finding) for finding in findings]


def _outcome(evidence: Outcome, export: Export, finding: Finding) -> Outcome:
    name = shown(finding.claim.name, 200)
    if finding.answer is not True:
        verdict, reason = (CANNOT_TELL, _doubtful) if isinstance(finding.answer, Doubt) else (NOT_VERIFIED, _false)
        failed = failure(evidence.file, verdict, f'claim "{name}": {reason(finding, export)}')
        about = {"claim": finding.claim.name, "claim_index": finding.leaf_index}
        return failed._replace(details={**failed.details, **about})
    notes, details = evidence.details["notes"], {name: evidence.details[name] for name in _OF_EXPORT}
    assert isinstance(notes, list)
    checked = evidence.details["checked"]
    assert isinstance(checked, list)
    details = {
        "claim": finding.claim.name,
        "kind": finding.claim.kind,
        "matched": finding.matched,
        **details,
        "checked": [*checked, "as_of", "claim"],
        "notes": [*finding.notes, *notes],
    }
    sentence = f'claim "{name}" holds of entries {export.start} to {export.end - 1} of {shown(export.origin, 255)}'
    sentence += f", {finding.matched} matched" + "".join(f" ({note})" for note in finding.notes)
    return evidence._replace(sentence=sentence, details=details)


def _false(finding: Finding, export: Export) -> str:
    trusted = "" if export.signed.tier else ". No trusted key was given: the export may be anybody's"
    if finding.leaf_index is None:
        return (
            f"is false of entries {export.start} to {export.end - 1}: got {finding.got}, want {finding.want}. The claim is "
            f"wrong, or is about another range: ledger-verify explain says what the export holds{trusted}"
        )
    return (
        f"entry {finding.leaf_index} is the first that contradicts it: got {finding.got}, want {finding.want}. The claim is "
        f"wrong, or this should not have happened: fetch /api/v1/receipts/{finding.event_id} of the service, and run "
        f"ledger-verify explain on it{trusted}"
    )


def _doubtful(finding: Finding, export: Export) -> str:
    doubt = finding.answer
    assert isinstance(doubt, Doubt)
    if doubt.pointer is not None and export.governing.erased(doubt.leaf_index, doubt.pointer):
        doubt = doubt._replace(why="its value was erased", then="It will not be known again, unless somebody kept it")
    of = "" if finding.leaf_index == doubt.leaf_index else f" of entry {finding.leaf_index},"
    return f"cannot tell{of} because of {doubt}. {doubt.then}"
