# SPDX-License-Identifier: Apache-2.0
"""Tenants, plans, usage, the kill switch and the console (CAPABILITIES T)."""

from ledger.tenant.plans import PLANS
from tests.coverage.cases import Apart, Ask, Cases
from tests.running import event
from tests.web.asking import API, TIME, problem_of

CASES = Cases()
show = CASES.show


def own_tenant(ask: Ask) -> str:
    return ask.world.service.keys["tenant_id"]


# ------------------------------------------------------------------------------------------------ tenants (T01, T02)


@show("000-020")
def tenant_is_shown_with_plan_limits_and_settings(ask: Ask) -> None:
    tenant = ask().json()
    assert tenant["tenant_id"] == own_tenant(ask) and tenant["plan"] in PLANS
    assert {"monthly_calls", "max_members", "max_keys"} <= tenant["limits"].keys()
    assert "webhook_url" in tenant["settings"]


@show("003-010")
def operator_makes_a_tenant_or_changes_it(ask: Ask) -> None:
    name = ask.world.name()
    made = ask(json={"tenant_id": name, "name": "One", "plan": "starter"})
    assert made.status_code == 201, made.text
    assert made.json()["owner_key"].startswith("lk_all_")
    again = ask(json={"tenant_id": name, "name": "Another"})
    assert (again.status_code, again.json()["name"], again.json()["plan"]) == (200, "Another", "starter")
    problem_of(ask(by=ask.world.auditor, json={"tenant_id": ask.world.name()}), 403, "FORBIDDEN")


@show("003-011", "003-193")
def tenant_is_read_by_its_id(ask: Ask) -> None:
    shown = ask(names={"tenant_id": own_tenant(ask)}).json()
    assert shown["tenant_id"] == own_tenant(ask) and TIME.fullmatch(shown["created_at"])
    problem_of(ask(names={"tenant_id": "no-such-tenant"}), 404, "NOT_FOUND")


@show("003-192")
def operator_lists_all_tenants(ask: Ask) -> None:
    assert own_tenant(ask) in [tenant["tenant_id"] for tenant in ask().json()["items"]]
    problem_of(ask(by=ask.world.auditor), 403, "FORBIDDEN")


# ------------------------------------------------------------------------------------------------ plans, usage (T03)


@show("000-065")
def plans_and_roles_are_public(ask: Ask) -> None:
    plans = ask(by=ask.world.nobody, at=f"GET {API}/plans").json()["items"]
    prices = {plan["plan"]: plan["price"] for plan in plans if plan["plan"] in ("starter", "professional")}
    assert prices == {"starter": 9900, "professional": 49900}
    roles = ask.world.nobody.get(f"{API}/roles").json()["items"]
    assert all(role["permissions"] for role in roles)


@show("000-022", "003-103", "003-194")
def use_of_the_month_is_shown_beside_the_limit(ask: Ask) -> None:
    before = ask().json()
    ask.world.reported()
    after = ask().json()
    assert after["calls"] >= before["calls"] + 1
    assert {"plan", "limit", "remaining", "month", "resets_at"} <= after.keys()


@show("003-104")
def use_is_shown_by_agent(ask: Ask) -> None:
    name = ask.world.name()
    ask.world.reported(agent_id=name)
    assert {agent["agent_id"]: agent["calls"] for agent in ask().json()["items"]}[name] == 1


@show("003-102")
def anomalies_of_use_come_with_their_rule(ask: Ask) -> None:
    shown = ask().json()
    assert shown["rule"] and isinstance(shown["items"], list)


@show("003-101")
def dashboard_of_use_has_days_and_agents(ask: Ask) -> None:
    ask.world.reported()
    shown = ask().json()
    assert shown["usage"]["calls"] >= 1 and shown["agents"] and shown["days"][-1]["calls"] >= 1


@show("000-067")
def plan_limits_are_403_and_spent_calls_429(ask: Ask) -> None:
    body = {"env": "production", "label": "one"}

    async def spend(apart: Apart) -> None:
        made = await apart.client.post(f"{API}/admin/tenants", json={"plan": "free"})
        owner = {"authorization": f"Bearer {made.json()['owner_key']}"}
        changed = {"monthly_calls": 1}
        path = f"{API}/admin/tenants/{made.json()['tenant_id']}"
        assert (await apart.client.patch(path, json=changed)).status_code == 200
        reports = [
            await apart.client.post(f"{API}/events", json={"events": [event(call_id)]}, headers=owner)
            for call_id in ("first", "second")
        ]
        assert reports[0].status_code == 200
        problem_of(reports[1], 429, "QUOTA_EXCEEDED")
        keys = [await apart.client.post(f"{API}/keys", json=body, headers=owner) for _ in range(50)]
        problem_of(next(answer for answer in keys if answer.status_code != 201), 403, "PLAN_LIMIT")
        ask.asked += 1

    ask.world.apart(spend)


# ------------------------------------------------------------------------------------------------ kill switch (T04)


@show("003-075")
def switch_is_read(ask: Ask) -> None:
    assert ask(names={"tenant_id": own_tenant(ask)}).json()["engaged"] is False
    problem_of(ask(names={"tenant_id": "another"}), 404, "NOT_FOUND")


@show("003-076")
def switch_is_engaged(ask: Ask) -> None:
    try:
        engaged = ask(names={"tenant_id": own_tenant(ask)}, json={"reason": "an exercise"})
        assert engaged.json()["engaged"] is True and engaged.json()["leaf_index"] > 0
        halted = ask.world.agent.get(f"{API}/kill-switch").json()
        assert halted["engaged"] is True
        problem_of(ask(by=ask.world.agent, names={"tenant_id": own_tenant(ask)}), 403, "FORBIDDEN")
    finally:
        ask.world.owner.delete(f"{API}/kill-switch")


@show("003-077")
def switch_is_released(ask: Ask) -> None:
    ask.world.owner.put(f"{API}/kill-switch", json={}).raise_for_status()
    assert ask(names={"tenant_id": own_tenant(ask)}).json()["engaged"] is False


@show("004-035")
def switch_is_an_entry_of_the_log(ask: Ask) -> None:
    ask(at=f"PUT {API}/kill-switch", json={"reason": "an exercise"}).raise_for_status()
    ask(at=f"DELETE {API}/kill-switch").raise_for_status()
    for kind in ("kill_switch.engaged", "kill_switch.released"):
        [newest, *_] = ask.world.owner.get(f"{API}/events", params={"type": kind}).json()["items"]
        assert newest["data"]["actor"].startswith("key:")


# ------------------------------------------------------------------------------------------------ console (T05)


@show("003-196")
def filters_of_the_console_are_kept(ask: Ask) -> None:
    wanted = {"filters": {"env": "production"}}
    ask.world.auditor.put(f"{API}/dashboard/state", json=wanted).raise_for_status()
    assert ask(by=ask.world.auditor).json() == wanted


@show("000-046")
def feedback_is_taken(ask: Ask) -> None:
    for topic in ("bug", "feature", "question"):
        answer = ask(by=ask.world.auditor, json={"topic": topic, "text": "a word"})
        assert answer.status_code == 201 and answer.json()["topic"] == topic
