# SPDX-License-Identifier: Apache-2.0
"""Patterns: which entries a claim is about (spec/claims.md, "Patterns").

A pattern is a JSON object of conditions, all of which must hold. Whether one holds is True, False, or a Doubt, and so is
whether an entry matches. What the catalogue rules out (a member that no named type has, a verdict that there is none) is
refused when the pattern is read: a claim with a slip of the pen in it would otherwise hold of every log.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Callable, NamedTuple, Optional

from ledger_verify import catalogue, field_rules, shapes
from ledger_verify.canonical import write_jcs
from ledger_verify.encodings import MAX_INTEGER, check_time
from ledger_verify.entry_values import (
    ABSENT,
    ENVELOPE,
    TIMES,
    UNREAD,
    At,
    Tokens,
    pointer_of,
    stands_at,
    unknown,
    value_at,
)
from ledger_verify.errors import MalformedError, shown
from ledger_verify.three_valued import Answer, Doubt

MAX_CONDITIONS = 32
MAX_CHOICES = 1000
MAX_NAME = 200

Test = Callable[[object], Optional[bool]]
"""Of a value that is there and can be read; None where it is a number that is not compared."""


class Condition(NamedTuple):
    """A condition on one place. Of `test`, `exists` and `variable` it has one; `wanted` is it as the file has it."""

    name: str
    tokens: Tokens
    wanted: object
    test: Test | None = None
    exists: bool | None = None
    variable: str | None = None

    def hold(self, at: At) -> Answer:
        if self.exists is not None:
            there = stands_at(at, self.tokens)
            return there if isinstance(there, Doubt) else there is self.exists
        value = value_at(at, self.tokens)
        if isinstance(value, Doubt) or value is ABSENT:
            return value if isinstance(value, Doubt) else False
        if self.variable is not None:
            return isinstance(value, (str, bool, int))
        assert self.test is not None
        held = self.test(value)
        if held is None:
            return Doubt(at.leaf_index, pointer_of(self.tokens), "its value is a number beyond comparison")
        return held


class Pattern(NamedTuple):
    """Conditions, the one on `type` apart: it is asked first, since it is decided without looking further."""

    types: frozenset[str] | None
    conditions: tuple[Condition, ...]
    variables: dict[str, Tokens]  # the place that each stands for

    @property
    def governing_only(self) -> bool:
        """Whether all that can match is in the governing chain."""
        classes = {kind.governing for (name, _), kind in catalogue.EVENT_TYPES.items() if name in (self.types or ())}
        return self.types is not None and classes == {True}

    def match(self, at: At) -> Answer:
        """An entry of an unknown type or version matches for certain never: who knows what its members mean."""
        entry = at.entry
        if self.types is not None and entry.type not in self.types:
            return False
        doubt: Doubt | None = None
        for condition in self.conditions:
            answer = condition.hold(at)
            if answer is False:
                return False
            if doubt is None and isinstance(answer, Doubt):
                doubt = answer
        if doubt is None and entry.known is None:
            doubt = unknown(at)
        return True if doubt is None else doubt

    def key(self, at: At, names: tuple[str, ...]) -> tuple[str, ...] | Doubt:
        """The values of some of its variables in an entry that matches, each as strict JCS."""
        key = []
        for name in names:
            value = value_at(at, self.variables[name])
            if isinstance(value, Doubt):
                return value
            key.append(write_jcs(value))
        return tuple(key)

    def described(self, at: At) -> str:
        """What an entry has where the pattern looks."""
        parts = [f"{shown(at.entry.type)} #{at.leaf_index}"]
        parts += [f"{shown(c.name)} {spelled(value_at(at, c.tokens))}" for c in self.conditions]
        return ", ".join(parts)

    def failing(self, at: At) -> tuple[str, str]:
        """The first thing that is not as the pattern wants it: what it is, and what it should be."""
        if self.types is not None and at.entry.type not in self.types:
            return f"type {spelled(at.entry.type)}", f"type {spelled(sorted(self.types))}"
        condition = next(c for c in self.conditions if c.hold(at) is False)
        name = shown(condition.name)
        return f"{name} {spelled(value_at(at, condition.tokens))}", f"{name} {spelled(condition.wanted)}"


def parse_pattern(value: object, what: str) -> Pattern:
    """A pattern of a claims file."""
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object", got=shapes.kind_of(value))
    if len(value) > MAX_CONDITIONS:
        raise MalformedError(f"{what} has too many conditions", got=len(value), want=f"at most {MAX_CONDITIONS}")
    types = None
    if "type" in value:
        types = frozenset(shapes.string(name, f"{what}: type") for name in _choices(value["type"], f"{what}: type"))
        known = {name for name, _ in catalogue.EVENT_TYPES}
        if types - known:
            raise MalformedError(
                f"{what}: this verifier knows no such type",
                got=min(types - known),
                want=", ".join(sorted(known)),
                hint="If it is a new one, a newer verifier knows it",
            )
    conditions = tuple(_condition(name, wanted, types, what) for name, wanted in value.items() if name != "type")
    variables = {c.variable: c.tokens for c in conditions if c.variable is not None}
    if len(variables) != sum(c.variable is not None for c in conditions):
        raise MalformedError(f"{what} has one variable in two places")
    return Pattern(types, conditions, variables)


def parse_place(name: object, types: frozenset[str] | None, what: str) -> Tokens:
    """The place that a name stands for: a member of the envelope, a member of `data`, or a pointer into `data`."""
    text = shapes.string(name, what)
    where = f"{what}: {shown(text)}"
    if not 0 < len(text) <= MAX_NAME:
        raise MalformedError(f"{what} has a name of no or too many characters", want=f"1 to {MAX_NAME}")
    if text in ENVELOPE:
        return (text,)
    tokens: Tokens = ("data", text)
    if text.startswith("/"):
        tokens = tuple(_unescape(token, where) for token in text.split("/")[1:])
        if len(tokens) < 2 or tokens[0] != "data":
            raise MalformedError(f"{where} is no pointer into data", want="/data/…, or the name of a member")
    if tokens[1] != "v" and not _rules(tokens[1], types):
        raise MalformedError(
            f"{what}: no event {'of that type ' if types else ''}has this member",
            got=tokens[1],
            hint="spec/events.md lists the members of each type",
        )
    return tokens


def spelled(value: object) -> str:
    """A value as a message has it."""
    if value is ABSENT:
        return "absent"
    if isinstance(value, Doubt):
        return "unknown"
    if isinstance(value, Decimal):
        return shown(str(value))
    if isinstance(value, list) and all(isinstance(item, (str, int)) for item in value):
        return shown(" or ".join(write_jcs(item) for item in value), 200)
    if isinstance(value, (str, int)):
        return shown(write_jcs(value), 200)
    if isinstance(value, dict) and all(isinstance(item, (str, int)) for item in value.values()):
        return shown(", ".join(f"{name} {write_jcs(item)}" for name, item in value.items()), 200)
    return "null" if value is None else "a number beyond comparison" if value is UNREAD else shapes.kind_of(value)


def _condition(name: str, wanted: object, types: frozenset[str] | None, what: str) -> Condition:
    tokens = parse_place(name, types, what)
    what = f"{what}: {shown(name)}"
    condition = Condition(name, tokens, wanted)
    if not isinstance(wanted, dict):
        choices = _choices(wanted, what)
        _refuse_impossible(tokens, choices, types, what)
        return condition._replace(test=_equal_to(choices))
    if set(wanted) == {"exists"}:
        if not isinstance(wanted["exists"], bool):
            raise MalformedError(f"{what}: exists is neither true nor false", got=shapes.kind_of(wanted["exists"]))
        return condition._replace(exists=wanted["exists"])
    if set(wanted) == {"same"}:
        variable = shapes.string(wanted["same"], f"{what}: same")
        if not 0 < len(variable) <= MAX_NAME:
            raise MalformedError(f"{what}: a variable has 1 to {MAX_NAME} characters")
        return condition._replace(variable=variable)
    if not wanted or set(wanted) - {"at_least", "at_most"}:
        raise MalformedError(
            f"{what} is no condition",
            got=", ".join(sorted(wanted)) or "{}",
            want="a value, a list of values, exists, same, or at_least and at_most",
        )
    return condition._replace(test=_bounded(wanted, tokens, what))


def _choices(wanted: object, what: str) -> list[object]:
    choices = wanted if isinstance(wanted, list) else [wanted]
    if not 0 < len(choices) <= MAX_CHOICES:
        raise MalformedError(f"{what} has no or too many values", got=len(choices), want=f"1 to {MAX_CHOICES}")
    for choice in choices:
        if not isinstance(choice, (str, int)):
            raise MalformedError(f"{what} wants no string, integer or boolean", got=shapes.kind_of(choice))
    return choices


def _equal_to(choices: list[object]) -> Test:
    texts = frozenset(choice for choice in choices if isinstance(choice, str))
    booleans = [choice for choice in choices if isinstance(choice, bool)]
    numbers = frozenset(choice for choice in choices if isinstance(choice, int) and not isinstance(choice, bool))

    def test(value: object) -> bool | None:
        if isinstance(value, str):
            return value in texts
        if isinstance(value, bool):
            return value in booleans
        if value is UNREAD:
            return None if numbers else False
        if isinstance(value, Decimal):  # compared by value and never hashed: that takes long for 1e999999999
            return any(value == number for number in numbers)
        return isinstance(value, int) and value in numbers

    return test


def _bounded(wanted: dict[str, object], tokens: Tokens, what: str) -> Test:
    """Integers bound numbers, times bound the times of the envelope, whose fixed form sorts as the times do."""
    low, high = wanted.get("at_least"), wanted.get("at_most")
    if tokens[0] in TIMES:
        for bound in wanted.values():
            check_time(shapes.string(bound, what), what)
        return lambda value: (low is None or low <= value) and (high is None or value <= high)  # type: ignore[operator]
    for bound in wanted.values():
        if not isinstance(bound, int) or isinstance(bound, bool) or abs(bound) > MAX_INTEGER:
            raise MalformedError(f"{what}: a bound is no integer", got=shapes.kind_of(bound))

    def test(value: object) -> bool | None:
        if value is UNREAD:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            return False
        return (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]

    return test


def _refuse_impossible(tokens: Tokens, choices: list[object], types: frozenset[str] | None, what: str) -> None:
    """A value that the catalogue rules out: the condition would be false of every entry."""
    if tokens[0] != "data" or len(tokens) != 2 or tokens[1] == "v":
        return
    rules = _rules(tokens[1], types)
    if rules & catalogue.SEALED_RULES:
        return
    for choice in choices:
        if not any(field_rules.may_hold(rule, choice) for rule in rules):
            raise MalformedError(
                f"{what} can never have this value", got=choice, hint="spec/events.md lists the values"
            )


def _rules(member: str, types: frozenset[str] | None) -> set[str]:
    """The rules that a member of `data` has in the known versions of the types."""
    kinds = [kind for (name, _), kind in catalogue.EVENT_TYPES.items() if types is None or name in types]
    return {rule for kind in kinds for rule in [kind.required.get(member) or kind.optional.get(member)] if rule}


def _unescape(token: str, what: str) -> str:
    if "~" in token.replace("~0", "").replace("~1", ""):
        raise MalformedError(f"{what} is no JSON Pointer", hint="A ~ is written ~0, and a / within a name ~1")
    return token.replace("~1", "/").replace("~0", "~")
