# SPDX-License-Identifier: Apache-2.0
"""Tokens for scripts: what they are good for and how long, and what others can tell of them."""

import base64
import json
import time

import pytest

from ledger.web.permissions import permissions_of
from tests.running import event
from tests.tenant.people_world import PASSWORD, apart, is_live, new_email
from tests.web.asking import API, Clock, asgi_client, locations, problem_of

pytestmark = pytest.mark.any_store("tokens are the same on every store")

ACCESS, REFRESH, AGENT = 15 * 60, 7 * 86_400, 3600


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(token):
    """Header and claims of a JWT, unchecked."""
    header, claims, _ = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims))


def revoke(client, **wanted):
    return client.post(f"{API}/auth/revoke", **({"json": wanted} if wanted else {}))


def introspect(client, token):
    return client.post(f"{API}/auth/introspect", json={"token": token})


def refresh(people, token):
    return people.nobody.post(f"{API}/auth/refresh", json={"refresh_token": token})


def both(tokens):
    return tokens["access_token"], tokens["refresh_token"]


# -------------------------------------------------------------------------------------------------------------- issued


def test_tokens_are_for_a_quarter_of_an_hour_and_a_week(service, people):
    person = people.member("auditor")
    before = service.size()
    answer = people.nobody.post(f"{API}/auth/token", json=person.login)
    tokens = answer.json()
    assert answer.headers["cache-control"] == "no-store" and "set-cookie" not in answer.headers
    assert service.size() == before + 2
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", ACCESS)
    assert REFRESH - 5 <= tokens["refresh_expires_in"] <= REFRESH
    for token, use, seconds in (
        (tokens["access_token"], "access", ACCESS),
        (tokens["refresh_token"], "refresh", REFRESH),
    ):
        _, claims = parts(token)
        assert (claims["use"], claims["exp"] - claims["iat"]) == (use, seconds)
        assert (claims["sub"], claims["tenant_id"]) == (person.id, service.keys["tenant_id"])
    for headers in (
        {"authorization": f"Bearer {tokens['access_token']}"},
        {"x-api-key": tokens["access_token"]},
        {"x-agent-token": tokens["access_token"], "x-tenant-id": service.keys["tenant_id"]},
    ):
        assert people.nobody.get(f"{API}/auth/me", headers=headers).json()["member_id"] == person.id
    # Of a script, nothing more is asked for than the token.
    assert people.service.client(tokens["access_token"]).post(f"{API}/auth/logout").status_code == 204


def test_refresh_token_is_good_for_nothing_but_other_tokens(people):
    person = people.member("owner")
    client = people.service.client(people.tokens(person)["refresh_token"])
    for method, path in (("GET", "auth/me"), ("GET", "members"), ("POST", "auth/logout"), ("POST", "events")):
        problem_of(client.request(method, f"{API}/{path}"), 401, "UNAUTHORIZED")
    token = client.headers["authorization"].removeprefix("Bearer ")
    assert not is_live(people.with_cookie(f"ledger_session={token}"))


def test_members_report_no_events(people):
    """Entries of calls say with which key they came."""
    for role in ("owner", "ciso", "architect"):
        answer = people.script(people.member(role)).post(f"{API}/events", json={"events": [event("of-a-member")]})
        problem_of(answer, 403, "FORBIDDEN")


# ------------------------------------------------------------------------------------------------------------- renewed


def test_renewed_token_is_of_the_same_session(service, people):
    person = people.member()
    tokens = people.tokens(person)
    before = service.size()
    answer = refresh(people, tokens["refresh_token"])
    assert answer.status_code == 200 and service.size() == before + 1
    renewed = answer.json()
    assert renewed.keys() == {"access_token", "token_type", "expires_in"} and renewed["expires_in"] == ACCESS
    sessions = {parts(token)[1]["sid"] for token in (*both(tokens), renewed["access_token"])}
    assert len(sessions) == 1
    clients = [service.client(token) for token in (tokens["access_token"], renewed["access_token"])]
    assert all(map(is_live, clients))
    revoke(clients[0]).raise_for_status()
    assert not any(map(is_live, clients))
    problem_of(refresh(people, tokens["refresh_token"]), 401, "UNAUTHORIZED")


def test_cookie_and_refresh_token_renew_and_an_access_token_does_not(people):
    """Who found an access token has it for minutes, not for the rest of the session."""
    person = people.member()
    tokens, browser = people.tokens(person), people.browser(person)
    foreign = people.with_cookie(browser.headers["cookie"], {})
    for client in (people.service.client(tokens["refresh_token"]), browser):
        token = client.post(f"{API}/auth/refresh").raise_for_status().json()["access_token"]
        assert is_live(people.service.client(token))
    for answer in (
        people.service.client(tokens["access_token"]).post(f"{API}/auth/refresh"),
        refresh(people, tokens["access_token"]),
        refresh(people, browser.headers["cookie"].partition("=")[2]),
    ):
        problem_of(answer, 401, "UNAUTHORIZED")
    problem_of(foreign.post(f"{API}/auth/refresh"), 403, "FORBIDDEN")
    problem_of(people.nobody.post(f"{API}/auth/refresh"), 401, "UNAUTHORIZED")


