# SPDX-License-Identifier: Apache-2.0
"""Receipts: evidence that one entry is in one log, in one file (spec/receipt.md).

`verify_receipt` is the page's list of steps in code, in their order. What it returns has been checked; when it raises,
nothing of the file may be used. Without a trusted key for anything in the file `signed.tier` is None: the numbers fit
together, and anybody could have made them fit.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_jcs_file
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint, same_tree, signed_by
from ledger_verify.day import Day, verify_day
from ledger_verify.disclosure import Disclosure, check_disclosures
from ledger_verify.entry import Entry, check_position, parse_entry
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.heads import RootMember, parse_root_member, verify_root_member
from ledger_verify.merkle import verify_inclusion
from ledger_verify.mistaken import mistaken_for_receipt
from ledger_verify.trust import Signed, TrustedKeys

FORMAT = "ledger-receipt/v1"

_MEMBERS = (
    "checkpoint",
    "daily_root",
    "disclosures",
    "entry",
    "format",
    "inclusion_path",
    "leaf_index",
    "root",
)


class Receipt(NamedTuple):
    """A receipt whose steps all hold; `signed` says under which trusted keys."""

    entry: Entry
    leaf_index: int
    checkpoint: Checkpoint
    disclosures: list[Disclosure]
    root: RootMember | None
    day: Day | None
    signed: Signed


def verify_receipt(raw: bytes, keys: TrustedKeys) -> Receipt:
    """Verify the bytes of a receipt file against the keys that the caller trusts."""
    with step("step 1"):
        receipt = _parse(raw)
        shapes.exactly(receipt["format"], FORMAT, "format")
        leaf_index = shapes.integer(receipt["leaf_index"], "leaf_index")
        inclusion_path = shapes.hashes(receipt["inclusion_path"], "inclusion_path")
        entry_text = shapes.string(receipt["entry"], "entry")
        checkpoint_text = shapes.string(receipt["checkpoint"], "checkpoint")
    with step("step 2"):
        entry = parse_entry(entry_text)
        check_position(entry, leaf_index)
    with step("step 3"):
        checkpoint = parse_checkpoint(checkpoint_text)
        if checkpoint.origin != entry.source:
            raise VerificationError(
                "the checkpoint is of another log than the entry", got=checkpoint.origin, want=entry.source
            )
    with step("step 4"):
        verify_inclusion(leaf_index, checkpoint.tree_size, entry.leaf_hash, inclusion_path, checkpoint.root_hash)
    log_signed = verify_log_signature(checkpoint, keys)
    with step("step 6"):
        disclosures = check_disclosures(receipt["disclosures"], entry)
    root, root_signed = verify_root(receipt["root"], checkpoint, keys)
    day = verify_daily_root(receipt["daily_root"], root, keys)
    return Receipt(entry, leaf_index, checkpoint, disclosures, root, day, Signed(log_signed, root_signed))


def _parse(raw: bytes) -> dict[str, object]:
    try:
        return shapes.members(parse_jcs_file(raw, "the receipt"), _MEMBERS, "the receipt")
    except MalformedError as error:
        raise mistaken_for_receipt(raw) or error from None


def verify_log_signature(checkpoint: Checkpoint, keys: TrustedKeys) -> bool:
    """Step 5. Returns whether a trusted key of the log signed; False only if none was given."""
    with step("step 5"):
        if keys.log:
            signed_by(checkpoint, keys.log, "--key")
    return bool(keys.log)


def verify_root(value: object, checkpoint: Checkpoint, keys: TrustedKeys) -> tuple[RootMember | None, bool]:
    """Step 7. Returns the way up, if there is one, and whether a trusted key of the root log signed its end."""
    with step("step 7"):
        root = parse_root_member(value)
        signed = root is not None and verify_root_member(root, checkpoint, keys)
    return root, signed


def verify_daily_root(value: object, root: RootMember | None, keys: TrustedKeys) -> Day | None:
    """Step 8: the day document, if there is one, closes on the very heads that `root` leads to."""
    if value is None:
        return None
    with step("step 8"):
        if root is None:
            raise VerificationError(
                "daily_root without root", hint="A daily root leads nowhere without the way up to it"
            )
        with step("day document"):
            day = verify_day(value, keys)
        if day.checkpoint.origin != root.checkpoint.origin:
            raise VerificationError(
                "daily_root is of another root log", got=day.checkpoint.origin, want=root.checkpoint.origin
            )
        if day.heads_entry.text != root.entry.text:
            raise VerificationError("daily_root closes on other heads than root leads to")
        if day.entry_index != root.entry_index + 1:
            raise VerificationError(
                "daily_root's entry does not follow root's", got=day.entry_index, want=root.entry_index + 1
            )
        same_tree(root.checkpoint, day.checkpoint)
        if day.previous_checkpoint is not None:
            same_tree(root.checkpoint, day.previous_checkpoint)
    return day
