# SPDX-License-Identifier: Apache-2.0
"""What each role may do: data, published at `GET /roles`. A permission or a role that is not here is a refusal.

Whoever gives a role to somebody must hold all that the role may do himself, so nobody can make more of himself by way
of another (`may_give`).
"""

from collections.abc import Mapping

import msgspec


class RoleDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A role as it is published. `members` and `keys`: whether people, or API keys, can have it."""

    role: str
    description: str
    members: bool
    keys: bool
    permissions: list[str]


PEOPLE = frozenset({"owner", "ciso", "dpo", "architect", "auditor", "readonly"})

PERMISSIONS: Mapping[str, frozenset[str]] = {
    # The log.
    "events:write": frozenset({"owner", "ciso", "architect", "agent"}),
    "events:read": PEOPLE | {"agent"},
    "log:read": PEOPLE,
    "log:tiles": PEOPLE,
    "log:export": frozenset({"owner", "ciso", "dpo", "auditor"}),
    "log:check": frozenset({"owner", "ciso", "dpo", "auditor"}),
    "payload:read": frozenset({"owner", "ciso", "dpo", "auditor"}),
    "payload:erase": frozenset({"owner", "dpo"}),
    "shares:read": frozenset({"owner", "ciso", "dpo", "auditor"}),
    "shares:write": frozenset({"owner", "ciso", "dpo"}),
    "keys:rotate": frozenset({"owner"}),
    # Who may act.
    "members:read": PEOPLE,
    "members:write": frozenset({"owner", "ciso"}),
    "keys:read": frozenset({"owner", "ciso", "dpo", "architect", "auditor"}),
    "keys:write": frozenset({"owner", "ciso", "architect"}),
    "agents:read": PEOPLE,
    "agents:write": frozenset({"owner", "ciso", "architect"}),
    "tokens:inspect": frozenset({"owner", "ciso", "architect", "auditor"}),
    "tokens:revoke": frozenset({"owner", "ciso"}),
    "sso:read": frozenset({"owner", "ciso", "auditor"}),
    # A provider says who somebody is: whoever chooses it could come in as an owner.
    "sso:write": frozenset({"owner"}),
    # The tenant.
    "tenant:read": PEOPLE | {"agent"},
    "tenant:write": frozenset({"owner"}),
    "usage:read": PEOPLE,
    "usage:agents": PEOPLE,
    "kill_switch:read": PEOPLE | {"agent"},
    "kill_switch:write": frozenset({"owner", "ciso"}),
    "feedback:write": PEOPLE,
    "console:write": PEOPLE,
    # The service.
    "roots:close": frozenset({"operator"}),
    "root:rotate": frozenset({"operator"}),
    "tenants:read": frozenset({"operator"}),
    "tenants:write": frozenset({"operator"}),
}

WHOLE_TENANT = frozenset(
    {
        "keys:rotate", "log:export", "log:tiles", "payload:erase", "shares:write", "members:write", "tokens:revoke",
        "sso:write", "tenant:write", "kill_switch:write", "usage:agents",
    }
)  # fmt: skip
"""What concerns every environment, and so needs a credential for all of them."""

_DESCRIPTIONS = {
    "owner": "May do everything in the tenant, and settles who else may do what",
    "ciso": "Security: members, keys, agents and the kill switch; reads and exports all",
    "dpo": "Data protection: reads, exports and erases what is sealed",
    "architect": "Builds: makes keys and credentials for agents",
    "auditor": "Reads and exports the whole log, with what is sealed",
    "readonly": "Reads the log, without what is sealed",
    "agent": "Reports events, and reads those that it reported itself",
    "operator": "Runs the service: tenants, daily roots, the root log's key; owners of the first tenant are operators",
}


def permissions_of(role: str) -> frozenset[str]:
    """All that a role may do; nothing for a role that is not known."""
    return frozenset(name for name, roles in PERMISSIONS.items() if role in roles)


def may_give(giver: str, role: str) -> bool:
    """Whether somebody in the role `giver` may put others into a role, or take them out of it."""
    return role in _DESCRIPTIONS and permissions_of(role) <= permissions_of(giver)


def described_roles() -> list[RoleDescription]:
    return [
        RoleDescription(
            role=role,
            description=words,
            members=role in PEOPLE,
            keys=role != "operator",
            permissions=sorted(permissions_of(role)),
        )
        for role, words in _DESCRIPTIONS.items()
    ]
