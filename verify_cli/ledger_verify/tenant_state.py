# SPDX-License-Identifier: Apache-2.0
"""Who may act, as a fold of a tenant's governing entries (spec/state.md).

Each type has a function that changes the state as the page says, and reads open fields only. Which entry has a sealed value,
a name for example, is remembered by its index. No clock is asked: when something ends is shown and not judged.
"""

from __future__ import annotations

from typing import Callable, Optional, Union

from ledger_verify import catalogue
from ledger_verify.errors import VerificationError

Data = dict[str, object]
Record = dict[str, Optional[Union[str, int, list[str]]]]
"""What is known of one thing, as it is printed; None for what it has not."""


class TenantState:
    """The state after the entries that it was given. Records by the id of what they are about."""

    def __init__(self) -> None:
        self.tenant: Record = dict.fromkeys(("tenant_id", "plan", "monthly_calls", "name", "webhook_url"))
        self.tenant["plan"] = "enterprise"
        self.kill_switch: Record | None = None
        self.members: dict[str, Record] = {}
        self.keys: dict[str, Record] = {}
        self.credentials: dict[str, Record] = {}
        self.agents: dict[str, Record] = {}
        self.providers: dict[str, Record] = {}
        self.shares: dict[str, Record] = {}
        self.sessions_ended: dict[str, Record] = {}

    def apply(self, index: int, event_type: str, data: Data) -> None:
        """Take in the next governing entry, of a type that `folds`, with valid fields. Raises VerificationError if it
        changes something that no entry made.
        """
        fold = _FOLD.get(event_type)
        if fold is not None:
            fold(self, index, data)

    def as_object(self) -> dict[str, object]:
        """The state as JSON has it, each list sorted by id."""
        lists = {
            name: [dict(records[key]) for key in sorted(records)]
            for name, records in {
                "members": self.members,
                "keys": self.keys,
                "credentials": self.credentials,
                "agents": self.agents,
                "providers": self.providers,
                "shares": self.shares,
                "sessions_ended": self.sessions_ended,
            }.items()
        }
        switch = None if self.kill_switch is None else dict(self.kill_switch)
        return {**self.tenant, "kill_switch": switch, **lists}


def folds(event_type: str, version: int) -> bool:
    """Whether it is known what a governing entry of that type means for the state; there is one version of each."""
    return version == 1 and (event_type in _FOLD or event_type in _OF_THE_LOG)


def _tenant_created(state: TenantState, index: int, data: Data) -> None:
    state.tenant["tenant_id"] = str(data["tenant_id"])
    state.tenant["name"] = None
    _note_sealed(state.tenant, ("name",), index, data)


def _tenant_changed(state: TenantState, index: int, data: Data) -> None:
    _take(state.tenant, ("plan", "monthly_calls"), data)
    _note_sealed(state.tenant, ("name", "webhook_url"), index, data)


def _engaged(state: TenantState, index: int, data: Data) -> None:
    state.kill_switch = {"index": index, "actor": str(data["actor"])}


def _released(state: TenantState, index: int, data: Data) -> None:
    state.kill_switch = None


def _invited(state: TenantState, index: int, data: Data) -> None:
    before = state.members.get(str(data["member_id"]))
    member = _new_member(state, "invited", index, data)
    if before is not None:
        member["sessions_from"] = before["sessions_from"]
    _take(member, ("expires_at",), data)


def _joined(state: TenantState, index: int, data: Data) -> None:
    member = state.members.get(str(data["member_id"]))
    if member is None:
        member = _new_member(state, "active", index, data)
    _take(member, ("role",), data)
    _note_sealed(member, ("email", "name"), index, data)
    member.update(status="active", expires_at=None)


def _member_changed(state: TenantState, index: int, data: Data) -> None:
    member = _made(state.members, data, "member_id")
    _take(member, ("role", "status"), data)
    if data.get("status") == "suspended":
        member["sessions_from"] = index


def _member_removed(state: TenantState, index: int, data: Data) -> None:
    _made(state.members, data, "member_id").update(status="removed", sessions_from=index)


def _profile_changed(state: TenantState, index: int, data: Data) -> None:
    member = _made(state.members, data, "member_id")
    _note_sealed(member, ("name", "logo"), index, data)
    if "password" in data:
        member["sessions_from"] = index


