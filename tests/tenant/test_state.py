# SPDX-License-Identifier: Apache-2.0
"""What a tenant's log says about who may act, as a fold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.log.entry import format_time
from ledger.log.events.credentials import KeyCreated, KeyRevoked
from ledger.log.events.logs import LogGenesis
from ledger.log.events.tenants import TenantCreated
from ledger.log.sealed import Commitment
from ledger.tenant.state import Key, KillSwitch, Member, Provider, Scope, Share, TenantState
from tests.tenant.histories import IDS, MAKES, Step, as_event, histories

LABEL = Commitment("A" * 43)


def created(key_id, expires_at=None, role="agent"):
    return KeyCreated(
        key_id=key_id,
        role=role,
        env="production",
        actor="operator",
        label=LABEL,
        expires_at=UNSET if expires_at is None else format_time(expires_at),
    )


def revoked(key_id):
    return KeyRevoked(key_id=key_id, actor="operator")


def fold(*events):
    state = TenantState()
    for index, event in enumerate(events):
        state = state.apply(index, event)
    return state


def test_tenant_is_the_one_that_was_created():
    assert fold().tenant_id is None
    assert fold(TenantCreated(tenant_id="t-1", actor="operator")).tenant_id == "t-1"


def test_key_is_what_its_event_says():
    state = fold(TenantCreated(tenant_id="t-1", actor="operator"), created("k-1", 5000, "auditor"))
    assert state.keys["k-1"] == Key("k-1", "auditor", "production", 1, 5000, False)
    assert state.tenant_id == "t-1"


def test_revoked_key_stays_known_as_revoked():
    state = fold(created("k-1"), created("k-2"), revoked("k-1"))
    assert state.keys["k-1"] == Key("k-1", "agent", "production", 0, None, True)
    assert not state.keys["k-2"].revoked


def test_events_of_other_layers_change_nothing():
    before = fold(created("k-1"))
    genesis = LogGenesis(origin="o", kind="tenant", entry_rule="strict-jcs/v1", vkey="v")
    assert before.apply(7, genesis) is before


def test_state_is_replaced_and_never_changed():
    before = fold(created("k-1"))
    after = before.apply(1, revoked("k-1"))
    assert not before.keys["k-1"].revoked
    assert after.keys["k-1"].revoked


@pytest.mark.parametrize(
    ("expires_at", "revoked", "now", "live"),
    [
        (None, False, 0, True),
        (None, False, 2**53, True),
        (None, True, 0, False),
        (5000, False, 4999, True),
        (5000, False, 5000, False),
        (5000, False, 5001, False),
        (5000, True, 4999, False),
    ],
)
def test_key_is_live_until_it_expires_or_is_revoked(expires_at, revoked, now, live):
    assert Key("k", "agent", "all", 0, expires_at, revoked).is_live(now) is live


def told(*steps):
    """The state after events, each its type and its fields."""
    return fold(*(as_event(kind, {"actor": "member:m-1", **data}) for kind, data in steps))


SEALED = {"$sealed": "A" * 43}
SECOND = "1970-01-01T00:00:01.000Z"


def test_member_comes_in_by_invitation_or_otherwise():
    invitation = "member.invited", {"member_id": "m", "role": "dpo", "expires_at": SECOND, "email": SEALED}
    state = told(invitation)
    assert state.members["m"] == Member("m", "dpo", "invited", 0, 0, expires_at=1000)
    state = told(invitation, ("member.joined", {"member_id": "m", "role": "ciso", "how": "invitation", "name": SEALED}))
    assert state.members["m"] == Member("m", "ciso", "active", 0, 0, name_at=1)
    joined = {"member_id": "m", "role": "owner", "how": "setup", "email": SEALED}
    assert told(("member.joined", joined)).members["m"] == Member("m", "owner", "active", 0, 0)
    del joined["email"]
    assert told(("member.joined", joined)).members["m"].email_at == -1


@pytest.mark.parametrize(
    ("kind", "data", "over"),
    [
        ("member.changed", {"status": "suspended"}, True),
        ("member.changed", {"status": "active"}, False),
        ("member.changed", {"role": "readonly"}, False),
        ("member.removed", {}, True),
        ("member.profile_changed", {"password": "changed"}, True),
        ("member.profile_changed", {"name": SEALED}, False),
        ("token.revoked", {}, True),
    ],
)
def test_sessions_of_a_member_end_with_what_takes_them_away(kind, data, over):
    joined = "member.joined", {"member_id": "m", "role": "owner", "how": "created"}
    state = told(joined, joined, (kind, {"member_id": "m", **data}))
    assert state.members["m"].sessions_from == (2 if over else 0)


def test_key_may_be_limited():
    fields = {"key_id": "k", "role": "agent", "env": "all", "label": SEALED}
    scope = told(("key.created", {**fields, "agents": ["a", "b"], "uploads": True})).keys["k"].scope
    assert scope == Scope(frozenset("ab"), None, True)
    assert told(("key.created", fields)).keys["k"].scope == Scope()


def test_tokens_are_revoked_one_by_one_or_all_of_an_agent():
    state = told(("token.revoked", {"session_id": "s"}), ("token.revoked", {"agent": "a"}))
    assert dict(state.ended) == {"s": 0} and dict(state.agents_from) == {"a": 1}
    assert set(told(("session.ended", {"member_id": "m", "session_id": "s"})).ended) == {"s"}


def test_plan_and_switch_are_those_of_the_last_entry_about_them():
    changed = ("tenant.changed", {"plan": "starter", "monthly_calls": 0}), ("tenant.changed", {"name": SEALED})
    state = told(*changed, ("kill_switch.engaged", {}))
    assert (state.plan, state.monthly_calls, state.name_at) == ("starter", 0, 1)
    assert state.kill_switch == KillSwitch(2, "member:m-1")
    assert told(("kill_switch.engaged", {}), ("kill_switch.released", {})).kill_switch is None


def test_provider_and_share_are_what_their_events_say():
    fields = {"provider": "p", "issuer": "i", "client_id": "c", "enabled": True, "role": "auditor"}
    state = told(("sso.configured", fields), ("share.created", {"share_id": "l", "expires_at": SECOND}))
    assert state.providers["p"] == Provider("p", "i", "c", True, "auditor", (), 0)
    assert state.shares["l"] == Share("l", 1, 1000)
    assert state.shares["l"].is_live(999) and not state.shares["l"].is_live(1000)
    later = {**fields, "enabled": False, "domains": ["a.example"]}
    assert told(("sso.configured", fields), ("sso.configured", later)).providers["p"] == Provider(
        "p", "i", "c", False, "auditor", ("a.example",), 1
    )


THINGS = ("members", "keys", "credentials", "shares", "providers", "agents_from")


@given(histories())
def test_entry_about_one_thing_leaves_all_others_alone(steps: list[Step]):
    state = TenantState()
    for index, kind, data in steps:
        before, state = state, state.apply(index, as_event(kind, data))
        about = {data[name] for name in (*IDS, "agent") if name in data}
        for name in THINGS:
            things, old = getattr(state, name), getattr(before, name)
            assert {thing for thing in things if things[thing] is not old.get(thing)} <= about
        if kind.startswith(("member.", "key.", "agent.", "share.", "sso.")):
            assert (state.kill_switch, state.plan, state.ended) == (before.kill_switch, before.plan, before.ended)


@given(histories())
def test_what_ended_stays_ended(steps: list[Step]):
    """Sessions and tokens that are over stay over; what is revoked stays so until a new one is made of that id."""
    state = TenantState()
    for index, kind, data in steps:
        before, state = state, state.apply(index, as_event(kind, data))
        assert set(before.ended) <= set(state.ended)
        assert all(state.agents_from[agent] >= before.agents_from[agent] for agent in before.agents_from)
        for name, member in before.members.items():
            assert state.members[name].sessions_from >= member.sessions_from
        for name in ("keys", "credentials", "shares"):
            for thing_id, thing in getattr(before, name).items():
                now = getattr(state, name)[thing_id]
                assert now.revoked or not thing.revoked or (kind in MAKES and now.index == index)


@given(histories())
def test_nobody_is_left_out(steps: list[Step]):
    """There are exactly those that were made, and a switch where the last entry about it engaged it."""
    state = fold_steps(steps)
    for name, kinds in {
        "members": ("member.invited", "member.joined"),
        "keys": ("key.created",),
        "credentials": ("agent.credential_issued",),
        "shares": ("share.created",),
        "providers": ("sso.configured",),
    }.items():
        assert set(getattr(state, name)) == {data[MAKES[kind][0]] for _, kind, data in steps if kind in kinds}
    switches = [(index, kind, data) for index, kind, data in steps if kind.startswith("kill_switch.")]
    engaged = bool(switches) and switches[-1][1] == "kill_switch.engaged"
    assert state.kill_switch == (KillSwitch(switches[-1][0], switches[-1][2]["actor"]) if engaged else None)


def fold_steps(steps: list[Step]) -> TenantState:
    state = TenantState()
    for index, kind, data in steps:
        state = state.apply(index, as_event(kind, data))
    return state


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=30))
def test_key_is_live_exactly_when_it_was_made_and_not_revoked_since(steps):
    made, gone, events = set(), set(), []
    for key_id, revoke in steps:
        if revoke and key_id in made - gone:
            gone.add(key_id)
            events.append(revoked(key_id))
        elif not revoke and key_id not in made:
            made.add(key_id)
            events.append(created(key_id))
    keys = fold(*events).keys
    assert set(keys) == made
    assert {key_id for key_id in keys if keys[key_id].is_live(0)} == made - gone
