# SPDX-License-Identifier: Apache-2.0
"""What an export says of its sealed fields is derived again: an operator can call none of them something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledger_verify import TrustedKeys, VerificationError, verify_export

from .exports import read_manifest, sign_manifest
from .textbook import file_bytes
from .world import World

Line = dict[str, Any]


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """Leaves 1 to 19, of which 1 has no sealed field, 2 has a label, and the calls have two fields or three."""
    return world.export(tmp_path / "export", 1, 20, disclose=False)


def field_lines(folder: Path) -> list[Line]:
    return [json.loads(line) for line in (folder / "fields.jsonl").read_bytes().splitlines()]


def say(folder: Path, world: World, lines: list[Line], **manifest: object) -> None:
    """Sign an export that says this of its fields."""
    (folder / "fields.jsonl").write_bytes(b"".join(file_bytes(line) for line in lines))
    rest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
    sign_manifest(folder, world.log, rest | manifest, states=False)


def test_runs_of_equal_entries_are_one_line(folder: Path, world: World, keys: TrustedKeys) -> None:
    lines = field_lines(folder)
    assert [(line["from"], line["to"]) for line in lines] == [(2, 3), (3, 8), (8, 20)]
    assert {state for line in lines for state in line["fields"].values()} == {"withheld"}
    export = verify_export(str(folder), keys)
    assert (export.disclosed, export.withheld, export.erased) == (0, 1 + 5 * 3 + 12 * 3, 0)
    assert export.disclose == []


def without(lines: list[Line], pointer: str) -> list[Line]:
    """A field that is withheld called absent, everywhere."""
    kept = [line | {"fields": {p: s for p, s in line["fields"].items() if p != pointer}} for line in lines]
    return [line for line in kept if line["fields"]]


def called(lines: list[Line], state: str) -> list[Line]:
    return [line | {"fields": dict.fromkeys(line["fields"], state)} for line in lines]


LIES: list[tuple[str, Callable[[list[Line]], list[Line]]]] = [
    ('got "nothing", want "withheld"', lambda lines: without(lines, "/data/reason")),
    ("of /data/label", lambda lines: without(lines, "/data/label")),
    ('got "erased", want "withheld"', lambda lines: called(lines, "erased")),
    ('got "disclosed", want "withheld"', lambda lines: called(lines, "disclosed")),
    (
        "there is no such field",
        lambda lines: [lines[0] | {"fields": {"/data/label": "withheld", "/data/x": "withheld"}}],
    ),
    ("of other entries", lambda lines: [*lines[:2], lines[2] | {"to": 19}]),
    ("of other entries", lambda lines: [*lines[:2], lines[2] | {"to": 10}, lines[2] | {"from": 10}]),
    ("too few lines", lambda lines: lines[:2]),
    ("too few lines", lambda lines: []),
    ("too many lines", lambda lines: [*lines, lines[-1]]),
    ("fields.jsonl", lambda lines: lines[::-1]),
    ("is not a JSON object", lambda lines: [[]]),  # type: ignore[list-item]
    ("lacks a member", lambda lines: [{}]),
]


@pytest.mark.parametrize(("reason", "lie"), LIES, ids=[str(i) for i in range(len(LIES))])
def test_no_field_can_be_called_something_else(
    reason: str, lie: Callable[[list[Line]], list[Line]], folder: Path, world: World, keys: TrustedKeys
) -> None:
    say(folder, world, lie(field_lines(folder)))
    with pytest.raises(VerificationError) as refused:
        verify_export(str(folder), keys)
    assert str(refused.value).startswith("step 9: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize("change", [{"withheld": 51}, {"withheld": 53}, {"erased": 1}, {"disclosed": 1}])
def test_counts_are_derived_again(change: dict[str, int], folder: Path, world: World, keys: TrustedKeys) -> None:
    right = read_manifest(folder)["fields"]
    assert right == {"disclosed": 0, "erased": 0, "withheld": 52}
    say(folder, world, field_lines(folder), fields=right | change)
    with pytest.raises(VerificationError, match="step 9: fields counts something else"):
        verify_export(str(folder), keys)


@pytest.mark.parametrize("rules", [None, "none", ["b", "a"], ["a", "a"], [1], [str(n) for n in range(100, 165)]])
def test_rules_of_disclosure_are_a_sorted_list(rules: object, folder: Path, world: World, keys: TrustedKeys) -> None:
    say(folder, world, field_lines(folder), disclose=rules)
    with pytest.raises(VerificationError, match=r"step 2: .*disclose"):
        verify_export(str(folder), keys)
