# SPDX-License-Identifier: Apache-2.0
"""The catalogue: closed, versioned, and the same in code, in spec/events.md and in spec/vectors/catalogue.json."""

import json
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from ledger.log.canonical import encode
from ledger.log.entry import read_envelope
from ledger.log.events import Event, EventClass, Governing, UnknownEventError, catalogue, read_event
from ledger.log.sealed import Commitment
from tests.log.formats import leaf

SPEC = Path(__file__).parents[2] / "spec"
VECTOR: dict[str, dict[str, Any]] = json.loads((SPEC / "vectors" / "catalogue.json").read_bytes())
DIGEST = "A" * 43


def described(struct: type[Event]) -> dict[str, Any]:
    """What an annotation-reading outsider learns of a type: which fields are required, optional, sealed."""
    required, optional, sealed = set(), set(), set()
    for field in msgspec.structs.fields(struct):
        if field.name == "v":
            continue
        kinds = set(get_args(field.type)) if UnsetType in get_args(field.type) else {field.type}
        by_member = any(get_origin(kind) is dict for kind in kinds)
        if Commitment in kinds or by_member:
            sealed.add(f"{field.encode_name}/*" if by_member else field.encode_name)
        # Every governing event but the first of a log has as_of; the sequencer fills it.
        absent_at_times = UnsetType in kinds and field.name != "as_of"
        (optional if absent_at_times else required).add(field.encode_name)
    if struct.type == "log.genesis":
        required.discard("as_of")
    return {
        "v": get_args(struct.__annotations__.get("v", Literal[1]))[0],
        "class": struct.event_class.value,
        "required": required,
        "optional": optional,
        "sealed": sealed,
    }


def as_sets(row: dict[str, Any]) -> dict[str, Any]:
    return {name: set(value) if isinstance(value, list) else value for name, value in row.items()}


def test_catalogue_is_the_published_vector() -> None:
    assert {name: described(struct) for name, struct in catalogue().items()} == {
        name: as_sets(row) for name, row in VECTOR.items()
    }


def spec_rows() -> dict[str, dict[str, Any]]:
    """The rows of the table in spec/events.md."""
    rows = {}
    for line in (SPEC / "events.md").read_text().splitlines():
        if match := re.match(r"\| `([a-z_.]+)` \| (\d+) \| (\w+) \|[^|]*\| (.*) \|\Z", line):
            name, version, kind, fields = match.groups()
            row: dict[str, Any] = {
                "v": int(version),
                "class": kind,
                "required": set(),
                "optional": set(),
                "sealed": set(),
            }
            for field, question, rest in re.findall(r"`(\w+)`(\??)([^,`]*)(?=,|\(|$)", re.sub(r"\(.*?\)", "", fields)):
                row["optional" if question else "required"].add(field)
                if "sealed" in rest:
                    row["sealed"].add(f"{field}/*" if "by member" in rest else field)
            if kind == "governing" and name != "log.genesis":
                row["required"].add("as_of")
            rows[name] = row
    return rows


def test_every_row_of_the_page_is_the_published_vector() -> None:
    assert spec_rows() == {name: as_sets(row) for name, row in VECTOR.items()}


def test_page_lists_the_values_that_the_types_allow() -> None:
    text = (SPEC / "events.md").read_text()
    allowed: dict[str, set[str]] = {}
    for struct in catalogue().values():
        for field in msgspec.structs.fields(struct):
            for kind in (field.type, *get_args(field.type)):
                if get_origin(kind) is Literal and field.name != "v":
                    allowed.setdefault(field.name, set()).update(get_args(kind))
    of_logs, of_people = {"kind", "grounds"}, {"how", "status", "password", "method"}
    assert set(allowed) == {"verdict", "mode", "env", "role", "plan", "topic"} | of_logs | of_people
    for value in set().union(*allowed.values()):
        assert f"`{value}`" in text, value


LISTS: dict[str, Any] = {
    "contracts": [{"id": "c", "type": "pre", "tool": "t", "mode": "enforce"}],
    "ranges": [[2, 3], [5, 8]],
    "pointers": ["/data/reason"],
    "disclose": ["call.reported /data/reason"],
    "envs": ["production", "staging"],
    **{name: ["a", "b"] for name in ("agents", "triggers", "types", "domains")},
}


