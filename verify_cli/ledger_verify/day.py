# SPDX-License-Identifier: Apache-2.0
"""The daily root: one object per UTC date that a regulator can pin, archive and compare (spec/day.md).

The document holds two consecutive leaves of the root log, `heads.committed` over all logs and `day.closed`, under one
checkpoint, and shows that this checkpoint extends that of the day closed before. The steps below are those of the page.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import catalogue, shapes
from ledger_verify.canonical import parse_jcs_file
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.encodings import check_date
from ledger_verify.entry import Entry, check_position, demand_type, parse_shared_entry
from ledger_verify.errors import VerificationError, step
from ledger_verify.merkle import verify_consistency, verify_inclusion
from ledger_verify.trust import Signed, TrustedKeys, demand_known, verify_cosigners, verify_given_or_named

FORMAT = "ledger-day/v1"

_MEMBERS = (
    "checkpoint",
    "consistency_path",
    "date",
    "entry",
    "entry_index",
    "format",
    "heads",
    "inclusion_path",
    "previous_checkpoint",
)


class Day(NamedTuple):
    """A day document whose steps 1 to 5 hold; `signed` says whether under a trusted key."""

    date: str
    entry: Entry
    entry_index: int
    heads_entry: Entry
    checkpoint: Checkpoint
    previous_checkpoint: Checkpoint | None
    signed: Signed


class _Document(NamedTuple):
    """The members of the file, each of its type, nothing proved."""

    checkpoint: Checkpoint
    consistency_path: list[bytes]
    date: str
    entry: str
    entry_index: int
    heads_entry: str
    heads_path: list[bytes]
    inclusion_path: list[bytes]
    previous_checkpoint: Checkpoint | None


def verify_day_file(raw: bytes, keys: TrustedKeys) -> Day:
    """Verify the bytes of a day document."""
    with step("step 1"):
        value = parse_jcs_file(raw, "the day document")
    return verify_day(value, keys)


def verify_day(value: object, keys: TrustedKeys, alone: bool = True) -> Day:
    """Verify a day document that was parsed as part of strict JCS. One that stands in other evidence and not alone needs no
    quorum and no known log of its own: the evidence as a whole does.
    """
    with step("step 1"):
        document = _parse(value)
    with step("step 2"):
        entry, heads_entry = _check_entries(document)
    with step("step 3"):
        tree = document.checkpoint
        for what, index, leaf, path in (
            ("inclusion_path", document.entry_index, entry.leaf_hash, document.inclusion_path),
            ("heads.inclusion_path", document.entry_index - 1, heads_entry.leaf_hash, document.heads_path),
        ):
            with step(what):
                verify_inclusion(index, tree.tree_size, leaf, path, tree.root_hash)
    with step("step 4"):
        _check_previous(document, entry)
    with step("step 5"):
        by_root = verify_given_or_named(document.checkpoint, keys.root, keys, "--root-key")
        if document.previous_checkpoint is not None:
            with step("previous_checkpoint"):
                verify_given_or_named(document.previous_checkpoint, keys.root, keys, "--root-key")
        cosigned = verify_cosigners(document.checkpoint, keys) if alone else None
        signed = Signed(by_log=False, by_root=by_root, cosigned=cosigned)
        if alone:
            demand_known(signed, keys)
    return Day(
        date=document.date,
        entry=entry,
        entry_index=document.entry_index,
        heads_entry=heads_entry,
        checkpoint=document.checkpoint,
        previous_checkpoint=document.previous_checkpoint,
        signed=signed,
    )


def _parse(value: object) -> _Document:
    document = shapes.members(value, _MEMBERS, "the day document")
    shapes.exactly(document["format"], FORMAT, "format")
    date = shapes.string(document["date"], "date")
    check_date(date, "date")
    heads = shapes.members(document["heads"], ("entry", "inclusion_path"), "heads")
    previous = document["previous_checkpoint"]
    return _Document(
        checkpoint=parse_checkpoint(shapes.string(document["checkpoint"], "checkpoint")),
        consistency_path=shapes.hashes(document["consistency_path"], "consistency_path"),
        date=date,
        entry=shapes.string(document["entry"], "entry"),
        entry_index=shapes.integer(document["entry_index"], "entry_index"),
        heads_entry=shapes.string(heads["entry"], "heads.entry"),
        heads_path=shapes.hashes(heads["inclusion_path"], "heads.inclusion_path"),
        inclusion_path=shapes.hashes(document["inclusion_path"], "inclusion_path"),
        previous_checkpoint=(
            None if previous is None else parse_checkpoint(shapes.string(previous, "previous_checkpoint"))
        ),
    )


def _check_entries(document: _Document) -> tuple[Entry, Entry]:
    """Step 2, with the rules of entry.md on two neighbours: ids increase (E1), `as_of` lies before both (E4, D2)."""
    entry = parse_shared_entry(document.entry, "entry")
    heads_entry = parse_shared_entry(document.heads_entry, "heads.entry")
    demand_type(entry, catalogue.DAY, "entry")
    demand_type(heads_entry, catalogue.HEADS, "heads.entry")
    for what, source in (("entry", entry.source), ("heads.entry", heads_entry.source)):
        if source != document.checkpoint.origin:
            raise VerificationError(
                f"{what} is from another log than the checkpoint", got=source, want=document.checkpoint.origin
            )
    if document.date != entry.data["date"]:
        raise VerificationError("date is not the entry's", got=document.date, want=entry.data["date"])
    if heads_entry.id >= entry.id:
        raise VerificationError("the ids of two neighbours do not increase (E1)", got=entry.id)
    if document.entry_index == 0:
        raise VerificationError("no entry stands before the day.closed entry (D2)", got=document.entry_index)
    check_position(heads_entry, document.entry_index - 1)
    # The heads.committed entry is not governing, so `as_of` lies before it too.
    check_position(entry, document.entry_index)
    if entry.data["as_of"] == document.entry_index - 1:
        raise VerificationError("as_of leads to a heads.committed entry (E4)", got=entry.data["as_of"])
    return entry, heads_entry


def _check_previous(document: _Document, entry: Entry) -> None:
    """Step 4: the newer tree extends the one of the day closed before."""
    previous, tree = document.previous_checkpoint, document.checkpoint
    if (previous is None) != ("previous" not in entry.data):
        raise VerificationError(
            "previous_checkpoint is null if and only if no day was closed before",
            got="null" if previous is None else "a checkpoint",
            want=f"that of {entry.data['previous']}" if "previous" in entry.data else "null",
        )
    if previous is None:
        if document.consistency_path:
            raise VerificationError("consistency_path is not empty on the first day")
        return
    if previous.origin != tree.origin:
        raise VerificationError("previous_checkpoint is of another log", got=previous.origin, want=tree.origin)
    if previous.tree_size >= tree.tree_size:
        raise VerificationError(
            "previous_checkpoint is not smaller", got=previous.tree_size, want=f"less than {tree.tree_size}"
        )
    verify_consistency(
        previous.tree_size, tree.tree_size, document.consistency_path, previous.root_hash, tree.root_hash
    )
