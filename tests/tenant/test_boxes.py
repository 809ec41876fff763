# SPDX-License-Identifier: Apache-2.0
"""What the vault must hold of API keys, agents' credentials and members, as the state of a log wants it."""

import msgspec
import pytest

from ledger.log.events.credentials import AgentCredentialIssued, AgentCredentialRevoked
from ledger.log.events.members import MemberInvited, MemberJoined, MemberRemoved
from ledger.log.fold import State
from ledger.tenant.boxes import BY_CREDENTIAL, BY_INVITATION, CredentialBoxes, KeyBoxes, MemberBoxes
from ledger.tenant.keys import BY_KEY, BY_SECRET
from ledger.tenant.people import BY_EMAIL, BY_MEMBER, Belongings
from ledger.tenant.secrets import KEPT, Owner
from ledger.tenant.state import TenantState
from tests.tenant.test_state import LABEL, created, fold, revoked

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


# --------------------------------------------------------------------------------------------------------- credentials


def issued(credential_id: str) -> AgentCredentialIssued:
    return AgentCredentialIssued(credential_id=credential_id, agent_id="robot", env="staging", actor="operator")


def taken_back(credential_id: str) -> AgentCredentialRevoked:
    return AgentCredentialRevoked(credential_id=credential_id, agent_id="robot", actor="operator")


OF_AGENTS = {0: State(0, {}), 1: State(2, {TenantState: fold(issued("a"), issued("b"), taken_back("b"))})}
CREDENTIALS = {BY_CREDENTIAL + "0": owner("a"), BY_CREDENTIAL + "1": owner("b"), KEPT: bytes(32)}


def of_agents(boxes: Boxes, old: Boxes | None = None) -> list[str]:
    return list(CredentialBoxes().problems(boxes, boxes if old is None else old, OF_AGENTS))


def test_boxes_of_all_credentials_are_in_order() -> None:
    assert of_agents(CREDENTIALS) == []
    assert of_agents({name: box for name, box in CREDENTIALS.items() if name != KEPT}) == []
    assert list(CredentialBoxes().problems({}, (), {})) == []


@pytest.mark.parametrize("name", [name for name in CREDENTIALS if name != KEPT])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"key_id":1}'])
def test_each_way_to_a_credential_is_missed(name: str, content: bytes | None) -> None:
    others = {other: box for other, box in CREDENTIALS.items() if other != name}
    problems = of_agents(others if content is None else others | {name: content})
    assert any("0 secrets lead to credential" in problem for problem in problems)


@pytest.mark.parametrize("stranger", [owner("nobody"), owner("a", 7), owner("a", 0)])
def test_way_to_no_credential_is_named_unless_it_is_newer_than_the_logs(stranger: bytes) -> None:
    boxes = CREDENTIALS | {BY_CREDENTIAL + "2": stranger}
    assert len(of_agents(boxes)) == 1
    assert of_agents(boxes, old=CREDENTIALS) == []


def test_second_way_to_a_credential_is_named_however_new_it_is() -> None:
    [problem] = of_agents(CREDENTIALS | {BY_CREDENTIAL + "2": owner("b")}, old=CREDENTIALS)
    assert problem.startswith("2 secrets lead to credential b")


# ------------------------------------------------------------------------------------------------------------- members


def invited(member_id: str) -> MemberInvited:
    return MemberInvited(
        member_id=member_id, role="dpo", actor="operator", expires_at="2999-01-01T00:00:00.000Z", email=LABEL
    )


def joined(member_id: str) -> MemberJoined:
    return MemberJoined(member_id=member_id, role="dpo", how="created", actor="operator", email=LABEL)


def removed(member_id: str) -> MemberRemoved:
    return MemberRemoved(member_id=member_id, actor="operator")


def kept(email: str, password: str | None = None, invitation: str | None = None) -> bytes:
    return msgspec.json.encode(Belongings(BY_EMAIL + email, password, invitation and BY_INVITATION + invitation))


# One who was invited, one who joined, and one who is gone.
OF_MEMBERS = {0: State(0, {}), 1: State(3, {TenantState: fold(invited("i"), joined("j"), joined("r"), removed("r"))})}
MEMBERS = {
    BY_MEMBER + "i": kept("0", invitation="2"),
    BY_EMAIL + "0": owner("i"),
    BY_INVITATION + "2": owner("i"),
    BY_MEMBER + "j": kept("1", password="$argon2id$"),
    BY_EMAIL + "1": owner("j"),
}


def of_members(boxes: Boxes, old: Boxes | None = None) -> list[str]:
    return list(MemberBoxes().problems(boxes, boxes if old is None else old, OF_MEMBERS))


def test_boxes_of_all_members_are_in_order() -> None:
    assert of_members(MEMBERS) == []
    assert list(MemberBoxes().problems({}, (), {})) == []


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff", b'{"key_id":1}', owner("r"), owner("i", 2)])
def test_each_box_of_a_member_is_missed(name: str, content: bytes | None) -> None:
    others = {other: box for other, box in MEMBERS.items() if other != name}
    assert of_members(others if content is None else others | {name: content})


@pytest.mark.parametrize(
    "stranger",
    [
        {BY_MEMBER + "x": kept("1")},
        {BY_MEMBER + "r": kept("9", password="$argon2id$")},
        {BY_EMAIL + "9": owner("j")},
        {BY_EMAIL + "9": owner("r")},
        {BY_INVITATION + "9": owner("i")},
    ],
)
def test_box_of_nobody_is_named_unless_it_is_newer_than_the_logs(stranger: Boxes) -> None:
    boxes = MEMBERS | stranger
    [problem] = of_members(boxes)
    assert problem.startswith("there is no member for the secret")
    assert of_members(boxes, old=MEMBERS) == []


def test_invitation_is_there_exactly_while_somebody_is_invited() -> None:
    without = {name: box for name, box in MEMBERS.items() if not name.startswith(BY_INVITATION)}
    assert of_members(without | {BY_MEMBER + "i": kept("0")})
    with_one = {BY_MEMBER + "j": kept("1", "$argon2id$", "3"), BY_INVITATION + "3": owner("j")}
    [problem] = of_members(MEMBERS | with_one)
    assert "active" in problem


def test_address_leads_to_one_member() -> None:
    shared = MEMBERS | {BY_MEMBER + "j": kept("0", password="$argon2id$")}
    assert any("does not lead to member j" in problem for problem in of_members(shared))
