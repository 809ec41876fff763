# SPDX-License-Identifier: Apache-2.0
"""Receipts: evidence that one entry is in one log, in one file (spec/receipt.md).

`verify_receipt` is the page's list of steps in code, in their order. What it returns has been checked; when it raises,
nothing of the file may be used. Without a trusted key for anything in the file `signed.tier` is None: the numbers fit
together, and anybody could have made them fit.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, parse_jcs, parse_jcs_file, write_jcs
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint, same_tree
from ledger_verify.day import Day, verify_day
from ledger_verify.disclosure import Disclosure, check_disclosures
from ledger_verify.entry import Entry, check_position, parse_entry
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.heads import RootMember, parse_root_member, verify_root_member
from ledger_verify.merkle import verify_inclusion
from ledger_verify.mistaken import mistaken_for_receipt
from ledger_verify.trust import Signed, TrustedKeys, demand_known, verify_cosigners, verify_given_or_named

FORMAT = "ledger-receipt/v1"

_OWN_MEMBERS = ("disclosures", "entry", "format", "inclusion_path", "leaf_index")
_MEMBERS = ("checkpoint", "daily_root", *_OWN_MEMBERS, "root")


class Receipt(NamedTuple):
    """A receipt whose steps all hold; `signed` says under which trusted keys."""

    entry: Entry
    leaf_index: int
    checkpoint: Checkpoint
    disclosures: list[Disclosure]
    root: RootMember | None
    day: Day | None
    signed: Signed


class _Head(NamedTuple):
    """What receipts under one checkpoint have in common, verified: steps 3, 5, 7 and 8 but for the entry's log."""

    checkpoint: Checkpoint
    root: RootMember | None
    day: Day | None
    signed: Signed


# Verified heads by the bytes before and after a receipt's own members, and by the keys: all that the steps look at.
_heads: dict[tuple[bytes, bytes, TrustedKeys], _Head] = {}
_MAX_HEADS = 256
_MAX_HEAD_BYTES = 65_536


def verify_receipt(raw: bytes, keys: TrustedKeys) -> Receipt:
    """Verify the bytes of a receipt file against the keys that the caller trusts."""
    before, own, after = _cut(raw)
    known = _heads.get((before, after, keys))
    receipt = None if known is None else _own_members(own)
    if known is None or receipt is None:
        with step("step 1"):
            receipt = _parse(raw)
    with step("step 1"):
        shapes.exactly(receipt["format"], FORMAT, "format")
        leaf_index = shapes.integer(receipt["leaf_index"], "leaf_index")
        inclusion_path = shapes.hashes(receipt["inclusion_path"], "inclusion_path")
        entry_text = shapes.string(receipt["entry"], "entry")
        checkpoint_text = None if known else shapes.string(receipt["checkpoint"], "checkpoint")
    with step("step 2"):
        entry = parse_entry(entry_text)
        check_position(entry, leaf_index)
    with step("step 3"):
        checkpoint = known.checkpoint if known else parse_checkpoint(str(checkpoint_text))
        if checkpoint.origin != entry.source:
            raise VerificationError(
                "the checkpoint is of another log than the entry", got=checkpoint.origin, want=entry.source
            )
    with step("step 4"):
        verify_inclusion(leaf_index, checkpoint.tree_size, entry.leaf_hash, inclusion_path, checkpoint.root_hash)
    log_signed = known.signed.by_log if known else verify_log_signature(checkpoint, keys)
    with step("step 6"):
        disclosures = check_disclosures(receipt["disclosures"], entry)
    if known is None:
        root, root_signed = verify_root(receipt["root"], checkpoint, keys)
        day = verify_daily_root(receipt["daily_root"], root, keys)
        known = _Head(checkpoint, root, day, verify_signed(log_signed, root_signed, root, checkpoint, keys))
        _remember(before, after, receipt, keys, known)
    return Receipt(entry, leaf_index, checkpoint, disclosures, known.root, known.day, known.signed)


def _parse(raw: bytes) -> dict[str, object]:
    try:
        return shapes.members(parse_jcs_file(raw, "the receipt"), _MEMBERS, "the receipt")
    except MalformedError as error:
        raise mistaken_for_receipt(raw) or error from None


def _cut(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """The bytes of `checkpoint` and `daily_root`, of the receipt's own members, and of `root`, if it is a receipt."""
    start, end = raw.find(b',"disclosures":[') + 1, raw.rfind(b',"root":')
    return raw[:start], raw[start:end], raw[end:]


def _own_members(own: bytes) -> dict[str, object] | None:
    """The members between those of a known head; None where anything is wrong, which reading the whole then finds.

    Members that are strict JCS by themselves, sorted between sorted ones, make strict JCS of the whole.
    """
    try:
        return shapes.members(parse_jcs("{" + decode_utf8(own, "") + "}", ""), _OWN_MEMBERS, "")
    except MalformedError:
        return None


def _remember(before: bytes, after: bytes, receipt: dict[str, object], keys: TrustedKeys, head: _Head) -> None:
    """Keep a verified head, if `before` and `after` are its members and nothing else."""
    checkpoint, day, root = (write_jcs(receipt[name]) for name in ("checkpoint", "daily_root", "root"))
    if (
        len(before) + len(after) <= _MAX_HEAD_BYTES
        and before == f'{{"checkpoint":{checkpoint},"daily_root":{day},'.encode()
        and after == f',"root":{root}}}\n'.encode()
    ):
        if len(_heads) >= _MAX_HEADS:
            _heads.clear()
        _heads[before, after, keys] = head


def verify_log_signature(checkpoint: Checkpoint, keys: TrustedKeys) -> bool:
    """Step 5. Returns whether a trusted key of the log signed; False only if none was given."""
    with step("step 5"):
        return verify_given_or_named(checkpoint, keys.log, keys, "--key")


def verify_root(value: object, checkpoint: Checkpoint, keys: TrustedKeys) -> tuple[RootMember | None, bool]:
    """Step 7. Returns the way up, if there is one, and whether a trusted key of the root log signed its end."""
    with step("step 7"):
        root = parse_root_member(value)
        signed = root is not None and verify_root_member(root, checkpoint, keys)
    return root, signed


def verify_signed(
    log_signed: bool, root_signed: bool, root: RootMember | None, checkpoint: Checkpoint, keys: TrustedKeys
) -> Signed:
    """Who vouches for it all. With a policy the quorum must have cosigned the root log's checkpoint, where there is one."""
    with step("step 7" if root else "step 5"):
        newest = checkpoint if root is None else root.checkpoint
        signed = Signed(log_signed, root_signed, verify_cosigners(newest, keys))
        demand_known(signed, keys)
    return signed


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
            day = verify_day(value, keys, alone=False)
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
