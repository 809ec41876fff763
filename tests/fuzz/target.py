# SPDX-License-Identifier: Apache-2.0
"""What a fuzz target is, and the law that it holds a parser to.

For every byte string a parser gives a value or an error of its own, never another exception, and soon. What it accepts
and can write again, it writes as the same bytes. Where the verifier has a parser for the same thing, the two accept the
same byte strings.
"""

from collections.abc import Callable
from time import thread_time
from typing import Any, NamedTuple

SECONDS = 1.0
"""Of processor time, for an input of at most MAX_BYTES."""
MAX_BYTES = 1 << 18

Parse = Callable[[bytes], Any]


class Broken(AssertionError):
    """A parser breaks the law."""


class Parser(NamedTuple):
    """A parser, and the errors that are its own."""

    parse: Parse
    errors: tuple[type[Exception], ...]


class Target(NamedTuple):
    """`again` writes what was parsed; `twin` is the other implementation. Seeds are of the real grammar."""

    name: str
    parser: Parser
    seeds: tuple[bytes, ...]
    again: Callable[[Any], bytes] | None = None
    twin: Parser | None = None

    def judge(self, data: bytes) -> bool:
        """Hold the parser to the law for one input; whether it was accepted. Raises Broken."""
        accepted, value = _run(self.parser, data)
        if accepted and self.again is not None and (written := self.again(value)) != data:
            raise Broken(f"{self.name}: accepts {data!r} and writes it as {written!r}")
        if self.twin is not None:
            try:
                agreed = _run(self.twin, data)[0] == accepted
            except IncomparableError:
                agreed = True
            if not agreed:
                here, there = ("accepts", "refuses") if accepted else ("refuses", "accepts")
                raise Broken(f"{self.name}: the service {here} what the verifier {there}: {data!r}")
        return accepted


def _run(parser: Parser, data: bytes) -> tuple[bool, Any]:
    begin = thread_time()
    try:
        value = parser.parse(data)
        accepted = True
    except parser.errors:
        value, accepted = None, False
    except IncomparableError:
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__}, which is no error of this parser, for {data[:2000]!r}") from error
    seconds = thread_time() - begin
    if seconds > SECONDS:
        raise Broken(f"{seconds:.1f} s of processor time for {len(data)} bytes: {data[:2000]!r}")
    return accepted, value


def text(parse: Callable[[str], Any]) -> Parse:
    """A parser of text as one of bytes: every byte string is some text, with lone surrogates for what is no UTF-8."""
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


def accepting(check: Callable[[bytes], str | None]) -> Parse:
    """A check that answers None or why not, as a parser."""

    def parse(data: bytes) -> None:
        if (reason := check(data)) is not None:
            raise RefusedError(reason)

    return parse


class IncomparableError(Exception):
    """What a twin raises for an input on which the two need not agree."""


class RefusedError(Exception):
    """What `accepting` raises for a reason."""
