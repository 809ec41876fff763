# SPDX-License-Identifier: Apache-2.0
"""Decisions about members, on drawn tenants; and what the vault keeps of them, on a ledger in this process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.log.entry import new_id
from ledger.log.errors import ConflictError, ForbiddenError, LedgerError, NotFoundError
from ledger.log.events.members import MemberChanged, MemberInvited, MemberJoined, MemberRemoved
from ledger.log.fold import State
from ledger.log.working_copy import Draft, Moment
from ledger.tenant.people import (
    BY_EMAIL,
    BY_MEMBER,
    People,
    change_member,
    is_email,
    plain_email,
    remove_member,
    require_member,
)
from ledger.tenant.state import TenantState
from ledger.web.permissions import may_give
from tests.tables import contents
from tests.tenant.people_world import MEMBER_ROLES, apart
from tests.tenant.test_state import LABEL, fold

NOW = 1_772_366_400_000
ROLES = st.sampled_from(MEMBER_ROLES)
STATUSES = st.sampled_from(["invited", "active", "suspended", "removed"])
TENANTS = st.lists(st.tuples(ROLES, STATUSES), min_size=1, max_size=5)


def member(member_id, role, status):
    """The events that make a member of this role and status."""
    if status == "invited":
        yield MemberInvited(
            member_id=member_id, role=role, actor="operator", expires_at="2999-01-01T00:00:00.000Z", email=LABEL
        )
        return
    yield MemberJoined(member_id=member_id, role=role, how="created", actor="operator", email=LABEL)
    if status == "suspended":
        yield MemberChanged(member_id=member_id, actor="operator", status="suspended")
    elif status == "removed":
        yield MemberRemoved(member_id=member_id, actor="operator")


def tenant(people):
    """A moment in a tenant with these members, whose ids are their numbers."""
    events = [event for number, (role, status) in enumerate(people) for event in member(str(number), role, status)]
    return Moment(State(len(events) - 1, {TenantState: fold(*events)}), NOW, len(events))


def after(moment, drafts):
    state = moment.state[TenantState]
    for place, draft in enumerate(drafts):
        state = state.apply(moment.next_index + place, draft.event)
    return state


def owners(state):
    return {each.member_id for each in state.members.values() if each.role == "owner" and each.status == "active"}


# ----------------------------------------------------------------------------------------------------------- decisions


@given(TENANTS, ROLES | st.none(), st.booleans() | st.none(), ROLES)
def test_change_is_what_was_asked_for_or_nothing(people, role, suspend, giver):
    """Whatever is decided: nobody gets or loses what is not the giver's to give, an owner is left, and others stay."""
    moment = tenant(people)
    before = moment.state[TenantState]
    was, status = people[0]
    try:
        drafts = change_member(moment, "0", role, suspend, "operator", giver)
    except LedgerError as error:
        if status == "removed":
            assert isinstance(error, NotFoundError)
        elif not (may_give(giver, was) and may_give(giver, role or was)):
            assert isinstance(error, ForbiddenError)
        else:
            assert isinstance(error, ConflictError)
            leaves = was == "owner" and (role not in (None, "owner") or suspend is True)
            assert (status == "invited" and suspend is not None) or (leaves and not owners(before) - {"0"})
        return
    assert status != "removed" and may_give(giver, was) and may_give(giver, role or was)
    now = after(moment, drafts)
    assert now.members["0"].role == (role or was)
    assert now.members["0"].status == (status if suspend is None else "suspended" if suspend else "active")
    assert all(now.members[other] == each for other, each in before.members.items() if other != "0")
    assert owners(now) or not owners(before)
    assert len(drafts) == ((now.members["0"].role, now.members["0"].status) != (was, status))
    for draft in drafts:
        assert isinstance(draft.event, MemberChanged) and draft.subject == "0"
        assert (draft.event.role is UNSET) == (role in (None, was))


@given(TENANTS, ROLES)
def test_removal_takes_one_and_never_the_last_owner(people, giver):
    moment = tenant(people)
    before = moment.state[TenantState]
    was, status = people[0]
    may = status != "removed" and may_give(giver, was) and not (was == "owner" and not owners(before) - {"0"})
    try:
        drafts = remove_member(moment, "0", "operator", giver, [])
    except LedgerError:
        assert not may
        return
    assert may and [type(draft.event) for draft in drafts] == [MemberRemoved]
    now = after(moment, drafts)
    assert now.members["0"].status == "removed" and now.members["0"].sessions_from == moment.next_index
    assert owners(now) == owners(before) - {"0"}
    with pytest.raises(NotFoundError):
        require_member(Moment(State(moment.next_index, {TenantState: now}), NOW, moment.next_index + 1), "0")


@pytest.mark.parametrize("member_id", ["", "x", "1", "0 "])
def test_who_never_was_a_member_is_none(member_id):
    moment = tenant([("owner", "active")])
    for decide in (
        lambda: change_member(moment, member_id, "dpo", None, "operator", "owner"),
        lambda: remove_member(moment, member_id, "operator", "owner", []),
        lambda: require_member(moment, member_id),
    ):
        with pytest.raises(NotFoundError):
            decide()


# ----------------------------------------------------------------------------------------------------------- addresses

