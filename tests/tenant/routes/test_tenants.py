# SPDX-License-Identifier: Apache-2.0
"""Tenants over HTTP: the operator makes and changes them, each sees its own and no other."""

from itertools import count

import pytest

from tests.commands.outcomes import done
from tests.running import event, run_ledger
from tests.web.asking import API, TIME, UUID7, locations, problem_of, report

ADMIN = f"{API}/admin/tenants"
_numbers = count()


@pytest.fixture
def made(owner):
    """A tenant that was just made, as the answer says."""
    answer = owner.post(ADMIN, json={"tenant_id": f"tenant-{next(_numbers)}", "name": "Größe & Söhne 😀"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def types(client):
    return [item["type"] for item in client.get(f"{API}/events", params={"limit": 200}).json()["items"]]


def test_new_tenant_is_described_and_its_key_is_good_at_once(service, owner, made):
    secret = made.pop("owner_key")
    assert made == owner.get(f"{ADMIN}/{made['tenant_id']}").json()
    assert (made["name"], made["plan"], made["halted"]) == ("Größe & Söhne 😀", "free", False)
    assert TIME.fullmatch(made["created_at"])
    assert made["limits"] == {"monthly_calls": 10_000, "max_members": 3, "max_keys": 5}
    with service.client(secret) as client:
        assert client.get(f"{API}/tenant").json() == made
        assert types(client) == ["key.created", "tenant.changed", "tenant.created", "log.genesis"]
        assert report(client, event("first"))["items"][0]["leaf_index"] == 4
        assert (
            client.get(f"{API}/transparency/keys", params={"purpose": "log"}).json()["items"][0]["vkey"]
            == (made["log_vkey"])
        )


def test_tenant_without_an_id_gets_one(owner):
    answer = owner.post(ADMIN, json={})
    assert answer.status_code == 201
    assert UUID7.fullmatch(answer.json()["tenant_id"])
    assert answer.json()["name"] is None
    assert answer.headers["ledger-leaf-index"] == "1"


def test_owner_of_a_tenant_is_no_operator_and_sees_no_other(service, owner, made):
    with service.client(made["owner_key"]) as client:
        assert client.get(f"{ADMIN}/{made['tenant_id']}").status_code == 200
        for other in (service.keys["tenant_id"], "no-such-tenant"):
            problem_of(client.get(f"{ADMIN}/{other}"), 404, "NOT_FOUND")
            problem_of(client.get(f"{API}/decision/kill-switch/{other}"), 404, "NOT_FOUND")
        for method, path in (("GET", ADMIN), ("POST", ADMIN), ("PATCH", f"{ADMIN}/{made['tenant_id']}")):
            problem_of(client.request(method, path, json={"plan": "enterprise"}), 403, "FORBIDDEN")
        problem_of(client.post(f"{API}/transparency/roots"), 403, "FORBIDDEN")
        item = report(owner, event("of-the-first-tenant"))["items"][0]
        for path in ("events", "receipts", "transparency/inclusion"):
            problem_of(client.get(f"{API}/{path}/{item['event_id']}"), 404, "NOT_FOUND")
        answer = client.get(f"{API}/tenant", headers={"x-tenant-id": service.keys["tenant_id"]})
        problem_of(answer, 403, "TENANT_MISMATCH")
        key_id = client.get(f"{API}/keys").json()["items"][0]["id"]
    problem_of(owner.delete(f"{API}/keys/{key_id}"), 404, "NOT_FOUND")


def test_tenant_that_is_there_is_changed_and_gets_no_second_key(owner, made):
    name = made["tenant_id"]
    for body, entries in (({}, 0), ({"plan": "free"}, 0), ({"plan": "starter"}, 1), ({"name": "Other"}, 1)):
        problem_of(owner.post(ADMIN, json={"tenant_id": name, **body}), 409, "CONFLICT")
        answer = owner.post(f"{API}/auth/tenants", json={"tenant_id": name, **body})
        assert answer.status_code == 200
        assert answer.json()["owner_key"] is None
        assert ("ledger-leaf-index" in answer.headers) == bool(entries)
    now = owner.get(f"{API}/auth/tenants/{name}").json()
    assert (now["name"], now["plan"]) == ("Other", "starter")


@pytest.mark.parametrize(
    ("patch", "limit"),
    [
        ({"monthly_calls": 7}, 7),
        ({"monthly_calls": None}, None),
        ({"monthly_calls": 0}, None),
        ({"plan": "professional"}, 5_000_000),
        ({"plan": "enterprise"}, None),
    ],
)
def test_operator_changes_plan_and_limit(owner, made, patch, limit):
    path = f"{ADMIN}/{made['tenant_id']}"
    changed = owner.patch(path, json=patch)
    assert changed.status_code == 200
    assert changed.json()["limits"]["monthly_calls"] == limit
    assert "ledger-leaf-index" not in owner.patch(path, json=patch).headers, "nothing is left to change"


def test_operator_changes_his_own_tenant_too(service, owner):
    path = f"{ADMIN}/{service.keys['tenant_id']}"
    assert owner.get(path).json()["plan"] == "enterprise"
    assert owner.patch(path, json={"monthly_calls": 1_000_000}).json()["limits"]["monthly_calls"] == 1_000_000
    assert owner.patch(path, json={"monthly_calls": None}).json()["limits"]["monthly_calls"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"tenant_id": ""}, {"tenant_id": "a/b"}, {"tenant_id": "x" * 65}, {"plan": "gold"}, {"name": ""}, {"extra": 1},
    ],
)  # fmt: skip
def test_wrong_wish_makes_nothing(owner, body):
    before = owner.get(ADMIN).json()["items"][0]
    assert locations(problem_of(owner.post(ADMIN, json=body), 422))
    assert owner.get(ADMIN).json()["items"][0] == before


