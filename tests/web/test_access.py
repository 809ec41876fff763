# SPDX-License-Identifier: Apache-2.0
"""What an agent sees, and the headers that a credential may come in. Who may ask for what: tests/access."""

import asyncio

import pytest

from ledger.log.errors import ForbiddenError, UnauthorizedError
from ledger.web.access import Access, Principal, TenantMismatchError
from ledger.web.asked import AskedReader
from ledger.web.permissions import PERMISSIONS
from tests.running import event
from tests.web.asking import API, NO_SUCH_EVENT, application, asgi_client, problem_of, report


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


KEY_HEADERS = ("X-PhronEdge-Key", "X-AEGIS-API-Key", "X-AEGIS-Agent-Token")
"""Of other products, whose clients go on sending them."""


def test_every_form_of_credential_of_other_products_is_taken(fresh_ledger):
    """Key in a product's header, cookie, tokens of members and agents, with tenant and agent named beside them."""
    place, keys = fresh_ledger
    settings = {
        "key_headers": (*place.key_headers, *KEY_HEADERS),
        "agent_headers": (*place.agent_headers, "X-Edictum-Agent-Id"),
        "password_memory": 64,
        "password_passes": 1,
    }

    async def ask():
        async with application(place, **settings) as app, asgi_client(app, keys["owner_key"]) as owner:
            login = {"email": "ada@example.org", "password": "correct horse battery"}
            member_id = (await owner.post(f"{API}/setup", json=login)).json()["id"]
            key = (await owner.post(f"{API}/keys", json={"env": "all", "label": "x", "agents": ["robot", "b"]})).json()
            made = (await owner.post(f"{API}/agents/robot/credentials", json={})).json()
            async with asgi_client(app) as nobody:
                member_token = (await nobody.post(f"{API}/auth/token", json=login)).json()["access_token"]
                wanted = {"agent_id": "robot", "secret": made["secret"]}
                agent_token = (await nobody.post(f"{API}/auth/agent/token", json=wanted)).json()["access_token"]
                # By hand below, as a browser does over TLS.
                cookie = (await nobody.post(f"{API}/auth/login", json=login)).headers["set-cookie"].partition(";")[0]
                nobody.cookies.clear()
                actors = {
                    key["key"]: f"key:{key['id']}",
                    member_token: f"member:{member_id}",
                    agent_token: "agent:robot",
                }
                forms = [
                    ({name: secret}, actor)
                    for secret, actor in actors.items()
                    for name in ("X-API-Key", "X-Agent-Token", *KEY_HEADERS)
                ]
                forms += [({"authorization": f"Bearer {secret}"}, actor) for secret, actor in actors.items()]
                forms += [({"cookie": f"a=b; {cookie}; c=d"}, f"member:{member_id}")]
                for form, actor in forms:
                    for tenant in ({}, {"X-Tenant-ID": keys["tenant_id"]}):
                        answer = await nobody.get(f"{API}/auth/me", headers=form | tenant)
                        assert (answer.status_code, answer.json().get("actor")) == (200, actor), form
                    refused = await nobody.get(f"{API}/auth/me", headers=form | {"X-Tenant-ID": NO_SUCH_EVENT})
                    problem_of(refused, 403, "TENANT_MISMATCH")
                    for name in ("X-Edictum-Agent-Id", "X-Agent-ID"):
                        answer = await nobody.get(f"{API}/auth/me", headers=form | {name: "robot"})
                        assert answer.json()["agents"] == ["robot"], form
                        other = await nobody.get(f"{API}/auth/me", headers=form | {name: "other"})
                        assert other.status_code == (200 if actor.startswith("member:") else 403), form
                    wrong = {name: value[:-4] + "AAAA" for name, value in form.items() if name != "cookie"}
                    problem_of(await nobody.get(f"{API}/auth/me", headers=wrong), 401, "UNAUTHORIZED")

    asyncio.run(ask())


def test_headers_of_other_products_are_none_unless_they_are_set(service, nobody):
    for name in KEY_HEADERS:
        answer = nobody.get(f"{API}/transparency/head", headers={name: service.keys["owner_key"]})
        problem_of(answer, 401, "UNAUTHORIZED")
    # Whose agent it is, is then not said: the header is no constraint.
    answer = nobody.get(
        f"{API}/auth/me", headers={"x-api-key": service.keys["owner_key"], "X-Edictum-Agent-Id": "robot"}
    )
    assert answer.json()["agents"] is None


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
