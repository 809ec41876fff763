# SPDX-License-Identifier: Apache-2.0
"""The verifier folds a tenant's history to the state that the service has, after each entry, and as its page says."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from ledger_verify import catalogue as verifier_catalogue
from ledger_verify.errors import VerificationError
from ledger_verify.field_rules import check_known
from ledger_verify.tenant_state import TenantState as OutsideState
from ledger_verify.tenant_state import folds

from ledger.log.entry import format_time
from ledger.log.events import Governing, catalogue
from ledger.tenant.state import TenantState
from tests.tenant.histories import CHANGES, KINDS, Step, as_event, histories

PAGE = (Path(__file__).parents[2] / "spec" / "state.md").read_text()
LEAVES = {"email_at": "email", "name_at": "name", "logo_at": "logo", "webhook_at": "webhook_url"}


def plain(state: TenantState) -> dict[str, Any]:
    """The service's state in the form of spec/state.md."""
    switch = state.kill_switch
    return {
        "tenant_id": state.tenant_id,
        "plan": state.plan,
        "monthly_calls": state.monthly_calls,
        "name": leaf(state.name_at),
        "webhook_url": leaf(state.webhook_at),
        "kill_switch": None if switch is None else {"index": switch.index, "actor": switch.actor},
        "members": records(state.members),
        "keys": records(state.keys),
        "credentials": records(state.credentials),
        "agents": [{"agent": name, "tokens_from": state.agents_from[name]} for name in sorted(state.agents_from)],
        "providers": records(state.providers),
        "shares": records(state.shares),
        "sessions_ended": [{"session_id": name, "index": state.ended[name]} for name in sorted(state.ended)],
    }


def leaf(index: int) -> int | None:
    return None if index < 0 else index


def records(things: Any) -> list[dict[str, Any]]:
    return [record(asdict(things[name])) for name in sorted(things)]


def record(thing: dict[str, Any]) -> dict[str, Any]:
    thing |= thing.pop("scope", {})
    for at, name in LEAVES.items():
        if at in thing:
            thing[name] = leaf(thing.pop(at))
    if thing.get("expires_at") is not None:
        thing["expires_at"] = format_time(thing["expires_at"])
    for name in ("agents", "triggers", "domains"):
        if thing.get(name) is not None:
            thing[name] = sorted(thing[name])
    return thing


@settings(deadline=None, max_examples=300)
@given(histories())
def test_states_are_equal_after_each_entry(steps: list[Step]) -> None:
    inside, outside = TenantState(), OutsideState()
    assert plain(inside) == outside.as_object()
    for index, kind, data in steps:
        inside = inside.apply(index, as_event(kind, data))
        outside.apply(index, kind, data)
        assert plain(inside) == json.loads(json.dumps(outside.as_object()))


@settings(deadline=None, max_examples=100)
@given(histories())
def test_drawn_events_are_valid(steps: list[Step]) -> None:
    """Else the law above would be one of nothing."""
    for _, kind, data in steps:
        row = verifier_catalogue.EVENT_TYPES[kind, 1]
        assert row.governing and set(check_known(row, kind, {"v": 1, **data}).values()) <= {"A" * 43}


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_change_of_what_nobody_made_is_refused_by_both(kind: str) -> None:
    name = CHANGES[kind][0]
    data = {"as_of": 0, "actor": "operator", name: "x"} | ({"agent_id": "a"} if name == "credential_id" else {})
    with pytest.raises(KeyError):
        TenantState().apply(1, as_event(kind, data))
    with pytest.raises(VerificationError, match=f"no entry before made the {name}"):
        OutsideState().apply(1, kind, data)


def test_every_governing_type_has_its_meaning() -> None:
    """One that the catalogue gains stands in the way until the fold, its page and the histories know it."""
    governing = {name for name, struct in catalogue().items() if issubclass(struct, Governing)}
    assert all(folds(name, 1) for name in governing)
    assert not any(folds(name, version) for name, version in [("call.reported", 1), ("key.created", 2), ("x.y", 1)])
    assert set(re.findall(r"^\| `([a-z_.]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)) == set(KINDS)
    silent = governing - set(KINDS)
    assert silent == {"log.genesis", "log.created", "signing_key.rotated", "disclosure.erased", "day.closed"}
    for name in silent:
        outside = OutsideState()
        outside.apply(1, name, {})
        assert outside.as_object() == OutsideState().as_object()


def test_page_names_the_members_of_the_state() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*?) \|", PAGE, re.MULTILINE)
    said = {name: set(re.findall(r'"(\w+)"', value)) for names, value in rows for name in re.findall(r"`(\w+)`", names)}
    state = OutsideState()
    made = {"role": "owner", "env": "all", "expires_at": "t", "actor": "operator", "agent": "a", "agent_id": "a"}
    ids = {
        name: "x" for name in ("member_id", "key_id", "credential_id", "share_id", "provider", "issuer", "client_id")
    }
    for kind in ("kill_switch.engaged", "member.joined", "key.created", "agent.credential_issued", "sso.configured"):
        state.apply(1, kind, {**made, **ids, "enabled": True})
    state.apply(1, "share.created", {**made, **ids})
    state.apply(1, "token.revoked", made)
    state.apply(1, "session.ended", {"session_id": "s"})
    shown = state.as_object()
    assert list(said) == list(shown)
    for name, value in shown.items():
        one = value[0] if isinstance(value, list) and value else value
        assert said[name] == (set(one) if isinstance(one, dict) else set()), name
