# SPDX-License-Identifier: Apache-2.0
"""Claims files: what is to be held against a range of a log (spec/claims.md, "Format").

    {"format":"ledger-claims/v1","claims":[
      {"name":"agent x is never allowed anything","never":{"type":"call.reported","agent_id":"x","verdict":"allow"}},
      …]}

The file is the reader's own and no evidence; it is read as strictly all the same, since a condition that is skipped would
make a claim that holds out of one that does not.
"""

from __future__ import annotations

from typing import NamedTuple, Union

from ledger_verify import shapes
from ledger_verify.canonical import parse_json
from ledger_verify.entry_values import Tokens
from ledger_verify.errors import MalformedError, step
from ledger_verify.patterns import MAX_NAME, Pattern, parse_pattern, parse_place

FORMAT = "ledger-claims/v1"
MAX_CLAIMS_BYTES = 262_144
MAX_CLAIMS = 100
MAX_DISTINCT = 100

NEVER, ALWAYS, COUNT = KINDS = ("never", "always", "count")

# What a claim of each kind has besides its name, its pattern and `between`.
_OPTIONS = {NEVER: set(), ALWAYS: {"has", "earlier", "at_least", "distinct"}, COUNT: {"is", "at_least", "at_most"}}

Anchor = Union[int, Pattern, None]


class Claim(NamedTuple):
    """One claim. `pattern` says which entries it is about; `after` and `before` between which they must stand."""

    name: str
    kind: str
    pattern: Pattern
    has: Pattern | None = None
    earlier: Pattern | None = None
    distinct: Tokens | None = None
    at_least: int | None = None
    at_most: int | None = None
    after: Anchor = None
    before: Anchor = None

    @property
    def anchors(self) -> tuple[Pattern, ...]:
        return tuple(anchor for anchor in (self.after, self.before) if isinstance(anchor, Pattern))

    @property
    def types(self) -> frozenset[str] | None:
        """The types of all entries that the claim has to be shown; None for any."""
        found: frozenset[str] = frozenset()
        for pattern in (self.pattern, self.earlier, *self.anchors):
            if pattern is not None:
                if pattern.types is None:
                    return None
                found |= pattern.types
        return found


def parse_claims(raw: bytes) -> list[Claim]:
    """The claims of a file, at least one."""
    what = "the claims file"
    if len(raw) > MAX_CLAIMS_BYTES:
        raise MalformedError(f"{what} is too long", want=f"at most {MAX_CLAIMS_BYTES} bytes")
    file = shapes.members(parse_json(raw, what), ("claims", "format"), what)
    shapes.exactly(file["format"], FORMAT, "format")
    items = shapes.array(file["claims"], "claims")
    if not 0 < len(items) <= MAX_CLAIMS:
        raise MalformedError("claims has a wrong length", got=len(items), want=f"1 to {MAX_CLAIMS} claims")
    claims: list[Claim] = []
    names: set[str] = set()
    for position, item in enumerate(items):
        with step(f"claims[{position}]"):
            claim = _claim(item)
            if claim.name in names:
                raise MalformedError("two claims have one name", got=claim.name)
            names.add(claim.name)
            claims.append(claim)
    return claims


def _claim(value: object) -> Claim:
    if not isinstance(value, dict):
        raise MalformedError("a claim is not a JSON object", got=shapes.kind_of(value))
    kinds = [kind for kind in KINDS if kind in value]
    if len(kinds) != 1:
        raise MalformedError("a claim has one of three kinds", got=", ".join(kinds) or "none", want=", ".join(KINDS))
    [kind] = kinds
    shapes.members(value, ("name", kind), "the claim", (*_OPTIONS[kind], "between"))
    name = shapes.string(value["name"], "name")
    if not 0 < len(name) <= MAX_NAME:
        raise MalformedError("a claim's name has no or too many characters", want=f"1 to {MAX_NAME}")
    claim = Claim(name, kind, parse_pattern(value[kind], kind))
    if kind == ALWAYS:
        claim = _always(claim, value)
    elif kind == COUNT:
        claim = _count(claim, value)
    if "between" in value:
        limits = shapes.members(value["between"], (), "between", ("after", "before"))
        if not limits:
            raise MalformedError("between has neither after nor before")
        if "after" in limits:
            claim = claim._replace(after=_anchor(limits["after"], "between: after"))
        if "before" in limits:
            claim = claim._replace(before=_anchor(limits["before"], "between: before"))
        if isinstance(claim.after, int) and isinstance(claim.before, int) and claim.before <= claim.after + 1:
            raise MalformedError("between: no entry stands there", got=f"after {claim.after} and before {claim.before}")
    _check_variables(claim)
    return claim


def _always(claim: Claim, value: dict[str, object]) -> Claim:
    if ("has" in value) == ("earlier" in value):
        raise MalformedError("always goes with either has or earlier")
    if "has" in value:
        if {"at_least", "distinct"} & set(value):
            raise MalformedError("at_least and distinct go with earlier")
        return claim._replace(has=parse_pattern(value["has"], "has"))
    earlier = parse_pattern(value["earlier"], "earlier")
    at_least = shapes.integer(value.get("at_least", 1), "at_least")
    if not 0 < at_least <= MAX_DISTINCT:
        raise MalformedError("at_least is out of bounds", got=at_least, want=f"1 to {MAX_DISTINCT}")
    distinct = parse_place(value["distinct"], earlier.types, "distinct") if "distinct" in value else None
    return claim._replace(earlier=earlier, at_least=at_least, distinct=distinct)


def _count(claim: Claim, value: dict[str, object]) -> Claim:
    bounds = {name: shapes.integer(value[name], name) for name in _OPTIONS[COUNT] if name in value}
    if not bounds or ("is" in bounds and len(bounds) > 1):
        raise MalformedError("count goes with is, or with at_least and at_most")
    claim = claim._replace(
        at_least=bounds.get("is", bounds.get("at_least")), at_most=bounds.get("is", bounds.get("at_most"))
    )
    if claim.at_least is not None and claim.at_most is not None and claim.at_least > claim.at_most:
        raise MalformedError("no number is at_least and at_most these", got=f"{claim.at_least} and {claim.at_most}")
    return claim


def _anchor(value: object, what: str) -> int | Pattern:
    return shapes.integer(value, what) if isinstance(value, int) else parse_pattern(value, what)


def _check_variables(claim: Claim) -> None:
    """Variables tie other entries to the one that the claim is about, so each is in its pattern and in one of theirs."""
    own = set(claim.pattern.variables)
    tied = [set(pattern.variables) for pattern in (*claim.anchors, claim.earlier) if pattern is not None]
    loose = own.symmetric_difference(set().union(*tied))
    if loose:
        raise MalformedError(
            "a variable stands for nothing", got=min(loose), want=f"one in {claim.kind} and in between or earlier"
        )
    if claim.has is not None and claim.has.variables:
        raise MalformedError("has speaks of the same entry, so it takes no variable")
    if len(claim.anchors) == 2 and tied[0] != tied[1]:
        raise MalformedError("after and before do not have the same variables")
