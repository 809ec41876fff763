# SPDX-License-Identifier: Apache-2.0
"""Whatever a shape takes for valid is valid by all the rules, and says the same; what is met often, it does take."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger_verify.entry import Entry, parse_anew, parse_entry
from ledger_verify.entry_shapes import MAX_SHAPES, Shapes
from ledger_verify.errors import VerificationError

from .textbook import jcs, seal, sha256
from .world import Log, World

ALLOWED = "".join(map(chr, range(0x20, 0x7F)))


def parsed(text: str) -> Entry:
    """What the rules say of it alone."""
    return parse_anew(text, text.encode())


def learnt(*texts: str) -> Shapes:
    shapes = Shapes()
    for text in texts:
        shapes.learn(parsed(text))
    return shapes


def agree(shapes: Shapes, text: str) -> bool:
    """Whether a shape takes the text; if so, parsing must say the same of it."""
    known = shapes.match(text.encode("utf-8", "surrogatepass"))
    if known is None:
        return False
    shape, found = known
    entry = parsed(text)
    assert f"{entry.type} v{entry.version}" == shape.name
    assert found[shape.id].decode() == entry.id
    assert (
        dict(zip(shape.pointers, (found[group].decode() for group in shape.digests), strict=True)) == entry.commitments
    )
    assert entry.known == shape.known and not shape.known.governing
    return True


@pytest.fixture(scope="module")
def calls(world: World) -> list[str]:
    return [entry for entry in world.log.entries if '"call.reported"' in entry]


def test_all_calls_of_a_log_have_few_shapes(world: World, calls: list[str]) -> None:
    """One with three sealed fields and a side effect, one with three others."""
    shapes = learnt(calls[0], calls[-1])
    assert all(agree(shapes, call) for call in calls)
    assert not any(agree(shapes, entry) for entry in world.log.entries if entry not in calls)
    assert not any(agree(shapes, entry) for entry in world.root.entries)


def test_only_what_a_pattern_can_say_has_a_shape(world: World) -> None:
    for entry in [*world.log.entries[:3], *world.root.entries]:
        assert learnt(entry).match(entry.encode()) is None, entry


def with_member(call: str, pointer: str, value: object) -> str:
    event = json.loads(call)
    *way, name = pointer.split("/")[1:]
    place = event
    for step in way:
        place = place[step]
    place[name] = value
    if pointer == "/data/agent_id":
        event["subject"] = value
    return jcs(event)


TEXTS = st.text(st.one_of(st.sampled_from(ALLOWED), st.characters()), max_size=210)
OPEN = ["agent_id", "call_id", "key_id", "tool_name", "side_effect"]


@settings(max_examples=300)
@given(name=st.sampled_from(OPEN), value=TEXTS)
@example(name="call_id", value='"').via("needs an escape")
@example(name="call_id", value="\\")
@example(name="call_id", value="\x7f")
@example(name="call_id", value="x" * 200)
@example(name="call_id", value="x" * 201)
@example(name="agent_id", value='x","type":"y')
def test_any_text(calls: list[str], name: str, value: str) -> None:
    text = with_member(calls[0], f"/data/{name}", value)
    taken = agree(learnt(calls[0]), text)
    plain = 0 < len(value) <= 200 and set(value) <= set(ALLOWED) - set('"\\')
    assert taken == plain


VALUES = [
    0,
    2,
    True,
    None,
    [],
    {},
    "",
    "x",
    "allow",
    "block",
    {"$sealed": "A" * 43},
    {"$sealed": "B" * 43},
    "production",
]
PLACES = ["/data/tool_args/amount", "/type", "/source", "/subject", "/data/x", "/x"]
POINTERS = ["/data/verdict", "/data/mode", "/data/env", "/data/v", "/data/reason", "/data/tool_args", "/specversion"]


@pytest.mark.parametrize("pointer", [*POINTERS, *PLACES])
def test_any_value_of_another_kind(calls: list[str], pointer: str) -> None:
    shapes = learnt(*calls)
    for value in VALUES:
        text = with_member(calls[0], pointer, value)
        if agree(shapes, text):
            parsed(text)


@pytest.mark.parametrize(
    ("time", "taken"),
    [
        ("2026-11-22T00:00:00.000Z", True),
        ("2026-11-22T23:59:59.999Z", True),
        ("2026-11-21T08:00:00.000Z", False),
        ("2026-02-30T08:00:00.000Z", False),
        ("2026-11-22T24:00:00.000Z", False),
        ("2026-11-22T08:60:00.000Z", False),
        ("2026-11-22T08:00:60.000Z", False),
        ("2026-11-22T08:00:00Z", False),
        ("2026-11-22t08:00:00.000Z", False),
        ("2026-11-22T08:00:00.000z", False),
        ("2026-11-22T08:00:00.000Z\n", False),
        ("٢٠٢٦-11-22T08:00:00.000Z", False),
    ],
)
def test_days_are_those_that_were_seen(calls: list[str], time: str, taken: bool) -> None:
    text = with_member(calls[0], "/recordedat", time)
    assert agree(learnt(calls[0]), text) == taken
    claimed = with_member(calls[0], "/time", "2026-11-22T07:00:00.000Z")
    assert agree(learnt(claimed), with_member(claimed, "/time", time)) == taken


@pytest.mark.parametrize("id_", ["019a0000-03e8-7000-8000-000000000000", "019A0000-03e8-7000-8000-000000000000"])
def test_ids_are_lower_case(calls: list[str], id_: str) -> None:
    assert agree(learnt(calls[0]), with_member(calls[0], "/id", id_)) == id_.islower()
    for place, digit in ((14, "6"), (19, "7"), (19, "c"), (8, "0")):
        assert not agree(learnt(calls[0]), with_member(calls[0], "/id", id_[:place] + digit + id_[place + 1 :]))


def test_any_flipped_bit_or_byte(calls: list[str]) -> None:
    """What a shape still takes after a change differs in a value, and is valid."""
    shapes, rng = learnt(calls[0]), random.Random(11)
    raw = calls[0].encode()
    taken = 0
    for place in range(len(raw)):
        for byte in {raw[place] ^ 1 << rng.randrange(8), rng.randrange(256)} - {raw[place]}:
            changed = raw[:place] + bytes([byte]) + raw[place + 1 :]
            if shapes.match(changed) is not None:
                taken += agree(shapes, changed.decode())
    assert taken > 100
    for cut in range(len(raw)):
        assert shapes.match(raw[:cut]) is None and shapes.match(raw[cut + 1 :]) is None
    assert shapes.match(raw + b"\n") is None and shapes.match(b" " + raw) is None


def test_quick_or_not_the_entry_is_the_same(world: World, calls: list[str]) -> None:
    """Of each entry whatever was parsed before; and what only parsing refuses is refused however often it was met."""
    for _ in range(3):
        for text in [*world.log.entries, *world.root.entries]:
            assert parse_entry(text) == parsed(text)
    event = json.loads(calls[0])
    twice = with_member(calls[0], "/data/reason", event["data"]["tool_args"]["amount"])
    assert learnt(calls[0]).match(twice.encode()) is not None
    for _ in range(3):
        with pytest.raises(VerificationError, match="S5"):
            parse_entry(twice)


def test_another_log_has_other_shapes(calls: list[str], world: World) -> None:
    other = with_member(calls[0], "/source", "localhost/log/9a1b")
    assert parsed(other).source != world.log.origin
    assert not agree(learnt(calls[0]), other)


def test_names_of_arguments_are_literal(world: World) -> None:
    log = Log(world.log.signer)
    log.call({"a.b": "1", "a-b": "2"})
    shapes = learnt(log.entries[0])
    assert agree(shapes, log.entries[0])
    digest = seal("/data/tool_args/a.b", "1", sha256(b"x"))[1]
    for name in ("axb", "a.c"):
        text = with_member(log.entries[0], f"/data/tool_args/{name}", digest)
        assert not agree(shapes, text)


def test_shapes_are_bounded_and_the_last_used_stay(world: World) -> None:
    log = Log(world.log.signer)
    for number in range(MAX_SHAPES + 8):
        log.call({f"argument-{number}": "1"})
    shapes = learnt(*log.entries)
    taken = [agree(shapes, text) for text in log.entries]
    assert taken == [False] * 8 + [True] * MAX_SHAPES


def test_what_is_refused_is_refused_by_parsing(calls: list[str]) -> None:
    """A shape refuses nothing: what it does not take is parsed, and that says why."""
    text = with_member(calls[0], "/data/verdict", "maybe")
    assert learnt(calls[0]).match(text.encode()) is None
    with pytest.raises(VerificationError, match="no known value"):
        parsed(text)
    assert isinstance(parsed(calls[0]), Entry)
