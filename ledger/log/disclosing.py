# SPDX-License-Identifier: Apache-2.0
"""Which sealed values an export shows: rules of an event type and a pointer, either of them perhaps a pattern.

    call.reported /data/tool_args/amount        one field
    call.reported /data/tool_args/*             every argument
    * *                                         everything

Without a rule nothing is shown.
"""

import re
from collections.abc import Iterable, Sequence

from ledger.log.errors import InvalidRequestError

MAX_RULES = 64
NOTHING: tuple[str, ...] = ()
EVERYTHING = ("* *",)

_RULE = re.compile(
    r"(?P<type>\*|[a-z_]{1,40}(?:\.[a-z_]{1,40})+) (?P<pointer>\*|/data(?:/[A-Za-z0-9_.-]{1,64})*(?:/\*)?)"
)


class Disclosing:
    """A set of rules, as they stand in the manifest: sorted, none twice."""

    def __init__(self, rules: Iterable[str]) -> None:
        """Raises InvalidRequestError for what is no rule."""
        self.rules: Sequence[str] = sorted(set(rules))
        if len(self.rules) > MAX_RULES:
            raise InvalidRequestError.at(["disclose"], f"{len(self.rules)} rules, at most {MAX_RULES}")
        self._exact: set[tuple[str, str]] = set()
        self._below: list[tuple[str, str]] = []
        for rule in self.rules:
            match = _RULE.fullmatch(rule)
            if match is None:
                raise InvalidRequestError.at(
                    ["disclose"],
                    f"no rule: {rule[:80]!r}; want a type and a pointer, e.g. 'call.reported /data/tool_args/*'",
                )
            kind, pointer = match["type"], match["pointer"]
            if pointer.endswith("*"):
                self._below.append((kind, pointer[:-1]))
            else:
                self._exact.add((kind, pointer))

    def shows(self, event_type: str, pointer: str) -> bool:
        return (
            (event_type, pointer) in self._exact
            or ("*", pointer) in self._exact
            or any(kind in ("*", event_type) and pointer.startswith(below) for kind, below in self._below)
        )

    def __bool__(self) -> bool:
        return bool(self.rules)
