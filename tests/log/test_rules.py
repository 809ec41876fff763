# SPDX-License-Identifier: Apache-2.0
"""Rules of fields: what an outsider refuses in an entry, the service refuses in one that somebody sends."""

import json
from pathlib import Path
from typing import Any

import pytest
from ledger_verify.entry import parse_entry
from ledger_verify.errors import VerificationError

from ledger.log.events import catalogue
from ledger.log.leaf import InvalidEntryError
from ledger.log.rules import SUBJECT, read_foreign_leaf
from tests.verify_cli.good_events import DATA, WRONG, event
from tests.verify_cli.textbook import jcs

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
ENTRIES = [case for case in json.loads((VECTORS / "entries.json").read_text())["cases"] if case["ok"]]
BY_TYPE = {json.loads(case["entry"])["type"]: json.loads(case["entry"]) for case in ENTRIES}
BY_TYPE["disclosure.erased"] = {
    name: BY_TYPE["log.created"][name] for name in BY_TYPE["log.created"] if name != "subject"
} | {
    "type": "disclosure.erased",
    "data": {
        "v": 1,
        "as_of": 5,
        "ranges": [[2, 3], [5, 8]],
        "grounds": "other",
        "actor": "operator",
        "pointers": ["/data/reason", "/data/result"],
        "legal_basis": "GDPR Art. 17(1)(b)",
    },
}
BY_TYPE["evidence.exported"] = BY_TYPE["log.created"] | {
    "type": "evidence.exported",
    "subject": "e-1",
    "data": {
        "v": 1,
        "export_id": "e-1",
        "from": 3,
        "to": 7,
        "disclose": ["* /data/reason", "call.reported /data/tool_args/*"],
        "manifest": "0" * 64,
        "actor": "key:k1",
    },
}
for name in DATA.keys() - BY_TYPE.keys():
    BY_TYPE[name] = event(name)
SPARE = "example.com/log/x+d6a07a85+AVnH9nW9bRkKR4bqzTnsEDNcH7yZ8k0Nl0W2xo1Rj0bB"

LATE = "2999-12-31"
CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # type, changed members of data, changed members of the envelope
    ("call.reported", {"call_id": ""}, {}),
    ("call.reported", {"call_id": "x" * 201}, {}),
    ("call.reported", {"call_id": "é"}, {}),
    ("call.reported", {"tool_name": "a\nb"}, {}),
    ("call.reported", {"side_effect": ""}, {}),
    ("call.reported", {"bundle_name": "x" * 201}, {}),
    ("call.reported", {"agent_id": "another"}, {}),
    ("call.reported", {"principal": {"$sealed": "A" * 43}, "reason": {"$sealed": "A" * 43}}, {}),
    ("call.reported", {"tool_args": {"a": {"$sealed": "A" * 43}}, "reason": {"$sealed": "A" * 43}}, {}),
    ("call.reported", {}, {"subject": None}),
    ("call.reported", {}, {"source": "a b"}),
    ("call.reported", {}, {"source": "a+b"}),
    ("call.reported", {}, {"source": "a\u200bb"}),
    ("call.reported", {}, {"source": ""}),
    ("call.reported", {}, {"source": "é" * 128}),
    ("log.genesis", {"entry_rule": "other/v1"}, {}),
    ("log.genesis", {"origin": "elsewhere"}, {}),
    ("log.genesis", {"origin": "elsewhere"}, {"subject": "elsewhere"}),
    ("log.genesis", {"vkey": "x"}, {}),
    ("log.genesis", {"vkey": SPARE}, {}),
    ("log.genesis", {"kind": "tenant"}, {}),
    ("log.genesis", {"max_commit_delay": -1}, {}),
    ("log.genesis", {"as_of": 0}, {}),
    ("log.created", {"as_of": None}, {}),
    ("log.created", {"as_of": -1}, {}),
    ("log.created", {"vkey": SPARE}, {}),
    ("heads.committed", {"count": 0}, {}),
    ("heads.committed", {"root": "x"}, {}),
    ("heads.committed", {}, {"subject": "x"}),
    ("day.closed", {"date": "2026-02-30"}, {"subject": "2026-02-30"}),
    ("day.closed", {"date": "20260301"}, {"subject": "20260301"}),
    ("day.closed", {"previous": LATE}, {}),
    ("day.closed", {"previous": "yesterday"}, {}),
    ("evidence.exported", {"disclose": ["b.c *", "a.b *"]}, {}),
    ("evidence.exported", {"disclose": ["a.b *", "a.b *"]}, {}),
    ("evidence.exported", {"disclose": ["a.b"]}, {}),
    ("evidence.exported", {"disclose": ["a.b  *"]}, {}),
    ("evidence.exported", {"disclose": [1]}, {}),
    ("evidence.exported", {"disclose": "none"}, {}),
    ("evidence.exported", {"disclose": [f"a.b /data/x{i}" for i in range(100, 165)]}, {}),
    ("evidence.exported", {"from": 7}, {}),
    ("evidence.exported", {"to": 3}, {}),
    ("evidence.exported", {"from": -1}, {}),
    ("evidence.exported", {"manifest": "0" * 63}, {}),
    ("evidence.exported", {"manifest": "A" * 64}, {}),
    ("evidence.exported", {"export_id": ""}, {"subject": ""}),
    ("disclosure.erased", {"ranges": []}, {}),
    ("disclosure.erased", {"ranges": [[2, 2]]}, {}),
    ("disclosure.erased", {"ranges": [[2, 3], [3, 4]]}, {}),
    ("disclosure.erased", {"ranges": [[5, 6], [2, 3]]}, {}),
    ("disclosure.erased", {"ranges": [[2]]}, {}),
    ("disclosure.erased", {"ranges": [[-1, 3]]}, {}),
    ("disclosure.erased", {"ranges": [[2 * i, 2 * i + 1] for i in range(2001)]}, {}),
    ("disclosure.erased", {"pointers": []}, {}),
    ("disclosure.erased", {"pointers": ["/data/"]}, {}),
    ("disclosure.erased", {"pointers": ["/data/b", "/data/a"]}, {}),
    ("disclosure.erased", {"pointers": ["/data/a b"]}, {}),
    ("disclosure.erased", {"pointers": [f"/data/{i:03}" for i in range(65)]}, {}),
    ("disclosure.erased", {"grounds": "because"}, {}),
    ("disclosure.erased", {"legal_basis": ""}, {}),
    ("disclosure.erased", {"actor": "someone"}, {}),
    ("disclosure.erased", {"as_of": None}, {}),
    ("disclosure.erased", {}, {"subject": "x"}),
    ("release.published", {"sha256": "0" * 63 + "G"}, {}),
    ("release.published", {"version": ""}, {"subject": ""}),
    ("member.joined", {"member_id": ""}, {"subject": ""}),
    ("member.joined", {}, {"subject": "another"}),
    ("sso.configured", {}, {"subject": None}),
    ("token.issued", {"member_id": "m"}, {}),
    ("token.revoked", {}, {"subject": "a"}),
    ("kill_switch.engaged", {}, {"subject": "t"}),
    ("kill_switch.engaged", {"as_of": None}, {}),
]