def sample(struct: type[Event]) -> Event:
    """An event with every field present."""
    sealed: dict[str, Any] = {"$sealed": DIGEST}
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        kinds = [kind for kind in (get_args(field.type) or (field.type,)) if kind is not UnsetType]
        choices = [get_args(kind) for kind in (field.type, *kinds) if get_origin(kind) is Literal]
        if choices:
            given[field.encode_name] = choices[0][0]
        elif Commitment in kinds:
            given[field.encode_name] = sealed
        elif any(get_origin(kind) is dict for kind in kinds):
            given[field.encode_name] = {"amount": sealed}
        elif any(get_origin(kind) is list for kind in (field.type, *kinds)):
            given[field.encode_name] = LISTS[field.encode_name]
        elif bool in kinds:
            given[field.encode_name] = True
        else:
            given[field.encode_name] = 3 if int in kinds else "text"
    return msgspec.convert(given, struct)


SAMPLES = [pytest.param(sample(struct), id=name) for name, struct in catalogue().items()]


@pytest.mark.parametrize("event", SAMPLES)
def test_event_reads_back_from_its_leaf(event: Event) -> None:
    assert read_event(read_envelope(leaf(type=event.type, data=encode(event)))) == event


@pytest.mark.parametrize("event", SAMPLES)
@pytest.mark.parametrize("value", [None, 1.5, {"x": 1}, {"$sealed": DIGEST}, 2**70, [1.5]])
def test_open_field_takes_no_other_kind_of_value(event: Event, value: Any) -> None:
    """No float, null, free mapping or commitment gets into an open field (S3, E5)."""
    members = msgspec.to_builtins(event)
    sealed = {name.removesuffix("/*") for name in VECTOR[event.type]["sealed"]}
    for name in set(members) - sealed - {"v"}:
        if value == 2**70 and isinstance(members[name], int):
            continue
        with pytest.raises(msgspec.ValidationError):
            read_event(read_envelope(leaf(type=event.type, data=encode(members | {name: value}))))


@pytest.mark.parametrize("event", [param for param in SAMPLES if VECTOR[str(param.id)]["sealed"]])
@pytest.mark.parametrize("value", ["open text", 7, None, [], {"amount": "open"}, {"amount": {"$sealed": "short"}}])
def test_sealed_field_takes_nothing_open(event: Event, value: Any) -> None:
    for name in (sealed.removesuffix("/*") for sealed in VECTOR[event.type]["sealed"]):
        with pytest.raises(msgspec.ValidationError):
            read_event(read_envelope(leaf(type=event.type, data=encode(msgspec.to_builtins(event) | {name: value}))))


@pytest.mark.parametrize("event", SAMPLES)
def test_missing_or_further_member_is_refused(event: Event) -> None:
    members = msgspec.to_builtins(event)
    for name in VECTOR[event.type]["required"]:
        if name == "as_of":
            continue
        with pytest.raises(msgspec.ValidationError):
            data = encode({other: value for other, value in members.items() if other != name})
            read_event(read_envelope(leaf(type=event.type, data=data)))
    with pytest.raises(msgspec.ValidationError):
        read_event(read_envelope(leaf(type=event.type, data=encode(members | {"more": 1}))))


@pytest.mark.parametrize("event", SAMPLES)
@pytest.mark.parametrize("version", [0, 2, 3, -1])
def test_unknown_version_is_said_to_be_unknown(event: Event, version: int) -> None:
    """Also where its fields are not those of the version we know."""
    for data in (msgspec.to_builtins(event) | {"v": version}, {"v": version, "new_member": []}):
        with pytest.raises(UnknownEventError, match=f"version {version} "):
            read_event(read_envelope(leaf(type=event.type, data=encode(data))))


@pytest.mark.parametrize("name", ["", "call", "call.report", "call.reported ", "Call.reported", "heads.committed.v2"])
def test_unknown_type_is_said_to_be_unknown(name: str) -> None:
    with pytest.raises(UnknownEventError, match="is unknown"):
        read_event(read_envelope(leaf(type=name)))


def test_class_follows_from_the_base() -> None:
    for struct in catalogue().values():
        assert (struct.event_class is EventClass.GOVERNING) == issubclass(struct, Governing)
        assert issubclass(struct, Event) and struct.__struct_config__.frozen
        assert struct.__struct_config__.forbid_unknown_fields


def test_absent_fields_are_not_written() -> None:
    [event] = [param.values[0] for param in SAMPLES if param.id == "call.reported"]
    bare = msgspec.structs.replace(event, **{name: UNSET for name in VECTOR["call.reported"]["optional"]})
    written = msgspec.json.decode(encode(bare))
    assert set(written) == {"v", *VECTOR["call.reported"]["required"]}
