# SPDX-License-Identifier: Apache-2.0
"""Which sealed values an export shows: rules of an event type and a pointer, either of them perhaps a pattern.

    call.reported /data/tool_args/amount        one field
    call.reported /data/tool_args/*             every argument
    * *                                         everything

Without a rule nothing is shown.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args, get_origin

import msgspec

from ledger.log.errors import InvalidRequestError
from ledger.log.events import Event, catalogue
from ledger.log.sealed import Commitment

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

    def require_known(self) -> None:
        """Raises InvalidRequestError for a rule about a type, or about a sealed field, that there is none of."""
        for rule in self.rules:
            kind, pointer = rule.split(" ")
            types = catalogue()
            if kind != "*" and kind not in types:
                raise InvalidRequestError.at(["disclose"], f"{rule!r}: there is no event type {kind}")
            sealed = {
                name for event in (types.values() if kind == "*" else [types[kind]]) for name in _sealed_names(event)
            }
            name = pointer.removeprefix("/data").removeprefix("/").partition("/")[0]
            if name not in ("*", "", *sealed):
                known = ", ".join(sorted(f"/data/{one}" for one in sealed)) or "none"
                raise InvalidRequestError.at(["disclose"], f"{rule!r}: no sealed field; of {kind} there are {known}")

    def shows(self, event_type: str, pointer: str) -> bool:
        return (
            (event_type, pointer) in self._exact
            or ("*", pointer) in self._exact
            or any(kind in ("*", event_type) and pointer.startswith(below) for kind, below in self._below)
        )

    def __bool__(self) -> bool:
        return bool(self.rules)


def _sealed_names(event: type[Event]) -> Iterator[str]:
    """The members of `data` that are sealed, whole or member by member."""
    for field in msgspec.structs.fields(event):
        kinds = get_args(field.type) or (field.type,)
        if Commitment in kinds or any(get_origin(kind) is dict for kind in (field.type, *kinds)):
            yield field.encode_name
