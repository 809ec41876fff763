# SPDX-License-Identifier: Apache-2.0
"""Agents' own credentials and tokens: shown once, for one agent in one environment, gone at once."""

import time
from pathlib import Path

import pytest

from ledger.log.entry import format_time
from tests.running import event
from tests.tables import dump
from tests.tenant.people_world import PASSWORD, apart, is_live, new_email
from tests.web.asking import API, NO_SUCH_EVENT, TIME, UUID7, Clock, asgi_client, locations, problem_of, report

pytestmark = pytest.mark.any_store("agents are the same on every store")

ENVS = ("production", "staging", "development")
TOKEN = f"{API}/auth/agent/token"
ROLES = ("owner", "ciso", "dpo", "architect", "auditor", "readonly")


def place_of(agent_id):
    return f"{API}/agents/{agent_id}/credentials"


def listed(client, agent_id):
    items = client.get(place_of(agent_id)).raise_for_status().json()["items"]
    return {credential["id"]: credential for credential in items}


# --------------------------------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize("env", ENVS)
def test_new_credential_is_shown_once(service, people, env):
    before = service.size()
    answer = people.key.post(place_of("robot"), json={"env": env, "label": "größe 😀"})
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    assert answer.headers["ledger-leaf-index"] == str(before)
    made = answer.json()
    secret = made.pop("secret")
    assert made == {
        "id": made["id"],
        "agent_id": "robot",
        "env": env,
        "label": "größe 😀",
        "created_at": made["created_at"],
        "created_by": people.key.get(f"{API}/auth/me").json()["actor"],
        "expires_at": None,
    }
    assert UUID7.fullmatch(made["id"]) and TIME.fullmatch(made["created_at"])
    assert secret.startswith(f"la_{env}_") and len(secret) == len(f"la_{env}_") + 43
    assert listed(people.key, "robot")[made["id"]] == made
    entry = people.key.get(f"{API}/events/{answer.headers['ledger-event-id']}").text
    for text in (people.key.get(place_of("robot")).text, entry):
        assert secret[-20:] not in text
    assert "größe" not in entry
    files = filter(Path.is_file, service.data.rglob("*"))
    assert not any(secret[-20:].encode() in each for each in [dump(service.settings), *(f.read_bytes() for f in files)])


def test_secret_is_no_credential_for_requests(people):
    """Only a token is, so that the secret stays where the agent keeps it."""
    secret = people.credential("robot")["secret"]
    assert not is_live(people.service.client(secret))


