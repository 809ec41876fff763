# SPDX-License-Identifier: Apache-2.0
"""Entries: each rule of entry.md and events.md, one change at a time on an event that is otherwise good."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.catalogue import EVENT_TYPES
from ledger_verify.entry import MAX_ENTRY_BYTES, check_position, parse_entry

from .good_events import DATA, HASH, LOG, NEW, OLD, SEAL, SEAL2, WRONG, event
from .textbook import b64, jcs, leaf, seal, sha256


def refused(value: object, because: str = ".") -> None:
    with pytest.raises(VerificationError, match=because):
        parse_entry(value if isinstance(value, str) else jcs(value))


def test_there_is_a_good_event_of_each_known_type() -> None:
    assert {(kind, 1) for kind in DATA} == set(EVENT_TYPES)


@pytest.mark.parametrize("kind", sorted(DATA))
def test_good_event_of_each_type(kind: str) -> None:
    text = jcs(event(kind))
    entry = parse_entry(text)
    assert entry.known is EVENT_TYPES[kind, 1]
    assert entry.leaf_hash == leaf(text.encode())


@pytest.mark.parametrize("kind", sorted(DATA))
def test_no_field_may_be_missing_added_null_or_of_another_kind(kind: str) -> None:
    row = EVENT_TYPES[kind, 1]
    for name in DATA[kind]:
        if name in row.required:
            refused(event(kind, **{name: ...}))
        elif name != "max_commit_delay" and kind not in ("token.issued", "token.revoked"):
            assert parse_entry(jcs(event(kind, **{name: ...}))).known is row
        for wrong in (None, 1.5, [[]], {"a": 1}, {"$sealed": 1}, {**SEAL, "a": 1}, "", True, -1, 2**53):
            if wrong is not True or name not in ("uploads", "enabled"):
                refused(event(kind, **{name: wrong}))
    refused(event(kind, another=1))


@pytest.mark.parametrize("kind", sorted(DATA))
def test_a_commitment_stands_only_where_a_field_is_sealed(kind: str) -> None:
    """S3, both ways."""
    row = EVENT_TYPES[kind, 1]
    fresh = seal("/data/x", "9", bytes(32))[1]
    for name, rule in {**row.required, **row.optional}.items():
        if rule in ("sealed", "sealed_arguments"):
            assert parse_entry(jcs(event(kind, **{name: fresh}))).commitments[f"/data/{name}"] == fresh["$sealed"]
            refused(event(kind, **{name: "open"}))
        else:
            refused(event(kind, **{name: fresh}))


ENVELOPE: list[tuple[str, Callable[[dict[str, object]], object]]] = [
    ("lacks a member", lambda e: e.pop("id")),
    ("lacks a member", lambda e: e.pop("data")),
    ("lacks a member", lambda e: e.pop("recordedat")),
    ("lacks a member", lambda e: e.pop("source")),
    ("lacks a member", lambda e: e.pop("specversion")),
    ("lacks a member", lambda e: e.pop("type")),
    ("unknown member", lambda e: e.update(dataschema="x")),
    ("unknown member", lambda e: e.update(traceparent="x")),
    ("specversion", lambda e: e.update(specversion="1.1")),
    ("specversion", lambda e: e.update(specversion=1)),
    ("UUIDv7", lambda e: e.update(id="1")),
    ("UUIDv7", lambda e: e.update(id=str(e["id"]).upper())),
    ("not a time", lambda e: e.update(recordedat="2026-11-22T08:30:00Z")),
    ("not a time", lambda e: e.update(time="yesterday")),
    ("not a string", lambda e: e.update(time=None)),
    ("not an origin", lambda e: e.update(source="")),
    ("not an origin", lambda e: e.update(source="local host")),
    ("not an origin", lambda e: e.update(source="local+host")),
    ("not an origin", lambda e: e.update(source="x" * 256)),
    ("subject", lambda e: e.update(subject="other")),
    ("subject", lambda e: e.pop("subject")),
    ("not a string", lambda e: e.update(type=1)),
    ("type is empty", lambda e: e.update(type="")),
    ("data is not", lambda e: e.update(data=[])),
    ("data is not", lambda e: e.update(data={})),
    ("data.v", lambda e: e.update(data={"v": "1"})),
    ("data.v", lambda e: e.update(data={"v": True})),
    ("data.v", lambda e: e.update(data={"v": -1})),
]


@pytest.mark.parametrize(("because", "change"), ENVELOPE)
def test_envelope(because: str, change: Callable[[dict[str, object]], object]) -> None:
    value = event("call.reported")
    change(value)
    refused(value, because)


FIELDS: list[tuple[str, str, object]] = [
    ("call.reported", "verdict", "block"),
    ("call.reported", "mode", "off"),
    ("call.reported", "env", "all"),
    ("call.reported", "agent_id", "a" * 201),
    ("call.reported", "agent_id", "é"),
    ("call.reported", "agent_id", "a\nb"),
    ("call.reported", "tool_args", {"amount": 1}),
    ("call.reported", "tool_args", {"amount": SEAL, "open": "x"}),
    ("call.reported", "tool_args", {"a/b": SEAL}),
    ("call.reported", "tool_args", {"": SEAL}),
    ("call.reported", "tool_args", {"a" * 65: SEAL}),
    ("call.reported", "tool_args", {"$other": SEAL}),
    ("call.reported", "tool_args", {f"a{i}": seal("/x", str(i), bytes(32))[1] for i in range(65)}),
    ("call.reported", "tool_args", {"a": {"b": SEAL}}),
    ("call.reported", "tool_args", {"a": SEAL2}),
    ("call.reported", "reason", {"$sealed": SEAL["$sealed"] + "A"}),
    ("call.reported", "reason", {"$sealed": SEAL["$sealed"][:-1]}),
    ("call.reported", "reason", {"$sealed": SEAL["$sealed"][:-1] + "_"}),
    ("key.created", "role", "admin"),
    ("key.created", "env", "test"),
    ("key.created", "expires_at", "2027-01-01"),
    ("key.created", "actor", "key:"),
    ("key.created", "actor", "someone"),
    ("log.genesis", "kind", "other"),
    ("log.genesis", "entry_rule", "jcs"),
    ("log.genesis", "origin", "localhost/log/other"),
    ("log.genesis", "max_commit_delay", 60),
    ("log.genesis", "kind", "root"),
    ("log.genesis", "vkey", NEW.vkey),
    ("log.created", "vkey", LOG.signer.vkey),
    ("log.created", "vkey", OLD.vkey[:-2]),
    ("signing_key.rotated", "vkey", OLD.vkey),
    ("signing_key.rotated", "previous_vkey", NEW.vkey),
    ("signing_key.rotated", "previous_vkey", LOG.signer.vkey),
    ("signing_key.rotated", "endorsement", b64(bytes(64))),
    ("signing_key.rotated", "endorsement", b64(bytes(63))),
    ("heads.committed", "count", 0),
    ("heads.committed", "root", b64(bytes(31))),
    ("day.closed", "date", "2026-11-21"),
    ("day.closed", "date", "2026-11-31"),
    ("day.closed", "previous", "2026-11-22"),
    ("release.published", "sha256", HASH),
    ("release.published", "sha256", sha256(b"").hex().upper()),
    ("release.published", "sha256", sha256(b"").hex()[:-1]),
    ("release.published", "sha256", sha256(b"").hex() + "\n"),
    ("agent.manifest_reported", "contracts", [{"id": "i", "mode": "enforce", "tool": "t"}]),
    ("agent.manifest_reported", "contracts", [{"id": "i", "mode": "off", "tool": "t", "type": "pre"}]),
    ("agent.manifest_reported", "contracts", [{"id": "i", "mode": "enforce", "tool": "t", "type": "pre", "x": "y"}]),
    ("agent.manifest_reported", "contracts", [{"id": SEAL, "mode": "enforce", "tool": "t", "type": "pre"}]),
    ("agent.manifest_reported", "contracts", [SEAL]),
    ("agent.manifest_reported", "contracts", "none"),
    ("evidence.exported", "disclose", ["b.c *", "a.b *"]),
    ("evidence.exported", "disclose", ["a.b *", "a.b *"]),
    ("evidence.exported", "disclose", ["a.b"]),
    ("evidence.exported", "disclose", ["a.b  *"]),
    ("evidence.exported", "disclose", [1]),
    ("evidence.exported", "disclose", "none"),
    ("evidence.exported", "disclose", [f"a.b /data/x{i}" for i in range(100, 165)]),
    ("evidence.exported", "from", 7),
    ("evidence.exported", "to", 3),
    ("evidence.exported", "from", -1),
    ("evidence.exported", "manifest", "0" * 63),
    ("evidence.exported", "manifest", "A" * 64),
    ("evidence.exported", "export_id", ""),
    ("disclosure.erased", "ranges", []),
    ("disclosure.erased", "ranges", [[2, 2]]),
    ("disclosure.erased", "ranges", [[3, 2]]),
    ("disclosure.erased", "ranges", [[2, 3], [3, 4]]),
    ("disclosure.erased", "ranges", [[5, 6], [2, 3]]),
    ("disclosure.erased", "ranges", [[2]]),
    ("disclosure.erased", "ranges", [[2, 3, 4]]),
    ("disclosure.erased", "ranges", [2, 3]),
    ("disclosure.erased", "ranges", [[-1, 3]]),
    ("disclosure.erased", "ranges", [[2 * i, 2 * i + 1] for i in range(2001)]),
    ("disclosure.erased", "pointers", []),
    ("disclosure.erased", "pointers", ["/data"]),
    ("disclosure.erased", "pointers", ["/data/"]),
    ("disclosure.erased", "pointers", ["/subject"]),
    ("disclosure.erased", "pointers", ["/data/b", "/data/a"]),
    ("disclosure.erased", "pointers", ["/data/a", "/data/a"]),
    ("disclosure.erased", "pointers", ["/data/a b"]),
    ("disclosure.erased", "pointers", [f"/data/{i:03}" for i in range(65)]),
    ("disclosure.erased", "grounds", "because"),
    ("disclosure.erased", "legal_basis", ""),
    ("disclosure.erased", "actor", "someone"),
]


@pytest.mark.parametrize(("kind", "name", "value"), [*FIELDS, *WRONG])
def test_field(kind: str, name: str, value: object) -> None:
    refused(event(kind, **{name: value}))


def test_an_event_without_subject_gets_none() -> None:
    refused(event("heads.committed") | {"subject": "s"}, "has no subject")


def test_genesis_of_the_root_log_states_its_delay() -> None:
    assert parse_entry(jcs(event("log.genesis", kind="root", max_commit_delay=60))).known is not None
    refused(event("log.genesis") | {"source": "localhost/log/x"}, "genesis is of another log")


def test_a_key_cannot_replace_itself() -> None:
    endorsement = OLD.private.sign(f"decision-ledger key rotation v1\n{OLD.vkey}\n{OLD.vkey}\n".encode())
    refused(event("signing_key.rotated", vkey=OLD.vkey, endorsement=b64(endorsement)), "replaced by itself")


def test_messages_name_what_was_found_and_wanted() -> None:
    refused(event("call.reported", verdict="block"), 'verdict has no known value: got "block", want "allow, deny')


@pytest.mark.parametrize("arguments", [{}, SEAL, {f"a{i}": seal("/x", str(9 + i), bytes(32))[1] for i in range(64)}])
def test_arguments_are_sealed_one_by_one_or_as_a_whole(arguments: dict[str, object]) -> None:
    entry = parse_entry(jcs(event("call.reported", tool_args=arguments)))
    assert len(entry.commitments) == 3 + (1 if "$sealed" in arguments else len(arguments))


@pytest.mark.parametrize(
    ("data", "pointers"),
    [
        ({"v": 1}, []),
        ({"v": 1, "a": {"b": SEAL}, "c": [SEAL2, 1, "x", False]}, ["/data/a/b", "/data/c/0"]),
        ({"v": 1, "a/b": {"~": SEAL}}, ["/data/a~1b/~0"]),
    ],
)
def test_unknown_type_has_its_commitments_found(data: dict[str, object], pointers: list[str]) -> None:
    for kind, version in (("call.decided", 1), ("call.reported", 2), ("call.reported", 0)):
        entry = parse_entry(jcs(LOG.envelope(kind, {**data, "v": version})))
        assert entry.known is None and sorted(entry.commitments) == pointers


@pytest.mark.parametrize(
    "value",
    [None, 1.5, -1, 2**53, {"$other": 1}, {"$sealed": "x"}, {**SEAL, "b": 1}, [{"a": None}], [SEAL, SEAL]],
)
def test_unknown_type_obeys_e5_and_s5(value: object) -> None:
    refused(LOG.envelope("call.decided", {"a": value}))


def test_unknown_type_needs_no_subject_but_no_empty_one() -> None:
    assert parse_entry(jcs(LOG.envelope("call.decided", {}, "s"))).known is None
    refused(LOG.envelope("call.decided", {}, ""), "subject is empty")


def test_length_is_bounded() -> None:
    empty = jcs(LOG.envelope("call.decided", {"a": ""}))
    longest = jcs(LOG.envelope("call.decided", {"a": "é" * ((MAX_ENTRY_BYTES - len(empty)) // 2)}))
    assert MAX_ENTRY_BYTES - 2 < len(longest.encode()) <= MAX_ENTRY_BYTES
    assert parse_entry(longest).known is None
    refused(longest.replace("é", "éé", 1), "too long")


def test_position_of_the_genesis() -> None:
    """E2."""
    first, other = parse_entry(jcs(event("log.genesis"))), parse_entry(jcs(event("call.reported")))
    assert check_position(first, 0) is None and check_position(other, 1) is None
    for entry, index in ((first, 1), (other, 0)):
        with pytest.raises(VerificationError, match="E2"):
            check_position(entry, index)


def test_as_of_points_back() -> None:
    """E4."""
    entry = parse_entry(jcs(event("key.revoked", as_of=7)))
    assert check_position(entry, 8) is None
    for index in (1, 7):
        with pytest.raises(VerificationError, match="E4"):
            check_position(entry, index)


def test_another_spelling_of_a_good_entry_is_refused() -> None:
    text = jcs(event("call.reported"))
    for other in (text + "\n", " " + text, text.replace(":", ": ", 1), text.replace("localhost", "\\u006cocalhost", 1)):
        refused(other)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused_with_our_error(data: st.DataObject) -> None:
    good = jcs(event(data.draw(st.sampled_from(sorted(DATA)))))
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    text = good[:start] + data.draw(st.text(max_size=5)) + good[end:]
    try:
        entry = parse_entry(text)
    except VerificationError as error:
        assert str(error)
    else:
        assert entry.leaf_hash == leaf(text.encode())


@pytest.mark.parametrize("text", ["", "\ud800", "null", "[]", "{", '{"data":' * 20_000])
def test_what_is_no_event_is_refused(text: str) -> None:
    refused(text)
