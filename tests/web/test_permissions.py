# SPDX-License-Identifier: Apache-2.0
"""What each role may do, written out once more, and the order that follows from it."""

from itertools import product

import pytest

from ledger.web.permissions import (
    PEOPLE,
    PERMISSIONS,
    WHOLE_TENANT,
    described_roles,
    may_give,
    permissions_of,
)

# One letter a role, in this order; a dot where the role may not.
ROLES = ("owner", "ciso", "dpo", "architect", "auditor", "readonly", "agent", "operator")
TABLE = """
events:write       oc.a..g.
events:read        ocdaurg.
log:read           ocdaur..
log:export         ocd.u...
log:check          ocd.u...
log:tiles          ocdaur..
payload:read       ocd.u...
payload:erase      o.d.....
shares:read        ocd.u...
shares:write       ocd.....
keys:rotate        o.......
members:read       ocdaur..
members:write      oc......
keys:read          ocdau...
keys:write         oc.a....
agents:read        ocdaur..
agents:write       oc.a....
tokens:inspect     oc.au...
tokens:revoke      oc......
sso:read           oc..u...
sso:write          o.......
tenant:read        ocdaurg.
tenant:write       o.......
usage:read         ocdaur..
usage:agents       ocdaur..
kill_switch:read   ocdaurg.
kill_switch:write  oc......
feedback:write     ocdaur..
console:write      ocdaur..
roots:close        .......O
root:rotate        .......O
tenants:read       .......O
tenants:write      .......O
"""
LETTERS = dict(zip("ocdaurgO", ROLES, strict=True))
EXPECTED = {
    name: {LETTERS[letter] for letter in letters if letter != "."}
    for name, letters in (line.split() for line in TABLE.split("\n") if line)
}
NOBODY = ("", "admin", "Owner", "OWNER", "owner ", "member", "*")


def test_every_role_may_what_the_table_says():
    assert set(PERMISSIONS) == set(EXPECTED)
    for name, role in product(EXPECTED, ROLES):
        assert (role in PERMISSIONS[name]) == (name in permissions_of(role)) == (role in EXPECTED[name]), (name, role)


def test_table_is_written_in_the_order_of_the_roles():
    for line in filter(None, TABLE.split("\n")):
        letters = line.split()[1]
        assert len(letters) == len(ROLES)
        assert all(letter in (".", want) for letter, want in zip(letters, LETTERS, strict=True)), line


@pytest.mark.parametrize("role", NOBODY)
def test_role_that_is_not_known_may_nothing_and_is_nobody_s_to_give(role):
    assert permissions_of(role) == frozenset()
    assert not any(may_give(giver, role) for giver in (*ROLES, *NOBODY))
    # Nobody is able to give nothing, either: every role may do something.
    assert not any(may_give(role, taken) for taken in ROLES)


def test_giving_is_a_partial_order():
    """Everybody may give his own role; who may give one that may give another may give that, too; and two who may give
    each other's roles have the same, so that nobody makes more of himself by way of others.
    """
    for role in ROLES:
        assert may_give(role, role)
    for first, second, third in product(ROLES, repeat=3):
        if may_give(first, second) and may_give(second, third):
            assert may_give(first, third)
        if may_give(first, second) and may_give(second, first):
            assert first == second


def test_owner_gives_all_roles_but_the_operator_s():
    assert {role for role in ROLES if may_give("owner", role)} == set(ROLES) - {"operator"}
    assert {role for role in ROLES if may_give(role, "owner")} == {"owner"}


def test_whatever_concerns_the_whole_tenant_is_a_permission():
    assert set(PERMISSIONS) > WHOLE_TENANT
    assert "agent" not in set[str]().union(*(PERMISSIONS[name] for name in WHOLE_TENANT))


def test_published_roles_are_these():
    described = {each.role: each for each in described_roles()}
    assert list(described) == list(ROLES)
    assert {role for role, each in described.items() if each.members} == PEOPLE == set(ROLES[:6])
    assert {role for role, each in described.items() if each.keys} == set(ROLES[:7])
    for role, each in described.items():
        assert each.permissions == sorted(permissions_of(role)) and each.description
