# SPDX-License-Identifier: Apache-2.0
"""An export of a part of a log: it says that it is one, and in it no leaf can be missed, doubled, moved or altered.

The operator signs each of these. Whatever follows from a change he has brought up to date: digests, sizes, states and
counts of fields, and, where it says so, the numbers of the range and the hashes on both sides of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledger_verify import TrustedKeys, VerificationError, verify_export
from ledger_verify.cli import main

from .exports import field_lines as lines_of_states
from .exports import field_states, read_manifest, sign_manifest
from .test_export_fields import field_lines, say, without
from .textbook import b64_list, file_bytes, jcs, subtrees
from .world import World

START, END = 4, 20
RANGE = range(START, END)


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """Without disclosures, or they would give each change away before the tree does."""
    return world.export(tmp_path / "export", START, END, disclose=False)


def leaves(folder: Path) -> list[bytes]:
    return (folder / "entries.jsonl").read_bytes().splitlines(keepends=True)


def sign(folder: Path, world: World, entries: list[bytes], **changes: object) -> None:
    (folder / "entries.jsonl").write_bytes(b"".join(entries))
    manifest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
    sign_manifest(folder, world.log, manifest | changes)


def around(world: World, start: int, end: int) -> dict[str, object]:
    """What the manifest says of a range."""
    hashes = world.log.hashes[: world.log_size]
    return {
        "from": start,
        "to": end,
        "left": b64_list(subtrees(hashes, 0, start)),
        "right": b64_list(subtrees(hashes, end, world.log_size)),
    }


def refused(folder: Path, keys: TrustedKeys) -> str:
    with pytest.raises(VerificationError) as caught:
        verify_export(str(folder), keys)
    return str(caught.value)


def test_a_part_verifies_and_says_that_it_is_one(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = ["--key", world.log.signer.vkey, "--root-key", world.root.signer.vkey]
    for start, end in ((START, END), (1, world.log_size), (0, world.log_size - 1), (START, START + 1)):
        assert main(["export", *trust, str(world.export(tmp_path / "part", start, end))]) == 0
        said = capsys.readouterr().out
        assert f"entries {start} to {end - 1} of {world.log.origin}, complete (part, linked to genesis by" in said
    assert main(["export", *trust, str(world.export(tmp_path / "whole", 0, world.log_size))]) == 0
    assert "complete, " in (said := capsys.readouterr().out) and "(part" not in said
    assert main(["export", "--json", *trust, str(tmp_path / "part")]) == 0
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert (result["from"], result["to"], result["tree_size"]) == (START, START + 1, world.log_size)


@pytest.mark.parametrize("at", RANGE)
def test_a_leaf_dropped(at: int, world: World, folder: Path, keys: TrustedKeys) -> None:
    entries, place = leaves(folder), at - START
    rest = entries[:place] + entries[place + 1 :]
    sign(folder, world, rest)
    said = refused(folder, keys)
    assert said.startswith("step 3: entries.jsonl has too few lines: got 15, want 16")
    # The range said to be one shorter, at either end, with the hashes that such a range has.
    for start, end in ((START, END - 1), (START + 1, END)):
        sign(folder, world, rest, **around(world, start, end))
        if at == (start - 1 if start > START else end):
            assert verify_export(str(folder), keys).end == end  # nothing is missing: it is an honest, smaller part
        else:
            assert "step 4: the entries fold to another root hash" in refused(folder, keys)


@pytest.mark.parametrize("at", RANGE)
def test_a_leaf_doubled(at: int, world: World, folder: Path, keys: TrustedKeys) -> None:
    entries, place = leaves(folder), at - START
    more = [*entries[: place + 1], *entries[place:]]
    for shift in ((START, END), (START, END + 1), (START - 1, END)):
        sign(folder, world, more, **around(world, *shift))
        said = refused(folder, keys)
        # The line before is the same: its id, which has to increase, is met before there are too many lines.
        want = "has too many lines" if shift[1] - shift[0] == place + 1 else "ids do not increase (E1)"
        assert said.startswith("step 3: ") and want in said, said


@pytest.mark.parametrize("at", RANGE[:-1])
def test_a_leaf_swapped_with_the_next(at: int, world: World, folder: Path, keys: TrustedKeys) -> None:
    entries, place = leaves(folder), at - START
    entries[place : place + 2] = entries[place : place + 2][::-1]
    sign(folder, world, entries)
    assert f"step 3: entry {at + 1}: ids do not increase (E1)" in refused(folder, keys)
    # And with their ids swapped back, so that only the tree can object.
    ids = [json.loads(entry)["id"] for entry in entries]
    for here, there in ((place, place + 1), (place + 1, place)):
        entries[here] = file_bytes(json.loads(entries[here]) | {"id": ids[there]})
    sign(folder, world, entries)
    assert "step 4: the entries fold to another root hash" in refused(folder, keys)


Alteration = Callable[[dict[str, Any]], Any]
ALTERATIONS: dict[str, Alteration] = {
    "decision": lambda event: event["data"].update(verdict="deny"),
    "tool": lambda event: event["data"].update(tool_name="payments.pay"),
    "time": lambda event: event.update(recordedat="2026-11-22T08:59:59.999Z"),
    "commitment": lambda event: event["data"].update(reason={"$sealed": "A" * 43}),
    "field added": lambda event: event["data"].update(policy_version="9"),
    "sealed field taken away": lambda event: event["data"].pop("reason"),
}


@pytest.mark.parametrize("change", ALTERATIONS.values(), ids=ALTERATIONS)
def test_a_leaf_altered(change: Alteration, world: World, folder: Path, keys: TrustedKeys) -> None:
    """Each into another valid entry, at each place."""
    good = leaves(folder)
    for at in RANGE:
        event = json.loads(good[at - START])
        change(event)
        altered = jcs(event).encode() + b"\n"
        assert altered != good[at - START]
        sign(folder, world, [*good[: at - START], altered, *good[at - START + 1 :]])
        said = refused(folder, keys)
        assert said.startswith("step 4: the entries fold to another root hash: got "), (at, said)
        assert ", want " in said and "An entry was changed, left out or added" in said


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("hashes", ["of the true range", "of the range that is claimed"])
def test_the_range_shifted_by_one(by: int, hashes: str, world: World, folder: Path, keys: TrustedKeys) -> None:
    """The same leaves said to stand one place earlier or later."""
    claimed = around(world, START + by, END + by)
    if hashes == "of the true range":
        claimed = around(world, START, END) | {"from": START + by, "to": END + by}
    sign(folder, world, leaves(folder), **claimed)
    said = refused(folder, keys)
    assert said.startswith("step 4: "), said
    assert "wrong number of hashes" in said or "fold to another root hash" in said


@pytest.mark.parametrize("side", ["left", "right"])
def test_each_hash_beside_the_range(side: str, world: World, folder: Path, keys: TrustedKeys) -> None:
    good = around(world, START, END - 3)
    entries = leaves(folder)[: END - 3 - START]
    hashes = good[side]
    assert isinstance(hashes, list) and hashes
    sign(folder, world, entries, **good)
    assert verify_export(str(folder), keys).signed.by_root
    flipped = [("B" if hashes[0][0] == "A" else "A") + hashes[0][1:], *hashes[1:]]
    for changed in (hashes[1:], hashes[:-1], [hashes[0], *hashes], [*hashes, hashes[-1]], flipped):
        sign(folder, world, entries, **good | {side: changed})
        assert refused(folder, keys).startswith("step 4: ")


def test_a_withheld_field_called_absent(world: World, folder: Path, keys: TrustedKeys) -> None:
    """Of one entry or of all, left out of fields.jsonl and of the manifest's count: its commitment is in the entry."""
    for pointer in ("/data/reason", "/data/tool_args/amount", "/data/tool_args/currency", "/data/tool_args/note"):
        said_of_fields = without(field_lines(folder), pointer)
        count = sum(len(line["fields"]) * (line["to"] - line["from"]) for line in said_of_fields)
        say(folder, world, said_of_fields, fields={"disclosed": 0, "erased": 0, "withheld": count})
        said = refused(folder, keys)
        assert said.startswith("step 9: entries ") and f"says something else of {pointer} than what is the case" in said
        assert 'got "nothing", want "withheld"' in said
        sign(folder, world, leaves(folder))
    for at in RANGE:
        states = field_states(folder, START)
        states[at - START].pop("/data/reason")
        lines = [json.loads(line) for line in lines_of_states(states, START).splitlines()]
        say(folder, world, lines, fields={"disclosed": 0, "erased": 0, "withheld": 47})
        said = refused(folder, keys)
        assert said.startswith("step 9: "), said
        assert "/data/reason" in said or "says it of other entries" in said, said
        sign(folder, world, leaves(folder))
    assert verify_export(str(folder), keys).withheld == 48