def test_keys_and_agents_renew_nothing(service, people):
    credential = people.credential("robot")
    token = people.agent_token(credential)
    before = service.size()
    for client in (people.key, service.client(token)):
        problem_of(client.post(f"{API}/auth/refresh"), 401, "UNAUTHORIZED")
    for text in (token, service.keys["owner_key"], credential["secret"], "x", "a.b.c"):
        problem_of(refresh(people, text), 401, "UNAUTHORIZED")
    assert service.size() == before


def test_tokens_end_at_their_second(fresh_ledger):
    clock = Clock((time.time_ns() // 1_000_000_000 + 10) * 1000)

    async def act(app, owner, nobody):
        login = {"email": new_email(), "password": PASSWORD}
        await owner.post(f"{API}/setup", json=login)
        begun = clock.now
        tokens = (await nobody.post(f"{API}/auth/token", json=login)).json()

        async def status(token):
            async with asgi_client(app, token) as client:
                return (await client.get(f"{API}/auth/me")).status_code

        async def renewed():
            return await nobody.post(f"{API}/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

        seen = []
        for later in (0, ACCESS * 1000 - 1, ACCESS * 1000):
            clock.now = begun + later
            seen.append(await status(tokens["access_token"]))
        # Towards the end of the week a token is for what is left of it.
        for left in (ACCESS, ACCESS - 1, 1):
            clock.now = begun + (REFRESH - left) * 1000
            answer = (await renewed()).json()
            assert answer["expires_in"] == left
            last = answer["access_token"]
        assert await status(last) == 200
        clock.now = begun + REFRESH * 1000
        assert await status(last) == 401
        problem_of(await renewed(), 401, "UNAUTHORIZED")
        return seen

    assert apart(fresh_ledger, act, clock=clock) == [200, 200, 401]


# -------------------------------------------------------------------------------------------------------- introspected


def test_introspection_says_what_a_token_is(service, people):
    person = people.member("dpo")
    credential = people.credential("robot", env="staging")
    agent_token = people.agent_token(credential)
    for token, role, client_id, env in (
        (people.tokens(person)["access_token"], "dpo", person.id, None),
        (people.tokens(person)["refresh_token"], "dpo", person.id, None),
        (people.log_in(person).removeprefix("ledger_session="), "dpo", person.id, None),
        (agent_token, "agent", credential["id"], "staging"),
    ):
        _, claims = parts(token)
        shown = introspect(people.key, token).json()
        assert shown.pop("env", None) == env
        assert shown == {
            "active": True,
            "scope": " ".join(sorted(permissions_of(role))),
            "client_id": client_id,
            "token_type": claims["use"],
            "exp": claims["exp"],
            "iat": claims["iat"],
            "sub": claims["sub"],
            "iss": claims["iss"],
            "tenant_id": service.keys["tenant_id"],
            "session_id": claims["sid"],
            "role": role,
        }
        form = people.key.post(f"{API}/auth/introspect", data={"token": token, "token_type_hint": "access_token"})
        assert form.json() == introspect(people.key, token).json()
        revoke(people.key, token=token).raise_for_status()
        assert introspect(people.key, token).json() == {"active": False}


def test_everybody_introspects_his_own_and_some_others(service, people):
    victim = people.tokens(people.member())["access_token"]
    for role in ("owner", "ciso", "dpo", "architect", "auditor", "readonly"):
        tokens = people.tokens(people.member(role))
        client = service.client(tokens["access_token"])
        for own in both(tokens):
            assert introspect(client, own).json()["active"] is True
        answer = introspect(client, victim)
        if role in ("owner", "ciso", "architect", "auditor"):
            assert answer.json()["active"] is True
        else:
            problem_of(answer, 403, "FORBIDDEN")
    credential = people.credential("robot")
    token = people.agent_token(credential)
    agent = service.client(token)
    assert introspect(agent, token).json()["client_id"] == credential["id"]
    problem_of(introspect(agent, victim), 403, "FORBIDDEN")
    problem_of(introspect(people.nobody, victim), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("text", ["x", "a.b.c", "lk_production_unknown", "\x00", "é"])
def test_what_is_no_token_is_not_active(service, people, text):
    for token in (text, service.keys["owner_key"]):
        assert introspect(people.key, token).json() == {"active": False}
        assert people.key.post(f"{API}/auth/introspect", data={"token": token}).json() == {"active": False}


@pytest.mark.parametrize("form", [b"", b"token_type_hint=x", b"token=a&token=b", b"token=", b"\xff", b"a=1&" * 20])
def test_wrong_form_is_refused(people, form):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = people.key.post(f"{API}/auth/introspect", content=form, headers=headers)
    assert locations(problem_of(answer, 422)) == [["body", "token"]]
