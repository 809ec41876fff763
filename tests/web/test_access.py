# SPDX-License-Identifier: Apache-2.0
"""What an agent sees, and the headers that a credential may come in. Who may ask for what: tests/access."""

import asyncio

import pytest

from ledger.log.errors import ForbiddenError, UnauthorizedError
from ledger.web.access import Access, Principal, TenantMismatchError
from ledger.web.asked import AskedReader
from ledger.web.permissions import PERMISSIONS
from tests.running import event
from tests.web.asking import API, application, asgi_client, problem_of, report


def test_validating_keys_needs_any_key(owner, auditor, agent, nobody):
    body = {"key": "lk_production_unknown"}
    for client in (owner, auditor, agent):
        assert client.post(f"{API}/keys/validate", json=body).json()["valid"] is False
    problem_of(nobody.post(f"{API}/keys/validate", json=body), 401, "UNAUTHORIZED")


# ---------------------------------------------------------------------------------------------------- an agent's sight


@pytest.fixture(scope="module")
def events(owner, agent):
    """An event of the owner's key and one of the agent's."""
    return {
        "owner": report(owner, event("of-owner"))["items"][0],
        "agent": report(agent, event("of-agent"))["items"][0],
    }


def test_agent_sees_what_it_reported_itself(agent, events):
    listed = agent.get(f"{API}/events", params={"limit": 200}).json()["items"]
    assert events["agent"]["event_id"] in [item["event_id"] for item in listed]
    assert {item["data"]["key_id"] for item in listed} == {listed[0]["data"]["key_id"]}
    for path in ("events", "receipts", "transparency/inclusion"):
        assert agent.get(f"{API}/{path}/{events['agent']['event_id']}").status_code == 200
        problem_of(agent.get(f"{API}/{path}/{events['owner']['event_id']}"), 404, "NOT_FOUND")
    by_index = {who: item["leaf_index"] for who, item in events.items()}
    assert agent.get(f"{API}/transparency/inclusion", params={"leaf_index": by_index["agent"]}).status_code == 200
    hidden = agent.get(f"{API}/transparency/inclusion", params={"leaf_index": by_index["owner"]})
    problem_of(hidden, 404, "NOT_FOUND")


def test_agent_s_filters_do_not_widen_its_sight(agent, events):
    for filters in ({"search": "of-owner"}, {"type": "tenant.created"}, {"type": "key.created"}):
        assert agent.get(f"{API}/events", params=filters).json()["items"] == []
        names = {"types" if name == "type" else name: [v] if name == "type" else v for name, v in filters.items()}
        assert agent.post(f"{API}/events/search", json=names).json()["items"] == []


def test_agent_sees_nothing_of_its_own_key_s_entry(agent, auditor, events):
    [created] = [
        item
        for item in auditor.get(f"{API}/events", params={"type": "key.created", "limit": 200}).json()["items"]
        if item["data"]["key_id"] == auditor.get(f"{API}/events/{events['agent']['event_id']}").json()["data"]["key_id"]
    ]
    for path in ("events", "receipts", "transparency/inclusion"):
        problem_of(agent.get(f"{API}/{path}/{created['event_id']}"), 404, "NOT_FOUND")


def test_auditor_sees_everything(service, auditor, events):
    for item in events.values():
        for path in ("events", "receipts", "transparency/inclusion"):
            assert auditor.get(f"{API}/{path}/{item['event_id']}").status_code == 200
    page = auditor.get(f"{API}/events", params={"limit": 200}).json()
    assert [item["leaf_index"] for item in page["items"]] == list(reversed(range(service.size())))


# ------------------------------------------------------------------------------------------------------------- headers


def test_credential_comes_in_any_of_the_headers(service, nobody):
    key = service.keys["owner_key"]
    for headers in (
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer   {key}"},
        {"x-api-key": key},
        {"x-agent-token": key},
        {"authorization": "Basic eA==", "x-api-key": key},
        {"x-api-key": key, "x-tenant-id": service.keys["tenant_id"]},
    ):
        assert nobody.get(f"{API}/transparency/head", headers=headers).status_code == 200, headers


def test_bearer_wins_over_other_headers(service, nobody):
    headers = {"x-api-key": service.keys["owner_key"], "authorization": "Bearer wrong"}
    problem_of(nobody.get(f"{API}/transparency/head", headers=headers), 401, "UNAUTHORIZED")


def test_further_headers_are_a_setting(fresh_ledger):
    place, keys = fresh_ledger

    async def ask():
        async with application(place, key_headers=("X-API-Key", "X-Vendor-Key")) as app, asgi_client(app) as client:
            headers = ("x-vendor-key", "X-API-KEY", "x-agent-token")
            path = f"{API}/transparency/head"
            return [(await client.get(path, headers={header: keys["owner_key"]})).status_code for header in headers]

    assert asyncio.run(ask()) == [200, 200, 401]


class _Record:
    tenant_id = "tenant-1"


class _Log:
    record = _Record()


def principal(role, operator=False):
    return Principal(
        log=_Log(),
        role=role,
        env=None,
        operator=operator,
        recheck=lambda moment: role,
        key_id="key-1",  # type: ignore[arg-type]
    )


def resolve(secret, address):
    if secret != "good":
        raise UnauthorizedError("the key is not known")
    return principal("agent")


def recall(secret):
    return principal("agent") if secret == "seen" else None


def ask(*headers, local=False):
    access = Access(recall, resolve, lambda: principal("owner", operator=True))
    server = ("/serve.sock", None) if local else ("127.0.0.1", 80)
    asked = AskedReader(["X-API-Key"]).read("GET", headers, server)
    return asyncio.run(access.principal(asked))


@pytest.mark.parametrize("secret", [b"good", b"seen"])
def test_socket_s_user_is_the_operator_only_without_a_credential(secret):
    assert ask(local=True).operator
    assert not ask((b"x-api-key", secret), local=True).operator
    with pytest.raises(UnauthorizedError):
        ask((b"x-api-key", b"bad"), local=True)
    with pytest.raises(UnauthorizedError):
        ask(local=False)
    with pytest.raises(TenantMismatchError):
        ask((b"x-api-key", secret), (b"x-tenant-id", b"tenant-2"))
    with pytest.raises(TenantMismatchError):
        ask((b"x-tenant-id", b"tenant-2"), local=True)


def test_unknown_roles_and_permissions_are_refusals():
    for role in ("", "admin", "security", "Owner"):
        assert not any(principal(role).may(permission) for permission in PERMISSIONS)
    with pytest.raises(ForbiddenError):
        principal("owner", operator=True).require("no:such")
    assert not principal("owner").may("roots:close")
    assert principal("owner", operator=True).may("roots:close")
