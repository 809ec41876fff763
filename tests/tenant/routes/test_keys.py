# SPDX-License-Identifier: Apache-2.0
"""API keys over HTTP: made once, listed without secrets, revoked at once."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.running import Service, event
from tests.web.asking import API, NO_SUCH_EVENT, TIME, UUID7, locations, problem_of, report

KEYS = f"{API}/keys"


def listed(client):
    return {key["id"]: key for key in client.get(KEYS).raise_for_status().json()["items"]}


# ------------------------------------------------------------------------------------------------------------- creating


@pytest.mark.parametrize("env", ["production", "staging", "development", "all"])
@pytest.mark.parametrize("role", ["owner", "auditor", "agent"])
def test_new_key_acts_in_its_role_and_is_listed_without_its_secret(service, owner, env, role):
    before = service.size()
    answer = owner.post(KEYS, json={"env": env, "role": role, "label": "größe 😀"})
    assert answer.status_code == 201
    key = answer.json()
    secret = key.pop("key")
    assert key == {
        "id": key["id"],
        "prefix": secret[: len(f"lk_{env}_") + 8],
        "env": env,
        "role": role,
        "label": "größe 😀",
        "created_at": key["created_at"],
        "created_by": key["created_by"],
        "expires_at": None,
        "agents": None,
        "triggers": None,
        "uploads": False,
    }
    assert UUID7.fullmatch(key["id"])
    assert TIME.fullmatch(key["created_at"])
    assert answer.headers["ledger-leaf-index"] == str(before)
    assert UUID7.fullmatch(answer.headers["ledger-event-id"])
    listing = owner.get(KEYS)
    assert listed(owner)[key["id"]] == key
    assert secret not in listing.text
    assert secret[-30:] not in listing.text
    valid = owner.post(f"{KEYS}/validate", json={"key": secret}).json()
    assert valid == {"valid": True, "id": key["id"], "env": env, "role": role}
    with service.client(secret) as client:
        assert client.get(f"{API}/transparency/head").status_code == 200
        assert client.get(KEYS).status_code == (403 if role == "agent" else 200)


def test_key_is_an_agent_s_unless_said_otherwise(owner):
    key = owner.post(KEYS, json={"env": "staging", "label": "default"}).json()
    assert (key["role"], key["expires_at"]) == ("agent", None)


def test_label_is_sealed_in_the_log(service, owner):
    answer = owner.post(KEYS, json={"env": "staging", "label": "a very private label"})
    entry = owner.get(f"{API}/events/{answer.headers['ledger-event-id']}")
    assert list(entry.json()["data"]["label"]) == ["$sealed"]
    assert "private" not in entry.text
    assert answer.json()["key"] not in entry.text
    shown = owner.get(f"{API}/events/{answer.headers['ledger-event-id']}", params={"disclose": "all"}).json()
    assert shown["data"]["label"] == "a very private label"


@pytest.mark.parametrize(
    ("body", "status", "loc"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 422, ["body"]),
        (b"{}", 422, ["body"]),
        (b'{"env":"production"}', 422, ["body"]),
        (b'{"env":"prod","label":"x"}', 422, ["body", "env"]),
        (b'{"env":"all","label":"x","role":"operator"}', 422, ["body", "role"]),
        (b'{"env":"all","label":"x","role":null}', 422, ["body", "role"]),
        (b'{"env":"all","label":""}', 422, ["body", "label"]),
        (b'{"env":"all","label":1}', 422, ["body", "label"]),
        (json.dumps({"env": "all", "label": "x" * 201}).encode(), 422, ["body", "label"]),
        (b'{"env":"all","label":"x","key":"lk_mine"}', 422, ["body"]),
        (b'{"env":"all","label":"x","label":"y"}', 422, ["body"]),
        (b'{"env":"all","label":"\\ud800"}', 422, ["body", "label"]),
        (b'{"env":"all","label":"x","expires_at":"tomorrow"}', 422, ["body", "expires_at"]),
        (b'{"env":"all","label":"x","expires_at":"2020-01-01T00:00:00Z"}', 422, ["body", "expires_at"]),
        (b'{"env":"all","label":"x","expires_at":4102444800}', 422, ["body", "expires_at"]),
        (b'{"env":"all","label":"x","expires_at":"9999-12-31T23:59:59-01:00"}', 422, ["body", "expires_at"]),
    ],
)
def test_wrong_wish_makes_no_key(service, owner, body, status, loc):
    before = service.size()
    problem = problem_of(owner.post(KEYS, content=body), status)
    assert locations(problem) == [loc] if loc else "errors" not in problem
    assert service.size() == before


@pytest.mark.parametrize("expires_at", ["2999-01-01T00:00:00.001Z", "9999-12-31T23:59:59.999Z"])
def test_expiry_is_kept_to_the_millisecond(owner, expires_at):
    key = owner.post(KEYS, json={"env": "all", "label": "x", "expires_at": expires_at}).json()
    assert key["expires_at"] == listed(owner)[key["id"]]["expires_at"] == expires_at


# --------------------------------------------------------------------------------------------------------- idempotency


def test_repeated_request_makes_no_second_key_and_shows_no_secret_again(service, owner):
    body, headers = {"env": "all", "label": "once"}, {"idempotency-key": "request-1"}
    first = owner.post(KEYS, json=body, headers=headers)
    before = service.size()
    again = owner.post(KEYS, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() | {"key": None}
    for name in ("ledger-event-id", "ledger-leaf-index"):
        assert again.headers[name] == first.headers[name]
    assert service.size() == before


def test_other_request_under_the_same_idempotency_key_is_a_conflict(service, owner):
    headers = {"idempotency-key": "request-2"}
    owner.post(KEYS, json={"env": "all", "label": "one"}, headers=headers)
    before = service.size()
    problem = problem_of(owner.post(KEYS, json={"env": "all", "label": "two"}, headers=headers), 409, "CONFLICT")
    assert "Idempotency-Key" in problem["detail"]
    assert service.size() == before


def test_idempotency_keys_of_two_callers_do_not_meet(service, owner):
    body, headers = {"env": "all", "label": "mine"}, {"idempotency-key": "request-3"}
    other = service.create_key(role="owner", env="all")
    with service.client(other["key"]) as client:
        assert {owner.post(KEYS, json=body, headers=headers).status_code} == {201}
        assert client.post(KEYS, json=body, headers=headers).status_code == 201


def test_request_repeated_at_the_same_time_makes_one_key(service):
    def create(_):
        with service.client() as client:
            return client.post(KEYS, json={"env": "all", "label": "race"}, headers={"idempotency-key": "request-4"})

    before = service.size()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(16)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 15}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(answer.json()["key"] is not None for answer in answers) == 1
    assert service.size() == before + 1


# ------------------------------------------------------------------------------------------------------------ revoking


def test_fifty_revocations_of_one_key_are_one(service, owner):
    key = service.create_key()
    with service.client(key["key"]) as client:
        assert report(client, event("before-revocation"))["accepted"] == 1
    before = service.size()

    def revoke(_):
        with service.client() as client:
            return client.delete(f"{KEYS}/{key['id']}")

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(revoke, range(50)))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 409: 49}
    [done] = [answer for answer in answers if answer.status_code == 204]
    assert done.content == b""
    assert done.headers["ledger-leaf-index"] == str(before)
    for answer in answers:
        if answer is not done:
            problem_of(answer, 409, "CONFLICT")
    assert service.size() == before + 1
    with service.client(key["key"]) as client:
        refused = client.post(f"{API}/events", json={"events": [event("after-revocation")]})
        problem_of(refused, 401, "UNAUTHORIZED")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert key["id"] not in listed(owner)
    assert owner.post(f"{KEYS}/validate", json={"key": key["key"]}).json() == {"valid": False}


def test_key_that_revokes_itself_is_gone(service):
    key = service.create_key(role="owner", env="all")
    with service.client(key["key"]) as client:
        assert client.delete(f"{KEYS}/{key['id']}").status_code == 204
        problem_of(client.delete(f"{KEYS}/{key['id']}"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("key_id", [NO_SUCH_EVENT, "x", "%01"])
def test_unknown_key_cannot_be_revoked(service, owner, key_id):
    before = service.size()
    problem_of(owner.delete(f"{KEYS}/{key_id}"), 404, "NOT_FOUND")
    assert service.size() == before


def test_keys_outlive_a_restart_and_stay_revoked(fresh_ledger):
    with Service(*fresh_ledger) as service:
        live, dead = service.create_key(), service.create_key()
        with service.client() as client:
            assert client.delete(f"{KEYS}/{dead['id']}").status_code == 204
        service.terminate()
        service.start()
        for key, status in ((live, 200), (dead, 401)):
            with service.client(key["key"]) as client:
                assert client.get(f"{API}/transparency/head").status_code == status


# ---------------------------------------------------------------------------------------------------- who may do this


@pytest.mark.parametrize("role", ["agent", "auditor"])
def test_only_owners_make_and_revoke_keys(service, role):
    before = service.create_key(role=role)
    size = service.size()
    with service.client(before["key"]) as client:
        problem_of(client.post(KEYS, json={"env": "all", "label": "x", "role": "owner"}), 403, "FORBIDDEN")
        problem_of(client.delete(f"{KEYS}/{before['id']}"), 403, "FORBIDDEN")
    assert service.size() == size


@pytest.mark.parametrize(
    ("body", "status", "loc"),
    [
        (b"{", 400, None),
        (b"{}", 422, ["body"]),
        (b'{"key":""}', 422, ["body", "key"]),
        (b'{"key":1}', 422, ["body", "key"]),
        (b'{"key":"a","key":"b"}', 422, ["body"]),
        (b'{"key":"\\udfff"}', 422, ["body", "key"]),
        (b'{"key":"x","more":1}', 422, ["body"]),
        (json.dumps({"key": "x" * 501}).encode(), 422, ["body", "key"]),
    ],
)
def test_wrong_question_about_a_key_is_refused(service, body, status, loc):
    with service.client() as client:
        problem = problem_of(client.post(f"{KEYS}/validate", content=body), status)
    assert locations(problem) == [loc] if loc else "errors" not in problem


def test_owner_of_one_environment_stays_in_it(service: Service) -> None:
    """A key for staging makes and revokes staging keys only, sees no production call, and is not the operator."""
    owner = service.create_key(env="staging", role="owner")
    other = service.create_key(env="production", role="agent")
    with service.client() as client:
        answer = client.post("/api/v1/events", json={"events": [event("in-production")]}).raise_for_status()
    event_id = answer.json()["items"][0]["event_id"]
    with service.client(owner["key"]) as client:
        refused = [
            client.post("/api/v1/keys", json={"env": "all", "label": "x", "role": "owner"}),
            client.delete(f"/api/v1/keys/{other['id']}"),
            client.post("/api/v1/signing-keys/rotate", json={"purpose": "root"}),
            client.post("/api/v1/signing-keys/rotate", json={"purpose": "log"}),
            client.post("/api/v1/transparency/roots", json={}),
        ]
        assert [answer.status_code for answer in refused] == [403] * 5
        hidden = [client.get(f"/api/v1/{path}/{event_id}") for path in ("events", "receipts", "transparency/inclusion")]
        assert [answer.status_code for answer in hidden] == [404] * 3
        listed = client.get("/api/v1/events", params={"limit": 200}).json()["items"]
        assert {item["data"].get("env") for item in listed if item["type"] == "call.reported"} <= {"staging"}
        assert client.post("/api/v1/keys", json={"env": "staging", "label": "x"}).status_code == 201


# ----------------------------------------------------------------------------------------------------- roles and scopes

# Who may make and revoke keys of which role.
GIVES = {
    "owner": {"owner", "ciso", "dpo", "architect", "auditor", "readonly", "agent"},
    "ciso": {"ciso", "architect", "auditor", "readonly", "agent"},
    "architect": {"architect", "readonly", "agent"},
    "dpo": set(),
    "auditor": set(),
    "readonly": set(),
    "agent": set(),
}


@pytest.mark.any_store("roles are the same on every store")
@pytest.mark.parametrize("giver", GIVES)
def test_key_is_made_and_revoked_by_who_may_do_as_much(service, giver):
    with service.client(service.create_key(role=giver, env="all")["key"]) as client:
        for role in GIVES:
            may = role in GIVES[giver]
            victim = service.create_key(role=role)
            before = service.size()
            made = client.post(KEYS, json={"env": "staging", "label": "x", "role": role})
            gone = client.delete(f"{KEYS}/{victim['id']}")
            assert (made.status_code, gone.status_code) == ((201, 204) if may else (403, 403)), role
            assert service.size() == before + 2 * may


@pytest.mark.any_store("roles are the same on every store")
@pytest.mark.parametrize("role", ["owner", "ciso", "dpo", "architect", "auditor", "readonly"])
def test_key_may_what_its_role_may(service, role):
    with service.client(service.create_key(role=role, env="all")["key"]) as client:
        me = client.get(f"{API}/auth/me").json()
        assert me["role"] == role
        for permission, path in (
            ("keys:read", "keys"),
            ("members:read", "members"),
            ("log:export", f"audit/exports/{'0' * 32}"),
        ):
            assert (client.get(f"{API}/{path}").status_code != 403) == (permission in me["permissions"]), path


@pytest.mark.any_store("scopes are the same on every store")
def test_scope_is_kept_and_shown(owner):
    wanted = {"agents": ["b", "a", "b"], "triggers": ["cron", "manual"], "uploads": True}
    key = owner.post(KEYS, json={"env": "all", "label": "x", **wanted}).json()
    shown = listed(owner)[key["id"]]
    for scope in (key, shown):
        assert (scope["agents"], scope["triggers"], scope["uploads"]) == (["a", "b"], ["cron", "manual"], True)


@pytest.mark.any_store("scopes are the same on every store")
def test_key_reports_for_its_agents_only(service):
    with service.client(service.create_key(agents=["mine"])["key"]) as client:
        report(client, event("scoped", agent_id="mine"))
        before = service.size()
        for events in ([event("scoped-2", agent_id="theirs")], [event("a", agent_id="mine"), event("b", agent_id="x")]):
            problem_of(client.post(f"{API}/events", json={"events": events}), 403, "FORBIDDEN")
        assert service.size() == before


@pytest.mark.any_store("scopes are the same on every store")
@pytest.mark.parametrize("name", ["agents", "triggers"])
@pytest.mark.parametrize("role", ["owner", "ciso", "dpo", "architect", "auditor", "readonly"])
def test_only_an_agent_s_key_is_limited_to_agents_or_triggers(owner, service, name, role):
    """Where a key reads and settles what is everybody's, that would limit next to nothing."""
    before = service.size()
    refused = problem_of(owner.post(KEYS, json={"env": "all", "label": "x", "role": role, name: ["a"]}), 422)
    assert locations(refused) == [["body", name]]
    assert service.size() == before


