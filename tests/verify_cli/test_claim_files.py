# SPDX-License-Identifier: Apache-2.0
"""Claims files: what is a claim, what is none, and that the hostile ones are refused soon and in our own words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.claims import MAX_CLAIMS_BYTES, Claim, parse_claims
from ledger_verify.patterns import Pattern

CALL = {"type": "call.reported"}
TIED = {"type": "call.reported", "call_id": {"same": "c"}}

GOOD: list[dict[str, Any]] = [
    {"never": {}},
    {"never": CALL},
    {"never": {"type": ["call.reported", "key.revoked"], "key_id": ["a", "b"]}},
    {"never": {"subject": "x", "id": "x", "source": "x", "v": {"at_least": 2}}},
    {"never": {"time": {"at_least": "2026-03-01T00:00:00.000Z"}, "recordedat": {"exists": True}}},
    {"never": {"/data/tool_args/amount": {"at_least": -5, "at_most": 5}, "/data/reason": [1, True, "x"]}},
    {"never": {"/data/tool_args/a~1b~0": 1, "/data/contracts/0/id": "x"}},
    {"always": CALL, "has": {"verdict": "allow"}},
    {"always": TIED, "earlier": TIED},
    {"always": TIED, "earlier": TIED, "at_least": 100, "distinct": "agent_id"},
    {"always": CALL, "earlier": {"type": "key.created"}, "distinct": "/data/key_id"},
    {"count": CALL, "is": 0},
    {"count": CALL, "at_least": 1, "at_most": 1},
    {"never": CALL, "between": {"after": 3}},
    {"never": CALL, "between": {"before": {"type": "key.revoked"}}},
    {"never": CALL, "between": {"after": 3, "before": 5}},
    {"never": TIED, "between": {"after": TIED, "before": TIED}},
    {"never": TIED, "between": {"after": TIED, "before": 7}},
    {"always": TIED, "has": {}, "between": {"after": TIED}},
]

BAD: list[tuple[str, Any]] = [
    ("not a JSON object", []),
    ("not a JSON object", None),
    ("three kinds", {}),
    ("three kinds", {"never": CALL, "count": CALL, "is": 1}),
    ("unknown member", {"never": CALL, "has": CALL}),
    ("unknown member", {"never": CALL, "x": 1}),
    ("unknown member", {"count": CALL, "is": 1, "earlier": CALL}),
    ("not a JSON object", {"never": []}),
    ("not a JSON object", {"never": None}),
    ("knows no such type", {"never": {"type": "call.report"}}),
    ("knows no such type", {"never": {"type": ["call.reported", ""]}}),
    ("no or too many values", {"never": {"type": []}}),
    ("no string", {"never": {"type": {"exists": True}}}),
    ("not a string", {"never": {"type": 1}}),
    ("no event of that type has this member", {"never": {**CALL, "agent": "x"}}),
    ("no event of that type has this member", {"never": {"type": "key.revoked", "role": "owner"}}),
    ("no event has this member", {"never": {"caller": "x"}}),
    ("no event has this member", {"never": {"/data/caller/x": "x"}}),
    ("no pointer into data", {"never": {"/type": "x"}}),
    ("no pointer into data", {"never": {"/data": "x"}}),
    ("no pointer into data", {"never": {"/": "x"}}),
    ("no JSON Pointer", {"never": {"/data/reason/~2": "x"}}),
    ("no or too many characters", {"never": {"": "x"}}),
    ("no or too many characters", {"never": {"x" * 201: "x"}}),
    ("never have this value", {"never": {"verdict": "block"}}),
    ("never have this value", {"never": {"verdict": ["allow", "block"]}}),
    ("never have this value", {"never": {"agent_id": 7}}),
    ("never have this value", {"never": {"type": "call.reported", "env": "all"}}),  # which a key may have
    ("no string, integer or boolean", {"never": {"agent_id": None}}),
    ("no string, integer or boolean", {"never": {"agent_id": [["x"]]}}),
    ("no or too many values", {"never": {"/data/reason": []}}),
    ("no or too many values", {"never": {"/data/reason": ["x"] * 1001}}),
    ("no condition", {"never": {"reason": {}}}),
    ("no condition", {"never": {"reason": {"above": 1}}}),
    ("no condition", {"never": {"reason": {"exists": True, "at_least": 1}}}),
    ("neither true nor false", {"never": {"reason": {"exists": 1}}}),
    ("a bound is no integer", {"never": {"reason": {"at_least": "1"}}}),
    ("a bound is no integer", {"never": {"reason": {"at_least": True}}}),
    ("not a string", {"never": {"time": {"at_least": 1}}}),
    ("not a time", {"never": {"time": {"at_least": "2026-03-01"}}}),
    ("not a string", {"never": {"call_id": {"same": 1}}}),
    ("1 to 200 characters", {"never": {"call_id": {"same": ""}}}),
    ("too many conditions", {"never": {f"/data/tool_args/{n}": 1 for n in range(33)}}),
    ("either has or earlier", {"always": CALL}),
    ("either has or earlier", {"always": CALL, "has": CALL, "earlier": CALL}),
    ("go with earlier", {"always": CALL, "has": CALL, "at_least": 2}),
    ("go with earlier", {"always": CALL, "has": CALL, "distinct": "agent_id"}),
    ("out of bounds", {"always": CALL, "earlier": CALL, "at_least": 0}),
    ("out of bounds", {"always": CALL, "earlier": CALL, "at_least": 101}),
    ("this member", {"always": CALL, "earlier": {"type": "key.created"}, "distinct": "agent_id"}),
    ("not a string", {"always": CALL, "earlier": CALL, "distinct": 1}),
    ("count goes with", {"count": CALL}),
    ("count goes with", {"count": CALL, "is": 1, "at_most": 1}),
    ("no number is", {"count": CALL, "at_least": 2, "at_most": 1}),
    ("not an integer from 0", {"count": CALL, "is": -1}),
    ("not an integer from 0", {"count": CALL, "is": True}),
    ("neither after nor before", {"never": CALL, "between": {}}),
    ("unknown member", {"never": CALL, "between": {"after": 1, "until": 2}}),
    ("not a JSON object", {"never": CALL, "between": {"after": "x"}}),
    ("not an integer", {"never": CALL, "between": {"after": -1}}),
    ("not an integer", {"never": CALL, "between": {"after": True}}),
    ("no entry stands there", {"never": CALL, "between": {"after": 4, "before": 5}}),
    ("stands for nothing", {"never": TIED}),
    ("stands for nothing", {"never": CALL, "between": {"after": TIED}}),
    ("stands for nothing", {"always": CALL, "earlier": TIED}),
    ("stands for nothing", {"always": TIED, "has": {}}),
    ("takes no variable", {"always": TIED, "has": TIED, "between": {"after": TIED}}),
    ("same variables", {"never": TIED, "between": {"after": TIED, "before": CALL}}),
    ("in two places", {"never": {"call_id": {"same": "c"}, "key_id": {"same": "c"}}}),
]


def read(*claims: Any, **changes: Any) -> list[Claim]:
    named = [{"name": f"claim {n}", **c} if isinstance(c, dict) else c for n, c in enumerate(claims)]
    return parse_claims(json.dumps({"format": "ledger-claims/v1", "claims": named} | changes).encode())


def refused(raw: bytes) -> str:
    with pytest.raises(VerificationError) as caught:
        parse_claims(raw)
    return str(caught.value)


def test_good_claims() -> None:
    assert [claim.name for claim in read(*GOOD)] == [f"claim {n}" for n in range(len(GOOD))]


@pytest.mark.parametrize(("why", "claim"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_bad_claim_is_refused_and_named(why: str, claim: Any) -> None:
    with pytest.raises(VerificationError) as caught:
        read(GOOD[0], claim)
    assert str(caught.value).startswith("claims[1]: ") and why in str(caught.value), str(caught.value)


def test_bad_file_is_refused() -> None:
    good = json.dumps({"format": "ledger-claims/v1", "claims": [{"name": "x", "never": {}}]}).encode()
    assert parse_claims(good) == parse_claims(json.dumps(json.loads(good), indent=3).encode())
    for why, raw in [
        ("is not JSON", b""),
        ("is not JSON", good[:-1]),
        ("is not UTF-8", b"\xff" + good),
        ("not a JSON object", b"[]"),
        ("format is another one", good.replace(b"/v1", b"/v2")),
        ("unknown member", good[:-1] + b', "x": 1}'),
        ("occurs twice", good.replace(b'"never": {}', b'"never": {}, "never": {"verdict": "allow"}')),
        ("occurs twice", good.replace(b'{"name"', b'{"name": "y", "name"')),
        ("not an integer", good.replace(b"{}", b'{"/data/reason": 1.0}')),
        ("larger than 2^53", good.replace(b"{}", b'{"/data/reason": %b}' % (b"9" * 20_000))),
        ("surrogate", good.replace(b'"x"', b'"\\ud800"')),
        ("nested too deeply", good.replace(b"{}", b"[" * 5000 + b"]" * 5000)),
        ("nested too deeply", good.replace(b"{}", b'{"/data/reason":' * 101 + b"1" + b"}" * 101)),
        ("too long", good + b" " * MAX_CLAIMS_BYTES),
    ]:
        assert why in refused(raw), (why, raw[:80])
    for why, claims in [
        ("wrong length", []),
        ("wrong length", [{"name": str(n), "never": {}} for n in range(101)]),
        ("one name", [{"name": "x", "never": {}}, {"name": "x", "never": CALL}]),
        ("lacks a member", [{"never": {}}]),
        ("characters", [{"name": "", "never": {}}]),
        ("characters", [{"name": "x" * 201, "never": {}}]),
        ("not a string", [{"name": 1, "never": {}}]),
    ]:
        assert why in refused(json.dumps({"format": "ledger-claims/v1", "claims": claims}).encode())


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_changed_file_is_read_as_something_else_or_refused(data: st.DataObject) -> None:
    """Of the members of a claim none goes unread: without one it is another claim, or none."""
    claim = data.draw(st.sampled_from(GOOD))
    [before] = read(claim)
    paths = [path for path in _paths(claim) if path]
    if not paths:
        return
    [after_all] = [_without(claim, data.draw(st.sampled_from(paths)))]
    try:
        [after] = read(after_all)
    except VerificationError:
        return
    assert _told(after) != _told(before)


def _paths(value: Any) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [()]
    return [()] + [(name, *rest) for name, item in value.items() for rest in _paths(item)]


def _without(value: Any, path: tuple[str, ...]) -> Any:
    if len(path) == 1:
        return {name: item for name, item in value.items() if name != path[0]}
    return {name: _without(item, path[1:]) if name == path[0] else item for name, item in value.items()}


def _told(claim: Claim) -> list[Any]:
    """A claim without its functions, which are never equal."""
    return [_without_tests(part) if isinstance(part, Pattern) else part for part in claim]


def _without_tests(pattern: Pattern) -> Pattern:
    return pattern._replace(conditions=tuple(condition._replace(test=None) for condition in pattern.conditions))
