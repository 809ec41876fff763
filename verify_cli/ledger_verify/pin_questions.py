# SPDX-License-Identifier: Apache-2.0
"""What the commands about a log's past ask, and how the answers are found (`pin_commands`)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ledger_verify import outcomes
from ledger_verify.command import Options, Question, shown_place
from ledger_verify.equivocation import EquivocationError, verify_equivocation, write_equivocation
from ledger_verify.errors import CannotTellError
from ledger_verify.files import is_url, read_file, write_file
from ledger_verify.log_files import LogFiles, open_source
from ledger_verify.pin_book import read_pins, write_pins
from ledger_verify.pins import Shown, add_shown, check_shown, keys_with_pins, shown_by_file, shown_by_log
from ledger_verify.report import Outcome
from ledger_verify.trust import TrustedKeys


def pin_add(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    def ask(place: str) -> Question:
        def answer() -> list[Outcome]:
            pins = read_pins(options.pin, must_exist=False)
            added = []
            for shown in _about(_shown(place, []), {key.name for key in keys.of_logs}):
                try:
                    pins, pin = add_shown(pins, shown, keys)
                except EquivocationError as error:
                    return [
                        _forked(place, error, keys_with_pins(keys, pins, shown.checkpoint.origin), options.proof_out)
                    ]
                added.append(outcomes.pinned_outcome(shown_place(place), pin))
            write_pins(options.pin, pins)
            return added

        return shown_place(place), answer

    return map(ask, options.places)


def pin_check(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    place = options.place

    def answer() -> list[Outcome]:
        pins = read_pins(options.pin)
        checked = []
        for shown in _about(_shown(place, options.proof), {pin.checkpoint.origin for pin in pins}):
            try:
                checked.append(outcomes.pins_outcome(shown_place(place), check_shown(pins, shown, keys)))
            except EquivocationError as error:
                trusted = keys_with_pins(keys, pins, shown.checkpoint.origin)
                checked.append(_forked(place, error, trusted, options.proof_out))
        return checked

    yield shown_place(place), answer


def _about(shown: list[Shown], origins: set[str]) -> list[Shown]:
    """What is about logs that are known; if nothing is, the first, so that it is said why not."""
    return [one for one in shown if one.checkpoint.origin in origins] or shown[:1]


def pin_list(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    def answer() -> list[Outcome]:
        pins = read_pins(options.pin)
        if not pins:
            raise CannotTellError("nothing is pinned")
        return [outcomes.pinned_outcome(options.pin, pin) for pin in pins]

    yield options.pin, answer


def _shown(place: str, proofs: list[str]) -> list[Shown]:
    """What a log or a file shows."""
    if is_url(place) or os.path.isdir(place):
        return [shown_by_log(LogFiles(open_source(place)))]
    return shown_by_file(read_file(place), [read_file(proof, what="the consistency proof") for proof in proofs])


def _forked(place: str, error: EquivocationError, keys: TrustedKeys, proof_out: str | None) -> Outcome:
    """That a log has forked stays true whether or not the proof of it can be written."""
    written = None
    if proof_out is None:
        then = "Run it again with --proof-out FILE: that file will convince others"
    else:
        try:
            write_file(proof_out, write_equivocation(error.found, keys.of_logs), "the proof")
            written = proof_out
            then = (
                f"{proof_out} proves it to whoever has the log's key: ledger-verify equivocation --key VKEY {proof_out}"
            )
        except CannotTellError as failed:
            then = f"The proof is not kept, {failed}: {proof_out}"
    return outcomes.forked_outcome(shown_place(place), f"{error}. {then}", error.found, written)


def equivocation(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    [file] = options.files
    yield file, lambda: outcomes.equivocation_outcome(file, *verify_equivocation(read_file(file), keys))
