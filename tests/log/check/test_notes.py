# SPDX-License-Identifier: Apache-2.0
"""What the service remembers of its newest self-check, held against the log it is about."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from ledger.log.check.notes import CheckResult, note_name, write_note
from ledger.log.entry import format_time
from ledger.log.events.logs import LedgerTamperDetected, LedgerVerified
from ledger.log.working_copy import Draft
from ledger.tlog.text import format_base64
from tests.log.world import NOON, TENANT, World


@pytest.fixture
def checked(open_world: Callable[..., World]) -> Iterator[World]:
    """A ledger that has checked itself at a size before its newest."""
    with open_world() as world:
        world.fill(300)
        world.append(Draft(LedgerVerified(size=300, root=result(world, 300).root_hash, actor="operator")))
        world.fill(400)
        yield world


def result(world: World, size: int, **changes: Any) -> CheckResult:
    root = world.log.tree.root(world.log.committed.edge, size)
    right = CheckResult(True, size, format_base64(root), format_time(NOON), None, None)
    return msgspec.structs.replace(right, **changes)


def found(world: World, text: str) -> list[tuple[str, str, int | None]]:
    world.ledger.store.put_note(note_name(TENANT), text)
    return world.problems()


@pytest.mark.parametrize("size", [0, 1, 300, 301, 400])
def test_note_about_any_size_the_log_had_is_in_order(checked: World, size: int) -> None:
    assert found(checked, write_note(result(checked, size))) == []


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "another root": {"root_hash": format_base64(bytes(32))},
    "more entries than there are": {"tree_size": 401},
    "a problem, though the entry says that all was well": {"ok": False, "problem": "x", "first_index": 3},
    "well, with a problem": {"problem": "x"},
    "a problem without one": {"ok": False},
    "no time": {"checked_at": "yesterday"},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_note_that_says_otherwise_than_the_log_is_named(checked: World, name: str) -> None:
    text = write_note(result(checked, 300, **CONTRADICTIONS[name]))
    assert found(checked, text) == [("tenant", "notes", None)]


def test_note_about_a_problem_needs_no_root(checked: World) -> None:
    tampered = LedgerTamperDetected(size=400, first_index=7, check="tiles", actor="operator")
    checked.append(Draft(tampered))
    note = result(checked, 400, ok=False, problem="stored tile 0/0", first_index=0, root_hash="")
    assert found(checked, write_note(note)) == []
    assert found(checked, write_note(result(checked, 400))) == [("tenant", "notes", None)]


def test_other_notes_are_left_alone(checked: World) -> None:
    checked.ledger.store.put_note("something else", "of the service itself")
    assert checked.problems() == []
