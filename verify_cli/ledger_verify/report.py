# SPDX-License-Identifier: Apache-2.0
"""What was found, as a line for people and as an object for programs.

An `Outcome` holds the verdict on one file. Details of a file are shown only when its steps all hold: what is not verified
is not quoted as if it were known. The JSON form is `ledger-verify/v1`:

    {"format":"ledger-verify/v1","verdict":V,"tier":T,"results":[{"file":F,"verdict":V,"tier":T, …}, …]}

with V one of verified, not-verified, cannot-tell, self-consistent; T equivocation-evident, tamper-evident,
tamper-detecting or null. The outer verdict is the one that the exit code states, the outer tier the weakest of the files' if
all are verified and have one. `file` is what was asked about as it was given, but for a read token in a URL.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify.errors import shown
from ledger_verify.trust import (
    CANNOT_TELL,
    EXIT_CODES,
    NOT_VERIFIED,
    PRECEDENCE,
    SELF_CONSISTENT,
    TIERS,
    VERIFIED,
    worst,
)

FORMAT = "ledger-verify/v1"
_LABELS = {VERIFIED: "OK  ", NOT_VERIFIED: "FAIL ", CANNOT_TELL: "???? ", SELF_CONSISTENT: "SELF "}
_WORDS = {
    VERIFIED: "verified",
    NOT_VERIFIED: "not verified",
    CANNOT_TELL: "could not tell",
    SELF_CONSISTENT: "self-consistent only",
}
_HEADINGS = {
    "checked": "What was checked",
    "meaning": "What that means",
    "not_checked": "What was not checked, or cannot be known from this",
    "next": "What to do next",
}
_FILE_NAME_CHARACTERS = 1000
_REASON_CHARACTERS = 2000


class Outcome(NamedTuple):
    """The verdict on one file: a sentence about it, what a program may want to know, and more lines for people."""

    file: str
    verdict: str
    tier: str | None
    sentence: str
    details: dict[str, object]
    lines: tuple[str, ...] = ()


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


def summary(outcomes: list[Outcome], things: str = "files") -> str:
    """How many files, or other things, got which verdict."""
    counts = {verdict: sum(outcome.verdict == verdict for outcome in outcomes) for verdict in reversed(PRECEDENCE)}
    parts = [f"{count} {_WORDS[verdict]}" for verdict, count in counts.items() if count]
    return f"{len(outcomes)} {things}: " + ", ".join(parts)


def explanation(outcome: Outcome) -> list[str]:
    """What stands below the line of an outcome: further lines, and numbered sentences under a heading for each part."""
    parts = outcome.details.get("explanation")
    lines = [f"  {line}" for line in outcome.lines]
    for name, sentences in parts.items() if isinstance(parts, dict) else ():
        if sentences:
            lines += ["", _HEADINGS[name]]
            lines += [f"  {number}. {sentence}" for number, sentence in enumerate(sentences, 1)]
    return lines


def as_object(outcomes: list[Outcome]) -> dict[str, object]:
    """The `ledger-verify/v1` object."""
    verdict = worst(outcome.verdict for outcome in outcomes)
    tiers = {outcome.tier for outcome in outcomes}
    tier = None
    if verdict == VERIFIED and None not in tiers:
        tier = next(tier for tier in TIERS if tier in tiers)
    results = [
        {"file": outcome.file, "verdict": outcome.verdict, "tier": outcome.tier, **outcome.details}
        for outcome in outcomes
    ]
    return {"format": FORMAT, "verdict": verdict, "tier": tier, "results": results}


def exit_code(outcomes: list[Outcome]) -> int:
    return EXIT_CODES[worst(outcome.verdict for outcome in outcomes)]
