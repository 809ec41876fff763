# SPDX-License-Identifier: Apache-2.0
"""What the vault must hold of links for auditors, as the state of a log wants it."""

import msgspec
import pytest

from ledger.log.events.credentials import ShareCreated, ShareRevoked
from ledger.log.fold import State
from ledger.tenant.boxes import BY_SHARE, ShareBoxes
from ledger.tenant.secrets import Owner
from ledger.tenant.state import TenantState


def box(share_id: str, log: int = 1) -> bytes:
    return msgspec.json.encode(Owner(log, share_id))


def fold() -> TenantState:
    """Two links, one of them revoked: its secret still says whose it was."""
    state = TenantState()
    for index, share_id in enumerate("ab"):
        event = ShareCreated(share_id=share_id, actor="operator", expires_at="2026-03-01T12:00:00.000Z")
        state = state.apply(index, event)
    return state.apply(2, ShareRevoked(share_id="b", actor="operator"))


STATES = {0: State(0, {}), 1: State(2, {TenantState: fold()})}
BOXES = {BY_SHARE + "0": box("a"), BY_SHARE + "1": box("b")}


def problems(boxes: dict[str, bytes], old: dict[str, bytes] | None = None) -> list[str]:
    return list(ShareBoxes().problems(boxes, boxes if old is None else old, STATES))


def test_boxes_of_all_links_are_in_order() -> None:
    assert problems(BOXES) == []
    assert list(ShareBoxes().problems({}, (), {})) == []


@pytest.mark.parametrize("name", BOXES)
def test_each_box_is_missed_and_told_from_others(name: str) -> None:
    [problem] = problems({other: kept for other, kept in BOXES.items() if other != name})
    assert problem.startswith("0 secrets lead to share")
    for content in (b"", b"{}", b"\xff", b'{"key_id":1}'):
        assert f"secret {name!r} does not lead to a share" in problems(BOXES | {name: content})


@pytest.mark.parametrize("stranger", [box("nobody"), box("a", 7), box("a", 0)])
def test_box_that_leads_nowhere_is_named_unless_it_is_newer_than_the_logs(stranger: bytes) -> None:
    boxes = BOXES | {BY_SHARE + "2": stranger}
    [problem] = problems(boxes)
    assert "does not know" in problem
    assert problems(boxes, old=BOXES) == []


def test_second_way_to_a_link_is_named_however_new_it_is() -> None:
    [problem] = problems(BOXES | {BY_SHARE + "2": box("b")}, old=BOXES)
    assert problem.startswith("2 secrets lead to share b")