def _session_ended(state: TenantState, index: int, data: Data) -> None:
    state.sessions_ended[str(data["session_id"])] = _record(("session_id",), index, data)


def _token_revoked(state: TenantState, index: int, data: Data) -> None:
    if "session_id" in data:
        _session_ended(state, index, data)
    elif "member_id" in data:
        _made(state.members, data, "member_id")["sessions_from"] = index
    else:
        agent = str(data["agent"])
        state.agents[agent] = {"agent": agent, "tokens_from": index}


def _provider(state: TenantState, index: int, data: Data) -> None:
    names = ("provider", "issuer", "client_id", "enabled", "role", "domains")
    state.providers[str(data["provider"])] = _record(names, index, {"domains": [], **data})


def _key_created(state: TenantState, index: int, data: Data) -> None:
    names = ("key_id", "role", "env", "expires_at", "agents", "triggers", "uploads", "revoked")
    state.keys[str(data["key_id"])] = _record(names, index, {"uploads": False, **data, "revoked": False})


def _credential_issued(state: TenantState, index: int, data: Data) -> None:
    names = ("credential_id", "agent_id", "env", "expires_at", "revoked")
    state.credentials[str(data["credential_id"])] = _record(names, index, {**data, "revoked": False})


def _share_created(state: TenantState, index: int, data: Data) -> None:
    state.shares[str(data["share_id"])] = _record(
        ("share_id", "expires_at", "revoked"), index, {**data, "revoked": False}
    )


def _key_revoked(state: TenantState, index: int, data: Data) -> None:
    _made(state.keys, data, "key_id")["revoked"] = True


def _credential_revoked(state: TenantState, index: int, data: Data) -> None:
    _made(state.credentials, data, "credential_id")["revoked"] = True


def _share_revoked(state: TenantState, index: int, data: Data) -> None:
    _made(state.shares, data, "share_id")["revoked"] = True


_FOLD: dict[str, Callable[[TenantState, int, Data], None]] = {
    "tenant.created": _tenant_created,
    "tenant.changed": _tenant_changed,
    "kill_switch.engaged": _engaged,
    "kill_switch.released": _released,
    "member.invited": _invited,
    "member.joined": _joined,
    "member.changed": _member_changed,
    "member.removed": _member_removed,
    "member.profile_changed": _profile_changed,
    "session.ended": _session_ended,
    "sso.configured": _provider,
    "key.created": _key_created,
    "key.revoked": _key_revoked,
    "agent.credential_issued": _credential_issued,
    "agent.credential_revoked": _credential_revoked,
    catalogue.TOKEN_REVOKED: _token_revoked,
    "share.created": _share_created,
    "share.revoked": _share_revoked,
}

# They govern, and say nothing of who may act.
_OF_THE_LOG = frozenset((catalogue.GENESIS, catalogue.CREATED, catalogue.ROTATED, catalogue.ERASED, catalogue.DAY))


def _new_member(state: TenantState, status: str, index: int, data: Data) -> Record:
    names = ("member_id", "role", "status", "email", "name", "logo", "sessions_from", "expires_at")
    member = _record(names, index, {"member_id": data["member_id"], "role": data["role"]})
    _note_sealed(member, ("email", "name"), index, data)
    member.update(status=status, sessions_from=0)
    state.members[str(data["member_id"])] = member
    return member


def _made(records: dict[str, Record], data: Data, name: str) -> Record:
    """The record that an entry changes."""
    record = records.get(str(data[name]))
    if record is None:
        raise VerificationError(f"no entry before made the {name} that this one changes", got=data[name])
    return record


def _record(names: tuple[str, ...], index: int, data: Data) -> Record:
    record: Record = dict.fromkeys(names)
    _take(record, names, data)
    record["index"] = index
    return record


def _take(record: Record, names: tuple[str, ...], data: Data) -> None:
    """Take over open fields that are there."""
    for name in names:
        value = data.get(name)
        if isinstance(value, (str, int)):
            record[name] = value
        elif isinstance(value, list):
            record[name] = [str(item) for item in value]


def _note_sealed(record: Record, names: tuple[str, ...], index: int, data: Data) -> None:
    """Of sealed fields that are there, which entry has them."""
    record.update({name: index for name in names if name in data})
