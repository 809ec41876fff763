# SPDX-License-Identifier: Apache-2.0
"""What a command is, and what several commands take and show alike.

A command turns its options into questions: the name of what one is about, and a function that answers with an outcome or
several, or raises what went wrong. `cli` asks them and says what came of it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import Callable, NamedTuple

from ledger_verify.files import is_url
from ledger_verify.report import Outcome
from ledger_verify.trust import TrustedKeys

Options = argparse.Namespace
Question = tuple[str, Callable[[], "Outcome | list[Outcome]"]]

_READ_TOKEN = re.compile(r"/t/[^/]+")


PINNED = ("--key", "--root-key", "--policy", "--pin")  # trust for what may be of a log that was pinned


class Command(NamedTuple):
    """A command. `arguments` adds to its parser, `questions` reads what was given."""

    name: str
    summary: str
    examples: str
    arguments: Callable[[argparse.ArgumentParser], None]
    questions: Callable[[Options, TrustedKeys], Iterable[Question]]
    trust: tuple[str, ...] = ("--key", "--root-key", "--policy")
    things: str = "files"  # what the results are about, where there are several


def shown_place(place: str) -> str:
    """A place as it may be shown: a read token in a URL opens a whole log, and what is printed is kept."""
    return _READ_TOKEN.sub("/t/-", place) if is_url(place) else place


def files(metavar: str, many: bool) -> Callable[[argparse.ArgumentParser], None]:
    return lambda parser: add(parser, "files", metavar=metavar, nargs="+" if many else 1)


def add(parser: argparse.ArgumentParser, *names: str, **settings: object) -> None:
    parser.add_argument(*names, **settings)  # type: ignore[arg-type]
