# SPDX-License-Identifier: Apache-2.0
"""What was found, as a line for people and as an object for programs.

An `Outcome` holds the verdict on one file. Details of a file are shown only when its steps all hold: what is not verified
is not quoted as if it were known. The JSON form is `ledger-verify/v1`:

    {"format":"ledger-verify/v1","verdict":V,"tier":T,"results":[{"file":F,"verdict":V,"tier":T, …}, …]}

with V one of verified, not-verified, cannot-tell, self-consistent; T tamper-evident, tamper-detecting or null. The outer
verdict is the one that the exit code states, the outer tier the weakest of the files' if all are verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger_verify.checkpoint import Checkpoint
from ledger_verify.day import Day
from ledger_verify.disclosure import field_states
from ledger_verify.encodings import encode_base64
from ledger_verify.errors import shown
from ledger_verify.heads import RootMember
from ledger_verify.receipt import Receipt
from ledger_verify.trust import (
    CANNOT_TELL,
    EXIT_CODES,
    NOT_VERIFIED,
    PRECEDENCE,
    SELF_CONSISTENT,
    TAMPER_DETECTING,
    TAMPER_EVIDENT,
    VERIFIED,
    Signed,
    worst,
)

if TYPE_CHECKING:
    from ledger_verify.export import Export

FORMAT = "ledger-verify/v1"
_LABELS = {VERIFIED: "OK  ", NOT_VERIFIED: "FAIL ", CANNOT_TELL: "???? ", SELF_CONSISTENT: "SELF "}
_WORDS = {
    VERIFIED: "verified",
    NOT_VERIFIED: "not verified",
    CANNOT_TELL: "could not tell",
    SELF_CONSISTENT: "self-consistent only",
}
_FILE_NAME_CHARACTERS = 1000
_REASON_CHARACTERS = 2000


class Outcome(NamedTuple):
    """The verdict on one file: a sentence about it, and what a program may want to know."""

    file: str
    verdict: str
    tier: str | None
    sentence: str
    details: dict[str, object]


def receipt_outcome(file: str, receipt: Receipt) -> Outcome:
    entry = receipt.entry
    fields = field_states(entry, receipt.disclosures)
    checked = ["entry", "inclusion"] + ["disclosures"] * bool(receipt.disclosures)
    root, day, unvouched = _vouched(receipt.root, receipt.day, receipt.signed)
    checked += ["root"] * (root is not None) + ["daily_root"] * (day is not None)
    details: dict[str, object] = {
        "leaf_index": receipt.leaf_index,
        **_head(receipt.checkpoint),
        "type": entry.type,
        "type_version": entry.version,
        "id": entry.id,
        "recordedat": entry.recordedat,
        "fields": fields,
        "checked": checked,
        "signed_by": _signers(receipt.signed),
        "root": None if root is None else _head(root.checkpoint),
        "date": None if day is None else day.date,
        "notes": _unknown_type(1 if entry.known is None else 0) + unvouched,
    }
    sentence = f"{shown(entry.type)} #{receipt.leaf_index} of {shown(entry.source, 255)}"
    if day is not None:
        sentence += f", closed by day {day.date}"
    if fields:
        sentence += f", {_fields(len(receipt.disclosures), len(fields) - len(receipt.disclosures))}"
    if entry.known is None:
        sentence += " (unknown event type: fields not checked)"
    return _outcome(file, receipt.signed.tier, sentence, details)


def day_outcome(file: str, day: Day) -> Outcome:
    previous = None if day.previous_checkpoint is None else _head(day.previous_checkpoint)
    details: dict[str, object] = {
        "date": day.date,
        "leaf_index": day.entry_index,
        **_head(day.checkpoint),
        "heads_count": day.heads_entry.data["count"],
        "heads_root": day.heads_entry.data["root"],
        "previous": previous,
        "checked": ["entries", "inclusion"] + ["consistency"] * (previous is not None),
        "signed_by": _signers(day.signed),
        "notes": [],
    }
    sentence = f"day {day.date} #{day.entry_index} of {shown(day.checkpoint.origin, 255)}"
    return _outcome(file, day.signed.tier, sentence, details)


def export_outcome(file: str, export: Export) -> Outcome:
    root, day, unvouched = _vouched(export.root, export.day, export.signed)
    details: dict[str, object] = {
        "from": export.start,
        "to": export.end,
        **_head(export.checkpoint),
        "types": dict(sorted(export.types.items())),
        "fields": {"disclosed": export.disclosed, "withheld": export.withheld},
        "checked": ["files", "entries", "completeness", "disclosures"]
        + ["root"] * (root is not None)
        + ["daily_root"] * (day is not None),
        "signed_by": _signers(export.signed),
        "root": None if root is None else _head(root.checkpoint),
        "date": None if day is None else day.date,
        "notes": _unknown_type(export.unknown_types) + unvouched,
    }
    sentence = (
        f"entries {export.start} to {export.end - 1} of {shown(export.origin, 255)}, complete, "
        f"{_fields(export.disclosed, export.withheld)}"
    )
    if export.unknown_types:
        sentence += f" (unknown event type: fields of {export.unknown_types} not checked)"
    return _outcome(file, export.signed.tier, sentence, details)


def _vouched(
    root: RootMember | None, day: Day | None, signed: Signed
) -> tuple[RootMember | None, Day | None, list[str]]:
    """The way up to the root log, where a trusted key of the root log vouches for it.

    Otherwise nothing of it is reported: whoever made the file may have made root log and day as well.
    """
    if signed.by_root or root is None:
        return root, day, []
    return None, None, ["root and daily_root agree with themselves, but no trusted key of a root log signed them"]


Heads = dict[tuple[object, object], tuple[object, str]]


def against_earlier(outcome: Outcome, heads: Heads) -> Outcome:
    """The outcome, turned into a failure where an earlier file showed another tree of the same log and size.

    A log that signs two trees of one size has forked; that both signatures are good is what makes it evidence.
    """
    shown_heads = [outcome.details, outcome.details.get("root")]
    for head in shown_heads if outcome.verdict == VERIFIED else []:
        if not isinstance(head, dict) or "root_hash" not in head:
            continue
        identity = head["origin"], head["tree_size"]
        root, file = heads.setdefault(identity, (head["root_hash"], outcome.file))
        if root != head["root_hash"]:
            return failure(
                outcome.file,
                NOT_VERIFIED,
                f"another tree of {shown(str(head['origin']), 255)} with {head['tree_size']} entries is in "
                f"{shown(file, _FILE_NAME_CHARACTERS)}: the log has forked. Keep both files, they are the evidence",
            )
    return outcome


def failure(file: str, verdict: str, reason: str) -> Outcome:
    """A file that is not verified, or of which nothing could be told."""
    reason = shown(reason, _REASON_CHARACTERS)
    return Outcome(file, verdict, None, reason, {"reason": reason})


def line(outcome: Outcome) -> str:
    """One line for people."""
    middle = f"{outcome.tier}  " if outcome.tier else ""
    if outcome.verdict == SELF_CONSISTENT:
        middle = "self-consistent only  "
    return f"{_LABELS[outcome.verdict]}{shown(outcome.file, _FILE_NAME_CHARACTERS)}  {middle}{outcome.sentence}"


def summary(outcomes: list[Outcome]) -> str:
    """How many files got which verdict."""
    counts = {verdict: sum(outcome.verdict == verdict for outcome in outcomes) for verdict in reversed(PRECEDENCE)}
    parts = [f"{count} {_WORDS[verdict]}" for verdict, count in counts.items() if count]
    return f"{len(outcomes)} files: " + ", ".join(parts)


def as_object(outcomes: list[Outcome]) -> dict[str, object]:
    """The `ledger-verify/v1` object."""
    verdict = worst(outcome.verdict for outcome in outcomes)
    tier = None
    if verdict == VERIFIED:
        tiers = {outcome.tier for outcome in outcomes}
        tier = TAMPER_DETECTING if TAMPER_DETECTING in tiers else TAMPER_EVIDENT
    results = [
        {"file": outcome.file, "verdict": outcome.verdict, "tier": outcome.tier, **outcome.details}
        for outcome in outcomes
    ]
    return {"format": FORMAT, "verdict": verdict, "tier": tier, "results": results}


def exit_code(outcomes: list[Outcome]) -> int:
    return EXIT_CODES[worst(outcome.verdict for outcome in outcomes)]


def _outcome(file: str, tier: str | None, sentence: str, details: dict[str, object]) -> Outcome:
    return Outcome(file, SELF_CONSISTENT if tier is None else VERIFIED, tier, sentence, details)


def _head(checkpoint: Checkpoint) -> dict[str, object]:
    root_hash = encode_base64(checkpoint.root_hash)
    return {"origin": checkpoint.origin, "tree_size": checkpoint.tree_size, "root_hash": root_hash}


def _fields(disclosed: int, withheld: int) -> str:
    return f"{disclosed} fields disclosed, {withheld} withheld"


def _unknown_type(count: int) -> list[str]:
    return ["unknown event type: fields not checked"] if count else []


def _signers(signed: Signed) -> list[str]:
    """The options whose keys signed something in the file."""
    return ["key"] * signed.by_log + ["root-key"] * signed.by_root
