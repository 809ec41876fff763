# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, sorted by what the caller does next.

    Exception
    ├── VerificationError      the evidence does not hold: do not rely on it      (exit 1)
    │   └── MalformedError     the bytes are not in the format they claim to be   (exit 1)
    └── CannotTellError        nothing was learned: fix the call and ask again    (exit 2)

Every parser and every check of this package raises `VerificationError` for whatever bytes it is given, and nothing else.
A message says which step failed, what was found, what was wanted and, where there is a likely cause, what to do about it.
Text that comes from the evidence is quoted by `shown`, so that a hostile file cannot drive a terminal.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_SHOWN_CHARACTERS = 80


class VerificationError(Exception):
    """The evidence does not hold. `steps` names the failed step of the format's page, outermost first."""

    def __init__(self, problem: str, *, got: object = None, want: object = None, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.got = got
        self.want = want
        self.hint = hint
        self.steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.problem
        if self.got is not None:
            text += f": got {_value(self.got)}"
        if self.want is not None:
            text += f"{',' if self.got is not None else ':'} want {_value(self.want)}"
        if self.hint:
            text += f". {self.hint}"
        return ": ".join((*self.steps, text))


class MalformedError(VerificationError):
    """The bytes are not in the format they claim to be, so there is nothing to check."""


class CannotTellError(Exception):
    """The question could not be asked: wrong usage, a file that is missing or cannot be read."""


class step:
    """Used as a statement, `with step("step 4"):`. Name the step that the enclosed code performs, so that a failure inside says where it stands."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, VerificationError):
            error.steps = (self._name, *error.steps)


def shown(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """`text` cut to `limit` characters, with everything that is not printable written as an escape.

    `str.isprintable` is false for control characters, for the format characters that reorder text on a terminal, and
    for the lone surrogates that stand for undecodable bytes of a file name.
    """
    cut = text if len(text) <= limit else text[:limit] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else _escape(c) for c in cut)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _value(value: object) -> str:
    if isinstance(value, bytes):  # a hash, as the files write it
        return binascii.b2a_base64(value, newline=False).decode("ascii") if len(value) <= 64 else f"{len(value)} bytes"
    if isinstance(value, str):
        return f'"{shown(value)}"'
    if isinstance(value, int) and value.bit_length() > 256:
        return "an integer of more than 256 bits"  # str() of a huge integer raises ValueError
    return shown(str(value))
