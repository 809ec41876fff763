# SPDX-License-Identifier: Apache-2.0
"""Claims beside a naive oracle: random histories with withheld fields and unknown events, random claims about them."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify.claim_judges import Finding, Judges
from ledger_verify.claims import parse_claims
from ledger_verify.disclosure import Disclosure
from ledger_verify.entry import Entry, parse_entry
from ledger_verify.errors import VerificationError
from ledger_verify.governing import Chain
from ledger_verify.three_valued import Doubt

from .claim_oracle import Seen, judged
from .textbook import Signer, jcs, seal
from .world import Log

LOG = Log(Signer("localhost/log/c1a1", b"claims"))
GOVERNING = {"key.created", "key.revoked"}


def _reported(agent: str, call: str, verdict: str, amount: str | None, disclosed: bool) -> tuple[Any, ...]:
    data: dict[str, Any] = {
        "agent_id": agent,
        "call_id": call,
        "env": "production",
        "key_id": f"k{call}",
        "mode": "enforce",
        "tool_name": "t",
        "verdict": verdict,
    }
    shown: dict[str, str] = {}
    if amount is not None:
        _, data["tool_args"] = "", {"amount": seal("/data/tool_args/amount", amount, bytes(32))[1]}
        shown = {"/data/tool_args/amount": amount} if disclosed else {}
    return LOG.envelope("call.reported", data, agent), shown


def _pool() -> list[tuple[Entry, dict[str, Disclosure], Seen]]:
    """One entry of each kind that matters."""
    made: list[tuple[Any, ...]] = [
        _reported(agent, call, verdict, amount, disclosed)
        for agent, call, verdict in itertools.product("ab", "12", ("allow", "deny"))
        for amount, disclosed in ((None, False), ("5", True), ("20.5", True), ("5", False))
    ]
    for key in ("k1", "k2"):
        governed = {"key_id": key, "actor": "operator", "as_of": 0}
        made.append((LOG.envelope("key.revoked", governed, key), {}))
        label = seal("/data/label", '"x"', bytes(32))[1]
        created = {**governed, "role": "agent", "env": "all", "label": label}
        made.append((LOG.envelope("key.created", created, key), {}))
    made.append((LOG.envelope("approval.granted", {"call_id": "1"}, "a"), {}))
    made.append((LOG.envelope("call.reported", {"agent_id": "a", "call_id": "1"}, "a", v=2), {}))
    made.append((LOG.envelope("key.revoked", {"key_id": "k1"}, "k1", v=2), {}))
    return [
        (
            parse_entry(jcs(event)),
            {pointer: Disclosure(pointer, text, "") for pointer, text in shown.items()},
            Seen(event, {pointer: json.loads(text) for pointer, text in shown.items()}),
        )
        for event, shown in made
    ]


POOL = _pool()

PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["call.reported", "key.revoked", ["call.reported", "key.created"]]),
    "subject": st.sampled_from(["a", "b", "k1"]),
    "agent_id": st.sampled_from(["a", ["a", "b"]]),
    "verdict": st.sampled_from(["allow", "deny", ["warn", "deny"], {"exists": True}]),
    "v": st.sampled_from([1, {"at_least": 2}]),
    "/data/tool_args/amount": st.sampled_from(
        [5, {"at_least": 6}, {"at_most": 20}, {"at_least": 5, "at_most": 21}, {"exists": False}, {"exists": True}]
    ),
}
# Places that a variable may stand for, by the type that has them.
TIED = {"call.reported": ["call_id", "key_id", "subject"], "key.revoked": ["key_id"], "key.created": ["key_id"]}


@st.composite
def patterns(draw: st.DrawFn, variables: tuple[str, ...] = ()) -> dict[str, Any]:
    """A pattern with exactly these variables."""
    if not variables:
        pattern = draw(st.fixed_dictionaries({}, optional=PLAIN))
        if pattern.get("type") == "key.revoked":  # the catalogue rules the others out
            pattern = {name: wanted for name, wanted in pattern.items() if name in ("type", "subject", "v")}
        return pattern
    kind = draw(st.sampled_from(["call.reported"] * 2 + ["key.revoked"] * (len(variables) == 1)))
    places = draw(st.permutations(TIED[kind]))
    pattern = {"type": kind} if draw(st.integers(0, 3)) else {}
    pattern |= {place: {"same": name} for place, name in zip(places, variables, strict=False)}
    if kind == "call.reported" and draw(st.booleans()):
        pattern["verdict"] = draw(PLAIN["verdict"])
    if kind == "call.reported" and draw(st.booleans()):
        pattern["/data/tool_args/amount"] = draw(PLAIN["/data/tool_args/amount"])
    return pattern


@st.composite
def all_claims(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["never", "always", "earlier", "count"]))
    tied = draw(st.sampled_from([(), (), ("x",), ("x", "y")]))
    sides = draw(st.sampled_from([(), ("after",), ("before",), ("after", "before")]))
    claim: dict[str, Any] = {"name": "it"}
    if kind == "earlier":
        earlier = draw(st.sampled_from([tied, tied[:1]]))
        claim |= {"earlier": draw(patterns(earlier)), "at_least": draw(st.integers(1, 3))}
        if draw(st.booleans()):
            claim["distinct"] = draw(st.sampled_from(["subject", "/data/tool_args/amount", "call_id"]))
        if "distinct" in claim and "type" in claim["earlier"]:
            claim["distinct"] = "subject"
        needed = set(tied) - set(earlier)
    else:
        needed = set(tied)
    indexes = st.integers(0, 12)
    if sides:
        anchored = tied if needed or draw(st.booleans()) else ()
        limits = {side: draw(st.one_of(indexes, *[patterns(anchored)] * 3)) for side in sides}
        if any(isinstance(limit, dict) for limit in limits.values()):
            needed -= set(anchored)
        claim["between"] = limits
    own = tuple(name for name in tied if name not in needed)
    used = set()
    for part in (claim.get("earlier"), *claim.get("between", {}).values()):
        if isinstance(part, dict):
            used |= {wanted["same"] for wanted in part.values() if isinstance(wanted, dict) and "same" in wanted}
    own = tuple(name for name in tied if name in used)
    claim["always" if kind == "earlier" else kind] = draw(patterns(own))
    if kind == "always":
        claim["has"] = draw(patterns())
    if kind == "count":
        claim |= draw(st.sampled_from([{"is": 2}, {"at_least": 1}, {"at_most": 3}, {"at_least": 1, "at_most": 2}]))
    return claim


HISTORIES = st.lists(st.sampled_from(POOL), max_size=14)


def parse(*claims: dict[str, Any]) -> Judges:
    file = {"format": "ledger-claims/v1", "claims": list(claims)}
    return Judges(parse_claims(json.dumps(file).encode()))


def judge(claim: dict[str, Any], history: list[Any], start: int = 0, whole: bool = True) -> Finding:
    """The finding of the streaming judge; entries before `start` are hidden but for the governing ones."""
    before = [(i, entry) for i, (entry, _, _) in enumerate(history[:start]) if entry.known and entry.known.governing]
    judges = parse(claim)
    judges.begin(start, Chain(0, 0, set(), [], before, 0, whole))
    for i, (entry, shown, _) in list(enumerate(history))[start:]:
        judges.visit(i, entry, shown)
    [finding] = judges.findings(len(history))
    return finding


def number(finding: Finding) -> float:
    return 0.5 if isinstance(finding.answer, Doubt) else float(finding.answer)


def usable(claim: dict[str, Any]) -> bool:
    try:
        parse(claim)
    except VerificationError:  # what is drawn is not always a claim, e.g. after 5 and before 3
        return False
    return True


SEEN: Counter[object] = Counter()


@given(claim=all_claims().filter(usable), history=HISTORIES)
@settings(max_examples=600, deadline=None, derandomize=True)
def test_judge_agrees_with_the_oracle(claim: dict[str, Any], history: list[Any]) -> None:
    finding = judge(claim, history)
    want, index = judged(claim, [seen for _, _, seen in history])
    assert number(finding) == want
    assert finding.answer is not False or finding.leaf_index == index
    SEEN[want] += 1


def test_histories_have_all_three_answers() -> None:
    assert min(SEEN[0.0], SEEN[0.5], SEEN[1.0]) > 30, SEEN


@given(claim=all_claims().filter(usable), history=HISTORIES, start=st.integers(1, 8), whole=st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_part_of_a_log_is_never_surer_than_the_whole(claim: Any, history: list[Any], start: int, whole: bool) -> None:
    """What is before the range may leave a doubt, and never another answer."""
    start = min(start, len(history))
    finding = judge(claim, history, start, whole)
    want, index = judged(claim, [seen for _, _, seen in history], start)
    assert number(finding) in (want, 0.5)
    assert finding.answer is not False or (finding.leaf_index or 0) >= (index or 0)


REVOKED = {"type": "key.revoked", "key_id": {"same": "k"}}
CREATED = {"type": "key.created", "key_id": {"same": "k"}}
CALLED = {"type": "call.reported", "key_id": {"same": "k"}}


@pytest.mark.parametrize(
    "claim",
    [
        {"between": {"after": REVOKED}, "never": CALLED},
        {"between": {"before": REVOKED}, "never": CALLED},
        {"between": {"after": CREATED, "before": REVOKED}, "never": CALLED},
        {"always": CALLED, "earlier": CREATED},
    ],
)
@given(history=HISTORIES, start=st.integers(1, 8))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_governing_entries_before_the_range_are_known(claim: Any, history: list[Any], start: int) -> None:
    """As sure as with the whole log, where the chain is whole and no unknown version hides anything."""
    history = [item for item in history if item[0].known is not None]
    start = min(start, len(history))
    want, _ = judged({"name": "it", **claim}, [seen for _, _, seen in history], start)
    assert number(judge({"name": "it", **claim}, history, start)) == want
    doubtful = judge({"name": "it", **claim}, history, start, whole=False)
    assert number(doubtful) in (want, 0.5)


@given(history=HISTORIES, claim=all_claims().filter(usable))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_withholding_leaves_a_doubt_and_no_other_answer(history: list[Any], claim: Any) -> None:
    withheld = [(entry, {}, seen._replace(disclosed={})) for entry, _, seen in history]
    assert number(judge(claim, withheld)) in (number(judge(claim, history)), 0.5)


def one(**wanted: Any) -> Any:
    """The first entry of the pool with these members, of `data` or, for `shown`, with or without disclosures."""
    return next(
        item
        for item in POOL
        if wanted.items()
        <= (item[0].data | {"type": item[0].type, "shown": bool(item[1]), "sealed": len(item[0].commitments)}).items()
    )


def test_a_withheld_value_may_be_none_that_counts() -> None:
    """Of an amount that is withheld nobody knows whether it is an integer."""
    claim = {"name": "it", "always": {}, "earlier": {}, "distinct": "/data/tool_args/amount", "between": {"after": 0}}
    withheld, whole = one(shown=False, sealed=1, type="call.reported"), one(shown=True)
    assert number(judge(claim, [withheld, withheld])) == 0.5
    assert number(judge(claim, [whole, withheld])) == 1.0
    assert number(judge(claim, [one(agent_id="a", sealed=0), withheld])) == 0.0


def test_what_opened_for_nobody_knows_whom_is_settled_by_what_comes_later() -> None:
    claim = {"name": "it", "never": CALLED, "between": {"after": REVOKED, "before": CREATED}}
    unknown = next(item for item in POOL if item[0].type == "key.revoked" and item[0].known is None)
    called, revoked, created = one(key_id="k1", call_id="1"), one(type="key.revoked", v=1), one(type="key.created")
    assert revoked[0].data["key_id"] == created[0].data["key_id"] == called[0].data["key_id"] == "k1"
    assert number(judge(claim, [unknown, called])) == 0.5
    assert number(judge(claim, [unknown, created, called])) == 1.0
    assert number(judge(claim, [unknown, created, unknown, called])) == 0.5
    assert number(judge(claim, [unknown, revoked, called])) == 0.0
    assert number(judge(claim, [revoked, unknown, called])) == 0.0
