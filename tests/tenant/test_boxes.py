# SPDX-License-Identifier: Apache-2.0
"""What the vault must hold of API keys, as the state of a log wants it."""

import msgspec
import pytest

from ledger.log.fold import State
from ledger.tenant.boxes import KeyBoxes
from ledger.tenant.keys import BY_KEY, BY_SECRET
from ledger.tenant.secrets import Owner
from ledger.tenant.state import TenantState
from tests.tenant.test_state import created, fold, revoked

Boxes = dict[str, bytes]


def owner(key_id: str, log: int = 1) -> bytes:
    return msgspec.json.encode(Owner(log, key_id))


# Two keys, one of them revoked: its secret still says whose it was.
STATES = {0: State(0, {}), 1: State(2, {TenantState: fold(created("a"), created("b"), revoked("b"))})}
ENV = STATES[1][TenantState].keys["a"].env
BOXES = {
    BY_SECRET + "0": owner("a"),
    BY_SECRET + "1": owner("b"),
    BY_KEY + "a": f"lk_{ENV}_0123-_aA".encode(),
    BY_KEY + "b": f"lk_{ENV}_01234567".encode(),
}


def problems(boxes: Boxes, old: Boxes | None = None) -> list[str]:
    return list(KeyBoxes().problems(boxes, boxes if old is None else old, STATES))


def test_boxes_of_all_keys_are_in_order() -> None:
    assert problems(BOXES) == []
    assert list(KeyBoxes().problems({}, (), {})) == []


@pytest.mark.parametrize("name", BOXES)
def test_each_box_is_missed(name: str) -> None:
    [problem] = problems({other: box for other, box in BOXES.items() if other != name})
    assert ("0 secrets lead" if name.startswith(BY_SECRET) else "is missing") in problem


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"lk_", b"lk_other_01234567", b"lk_all_0123456", b"\xff", b'{"key_id":1}']
)
@pytest.mark.parametrize("name", BOXES)
def test_box_of_another_kind_is_named(name: str, content: bytes) -> None:
    assert problems(BOXES | {name: content})


STRANGERS = {
    BY_SECRET + "2": owner("nobody"),
    BY_SECRET + "3": owner("a", 7),
    BY_SECRET + "4": owner("a", 0),
    BY_KEY + "x": b"lk_all_01234567",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_box_that_leads_nowhere_is_named_unless_it_is_newer_than_the_logs(name: str) -> None:
    boxes = BOXES | {name: STRANGERS[name]}
    assert len(problems(boxes)) == 1
    assert problems(boxes, old=BOXES) == []


def test_second_way_to_a_key_is_named_however_new_it_is() -> None:
    [problem] = problems(BOXES | {BY_SECRET + "2": owner("b")}, old=BOXES)
    assert problem.startswith("2 secrets lead to key b")
