# SPDX-License-Identifier: Apache-2.0
"""The command `ledger-verify`. Results go to stdout, talk goes to stderr, the exit code is the answer.

    0  verified
    1  not verified
    2  could not tell: wrong usage, a file that cannot be read
    3  self-consistent only: everything fits together, but no trusted key was given that applies

Of several files, one that is not verified decides; then one that could not be told; then one that is self-consistent only.
The command reads the files it is given and nothing else: no network, no configuration, no environment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Callable, NoReturn

from ledger_verify import __version__, report
from ledger_verify.day import verify_day_file
from ledger_verify.errors import CannotTellError, VerificationError, shown
from ledger_verify.receipt import verify_receipt
from ledger_verify.report import Outcome
from ledger_verify.trust import CANNOT_TELL, EXIT_CODES, NOT_VERIFIED, SELF_CONSISTENT, TrustedKeys, trusted_keys

MAX_FILE_BYTES = 16_000_000  # JSON of this size needs some 300 MB while it is parsed
_USUAL_FILE_BYTES = 65_536
_COULD_NOT_TELL = EXIT_CODES[CANNOT_TELL]
_WIDTH = 100

_DESCRIPTION = """\
Check evidence of Decision Ledger offline. Trust comes from the keys you give: get them from
somewhere else than the evidence. Without a key the best verdict is "self-consistent only"."""

_EXIT_CODES = """\
exit codes:
  0  verified
  1  not verified
  2  could not tell (wrong usage, a file that cannot be read)
  3  self-consistent only (no trusted key was given that applies)
"""

_EXAMPLES = """\
examples:
  ledger-verify receipt --root-key "$ROOT_VKEY" receipt.json
  ledger-verify receipt --key "$LOG_VKEY" --json receipts/*.json
  ledger-verify export --key "$LOG_VKEY" --root-key "$ROOT_VKEY" export-2026-11/
  ledger-verify root --root-key "$ROOT_VKEY" 2026-11-22.json

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    if sys.stdout is None or sys.stderr is None:  # closed by the caller: an answer that nobody can hear
        return _COULD_NOT_TELL
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # whatever the locale, an unusual character is escaped and no error
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader went away, so the answer did not arrive. Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _COULD_NOT_TELL
    except OSError as error:
        _talk(f"cannot write the results: {error.strerror}")
        return _COULD_NOT_TELL
    except KeyboardInterrupt:
        _talk("interrupted")
        return _COULD_NOT_TELL


def _run(arguments: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        keys = trusted_keys(options.key, options.root_key)
    except VerificationError as error:
        parser.error(f"a given key is unusable: {error}")
    outcomes = []
    heads: dict[tuple[object, object], tuple[object, str]] = {}
    for file in options.files:
        outcome = report.against_earlier(_judge(options.check, file, keys), heads)
        outcomes.append(outcome)
        if not options.json:
            print(report.line(outcome), file=sys.stderr if outcome.verdict == CANNOT_TELL else sys.stdout)
    if options.json:
        print(json.dumps(report.as_object(outcomes), indent=2))
        for outcome in outcomes:
            if outcome.verdict == CANNOT_TELL:
                _talk(report.line(outcome))
    elif len(outcomes) > 1:
        print(report.summary(outcomes))
    if any(outcome.verdict == SELF_CONSISTENT for outcome in outcomes):
        _talk("self-consistent only: no given key applies, so anybody could have made this. Give --key or --root-key")
    return report.exit_code(outcomes)


def _judge(check: Callable[[str, TrustedKeys], Outcome], file: str, keys: TrustedKeys) -> Outcome:
    try:
        return check(file, keys)
    except VerificationError as error:
        return report.failure(file, NOT_VERIFIED, str(error))
    except CannotTellError as error:
        return report.failure(file, CANNOT_TELL, str(error))
    except Exception as error:  # noqa: BLE001 - a bug of ours must not exit like a forged file, with 1
        return report.failure(file, CANNOT_TELL, f"the verifier failed with {type(error).__name__}: please report this")


def _check_receipt(file: str, keys: TrustedKeys) -> Outcome:
    return report.receipt_outcome(file, verify_receipt(_read(file), keys))


def _check_root(file: str, keys: TrustedKeys) -> Outcome:
    return report.day_outcome(file, verify_day_file(_read(file), keys))


def _check_export(path: str, keys: TrustedKeys) -> Outcome:
    from ledger_verify.export import verify_export  # a receipt does not wait until Python has compiled this

    return report.export_outcome(path, verify_export(path, keys))


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            raw = stream.read(_USUAL_FILE_BYTES)
            if len(raw) == _USUAL_FILE_BYTES:  # room for the longest file costs more than verifying a usual one
                raw += stream.read(MAX_FILE_BYTES + 1 - len(raw))
    except OSError as error:
        raise CannotTellError(f"cannot read the file: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise CannotTellError("no file can have this name") from None
    if len(raw) > MAX_FILE_BYTES:
        raise CannotTellError(f"the file is longer than {MAX_FILE_BYTES} bytes")
    return raw


class _Parser(argparse.ArgumentParser):
    """argparse with a fixed width, so that COLUMNS is not asked, and with its quotations escaped."""

    def __init__(self, **settings: object) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=_WIDTH),
            **settings,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_COULD_NOT_TELL, f"{self.prog}: {shown(message, 1000)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ledger-verify", description=_DESCRIPTION, epilog=_EXAMPLES + _EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"ledger-verify {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, check, metavar, many, summary in (
        ("receipt", _check_receipt, "FILE", True, "check that an entry is in a log"),
        ("export", _check_export, "PATH", False, "check a folder with a complete range of a log"),
        ("root", _check_root, "FILE", False, "check the daily root of the root log"),
    ):
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="\n".join(x for x in _EXAMPLES.split("\n") if not x.startswith("  ") or f" {name} " in x)
            + _EXIT_CODES,
        )
        command.add_argument("files", metavar=metavar, nargs="+" if many else 1)
        command.add_argument("--key", metavar="VKEY", action="append", default=[], help="trusted key of the log")
        command.add_argument(
            "--root-key", metavar="VKEY", action="append", default=[], help="trusted key of the root log"
        )
        command.add_argument("--json", action="store_true", help="one JSON object on stdout")
        command.set_defaults(check=check)
    return parser


def _talk(message: str) -> None:
    print(message, file=sys.stderr)