def test_last_way_into_a_tenant_stays(service, owner):
    made = owner.post(f"{API}/admin/tenants", json={}).raise_for_status().json()
    with service.client(made["owner_key"]) as first:
        [own] = first.get(KEYS).json()["items"]
        problem_of(first.delete(f"{KEYS}/{own['id']}"), 409, "CONFLICT")
        other = first.post(KEYS, json={"env": "all", "label": "x", "role": "owner"}).json()
        assert first.delete(f"{KEYS}/{own['id']}").status_code == 204
    with service.client(other["key"]) as second:
        problem_of(second.delete(f"{KEYS}/{other['id']}"), 409, "CONFLICT")


def test_key_says_who_made_it(owner):
    made = owner.post(KEYS, json={"env": "all", "label": "x", "expires_at": "24h"}).json()
    me = owner.get(f"{API}/auth/me").json()
    assert made["created_by"] == listed(owner)[made["id"]]["created_by"] == me["actor"]
    assert made["expires_at"] > made["created_at"]


@pytest.mark.any_store("scopes are the same on every store")
@pytest.mark.parametrize(
    ("scope", "loc"),
    [
        ({"agents": []}, ["body", "agents"]),
        ({"agents": ["é"]}, ["body", "agents", 0]),
        ({"agents": ["a", ""]}, ["body", "agents", 1]),
        ({"triggers": ["x" * 201]}, ["body", "triggers", 0]),
        ({"triggers": ["x"] * 201}, ["body", "triggers"]),
        ({"agents": "a"}, ["body", "agents"]),
        ({"uploads": 1}, ["body", "uploads"]),
    ],
)
def test_wrong_scope_makes_no_key(service, owner, scope, loc):
    before = service.size()
    problem = problem_of(owner.post(KEYS, json={"env": "all", "label": "x"} | scope), 422)
    assert locations(problem)[0][: len(loc)] == loc or locations(problem) == [["body", loc[1], "..."]]
    assert service.size() == before
