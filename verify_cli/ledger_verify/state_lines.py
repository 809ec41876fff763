# SPDX-License-Identifier: Apache-2.0
"""A tenant's state in lines for people: one for each thing, sorted by id. JSON has all of it."""

from __future__ import annotations

from collections.abc import Iterator

from ledger_verify.errors import shown
from ledger_verify.tenant_state import Record, TenantState


def state_lines(state: TenantState) -> Iterator[str]:
    tenant, switch = state.tenant, state.kill_switch
    name = "not created" if tenant["tenant_id"] is None else _said(tenant, "tenant_id")
    calls = "what the plan allows" if tenant["monthly_calls"] is None else tenant["monthly_calls"] or "no limit"
    yield f"tenant {name}: plan {tenant['plan']}, calls in a month: {calls}"
    if switch is None:
        yield "kill switch: not engaged"
    else:
        yield f"kill switch: engaged since entry {switch['index']} by {_said(switch, 'actor')}"
    for member in _sorted(state.members):
        yield f"member {_said(member, 'member_id')}: {member['role']}, {member['status']}{_expiry(member)}"
    for key in _sorted(state.keys):
        yield f"key {_said(key, 'key_id')}: {key['role']}, {key['env']}{_scope(key)}, {_standing(key)}"
    for credential in _sorted(state.credentials):
        of = f"of agent {_said(credential, 'agent_id')}, {credential['env']}"
        yield f"credential {_said(credential, 'credential_id')}: {of}, {_standing(credential)}"
    for agent in _sorted(state.agents):
        yield f"agent {_said(agent, 'agent')}: tokens from before entry {agent['tokens_from']} are revoked"
    for provider in _sorted(state.providers):
        enabled = "enabled" if provider["enabled"] else "disabled"
        yield f"provider {_said(provider, 'provider')}: {enabled}, {_said(provider, 'issuer')}{_joining(provider)}"
    for share in _sorted(state.shares):
        yield f"share {_said(share, 'share_id')}: {_standing(share)}"
    if state.sessions_ended:
        yield f"sessions ended one by one: {len(state.sessions_ended)}"


def _sorted(records: dict[str, Record]) -> Iterator[Record]:
    return (records[name] for name in sorted(records))


def _said(record: Record, name: str) -> str:
    return shown(str(record[name]), 200)


def _standing(record: Record) -> str:
    return ("revoked" if record["revoked"] else "not revoked") + _expiry(record)


def _expiry(record: Record) -> str:
    return "" if record["expires_at"] is None else f", expires {record['expires_at']}"


def _scope(key: Record) -> str:
    """What a key may act for, where that is not everything."""
    scope = [f" for {name} {_listed(key, name)}" for name in ("agents", "triggers") if key[name] is not None]
    return "".join(scope) + ", uploads" * bool(key["uploads"])


def _joining(provider: Record) -> str:
    return f", joins {_listed(provider, 'domains')} as {provider['role']}" if provider["domains"] else ", joins nobody"


def _listed(record: Record, name: str) -> str:
    items = record[name]
    assert isinstance(items, list)
    return shown(", ".join(items), 200)
