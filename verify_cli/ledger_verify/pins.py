# SPDX-License-Identifier: Apache-2.0
"""Holding a log to what it showed before: adding to a pin book, and proving consistency from every pin (spec/pins.md).

What shows that a newer tree extends a pinned one is, by kind of what was given,

    a log (URL or folder)       hashes of its tiles, from which the consistency proof is made here
    a day document              its own proof from the day before
    any checkpoint              answers of GET /transparency/consistency, given beside it

In all three the proof speaks of the newer tree and says what root it has over the pinned size. If that is another root than
the pinned one, the proof that was to show consistency proves a fork (`equivocation`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_jcs_file, parse_json
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint, signed_by
from ledger_verify.checkpoint_files import checkpoints_in
from ledger_verify.consistency import ConsistencyProof, parse_consistency_proof
from ledger_verify.day import FORMAT as DAY_FORMAT
from ledger_verify.day import verify_day
from ledger_verify.equivocation import EquivocationError, check_consistent
from ledger_verify.errors import CannotTellError, VerificationError, step
from ledger_verify.log_files import LogFiles
from ledger_verify.merkle import consistency_ranges
from ledger_verify.pin_book import Pin, add_pin, pins_of
from ledger_verify.trust import Signed, TrustedKeys, verify_cosigners, verify_log_key, verify_signatures


class Shown(NamedTuple):
    """What a log shows: its newest checkpoint, not yet verified, and what may prove that it extends older ones."""

    checkpoint: Checkpoint
    files: LogFiles | None = None
    proofs: tuple[ConsistencyProof, ...] = ()
    day: object = None


class Checked(NamedTuple):
    """A checkpoint that extends every pin of its log."""

    checkpoint: Checkpoint
    signed: Signed
    pins: list[Pin]


def keys_with_pins(keys: TrustedKeys, pins: list[Pin], origin: str) -> TrustedKeys:
    """The given keys and those under which the pins of a log were verified."""
    return keys.with_log_keys(pin.key for pin in pins_of(pins, origin))


def shown_by_log(files: LogFiles) -> Shown:
    with step("step 1"):
        return Shown(parse_checkpoint(files.checkpoint(), extensions=True), files=files)


def shown_by_file(raw: bytes, proofs: Iterable[bytes] = ()) -> list[Shown]:
    """What a file shows, of each log the largest tree."""
    with step("step 1"):
        answers = [parse_consistency_proof(proof) for proof in proofs]
        day = _day(raw)
        answers += [] if day is None else _proof_in(day)
        newest: dict[str, Checkpoint] = {}
        for checkpoint in checkpoints_in(raw, "the file"):
            known = newest.get(checkpoint.origin)
            if known is None or known.tree_size < checkpoint.tree_size:
                newest[checkpoint.origin] = checkpoint
        return [Shown(checkpoint, None, tuple(answers), day) for checkpoint in newest.values()]


def add_shown(pins: list[Pin], shown: Shown, keys: TrustedKeys) -> tuple[list[Pin], Pin]:
    """The pins with a verified checkpoint more. One that contradicts a pin raises EquivocationError."""
    checkpoint = shown.checkpoint
    if not keys.of_logs:
        raise CannotTellError("nothing is pinned without a key that signed it: give --key or --root-key")
    if checkpoint.tree_size == 0:
        raise VerificationError("an empty tree pins nothing: every log begins with it")
    with step("step 2"):
        verify_signatures(checkpoint, keys)
        if shown.day is not None:
            with step("day document"):
                verify_day(shown.day, keys)
    signer = signed_by(checkpoint, keys.of_logs, "--key")[0]
    for pin in pins_of(pins, checkpoint.origin):
        found = _proof_from(pin.checkpoint.tree_size, shown)
        if found is not None:
            _check_extends(pin, checkpoint, *found)
    pin = Pin(checkpoint, signer, shown.day)
    return add_pin(pins, pin), pin


def check_shown(pins: list[Pin], shown: Shown, keys: TrustedKeys) -> Checked:
    """Check that a log extends each pin of it. The keys under which the pins were verified are trusted, too.

    1. What is shown is well formed (`shown_by_log`, `shown_by_file`).
    2. A trusted key signed the newer checkpoint.
    3. It extends each pin; or it is proved not to, which is an EquivocationError.
    4. A policy's quorum cosigned it. That comes last, as a fork needs no witnesses.
    """
    new = shown.checkpoint
    own = pins_of(pins, new.origin)
    if not own:
        raise CannotTellError(f"nothing of {new.origin} is pinned: pin a verified checkpoint first, with pin add")
    keys = keys_with_pins(keys, pins, new.origin)
    with step("step 2"):
        signed = verify_log_key(new, keys)
    failures: list[Exception] = []
    for pin in own:
        try:
            _check_against(pin, shown)
        except EquivocationError:  # one fork outweighs whatever could not be shown of other pins
            raise
        except (VerificationError, CannotTellError) as error:
            failures.append(error)
    for failure in sorted(failures, key=lambda failure: isinstance(failure, CannotTellError)):
        raise failure
    with step("step 4"):
        cosigned = verify_cosigners(new, keys)
    return Checked(new, signed._replace(cosigned=cosigned), own)


def _check_against(pin: Pin, shown: Shown) -> None:
    """Step 3 for one pin."""
    old, new = pin.checkpoint.tree_size, shown.checkpoint.tree_size
    if old > new:
        with step("step 3"):
            raise VerificationError(
                "the log shows a smaller tree than is pinned",
                got=new,
                want=f"at least {old}",
                hint="A stale copy, or a log that was rolled back; alone this proves no fork. If another copy of the log "
                "serves the larger tree, pin this smaller one and run pin check on that copy",
            )
    found = _proof_from(old, shown)
    if found is None:
        raise CannotTellError(
            f"no proof from the pin of size {old} to {new}: save GET /api/v1/transparency/consistency?from={old}&to={new} "
            "and give it with --proof, or check the log itself"
        )
    _check_extends(pin, shown.checkpoint, *found)


def _check_extends(pin: Pin, new: Checkpoint, root: bytes, path: list[bytes]) -> None:
    with step("step 3"), step(f"pin of size {pin.checkpoint.tree_size}"):
        try:
            check_consistent(pin.checkpoint, new, root, path)
        except EquivocationError:
            raise
        except VerificationError as error:
            error.hint = (
                "The hashes given do not belong to the newer checkpoint, so neither consistency nor a fork is shown. "
                "Derive the whole log with ledger-verify log"
            )
            raise


def _proof_from(size: int, shown: Shown) -> tuple[bytes, list[bytes]] | None:
    """The root that the newer tree is said to have over `size` leaves, and the proof that it has it, if there is one."""
    new = shown.checkpoint
    if size > new.tree_size:
        return None
    if size == new.tree_size:
        return new.root_hash, []
    if shown.files is not None:
        hashes = [shown.files.range_hash(a, b, new.tree_size) for a, b in consistency_ranges(size, new.tree_size)]
        return shown.files.range_hash(0, size, new.tree_size), hashes
    for proof in shown.proofs:
        if (proof.origin, proof.old_size, proof.new_size) == (new.origin, size, new.tree_size):
            return proof.old_root, proof.path
    return None


def _day(raw: bytes) -> dict[str, object] | None:
    """The day document that a file is, or None if it is something else."""
    if not raw.startswith(b"{"):
        return None
    value = parse_json(raw, "the file")
    if not isinstance(value, dict) or value.get("format") != DAY_FORMAT:
        return None
    parse_jcs_file(raw, "the day document")
    return value


def _proof_in(day: dict[str, object]) -> list[ConsistencyProof]:
    """The proof inside a day document, from the day before."""
    if day.get("previous_checkpoint") is None:
        return []
    old, new = (parse_checkpoint(shapes.string(day.get(n), n)) for n in ("previous_checkpoint", "checkpoint"))
    path = shapes.hashes(day.get("consistency_path"), "consistency_path")
    return [ConsistencyProof(old.origin, old.tree_size, new.tree_size, old.root_hash, new.root_hash, path)]
