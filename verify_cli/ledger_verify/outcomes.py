# SPDX-License-Identifier: Apache-2.0
"""What each kind of verified evidence says: a sentence for people, and the details that a program may want to know.

Everything here is made from evidence whose steps all hold. What failed is said by `report.failure`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger_verify.disclosure import field_states
from ledger_verify.encodings import encode_base64
from ledger_verify.errors import shown
from ledger_verify.note import format_vkey
from ledger_verify.report import Outcome, failure
from ledger_verify.sequence import ANY, LEDGER
from ledger_verify.trust import (
    EQUIVOCATION_EVIDENT,
    NOT_VERIFIED,
    SELF_CONSISTENT,
    TAMPER_DETECTING,
    TAMPER_EVIDENT,
    VERIFIED,
    Signed,
)

if TYPE_CHECKING:  # a receipt does not wait until all else is compiled
    from ledger_verify.checkpoint import Checkpoint
    from ledger_verify.consistency import Consistency
    from ledger_verify.day import Day
    from ledger_verify.equivocation import Equivocation
    from ledger_verify.export import Export
    from ledger_verify.heads import RootMember
    from ledger_verify.log import Log
    from ledger_verify.pin_book import Pin
    from ledger_verify.pins import Checked
    from ledger_verify.proof import Proof
    from ledger_verify.receipt import Receipt


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
        "cosigned_by": _cosigners(receipt.signed),
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
    sentence += _cosigned_by(receipt.signed)
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
        "cosigned_by": _cosigners(day.signed),
        "notes": [],
    }
    sentence = f"day {day.date} #{day.entry_index} of {shown(day.checkpoint.origin, 255)}"
    sentence += _cosigned_by(day.signed)
    return _outcome(file, day.signed.tier, sentence, details)


def export_outcome(file: str, export: Export) -> Outcome:
    root, day, unvouched = _vouched(export.root, export.day, export.signed)
    details: dict[str, object] = {
        "from": export.start,
        "to": export.end,
        **_head(export.checkpoint),
        "types": dict(sorted(export.types.items())),
        "fields": {"disclosed": export.disclosed, "withheld": export.withheld, "erased": export.erased},
        "disclose": [shown(rule) for rule in export.disclose],
        "governing": {"entries": export.governing.entries, "last": export.governing.last},
        "keys": [{"since": known.since, "vkey": format_vkey(known.key)} for known in export.keys],
        "erasures": [erasure.entry_index for erasure in export.governing.erasures],
        "checked": ["files", "entries", "completeness", "disclosures", "governing chain", "keys", "fields"]
        + ["root"] * (root is not None)
        + ["daily_root"] * (day is not None),
        "signed_by": _signers(export.signed),
        "cosigned_by": _cosigners(export.signed),
        "root": None if root is None else _head(root.checkpoint),
        "date": None if day is None else day.date,
        "notes": _unknown_type(export.unknown_types) + unvouched,
    }
    whole = export.start == 0 and export.end == export.checkpoint.tree_size
    sentence = (
        f"entries {export.start} to {export.end - 1} of {shown(export.origin, 255)}, complete"
        f"{'' if whole else ' (part, linked to genesis by the governing chain)'}, "
        f"{_fields(export.disclosed, export.withheld)}, {export.erased} erased"
    )
    if export.unknown_types:
        sentence += f" (unknown event type: fields of {export.unknown_types} not checked)"
    sentence += _cosigned_by(export.signed)
    return _outcome(file, export.signed.tier, sentence, details)


def pinned_outcome(what: str, pin: Pin) -> Outcome:
    """A pin of a book: signed under the key that it was pinned with."""
    details: dict[str, object] = {
        **_head(pin.checkpoint),
        "date": pin.date,
        "vkey": format_vkey(pin.key),
        "checked": ["signature"],
        "notes": [],
    }
    day = "" if pin.date is None else f", day {pin.date}"
    sentence = f"pinned: {pin.checkpoint.tree_size} entries of {shown(pin.checkpoint.origin, 255)}{day}"
    return _outcome(what, TAMPER_DETECTING, sentence, details)


def pins_outcome(place: str, checked: Checked) -> Outcome:
    sizes = [pin.checkpoint.tree_size for pin in checked.pins]
    details: dict[str, object] = {
        **_head(checked.checkpoint),
        "pins": sizes,
        "checked": ["consistency"],
        "signed_by": _signers(checked.signed),
        "cosigned_by": _cosigners(checked.signed),
        "notes": [],
    }
    origin = shown(checked.checkpoint.origin, 255)
    sentence = f"{checked.checkpoint.tree_size} entries of {origin} extend {len(sizes)} pinned, to size {max(sizes)}"
    sentence += _cosigned_by(checked.signed)
    quorum = checked.signed.tier == EQUIVOCATION_EVIDENT
    return _outcome(place, EQUIVOCATION_EVIDENT if quorum else TAMPER_EVIDENT, sentence, details)


def forked_outcome(place: str, reason: str, found: Equivocation, proof: str | None) -> Outcome:
    """A log that has forked, and where the portable proof of it was written."""
    failed = failure(place, NOT_VERIFIED, reason)
    evidence = {"older": _head(found.older), "newer": _head(found.newer), "proof": proof}
    return failed._replace(details={**failed.details, "equivocation": evidence})


def equivocation_outcome(file: str, found: Equivocation, signed: Signed) -> Outcome:
    """The proof holds, which is bad news of the log and none of the file."""
    details: dict[str, object] = {
        "older": _head(found.older),
        "newer": _head(found.newer),
        "root_at_older_size": encode_base64(found.root),
        "checked": ["signatures", "contradiction"],
        "signed_by": _signers(signed),
        "notes": [],
    }
    origin = shown(found.older.origin, 255)
    sizes = f"sizes {found.older.tree_size} and {found.newer.tree_size}"
    sentence = f"{origin} equivocated: it signed two trees that contradict each other, {sizes}"
    if signed.tier is None:
        sentence = (
            f"two trees of {origin} that contradict each other, {sizes}; whether its key signed them was not checked"
        )
    return Outcome(file, SELF_CONSISTENT if signed.tier is None else VERIFIED, None, sentence, details)


def _vouched(
    root: RootMember | None, day: Day | None, signed: Signed
) -> tuple[RootMember | None, Day | None, list[str]]:
    """The way up to the root log, where a trusted key of the root log vouches for it.

    Otherwise nothing of it is reported: whoever made the file may have made root log and day as well.
    """
    if signed.by_root or root is None:
        return root, day, []
    return None, None, ["root and daily_root agree with themselves, but no trusted key of a root log signed them"]


def proof_outcome(file: str, proof: Proof) -> Outcome:
    entry = proof.entry
    details: dict[str, object] = {
        "leaf_index": proof.leaf_index,
        **_head(proof.checkpoint),
        "entries": ANY if entry is None else LEDGER,
        "type": None if entry is None else entry.type,
        "id": None if entry is None else entry.id,
        "recordedat": None if entry is None else entry.recordedat,
        "checked": ["inclusion"] + ["entry"] * (entry is not None),
        "signed_by": _signers(proof.signed),
        "cosigned_by": _cosigners(proof.signed),
        "notes": _unknown_type(1 if entry is not None and entry.known is None else 0),
    }
    what = "bytes" if entry is None else shown(entry.type)
    sentence = f"{what} #{proof.leaf_index} of {shown(proof.checkpoint.origin, 255)}"
    sentence += ", entry taken as any bytes" if entry is None else ", a valid entry of Decision Ledger"
    sentence += _cosigned_by(proof.signed)
    return _outcome(file, proof.signed.tier, sentence, details)


def checkpoint_outcome(file: str, checkpoint: Checkpoint, signed: Signed) -> Outcome:
    details: dict[str, object] = {
        **_head(checkpoint),
        "checked": ["signature"] * (signed.tier is not None),
        "signed_by": _signers(signed),
        "cosigned_by": _cosigners(signed),
        "notes": [],
    }
    sentence = f"{checkpoint.tree_size} entries of {shown(checkpoint.origin, 255)}" + _cosigned_by(signed)
    return _outcome(file, signed.tier, sentence, details)


def consistency_outcome(file: str, consistency: Consistency) -> Outcome:
    old, new = consistency.old, consistency.new
    details: dict[str, object] = {
        **_head(new),
        "previous": _head(old),
        "checked": ["consistency"],
        "signed_by": _signers(consistency.signed),
        "cosigned_by": _cosigners(consistency.signed),
        "notes": [],
    }
    sentence = f"{new.tree_size} entries of {shown(new.origin, 255)} begin with the {old.tree_size} before"
    sentence += _cosigned_by(consistency.signed)
    return _outcome(file, consistency.signed.tier, sentence, details)


def log_outcome(place: str, log: Log) -> Outcome:
    size = log.checkpoint.tree_size
    ours = log.entries == LEDGER
    details: dict[str, object] = {
        **_head(log.checkpoint),
        "from": log.start,
        "entries": log.entries,
        "bundles_read": log.bundles_read,
        "tiles_read": log.tiles_read,
        "checked": ["bundles", "tiles", "root"] + ["entries"] * ours + ["extends_state"] * (log.start > 0),
        "signed_by": _signers(log.signed),
        "cosigned_by": _cosigners(log.signed),
        "notes": _unknown_type(log.unknown_types),
    }
    sentence = f"{size} entries of {shown(log.checkpoint.origin, 255)}, all tiles derived again"
    if log.start:
        sentence += f", {size - log.start} of them new"
    sentence += ", each a valid entry of Decision Ledger" if ours else ", entries taken as any bytes"
    if log.unknown_types:
        sentence += f" (unknown event type: fields of {log.unknown_types} not checked)"
    sentence += _cosigned_by(log.signed)
    return _outcome(place, log.signed.tier, sentence, details)


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


def _cosigners(signed: Signed) -> list[dict[str, object]]:
    """The policy's witnesses that cosigned, with the time by their own clocks."""
    found = {} if signed.cosigned is None else signed.cosigned.witnesses
    return [{"witness": shown(name), "time": cosignature.time} for name, cosignature in found.items()]


def _cosigned_by(signed: Signed) -> str:
    names = [] if signed.cosigned is None else [shown(name) for name in signed.cosigned.witnesses]
    return f", cosigned by {', '.join(names)}" if names else ""