def test_same_request_makes_no_second_credential(service, people):
    headers, body = {"idempotency-key": "credential-1"}, {"env": "staging"}
    first = people.key.post(place_of("robot"), json=body, headers=headers)
    before = service.size()
    again = people.key.post(place_of("robot"), json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() | {"secret": None} and service.size() == before
    other = people.key.post(place_of("other"), json=body, headers=headers)
    problem_of(other, 409, "CONFLICT")


def test_agent_may_be_in_the_body(people):
    made = people.key.post(f"{API}/auth/credentials", json={"agent_id": "by/body"}).raise_for_status().json()
    assert (made["agent_id"], made["env"]) == ("by/body", "production")
    assert is_live(people.service.client(people.agent_token(made)))


@pytest.mark.parametrize(
    ("agent_id", "body", "status", "loc"),
    [
        ("robot", {"env": "all"}, 422, ["body", "env"]),
        ("robot", {"label": ""}, 422, ["body", "label"]),
        ("robot", {"label": "x" * 201}, 422, ["body", "label"]),
        ("robot", {"agent_id": "robot"}, 422, ["body"]),
        ("robot", {"expires_at": "tomorrow"}, 422, ["body", "expires_at"]),
        ("robot", {"expires_at": "2020-01-01T00:00:00Z"}, 422, ["body", "expires_at"]),
        ("%C3%A9", {}, 404, None),
        ("%01", {}, 404, None),
        ("a" * 201, {}, 404, None),
    ],
)
def test_wrong_wish_makes_no_credential(service, people, agent_id, body, status, loc):
    before = service.size()
    answer = people.key.post(place_of(agent_id), json=body)
    problem = problem_of(answer, status, "NOT_FOUND" if status == 404 else "VALIDATION_ERROR")
    assert locations(problem) == [loc] if loc else True
    assert service.size() == before


@pytest.mark.parametrize("role", ROLES)
def test_credentials_are_made_and_revoked_by_who_may(service, people, role):
    client = people.browser(people.member(role))
    made = people.credential("robot")
    before = service.size()
    may = role in ("owner", "ciso", "architect")
    assert client.post(place_of("robot"), json={}).status_code == (201 if may else 403)
    assert client.delete(f"{place_of('robot')}/{made['id']}").status_code == (204 if may else 403)
    assert service.size() == before + 2 * may
    assert (made["id"] in listed(client, "robot")) != may
    agent = people.agent("robot")
    problem_of(agent.get(place_of("robot")), 403, "FORBIDDEN")
    problem_of(agent.post(place_of("robot"), json={}), 403, "FORBIDDEN")


def test_revoked_credential_ends_its_tokens_at_once(service, people):
    kept, revoked = people.credential("robot"), people.credential("robot")
    clients = [people.service.client(people.agent_token(credential)) for credential in (kept, revoked)]
    assert all(map(is_live, clients))
    place = f"{place_of('robot')}/{revoked['id']}"
    before = service.size()
    problem_of(people.key.delete(f"{place_of('other')}/{revoked['id']}"), 404, "NOT_FOUND")
    problem_of(people.key.delete(f"{place_of('robot')}/{NO_SUCH_EVENT}"), 404, "NOT_FOUND")
    assert service.size() == before
    assert people.key.delete(place).status_code == 204
    assert [is_live(client) for client in clients] == [True, False]
    problem_of(clients[1].post(f"{API}/events", json={"events": [event("too-late")]}), 401, "UNAUTHORIZED")
    body = {"agent_id": "robot", "secret": revoked["secret"]}
    problem_of(people.nobody.post(TOKEN, json=body), 401, "UNAUTHORIZED")
    problem_of(people.key.delete(place), 409, "CONFLICT")
    assert service.size() == before + 1
    assert revoked["id"] not in listed(people.key, "robot") and kept["id"] in listed(people.key, "robot")


# ------------------------------------------------------------------------------------------------- environment, agents


def test_key_of_one_environment_knows_credentials_of_that_only(service, people):
    made = {env: people.credential("hidden-robot", env=env) for env in ENVS}
    key = service.create_key(env="staging", role="owner")
    with service.client(key["key"]) as client:
        assert set(listed(client, "hidden-robot")) == {made["staging"]["id"]}
        before = service.size()
        problem_of(client.post(place_of("hidden-robot"), json={"env": "production"}), 403, "FORBIDDEN")
        # That there is one of another environment is not told.
        problem_of(client.delete(f"{place_of('hidden-robot')}/{made['production']['id']}"), 404, "NOT_FOUND")
        assert service.size() == before
        assert client.delete(f"{place_of('hidden-robot')}/{made['staging']['id']}").status_code == 204


def test_who_acts_for_an_agent_makes_credentials_of_this_one_only(service, people):
    key = service.create_key(role="architect")
    with service.client(key["key"]) as client:
        client.headers["x-agent-id"] = "mine"
        assert client.post(place_of("mine"), json={}).status_code == 201
        before = service.size()
        problem_of(client.post(place_of("theirs"), json={}), 403, "FORBIDDEN")
        problem_of(client.post(f"{API}/auth/credentials", json={"agent_id": "theirs"}), 403, "FORBIDDEN")
        theirs = people.credential("theirs")
        problem_of(client.delete(f"{place_of('theirs')}/{theirs['id']}"), 403, "FORBIDDEN")
        assert service.size() == before + 1


@pytest.mark.parametrize("env", ENVS)
def test_token_acts_for_its_agent_in_its_environment(service, people, env):
    agent = people.agent("payments-agent", env=env)
    item = report(agent, event(f"own-{env}"))["items"][0]
    assert people.key.get(f"{API}/events/{item['event_id']}").json()["data"]["env"] == env
    before = service.size()
    other = next(each for each in ENVS if each != env)
    for wrong in (event(f"x-{env}", agent_id="other"), event(f"y-{env}", payload={"environment": other})):
        problem_of(agent.post(f"{API}/events", json={"events": [event(f"z-{env}"), wrong]}), 403, "FORBIDDEN")
    assert service.size() == before
    stranger = people.agent("payments-agent", env=env)
    # Another credential is another reporter, even of the same agent.
    problem_of(stranger.get(f"{API}/events/{item['event_id']}"), 404, "NOT_FOUND")
    assert agent.get(f"{API}/events/{item['event_id']}").status_code == 200


def test_header_names_one_of_the_credential_s_agents(service, people):
    scoped = service.create_key(agents=["a", "b"])["key"]
    free = service.create_key()["key"]
    token = people.agent_token(people.credential("a"))
    path = f"{API}/auth/me"
    for secret, names in (
        (scoped, {"a": 200, "b": 200, "c": 403}),
        (free, {"a": 200, "c": 200}),
        (token, {"a": 200, "b": 403}),
    ):
        with service.client(secret) as client:
            for name, status in names.items():
                answer = client.get(path, headers={"x-agent-id": name})
                assert answer.status_code == status, name
                assert answer.is_error or answer.json()["agents"] == [name]
                posted = client.post(
                    f"{API}/events", headers={"x-agent-id": name}, json={"events": [event("of-c", agent_id="c")]}
                )
                assert posted.status_code == (200 if (secret, name) == (free, "c") else 403)


# -------------------------------------------------------------------------------------------------------------- tokens


def test_token_is_got_by_agent_and_secret_together(service, people):
    mine, other = people.credential("mine"), people.credential("other")
    before = service.size()
    answer = people.nobody.post(TOKEN, json={"agent_id": "mine", "secret": mine["secret"]})
    assert answer.status_code == 200 and service.size() == before + 1
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert 3595 <= answer.json()["expires_in"] <= 3600
    wrong = [
        {"agent_id": "other", "secret": mine["secret"]},
        {"agent_id": "mine", "secret": other["secret"]},
        {"agent_id": "mine", "secret": mine["id"]},
        {"agent_id": "mine", "secret": service.keys["owner_key"]},
        {"agent_id": "mine", "secret": people.invited()["invitation"]},
        {"agent_id": "mine", "secret": "\x00"},
    ]
    before = service.size()
    answers = [people.nobody.post(TOKEN, json=body) for body in wrong]
    for refused in answers:
        problem_of(refused, 401, "UNAUTHORIZED")
    # Nothing in them says whether there is such a secret.
    assert len({refused.json()["detail"] for refused in answers}) == 1
    for body in ({}, {"agent_id": "mine"}, {"agent_id": "é", "secret": "x"}, {"agent_id": "mine", "secret": "x" * 501}):
        problem_of(people.nobody.post(TOKEN, json=body), 422)
    assert service.size() == before


def test_secret_of_an_agent_is_no_key(people):
    credential = people.credential("robot")
    for client in (people.key, people.service.client(people.agent_token(credential))):
        assert client.post(f"{API}/keys/validate", json={"key": credential["secret"]}).json() == {"valid": False}


def test_token_ends_after_an_hour_or_with_its_credential(fresh_ledger):
    clock = Clock((time.time_ns() // 1_000_000_000 + 10) * 1000)

    async def act(app, owner, nobody):
        await owner.post(f"{API}/setup", json={"email": new_email(), "password": PASSWORD})
        begun, seen = clock.now, []
        for seconds in (None, 3601, 3600, 600):
            clock.now = begun
            body = {} if seconds is None else {"expires_at": format_time(begun + seconds * 1000)}
            made = (await owner.post(place_of("robot"), json=body)).json()
            wanted = {"agent_id": "robot", "secret": made["secret"]}
            token = (await nobody.post(TOKEN, json=wanted)).json()
            life = min(3600, seconds or 3600)
            assert token["expires_in"] == life
            async with asgi_client(app, token["access_token"]) as client:
                for later in (life * 1000 - 1, life * 1000):
                    clock.now = begun + later
                    seen.append((await client.get(f"{API}/auth/me")).status_code)
            clock.now = begun + (seconds or 10**6) * 1000
            expired = (await nobody.post(TOKEN, json=wanted)).status_code
            assert expired == (200 if seconds is None else 401)
            assert made["id"] in [each["id"] for each in (await owner.get(place_of("robot"))).json()["items"]]
        return seen

    assert apart(fresh_ledger, act, clock=clock) == [200, 401] * 4


def test_agent_that_asks_for_tokens_too_fast_has_to_wait(fresh_ledger):
    async def act(app, owner, nobody):
        made = (await owner.post(place_of("robot"), json={})).json()
        body = {"agent_id": "robot", "secret": made["secret"]}
        return [(await nobody.post(TOKEN, json=body)).status_code for _ in range(4)]

    assert apart(fresh_ledger, act, rate=0.001, burst=3) == [200, 200, 200, 429]