def changed(name: str, data: dict[str, Any], envelope: dict[str, Any]) -> str:
    """An entry of this type with changes, in strict JCS; None takes a member away."""
    entry = BY_TYPE[name] | envelope
    entry["data"] = {member: value for member, value in (entry["data"] | data).items() if value is not None}
    kept = {member: value for member, value in entry.items() if value is not None}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("case", ENTRIES, ids=lambda case: case["name"])
def test_entry_of_the_vectors_keeps_all_rules(case: dict[str, Any]) -> None:
    assert read_foreign_leaf(case["entry"].encode())[0].id in case["entry"]


@pytest.mark.parametrize(("name", "data", "envelope"), CHANGES)
def test_rule_is_one_for_the_service_and_for_an_outsider(
    name: str, data: dict[str, Any], envelope: dict[str, Any]
) -> None:
    text = changed(name, data, envelope)
    with pytest.raises(InvalidEntryError):
        read_foreign_leaf(text.encode())
    with pytest.raises(VerificationError):
        parse_entry(text)


@pytest.mark.parametrize(("name", "field", "value"), WRONG)
def test_wrong_field_is_refused_by_both(name: str, field: str, value: object) -> None:
    """The subject follows, so that nothing else is wrong."""
    text = jcs(event(name, **{field: value}))
    with pytest.raises(InvalidEntryError):
        read_foreign_leaf(text.encode())
    with pytest.raises(VerificationError):
        parse_entry(text)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        *[("kill_switch.engaged", "actor", f"{kind}:{'x' * 190}") for kind in ("key", "member", "agent")],
        ("kill_switch.engaged", "actor", "key::"),
        ("key.created", "agents", [f"{number:03}" for number in range(200)]),
        ("key.created", "triggers", ["!", "x" * 200, "~"]),
        ("key.created", "uploads", False),
        ("key.created", "role", "agent"),
        ("sso.configured", "provider", "0-" + "a" * 38),
        ("usage.threshold_reached", "month", "0000-12"),
        ("tenant.changed", "monthly_calls", 2**53 - 1),
    ],
)
def test_field_at_its_limit_is_taken_by_both(name: str, field: str, value: object) -> None:
    text = jcs(event(name, **{field: value}))
    assert read_foreign_leaf(text.encode())[1].type == parse_entry(text).type == name


@pytest.mark.parametrize("kind", sorted(catalogue()))
def test_everything_but_what_is_required_may_be_absent(kind: str) -> None:
    """Each by itself and all together, where the rules between fields do not ask for one of them."""
    optional = json.loads((VECTORS / "catalogue.json").read_text())[kind]["optional"]
    given = {name: ... for name in optional if name in DATA[kind] and not kind.startswith("token.")}
    for absent in ({}, given, *({name: ...} for name in given)):
        text = jcs(event(kind, **absent))
        assert read_foreign_leaf(text.encode())[1].type == parse_entry(text).type == kind


@pytest.mark.parametrize("name", sorted(BY_TYPE))
def test_unchanged_entry_is_taken_by_both(name: str) -> None:
    text = changed(name, {}, {})
    assert read_foreign_leaf(text.encode())[1].type == parse_entry(text).type == name


def test_entry_has_at_most_so_many_bytes() -> None:
    contracts = [{"id": "i" * 200, "mode": "enforce", "tool": "t" * 200, "type": "t" * 200}] * 100
    manifest = {
        "agent_id": "a",
        "contracts": contracts,
        "env": "production",
        "key_id": "k",
        "policy_version": "1",
        "v": 1,
    }
    base = BY_TYPE["call.reported"] | {"type": "agent.manifest_reported", "data": manifest, "subject": "a"}
    text = json.dumps(base, sort_keys=True, separators=(",", ":"))
    assert len(text) > 60_000
    with pytest.raises(InvalidEntryError, match="at most 60000"):
        read_foreign_leaf(text.encode())
    with pytest.raises(VerificationError, match="too long"):
        parse_entry(text)


def test_subjects_are_those_of_the_catalogue() -> None:
    said = json.loads((VECTORS / "catalogue.json").read_text())
    named = {kind.type for kind in SUBJECT}
    assert named <= set(catalogue()) == set(said) == set(BY_TYPE)
