# SPDX-License-Identifier: Apache-2.0
"""Sentences that explanations of several kinds of evidence have in common: signatures, the way up, tiers, what stays open.

Nothing is said of what no trusted key vouches for, but that nobody does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ledger_verify.errors import shown
from ledger_verify.trust import EQUIVOCATION_EVIDENT, TAMPER_EVIDENT, Signed, TrustedKeys

if TYPE_CHECKING:
    from ledger_verify.day import Day
    from ledger_verify.entry import Entry
    from ledger_verify.export import Export
    from ledger_verify.heads import RootMember

Command = Callable[[str], str]
"""The command that verifies the same evidence, given the options that it should have."""

_POINTERS = 10  # names of fields in one sentence
REPORTED = (
    "Whether what was reported is true: call.reported is what an agent said of itself, and an agent may stay silent."
)
CLOCK = "Whether recordedat is the right time: it is the service's clock. The order of entries is what is proved."
ERASED_LATER = "Whether values were erased after this was made: ask the service for a newer export."
NO_PIN = (
    "Whether the root log was forked, so that others were shown another one: that takes a pin book or witnesses, and neither "
    "is asked here."
)


def entry_rules(entry: Entry, where: str) -> list[str]:
    what = f"{shown(entry.type)} v{entry.version}, recorded at {entry.recordedat}"
    if entry.known is None:
        return [f"The entry is well formed: {what} ({where})."]
    return [f"The entry is valid: {what}, with the members that its type has ({where})."]


def log_signature(signed: bool, where: str) -> list[str]:
    return [f"A trusted key of the log signed the checkpoint{where}."] if signed else []


def way_up(root: RootMember | None, day: Day | None, signed: Signed, where: str) -> list[str]:
    if root is None or not signed.by_root:
        return []
    tree = root.checkpoint
    text = f"The root log {shown_origin(tree.origin)} committed to that checkpoint in its entry {root.entry_index} of {tree.tree_size}"
    text += "" if day is None else f", and closed {day.date} on it"
    return [f"{text}; a trusted key of the root log signed that ({where})."]


def cosigned(signed: Signed) -> list[str]:
    if signed.cosigned is None:
        return []
    names = ", ".join(shown(name) for name in signed.cosigned.witnesses) or "none"
    return [f"The policy's quorum is reached. Witnesses that cosigned: {names}."]


def meaning_of(signed: Signed, what: str) -> list[str]:
    if signed.tier is None:
        return [
            (
                "Self-consistent only: everything fits together, and anybody could have made it so. No trusted key was given "
                "for anything in it."
            )
        ]
    if signed.tier == EQUIVOCATION_EVIDENT:
        return [
            (
                f"Equivocation-evident: the log showed {what}, and could have shown others something else only with the help of "
                "the witnesses that the policy asks for."
            )
        ]
    if signed.tier == TAMPER_EVIDENT:
        return [
            (
                f"Tamper-evident: the log showed {what}, and its operator could not have shown others something else without "
                "forking a log that everybody can see."
            )
        ]
    return [
        (
            f"Tamper-detecting: whoever has the log's key showed {what}, and cannot deny it. Others may have been shown something "
            "else."
        )
    ]


def withheld_fields(pointers: list[str]) -> list[str]:
    if not pointers:
        return []
    names = ", ".join(shown(pointer) for pointer in pointers[:_POINTERS])
    if len(pointers) > _POINTERS:
        names += f" and {len(pointers) - _POINTERS} more"
    return [f"The values of {len(pointers)} fields that are not disclosed here, whether withheld or erased: {names}."]


def not_vouched_for(root: RootMember | None, signed: Signed) -> list[str]:
    if signed.by_root:
        return []
    if root is None:
        return ["Whether the root log has committed to it: there is no way up to a root log in it."]
    return ["Whether the root log has committed to it: it says so, but no trusted key of a root log was given."]


def unknown_events(count: int) -> list[str]:
    if not count:
        return []
    return [f"The members of {count} entries whose type or version this verifier does not know."]


def rest_of_log(export: Export) -> list[str]:
    if export.start == 0 and export.end == export.checkpoint.tree_size:
        return []
    return [
        f"What the log holds before entry {export.start} and from {export.end} on, but for its governing entries.",
    ]


def policy_not_asked(keys: TrustedKeys) -> list[str]:
    return (
        []
        if keys.policy is None
        else ["The policy: its witnesses are asked of checkpoints, days, proofs and logs only."]
    )


def next_steps(signed: Signed, has_root: bool, command: Command) -> list[str]:
    if signed.tier is None:
        return [give_keys(command("--key VKEY --root-key VKEY" if has_root else "--key VKEY"))]
    if not has_root:
        return ["Fetch it again later, when the root log has committed to it: it is tamper-evident then."]
    if signed.by_root or signed.cosigned is not None:
        return ["Keep it byte for byte. Others come to the same verdict with: " + command("--root-key VKEY")]
    return ["Get the root log's vkey, too, and run: " + command("--key VKEY --root-key VKEY")]


def give_keys(command: str) -> str:
    return f"Get the vkeys from somewhere else than this evidence, and run: {command}"


def shown_origin(origin: str) -> str:
    return shown(origin, 255)