LOCAL = st.text(st.characters(exclude_characters="@", exclude_categories=["Z", "C"]), min_size=1, max_size=30)


@given(LOCAL, LOCAL, st.sampled_from(["", " ", "\t", "  "]))
def test_address_has_something_on_both_sides_and_no_blank(local, host, around):
    address = f"{local}@{host}"
    assert is_email(around + address + around)
    for wrong in (local, f"{local}@", f"@{host}", f"{local}@{host}@x", f"{local} @{host}", f"{local}@{host}\nx"):
        assert not is_email(wrong)


@given(st.text(max_size=40))
def test_plain_address_is_the_same_however_it_is_written(text):
    plain = plain_email(text)
    assert plain_email(plain) == plain
    assert plain_email(f"  {text}\n") == plain


def test_nobody_remembers_whether_a_capital_was_in_it():
    assert plain_email(" ADA@Example.ORG ") == "ada@example.org"


# --------------------------------------------------------------------------------------------------------- what is kept


async def append(app, drafts):
    await app.service.ledger.sequencer.submit(app.service.ledger.log(1), lambda moment: drafts)


def drafted(people, log, member_id, email, **kept):
    """A member who joins or is invited, with all that the vault gets of him."""
    joins = MemberJoined(member_id=member_id, role="dpo", how="created", actor="operator")
    return Draft(joins, subject=member_id, side=tuple(people.kept_of(log, member_id, email, **kept)))


def test_vault_leads_from_an_address_to_its_member_until_he_goes(fresh_ledger):
    async def act(app, owner, nobody):
        people, log = app._tenancy.people, app.service.ledger.log(1)
        names = {name for name, _ in contents(fresh_ledger[0])["vault"]}
        one, two = new_id(NOW), new_id(NOW + 1)
        await append(app, [drafted(people, log, one, "One@example.org", password="hash-1")])
        await append(app, [drafted(people, log, two, "two@example.org", invitation="a secret")])
        assert (people.find(log, " ONE@example.org"), people.find(log, "two@example.org")) == (one, two)
        assert people.find(log, "three@example.org") is None and people.belongings("x") is None
        assert (people.belongings(one).password, people.belongings(one).invitation_box) == ("hash-1", None)
        assert app._tenancy.secrets.find("invitation", "a secret").id == two
        # He takes the invitation up: with a password of his own it is gone.
        changed = MemberJoined(member_id=two, role="dpo", how="invitation", actor=f"member:{two}")
        await append(app, [Draft(changed, subject=two, side=tuple(people.kept_with_password(two, "hash-2")))])
        assert people.belongings(two).password == "hash-2"
        assert app._tenancy.secrets.find("invitation", "a secret") is None
        kept = contents(fresh_ledger[0])["vault"]
        for text in (b"example.org", b"hash-1", b"hash-2", b"a secret"):
            assert not any(text in box or text.decode() in name for name, box in kept)
        for member_id in (one, two):
            removal = MemberRemoved(member_id=member_id, actor="operator")
            await append(app, [Draft(removal, subject=member_id, side=tuple(people.forgotten(member_id)))])
            assert people.belongings(member_id) is None and people.forgotten(member_id) == []
            with pytest.raises(NotFoundError):
                people.kept_with_password(member_id, "hash-3")
        assert {name for name, _ in contents(fresh_ledger[0])["vault"]} == names

    apart(fresh_ledger, act)


def test_address_stays_the_first_one_s(fresh_ledger):
    """Of two who are made at once, by two processes, and the other one goes without taking it along."""

    async def act(app, owner, nobody):
        people, log = app._tenancy.people, app.service.ledger.log(1)
        one, two = new_id(NOW), new_id(NOW + 1)
        await append(
            app, [drafted(people, log, each, "same@example.org", password=f"of {each}") for each in (one, two)]
        )
        assert people.find(log, "same@example.org") == one
        assert [row.name for row in people.forgotten(two)] == [BY_MEMBER + two]
        removal = MemberRemoved(member_id=two, actor="operator")
        await append(app, [Draft(removal, subject=two, side=tuple(people.forgotten(two)))])
        assert people.find(log, "same@example.org") == one and people.belongings(one).password == f"of {one}"
        names = {row.name.partition("/")[0] + "/" for row in people.forgotten(one)}
        assert names == {BY_EMAIL, BY_MEMBER}

    apart(fresh_ledger, act)


@pytest.mark.any_store("what the vault is asked is the same on every store")
def test_nobody_is_looked_for_as_a_member_is(fresh_ledger):
    """The same boxes are asked for and opened, so that the time tells nothing (tests/tenant/test_login_times.py)."""

    async def act(app, owner, nobody):
        store, log = app.service.ledger.store, app.service.ledger.log(1)
        await append(app, [drafted(app._tenancy.people, log, "m", "m@example.org", password="hash")])
        asked: list[str] = []

        class Watched:
            def secret(self, name):
                asked.append(name.partition("/")[0])
                return store.secret(name)

        people = People(Watched(), app._tenancy.secrets)
        people.belongings(people.find(log, "m@example.org"))
        of_member, asked = asked, []
        people.find(log, "x@example.org")
        people.pretend("x")
        return of_member, asked

    of_member, of_nobody = apart(fresh_ledger, act)
    assert of_member == of_nobody == ["email", "member"]
