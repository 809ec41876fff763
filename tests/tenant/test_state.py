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
from ledger.tenant.state import Key, TenantState

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
