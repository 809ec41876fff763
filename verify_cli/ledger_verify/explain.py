# SPDX-License-Identifier: Apache-2.0
"""The command `explain`: recognises what it is given, verifies it as the fitting command does, and says in words what came of it.

What a file is, is told by what it says of itself, and only to choose how it is verified: nothing of it is believed for that.
The verdict is that of the fitting command with the same trusted keys.
"""

from __future__ import annotations

import os
import shlex
from typing import Callable

from ledger_verify import outcomes
from ledger_verify.canonical import decode_utf8, parse_any_json
from ledger_verify.checkpoint_files import checkpoints_in
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError, shown
from ledger_verify.explanations import (
    Explanation,
    explain_checkpoint,
    explain_day,
    explain_equivocation,
    explain_export,
    explain_failure,
    explain_log,
    explain_proof,
    explain_receipt,
)
from ledger_verify.files import is_url, read_file
from ledger_verify.mistaken import mistaken_for_receipt
from ledger_verify.report import Outcome, failure
from ledger_verify.trust import CANNOT_TELL, NOT_VERIFIED, TrustedKeys, verify_signatures

RECEIPT, DAY, PROOF, EQUIVOCATION, EXPORT = "receipt", "day document", "tlog-proof", "proof of equivocation", "export"
LOG, CHECKPOINT = "log", "checkpoint"

_COMMANDS = {
    RECEIPT: "receipt",
    DAY: "root",
    PROOF: "proof",
    EQUIVOCATION: "equivocation",
    EXPORT: "export",
    LOG: "log",
}
_FORMATS = {b"ledger-receipt/v1": RECEIPT, b"ledger-equivocation/v1": EQUIVOCATION, b"ledger-day/v1": DAY}
_ARCHIVE = b"ledger-export/"  # the folder in the name of its first file
_HEAD = {"checkpoint", "origin", "root_hash", "tree_size"}  # the answer of GET /api/v1/transparency/head
_CONSISTENCY = {"consistency_path", "from", "origin", "root1", "root2", "to"}

# What is recognised and is no evidence by itself: what it is, and the command that it is for.
_FOR_OTHERS = {
    "ledger-claims/v1": ("claims", "ledger-verify claim --key VKEY {file} EXPORT"),
    "ledger-pins/v1": ("a pin book", "ledger-verify pin list --pin {file}"),
    "ledger-log-state/v1": ("the state of a run of log", "ledger-verify log --key VKEY --state {file} URL|DIR"),
    "ledger-verify/v1": ("a verdict of this program", "ledger-verify explain FILE, with the file that it is about"),
}

Answer = tuple[Outcome, Explanation]


def explain(place: str, keys: TrustedKeys) -> Outcome:
    """The outcome of the fitting command, with `recognised` and `explanation` among its details."""
    if is_url(place):
        raise CannotTellError("explain reads no URL. Run: ledger-verify log --key VKEY URL")
    kind = None
    try:
        if os.path.isdir(place) or _is_archive(place):
            kind = LOG if os.path.isfile(os.path.join(place, "checkpoint")) else EXPORT
            outcome, words = _of_entries(place, kind, keys)
        else:
            raw = read_file(place)
            kind = _recognised(raw, place)
            outcome, words = _of_file(place, raw, kind, keys)
    except VerificationError as error:
        outcome = failure(place, NOT_VERIFIED, str(error))
        words = explain_failure(kind, error, _command(kind, place))
    except CannotTellError as error:
        return failure(place, CANNOT_TELL, str(error))
    details = {**outcome.details, "recognised": kind, "explanation": words._asdict()}
    return outcome._replace(details=details)


def _of_entries(place: str, kind: str, keys: TrustedKeys) -> Answer:
    if kind == LOG:
        from ledger_verify.log import verify_log
        from ledger_verify.log_files import open_source

        log = verify_log(open_source(place), keys)
        return outcomes.log_outcome(place, log), explain_log(log, _command(kind, place))
    from ledger_verify.export import verify_export

    export = verify_export(place, keys)
    return outcomes.export_outcome(place, export), explain_export(export, keys, _command(kind, place))


