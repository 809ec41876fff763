# SPDX-License-Identifier: Apache-2.0
"""What is said in words of verified evidence: what was checked, what it means, what it leaves open, what to do next.

The sentences of `checked` follow the steps of the format's page, in their order and with their numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger_verify.errors import VerificationError
from ledger_verify.sentences import (
    CLOCK,
    ERASED_LATER,
    NO_PIN,
    REPORTED,
    Command,
    cosigned,
    entry_rules,
    give_keys,
    log_signature,
    meaning_of,
    next_steps,
    not_vouched_for,
    policy_not_asked,
    rest_of_log,
    shown_origin,
    unknown_events,
    way_up,
    withheld_fields,
)
from ledger_verify.trust import EQUIVOCATION_EVIDENT, Signed, TrustedKeys

if TYPE_CHECKING:
    from ledger_verify.checkpoint import Checkpoint
    from ledger_verify.day import Day
    from ledger_verify.equivocation import Equivocation
    from ledger_verify.export import Export
    from ledger_verify.log import Log
    from ledger_verify.proof import Proof
    from ledger_verify.receipt import Receipt


class Explanation(NamedTuple):
    """Four lists of sentences."""

    checked: list[str]
    meaning: list[str]
    not_checked: list[str]
    next: list[str]


def explain_receipt(receipt: Receipt, keys: TrustedKeys, command: Command) -> Explanation:
    entry, tree = receipt.entry, receipt.checkpoint
    disclosed = {disclosure.pointer for disclosure in receipt.disclosures}
    checked = [
        "The file is a receipt in the one form that it can have, with no member too many (step 1).",
        *entry_rules(entry, "step 2"),
        f"The checkpoint is of the entry's log, {shown_origin(tree.origin)}, and states {tree.tree_size} entries (step 3).",
        f"The entry stands at index {receipt.leaf_index} of them: its hashes lead to the root hash (step 4).",
        *log_signature(receipt.signed.by_log, " (step 5)"),
    ]
    if disclosed:
        checked.append(f"{len(disclosed)} disclosed values are those that the entry commits to (step 6).")
    checked += way_up(receipt.root, receipt.day, receipt.signed, "steps 7 and 8")
    return Explanation(
        checked,
        meaning_of(receipt.signed, "this entry at this place"),
        [
            *withheld_fields(sorted(set(entry.commitments) - disclosed)),
            *not_vouched_for(receipt.root, receipt.signed),
            *unknown_events(1 if entry.known is None else 0),
            REPORTED,
            CLOCK,
            "What else happened: a receipt is about one entry. An export is complete for its range.",
            ERASED_LATER,
            *policy_not_asked(keys),
            *([NO_PIN] if receipt.signed.by_root else []),
        ],
        next_steps(receipt.signed, receipt.root is not None, command),
    )


def explain_export(export: Export, keys: TrustedKeys, command: Command) -> Explanation:
    tree, chain = export.checkpoint, export.governing
    last = export.end - 1
    fields = f"{export.disclosed} disclosed values are those that the entries commit to"
    checked = [
        "The export has exactly its files, each with the size and digest that the manifest gives (step 1).",
        f"The range is entries {export.start} to {last} of {shown_origin(export.origin)}, within {tree.tree_size} (step 2).",
        (
            f"Each of the {export.end - export.start} entries is valid, ids increase, and as_of names the governing entry that was "
            "in force (step 3)."
        ),
        (
            "None is missing, added or changed: with the hashes of what is left and right of them they lead to the root hash "
            "(step 4)."
        ),
        f"{fields}; {export.withheld} are withheld and {export.erased} erased (step 5).",
        *log_signature(export.signed.by_log, " (step 6)"),
        *way_up(export.root, export.day, export.signed, "step 6"),
        f"{chain.entries} governing entries link the range to the log's first entry; the last is {chain.last} (step 7).",
        _keys(export),
        "What it says of the state of each sealed field is what follows from the rest (step 9).",
    ]
    return Explanation(
        checked,
        meaning_of(export.signed, f"exactly these entries from {export.start} to {last}"),
        [
            *(
                [f"The values of {export.withheld} withheld fields: only that they were fixed when recorded."]
                * bool(export.withheld)
            ),
            *([f"The values of {export.erased} erased fields, which nobody is to know again."] * bool(export.erased)),
            *not_vouched_for(export.root, export.signed),
            *unknown_events(export.unknown_types),
            *rest_of_log(export),
            REPORTED,
            CLOCK,
            f"Erasures after entry {tree.tree_size - 1}: a field that is withheld here may be erased by now.",
            *policy_not_asked(keys),
            *([NO_PIN] if export.signed.by_root else []),
            "What the entries say together: that is what claims are for.",
        ],
        [
            *next_steps(export.signed, True, command),
            f"To hold claims against it: {command('').replace(' export ', ' claim --key VKEY CLAIMS ', 1)}",
        ],
    )


def _keys(export: Export) -> str:
    count = len(export.keys)
    if not export.signed.by_root:
        return f"It agrees with itself on the keys of the log, {count} in all (step 8)."
    return (
        f"The root log announced {count} keys of the log: the one in force signed the checkpoint, the last one the manifest "
        "(step 8)."
    )


def explain_day(day: Day, command: Command) -> Explanation:
    tree = day.checkpoint
    heads = day.heads_entry.data["count"]
    checked = [
        "The file is a day document in the one form that it can have (step 1).",
        f"It closes {day.date}, with a heads.committed entry over {heads} logs right before (step 2).",
        f"The two stand at {day.entry_index - 1} and {day.entry_index} of {tree.tree_size} entries of {shown_origin(tree.origin)} (step 3).",
    ]
    if day.previous_checkpoint is not None:
        checked.append(
            f"This root log begins with the {day.previous_checkpoint.tree_size} entries of the day before (step 4)."
        )
    if day.signed.by_root:
        checked.append("A trusted key of the root log signed it (step 5).")
    checked += cosigned(day.signed)
    return Explanation(
        checked,
        meaning_of(day.signed, f"this end of {day.date}, for all of its logs"),
        [
            "Which logs there are, and what is in them: the day commits to their heads and shows none.",
            "Whether the date is right: it is the service's clock.",
            *([] if day.signed.tier == EQUIVOCATION_EVIDENT else [NO_PIN]),
        ],
        [
            *([] if day.signed.tier else [give_keys(command("--root-key VKEY"))]),
            f"Pin it, so that a fork shows: {command('--pin ledger.pins --root-key VKEY').replace(' root ', ' pin add ', 1)}",
        ],
    )


def explain_proof(proof: Proof, command: Command) -> Explanation:
    tree, entry = proof.checkpoint, proof.entry
    checked = [
        "The file is a C2SP tlog-proof, with the leaf's bytes in it (steps 1 and 2).",
        *log_signature(proof.signed.tier is not None, " (step 3)"),
        *cosigned(proof.signed),
        f"The leaf stands at index {proof.leaf_index} of {tree.tree_size} entries of {shown_origin(tree.origin)} (step 4).",
        *(["It was taken as any bytes (step 5)."] if entry is None else entry_rules(entry, "step 5")),
    ]
    return Explanation(
        checked,
        meaning_of(proof.signed, "this entry at this place"),
        [
            *(["What the bytes mean."] if entry is None else [REPORTED, CLOCK]),
            *([] if entry is None else withheld_fields(sorted(entry.commitments))),
            *unknown_events(1 if entry is not None and entry.known is None else 0),
            "The way up to a root log: a tlog-proof has none, a receipt of the same entry does.",
        ],
        next_steps(proof.signed, True, command),
    )


def explain_equivocation(found: Equivocation, signed: Signed, command: Command) -> Explanation:
    older, newer = found.older, found.newer
    convicted = signed.tier is not None
    return Explanation(
        [
            "The file is a proof of equivocation in the one form that it can have (steps 1 and 2).",
            *(["A trusted key of the log signed both checkpoints (step 3)."] if convicted else []),
            (
                f"The newer tree, of {newer.tree_size} entries, has another root hash over its first {older.tree_size} than the older "
                "checkpoint states (steps 4 and 5)."
            ),
        ],
        [
            f"{shown_origin(older.origin)} showed two histories: no log that only grows has both trees. An honest log cannot be accused so."
            if convicted
            else "Two trees contradict each other. Whether the log signed them was not checked, so nobody is convicted."
        ],
        ["Which of the two histories is the true one, and who was shown which."],
        [
            "Keep the file, and show it to whoever relies on that log."
            if convicted
            else give_keys(command("--key VKEY")),
        ],
    )


def explain_checkpoint(checkpoint: Checkpoint, signed: Signed, more: int, command: Command) -> Explanation:
    return Explanation(
        [
            f"The checkpoint is well formed: {shown_origin(checkpoint.origin)} with {checkpoint.tree_size} entries.",
            *log_signature(signed.tier is not None, ""),
            *cosigned(signed),
        ],
        meaning_of(signed, "a tree of this size and root hash"),
        [
            *([f"{more} further checkpoints of the file."] * bool(more)),
            "What the entries are: a checkpoint is a hash of them.",
            "Whether the log only grew since: that takes an earlier checkpoint and a consistency proof.",
        ],
        [
            *([] if signed.tier else [give_keys(command("--key VKEY"))]),
            f"Pin it, so that a fork shows: {command('--pin ledger.pins --key VKEY').replace(' explain ', ' pin add ', 1)}",
        ],
    )


def explain_log(log: Log, command: Command) -> Explanation:
    tree = log.checkpoint
    return Explanation(
        [
            f"All {tree.tree_size} entries of {shown_origin(tree.origin)} and all tiles were read, and lead to the root hash.",
            *log_signature(log.signed.tier is not None, ""),
            *cosigned(log.signed),
        ],
        meaning_of(log.signed, "exactly these entries"),
        [
            *unknown_events(log.unknown_types),
            REPORTED,
            CLOCK,
            "Whether others see the same log, and you the same as before.",
        ],
        [
            *([] if log.signed.tier else [give_keys(command("--key VKEY"))]),
            f"Remember this run, so that the next proves that the log only grew: {command('--key VKEY --state log.state')}",
        ],
    )


def explain_failure(kind: str | None, error: VerificationError, command: Command) -> Explanation:
    """Nothing of the evidence is said, as nothing of it is known."""
    steps = ": ".join(error.steps)
    return Explanation(
        [f"It was read as: {kind}." if kind else "It was not recognised as evidence."]
        + ([f"This did not hold: {steps}."] if steps else []),
        ["The evidence does not hold: do not rely on anything in it, whoever gave it to you."],
        ["Everything that comes after what did not hold."],
        [
            *([f"{error.hint}."] if error.hint else []),
            "Ask where it came from for the same evidence again, byte for byte, with the vkeys from somewhere else; then run: "
            + command("--key VKEY --root-key VKEY" if kind in ("receipt", "export") else "--key VKEY"),
        ],
    )
