# SPDX-License-Identifier: Apache-2.0
"""The commands about what a log showed before: the pin book, and proofs that it contradicted itself.

What answers them is imported when one of them is asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ledger_verify.command import Command, Options, Question, add, files
from ledger_verify.trust import TrustedKeys


def _pin_book(parser: argparse.ArgumentParser) -> None:
    add(parser, "--pin", metavar="FILE", required=True, help="the pin book")


def _pin_add_arguments(parser: argparse.ArgumentParser) -> None:
    add(
        parser,
        "places",
        metavar="FILE|URL|DIR",
        nargs="+",
        help="a checkpoint, a day document, any JSON answer with a checkpoint, or a log",
    )
    _pin_book(parser)
    _add_proof_out(parser)


def _pin_check_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "place", metavar="FILE|URL|DIR", help="a log, a day document, or a checkpoint with --proof")
    _pin_book(parser)
    add(
        parser,
        "--proof",
        metavar="FILE",
        action="append",
        default=[],
        help="an answer of GET /api/v1/transparency/consistency, from a pinned size to that of the checkpoint",
    )
    _add_proof_out(parser)


def _add_proof_out(parser: argparse.ArgumentParser) -> None:
    add(parser, "--proof-out", metavar="FILE", help="where to write the proof if the log has forked")


def _pin_add(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.pin_questions import pin_add

    return pin_add(options, keys)


def _pin_check(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.pin_questions import pin_check

    return pin_check(options, keys)


def _pin_list(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.pin_questions import pin_list

    return pin_list(options, keys)


def _equivocation(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.pin_questions import equivocation

    return equivocation(options, keys)


PIN_COMMANDS = (
    Command(
        "pin add",
        "keep verified checkpoints and day documents in a pin book",
        """\
  ledger-verify pin add --pin ledger.pins --root-key "$ROOT_VKEY" 2026-11-22.json
  ledger-verify pin add --pin ledger.pins --root-key "$ROOT_VKEY" https://ledger.example.com/root/
""",
        _pin_add_arguments,
        _pin_add,
    ),
    Command(
        "pin check",
        "check that a log extends everything of it that is pinned",
        """\
  ledger-verify pin check --pin ledger.pins --proof-out fork.json https://ledger.example.com/root/
  ledger-verify pin check --pin ledger.pins --proof answer.json head.json
""",
        _pin_check_arguments,
        _pin_check,
    ),
    Command(
        "pin list",
        "show what is pinned",
        """\
  ledger-verify pin list --pin ledger.pins
""",
        _pin_book,
        _pin_list,
        trust=(),
    ),
    Command(
        "equivocation",
        "check a proof that a log signed two histories; exit code 0 means that it did",
        """\
  ledger-verify equivocation --key "$LOG_VKEY" fork.json
""",
        files("FILE", many=False),
        _equivocation,
    ),
)
