# SPDX-License-Identifier: Apache-2.0
"""Histories of a tenant: drawn sequences of valid governing events over a few members, keys, agents and links."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from ledger.log.events import Event, catalogue

Step = tuple[int, str, dict[str, Any]]
"""Index, type and `data` without `v` of a governing entry."""

SEALED = st.just({"$sealed": "A" * 43})
TIMES = st.sampled_from(["2026-11-22T00:00:00.000Z", "2027-01-01T12:30:00.125Z"])
MEMBER_ROLES = st.sampled_from(["owner", "ciso", "dpo", "architect", "auditor", "readonly"])
NAMES = st.sets(st.sampled_from("abc"), min_size=1).map(sorted)
AGENTS = st.sampled_from(["a-1", "a-2"])
SESSIONS = st.sampled_from(["s-1", "s-2", "s-3"])
ACTORS = st.sampled_from(["operator", "key:k-1", "member:m-1", "agent:a-1"])

IDS = {"member_id": "m", "key_id": "k", "credential_id": "c", "share_id": "l", "provider": "p"}

# Of each type the id of what it makes or changes, and its other fields; ? marks those that may be absent.
MAKES: dict[str, tuple[str, dict[str, st.SearchStrategy[Any]]]] = {
    "member.invited": ("member_id", {"role": MEMBER_ROLES, "expires_at": TIMES, "email": SEALED, "name?": SEALED}),
    "member.joined": (
        "member_id",
        {"role": MEMBER_ROLES, "how": st.just("created"), "email?": SEALED, "name?": SEALED},
    ),
    "key.created": (
        "key_id",
        {
            "role": MEMBER_ROLES | st.just("agent"),
            "env": st.sampled_from(["production", "all"]),
            "label": SEALED,
            "expires_at?": TIMES,
            "agents?": NAMES,
            "triggers?": NAMES,
            "uploads?": st.booleans(),
        },
    ),
    "agent.credential_issued": (
        "credential_id",
        {"agent_id": AGENTS, "env": st.just("staging"), "expires_at?": TIMES, "label?": SEALED},
    ),
    "share.created": ("share_id", {"expires_at": TIMES, "types?": NAMES, "since?": TIMES}),
    "sso.configured": (
        "provider",
        {
            "issuer": st.just("https://idp.example.com"),
            "client_id": st.just("c"),
            "enabled": st.booleans(),
            "role": MEMBER_ROLES,
            "domains?": NAMES,
        },
    ),
}
CHANGES: dict[str, tuple[str, dict[str, st.SearchStrategy[Any]]]] = {
    "member.changed": ("member_id", {"role?": MEMBER_ROLES, "status?": st.sampled_from(["active", "suspended"])}),
    "member.removed": ("member_id", {}),
    "member.profile_changed": ("member_id", {"password?": st.just("changed"), "name?": SEALED, "logo?": SEALED}),
    "key.revoked": ("key_id", {}),
    "agent.credential_revoked": ("credential_id", {"agent_id": AGENTS}),
    "share.revoked": ("share_id", {}),
    "token.revoked": ("member_id", {}),
}
OTHERS: list[tuple[str, dict[str, st.SearchStrategy[Any]]]] = [
    ("tenant.created", {"tenant_id": st.sampled_from(["t-1", "t-2"]), "name?": SEALED}),
    (
        "tenant.changed",
        {
            "plan?": st.sampled_from(["free", "starter", "enterprise"]),
            "monthly_calls?": st.integers(0, 3),
            "name?": SEALED,
            "webhook_url?": SEALED,
        },
    ),
    ("kill_switch.engaged", {"reason?": SEALED}),
    ("kill_switch.released", {"reason?": SEALED}),
    ("session.ended", {"member_id": st.just("m-1"), "session_id": SESSIONS}),
    ("token.revoked", {"session_id": SESSIONS}),
    ("token.revoked", {"agent": AGENTS}),
]
KINDS = sorted({*MAKES, *CHANGES, *(kind for kind, _ in OTHERS)})


@st.composite
def histories(draw: st.DrawFn, max_size: int = 25) -> list[Step]:
    """What is changed was made before; what was made may be made again."""
    made: dict[str, set[str]] = {name: set() for name in IDS}
    steps: list[Step] = []
    index = 0
    for _ in range(draw(st.integers(0, max_size))):
        index += draw(st.integers(1, 3))
        possible = [(kind, name, fields) for kind, (name, fields) in MAKES.items()]
        possible += [(kind, name, fields) for kind, (name, fields) in CHANGES.items() if made[name]]
        possible += [(kind, "", fields) for kind, fields in OTHERS]
        kind, name, fields = draw(st.sampled_from(possible))
        data = {"as_of": steps[-1][0] if steps else 0, "actor": draw(ACTORS)}
        if name:
            ids = [f"{IDS[name]}-{number}" for number in (1, 2)] if kind in MAKES else sorted(made[name])
            data[name] = draw(st.sampled_from(ids))
            made[name].add(data[name])
        for field, values in fields.items():
            if not field.endswith("?") or draw(st.booleans()):
                data[field.rstrip("?")] = draw(values)
        steps.append((index, kind, data))
    return steps


def as_event(kind: str, data: dict[str, Any]) -> Event:
    return msgspec.convert({"v": 1, **data}, catalogue()[kind])