@pytest.mark.parametrize("body", [{}, {"plan": "gold"}, {"monthly_calls": -1}, {"owner_key": "x"}])
def test_wrong_change_changes_nothing(owner, made, body):
    problem_of(owner.patch(f"{ADMIN}/{made['tenant_id']}", json=body), 422)
    problem_of(owner.patch(f"{ADMIN}/no-such-tenant", json={"plan": "free"}), 404, "NOT_FOUND")


def test_list_is_paged_newest_first(owner, made):
    whole = owner.get(ADMIN, params={"limit": 200}).json()["items"]
    assert whole[0]["tenant_id"] == made["tenant_id"]
    paged, cursor = [], None
    while True:
        page = owner.get(ADMIN, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        paged += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert paged == whole
    problem_of(owner.get(ADMIN, params={"cursor": "x"}), 422)


def test_plan_limits_keys(service, made):
    with service.client(made["owner_key"]) as client:
        body = {"env": "staging", "label": "one more"}
        keys = [client.post(f"{API}/keys", json=body) for _ in range(4)]
        assert {answer.status_code for answer in keys} == {201}
        problem_of(client.post(f"{API}/keys", json=body), 403, "PLAN_LIMIT")
        assert client.delete(f"{API}/keys/{keys[0].json()['id']}").status_code == 204
        assert client.post(f"{API}/keys", json=body).status_code == 201


# ----------------------------------------------------------------------------------------------------- one's own tenant


def test_owner_changes_name_and_webhook_which_others_do_not_see(service, made):
    with service.client(made["owner_key"]) as client:
        path, hook = f"{API}/tenant", "https://hooks.example/secret"
        changed = client.patch(path, json={"name": "New", "settings": {"webhook_url": hook}})
        assert (changed.json()["name"], changed.json()["settings"]) == ("New", {"webhook_url": hook})
        assert client.get(path).json() == changed.json()
        agent = client.post(f"{API}/keys", json={"env": "staging", "label": "agent"}).json()["key"]
        with service.client(agent) as other:
            assert other.get(path).json()["settings"] is None
            problem_of(other.patch(path, json={"name": "Mine"}), 403, "FORBIDDEN")
        gone = client.patch(path, json={"name": None, "settings": {"webhook_url": None}}).json()
        assert (gone["name"], gone["settings"]) == (None, {"webhook_url": None})
        for wrong in ({}, {"settings": {}}, {"plan": "enterprise"}, {"settings": {"webhook_url": "ftp://x"}}):
            problem_of(client.patch(path, json=wrong), 422)
        leaves = client.get(f"{API}/events", params={"type": "tenant.changed"}).text
        assert hook not in leaves


def test_plans_are_public(nobody):
    plans = {plan["plan"]: plan for plan in nobody.get(f"{API}/plans").json()["items"]}
    assert {name: plan["price"] for name, plan in plans.items()} == {
        "free": 0, "starter": 9_900, "professional": 49_900, "enterprise": None,
    }  # fmt: skip
    assert all(plan["currency"] == "usd" and plan["features"] for plan in plans.values())


def test_ledger_with_tenants_checks_out(service, made):
    with service.client(made["owner_key"]) as client:
        report(client, event("to-be-checked"))
    done(run_ledger("check", data=service.settings))
