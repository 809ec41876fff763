# SPDX-License-Identifier: Apache-2.0
"""The plans: what each costs and allows, as data, and what follows from a tenant's plan."""

from typing import Literal

import msgspec

from ledger.log.errors import ForbiddenError
from ledger.log.events.tenants import Plan
from ledger.log.fold import State
from ledger.tenant.state import TenantState

Kind = Literal["members", "keys"]
"""Of what a plan allows so many at once."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """None is no limit. Calls are those of a UTC month; members are all that were invited and not removed, keys all
    that were not revoked.
    """

    monthly_calls: int | None = None
    max_members: int | None = None
    max_keys: int | None = None


class PlanDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it is published. `price` is for a month, in the currency's minor units; null where it is agreed on."""

    plan: Plan
    name: str
    price: int | None
    currency: str
    limits: Limits
    features: list[str]


_EVERY = ["Receipts and daily roots", "Exports for auditors", "Erasure of sealed values", "Independent verifier"]

PLANS: dict[Plan, PlanDescription] = {
    "free": PlanDescription(
        plan="free",
        name="Free",
        price=0,
        currency="usd",
        limits=Limits(monthly_calls=10_000, max_members=3, max_keys=5),
        features=_EVERY,
    ),
    "starter": PlanDescription(
        plan="starter",
        name="Starter",
        price=9_900,
        currency="usd",
        limits=Limits(monthly_calls=250_000, max_members=10, max_keys=50),
        features=_EVERY,
    ),
    "professional": PlanDescription(
        plan="professional",
        name="Professional",
        price=49_900,
        currency="usd",
        limits=Limits(monthly_calls=5_000_000, max_members=50, max_keys=500),
        features=[*_EVERY, "Single sign-on"],
    ),
    "enterprise": PlanDescription(
        plan="enterprise",
        name="Enterprise",
        price=None,
        currency="usd",
        limits=Limits(),
        features=[*_EVERY, "Single sign-on", "Limits as agreed"],
    ),
}


class PlanLimitError(ForbiddenError):
    code = "PLAN_LIMIT"


def monthly_calls(tenant: TenantState) -> int | None:
    """How many calls a tenant may report in a month: what was settled for it, else what its plan says."""
    if tenant.monthly_calls is not None:
        return tenant.monthly_calls or None
    return PLANS[tenant.plan].limits.monthly_calls


def limits_of(tenant: TenantState) -> Limits:
    return msgspec.structs.replace(PLANS[tenant.plan].limits, monthly_calls=monthly_calls(tenant))


def require_room(state: State, kind: Kind) -> None:
    """Raises PlanLimitError where the plan allows no more members, or keys, than there are. To be asked under the
    lock, before one is added.
    """
    tenant = state[TenantState]
    limits = PLANS[tenant.plan].limits
    if kind == "members":
        most = limits.max_members
        there = sum(member.status != "removed" for member in tenant.members.values()) if most is not None else 0
    else:
        most = limits.max_keys
        there = sum(not key.revoked for key in tenant.keys.values()) if most is not None else 0
    if most is not None and there >= most:
        raise PlanLimitError(f"the plan {tenant.plan} allows {most} {kind}, and there are {there}")
