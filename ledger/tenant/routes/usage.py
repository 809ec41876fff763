# SPDX-License-Identifier: Apache-2.0
"""What a tenant uses of what its plan allows (CAPABILITIES T03)."""

import msgspec
from litestar import get
from litestar.di import NamedDependency

from ledger.log.entry import format_date, format_time
from ledger.log.events.tenants import Plan
from ledger.log.ledger import DAY_MS
from ledger.log.working_copy import Log
from ledger.tenant.activity import OTHERS, RULE, Activity
from ledger.tenant.plans import monthly_calls
from ledger.tenant.state import TenantState
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.service import Service

MAX_AGENTS = 200
TOP_AGENTS = 10


class UsageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of the UTC month against the plan; `limit` and what follows from it are null without a limit."""

    month: str
    plan: Plan
    calls: int
    limit: int | None
    remaining: int | None
    percent: int | None
    resets_at: str


class AgentUsage(msgspec.Struct, frozen=True):
    """`agent_id` null stands for all agents that are not counted by name."""

    agent_id: str | None
    calls: int


class UsageByAgent(msgspec.Struct, frozen=True, kw_only=True):
    month: str
    items: list[AgentUsage]
    next_cursor: str | None = None


class AnomalyAnswer(msgspec.Struct, frozen=True):
    """An agent that calls unlike itself: its calls today, and on the median of the `days` before."""

    agent_id: str
    calls_today: int
    usual: int
    days: int


class AnomalyList(msgspec.Struct, frozen=True, kw_only=True):
    date: str
    rule: str
    items: list[AnomalyAnswer]
    next_cursor: str | None = None


class DayUsage(msgspec.Struct, frozen=True):
    date: str
    calls: int


class UsageDashboard(msgspec.Struct, frozen=True, kw_only=True):
    usage: UsageAnswer
    days: list[DayUsage]
    agents: list[AgentUsage]
    anomalies: list[AnomalyAnswer]


@get("/usage", summary="Usage", tags=["usage"])
async def get_usage(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenancy: NamedDependency[Tenancy]
) -> UsageAnswer:
    """Reported calls of the UTC month, and how many more the plan allows."""
    principal.require("usage:read")
    service.ledger.require_current()
    return await _usage(tenancy, principal.log)


@get("/tenant/quota", summary="Quota", tags=["usage"])
async def get_quota(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenancy: NamedDependency[Tenancy]
) -> UsageAnswer:
    """The same, for whoever looks for it beside the tenant."""
    principal.require("usage:read")
    service.ledger.require_current()
    return await _usage(tenancy, principal.log)


@get("/usage/by-agent", summary="Usage by agent", tags=["usage"])
async def get_usage_by_agent(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenancy: NamedDependency[Tenancy]
) -> UsageByAgent:
    """Calls of the month by agent, those that called most first."""
    now, activity = await _activity(service, principal, tenancy)
    return UsageByAgent(month=format_date(now)[:7], items=_agents(activity, now, MAX_AGENTS))


@get("/usage/anomalies", summary="Agents that call unlike themselves", tags=["usage"])
async def get_usage_anomalies(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenancy: NamedDependency[Tenancy]
) -> AnomalyList:
    """Agents whose calls today deviate from their own past days, by the rule in the answer."""
    now, activity = await _activity(service, principal, tenancy)
    return AnomalyList(date=format_date(now), rule=RULE, items=_anomalies(activity, now))


@get("/usage/dashboard", summary="Usage at a glance", tags=["usage"])
async def get_usage_dashboard(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenancy: NamedDependency[Tenancy]
) -> UsageDashboard:
    """The month, its days, the agents that called most, and those that call unlike themselves."""
    principal.require("usage:read")
    now, activity = await _activity(service, principal, tenancy)
    month = format_date(now)[:7]
    days = [
        DayUsage(date, sum(activity.days[day].values()))
        for day in sorted(activity.days)
        if (date := format_date(day * DAY_MS)).startswith(month)
    ]
    return UsageDashboard(
        usage=await _usage(tenancy, principal.log),
        days=days,
        agents=_agents(activity, now, TOP_AGENTS),
        anomalies=_anomalies(activity, now),
    )


async def _activity(service: Service, principal: Principal, tenancy: Tenancy) -> tuple[int, Activity]:
    principal.require("usage:agents")
    service.ledger.require_current()
    return service.ledger.clock(), await tenancy.activities.of(principal.log)


async def _usage(tenancy: Tenancy, log: Log) -> UsageAnswer:
    tenant = log.committed.state[TenantState]
    month, limit = await tenancy.usage.used(log), monthly_calls(tenant)
    return UsageAnswer(
        month=format_date(month.start)[:7],
        plan=tenant.plan,
        calls=month.calls,
        limit=limit,
        remaining=None if limit is None else max(0, limit - month.calls),
        percent=None if limit is None else month.calls * 100 // limit,
        resets_at=format_time(month.end),
    )


def _agents(activity: Activity, now: int, most: int) -> list[AgentUsage]:
    counted = sorted(activity.of_month(now).items(), key=lambda each: (-each[1], each[0]))
    return [AgentUsage(None if agent_id == OTHERS else agent_id, calls) for agent_id, calls in counted[:most]]


def _anomalies(activity: Activity, now: int) -> list[AnomalyAnswer]:
    return [AnomalyAnswer(*anomaly) for anomaly in activity.anomalies(now)]
