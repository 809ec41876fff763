# SPDX-License-Identifier: Apache-2.0
"""The command `ledger-verify`. Results go to stdout, talk goes to stderr, the exit code is the answer.

    0  verified
    1  not verified
    2  could not tell: wrong usage, a file that cannot be read, a value that is withheld
    3  self-consistent only: everything fits together, but no trusted key was given that applies

Of several files, one that is not verified decides; then one that could not be told; then one that is self-consistent only.
The command reads what it is given and nothing else: no configuration, no environment, and no network but the URL of a log.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Callable, NoReturn

from ledger_verify import __version__, report
from ledger_verify.command import Command
from ledger_verify.commands import COMMANDS
from ledger_verify.errors import CannotTellError, VerificationError, shown
from ledger_verify.files import read_file
from ledger_verify.policy import MAX_POLICY_BYTES
from ledger_verify.report import Outcome
from ledger_verify.trust import CANNOT_TELL, EXIT_CODES, NOT_VERIFIED, SELF_CONSISTENT, PinnedTree, trusted_keys

_COULD_NOT_TELL = EXIT_CODES[CANNOT_TELL]
_WIDTH = 100

_DESCRIPTION = """\
Check evidence of Decision Ledger, and any tlog-tiles log. Trust comes from the keys you give: get them from
somewhere else than the evidence. Without a key the best verdict is "self-consistent only"."""

_EXIT_CODES = """\
exit codes:
  0  verified
  1  not verified
  2  could not tell (wrong usage, a file that cannot be read, a value that is withheld)
  3  self-consistent only (no trusted key was given that applies)
"""

_TRUST: dict[str, dict[str, Any]] = {
    "--key": {"metavar": "VKEY", "action": "append", "default": [], "help": "trusted key of the log"},
    "--root-key": {"metavar": "VKEY", "action": "append", "default": [], "help": "trusted key of the root log"},
    "--policy": {"metavar": "FILE", "help": "C2SP tlog-policy: keys of logs, witnesses, and which of them must cosign"},
    "--pin": {"metavar": "FILE", "help": "pin book: the keys in it are trusted, and no tree in it may be another one"},
}


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
        policy = None if options.policy is None else read_file(options.policy, MAX_POLICY_BYTES, "the policy")
        keys = trusted_keys(options.key, options.root_key, policy, _pinned(options))
    except VerificationError as error:
        parser.error(f"a given key or policy is unusable: {error}")
    except CannotTellError as error:
        parser.error(str(error))
    outcomes = []
    heads: dict[tuple[object, object], tuple[object, str]] = {}
    for subject, answer in options.questions(options, keys):
        for found in _judge(subject, answer):
            outcome = report.against_earlier(found, heads)
            outcomes.append(outcome)
            if not options.json:
                stream = sys.stderr if outcome.verdict == CANNOT_TELL else sys.stdout
                print("\n".join([report.line(outcome), *report.explanation(outcome)]), file=stream)
    if options.json:
        print(json.dumps(report.as_object(outcomes), indent=2))
        for outcome in outcomes:
            if outcome.verdict == CANNOT_TELL:
                _talk(report.line(outcome))
    elif len(outcomes) > 1:
        print(report.summary(outcomes, options.things))
    if any(outcome.verdict == SELF_CONSISTENT for outcome in outcomes):
        _talk("self-consistent only: no given key applies, so anybody could have made this. Give --key or --root-key")
    return report.exit_code(outcomes)


def _pinned(options: argparse.Namespace) -> Iterable[PinnedTree]:
    """The pins that evidence is held against; the commands of the book itself do more with it."""
    if not options.trust_pins or options.pin is None:
        return ()
    from ledger_verify.pin_book import read_pins

    return (PinnedTree(*pin.checkpoint[:3], pin.key) for pin in read_pins(options.pin))


def _judge(subject: str, answer: Callable[[], Outcome | list[Outcome]]) -> list[Outcome]:
    try:
        found = answer()
        return found if isinstance(found, list) else [found]
    except VerificationError as error:
        return [report.failure(subject, NOT_VERIFIED, str(error))]
    except CannotTellError as error:
        return [report.failure(subject, CANNOT_TELL, str(error))]
    except Exception as error:  # noqa: BLE001 - a bug of ours must not exit like a forged file, with 1
        reason = f"the verifier failed with {type(error).__name__}: please report this"
        return [report.failure(subject, CANNOT_TELL, reason)]


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
    examples = "examples:\n" + "".join(command.examples for command in COMMANDS) + "\n"
    parser = _Parser(prog="ledger-verify", description=_DESCRIPTION, epilog=examples + _EXIT_CODES)
    parser.set_defaults(key=[], root_key=[], policy=None, pin=None)
    parser.add_argument("--version", action="version", version=f"ledger-verify {__version__}")
    groups = {"": parser.add_subparsers(dest="command", required=True, metavar="COMMAND")}
    for command in COMMANDS:
        group, _, name = command.name.rpartition(" ")
        if group not in groups:
            words = ", ".join(c.name.rpartition(" ")[2] for c in COMMANDS if c.name.startswith(f"{group} "))
            parent = groups[""].add_parser(group, help=words, epilog=_EXIT_CODES)
            groups[group] = parent.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
        _add_command(groups[group], name, command)
    return parser


def _add_command(commands: argparse._SubParsersAction[_Parser], name: str, command: Command) -> None:
    parser = commands.add_parser(
        name,
        help=command.summary,
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=f"examples:\n{command.examples}\n{_EXIT_CODES}",
    )
    command.arguments(parser)
    for option, words in _TRUST.items():
        if option in command.trust:
            parser.add_argument(option, **words)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(trust_pins="--pin" in command.trust, questions=command.questions, things=command.things)


def _talk(message: str) -> None:
    print(message, file=sys.stderr)