def _of_file(place: str, raw: bytes, kind: str, keys: TrustedKeys) -> Answer:
    command = _command(kind, place)
    if kind == DAY:
        from ledger_verify.day import verify_day_file

        day = verify_day_file(raw, keys)
        return outcomes.day_outcome(place, day), explain_day(day, command)
    if kind == PROOF:
        from ledger_verify.proof import verify_proof

        proof = verify_proof(raw, keys)
        return outcomes.proof_outcome(place, proof), explain_proof(proof, command)
    if kind == EQUIVOCATION:
        from ledger_verify.equivocation import verify_equivocation

        found, signed = verify_equivocation(raw, keys)
        return outcomes.equivocation_outcome(place, found, signed), explain_equivocation(found, signed, command)
    if kind == CHECKPOINT:
        [checkpoint, *more] = checkpoints_in(raw, "the file")
        signed = verify_signatures(checkpoint, keys)
        outcome = outcomes.checkpoint_outcome(place, checkpoint, signed)
        return outcome, explain_checkpoint(checkpoint, signed, len(more), command)
    from ledger_verify.receipt import verify_receipt

    receipt = verify_receipt(raw, keys)
    return outcomes.receipt_outcome(place, receipt), explain_receipt(receipt, keys, command)


def _recognised(raw: bytes, place: str) -> str:
    """What a file is. Raises CannotTellError for what is no evidence by itself, with the command that it is for."""
    if raw.startswith(b"c2sp.org/tlog-proof@"):
        return PROOF
    try:
        value = parse_any_json(decode_utf8(raw, "the file"), "the file")
    except MalformedError:
        value = None
    if not isinstance(value, dict):
        return _by_its_bytes(raw)
    name = value.get("format")
    if isinstance(name, str) and name.encode("utf-8", "replace") in _FORMATS:
        return _FORMATS[name.encode()]
    file = _shell_word(place)
    if isinstance(name, str) and name in _FOR_OTHERS:
        what, command = _FOR_OTHERS[name]
        raise CannotTellError(f"these are {what}, and no evidence. Run: {command.format(file=file)}")
    if set(value) == _CONSISTENCY:
        raise CannotTellError(
            "this is a consistency proof, which speaks of two checkpoints and holds neither. "
            f"Run: ledger-verify consistency --key VKEY --old FILE --new FILE {file}"
        )
    answer = mistaken_for_receipt(raw)
    if answer is not None:
        raise CannotTellError(str(answer))
    if not set(value) <= _HEAD:
        # A checkpoint in it may be good; of the rest nobody would have looked at a word.
        raise CannotTellError(
            "it is of no kind or version that is known here, whatever checkpoints it holds. If it should be evidence, ask "
            "the command that it is for: it says what is wrong with it"
        )
    return CHECKPOINT


def _is_archive(place: str) -> bool:
    """Whether a file begins as an export in one file does; it may be longer than what is read whole."""
    try:
        with open(place, "rb") as file:
            return file.read(len(_ARCHIVE)) == _ARCHIVE
    except (OSError, ValueError):  # which reading it tells
        return False


def _by_its_bytes(raw: bytes) -> str:
    """What a file was that is no JSON any more, or never was."""
    if b'"format":"ledger-export/' in raw:
        raise CannotTellError(
            "this is the manifest of an export. Run: ledger-verify explain FOLDER, with the folder that it lies in"
        )
    if b'"daily_root":' in raw:  # which a receipt has, and what is in it, a day document, has not
        return RECEIPT
    for name, kind in _FORMATS.items():
        if b'"format":"' + name in raw:
            return kind
    if b"\n\n\xe2\x80\x94 " in raw:  # the signature lines of a note
        return CHECKPOINT
    raise CannotTellError(
        "not recognised: no receipt, day document, export, tlog-proof, proof of equivocation or checkpoint. "
        "ledger-verify --help names the commands"
    )


def _command(kind: str | None, place: str) -> Callable[[str], str]:
    """The command that verifies the same thing, given the options that it should have."""

    def command(options: str) -> str:
        name = _COMMANDS.get(kind or "", "explain")
        return " ".join(part for part in ("ledger-verify", name, options, _shell_word(place)) if part)

    return command


def _shell_word(place: str) -> str:
    return shown(shlex.quote(place), 1000)
