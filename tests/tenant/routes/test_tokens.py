# SPDX-License-Identifier: Apache-2.0
"""Tokens for scripts: what they are good for and how long, what ends them, and what others can tell of them."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.web.permissions import permissions_of
from tests.running import CHEAP_LOGINS, Service, event, run_ledger
from tests.tenant.people_world import OWN_PAGE, PASSWORD, People, apart, cookie_of, is_live, new_email
from tests.web.asking import API, NO_SUCH_EVENT, Clock, asgi_client, locations, problem_of

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


def forged(header, claims, sign):
    """A JWT (RFC 7515 §3.1) with a signature of one's own over what is signed."""
    signed = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
    return f"{signed}.{encoded(sign(signed.encode()))}"


def revoke(client, **wanted):
    return client.post(f"{API}/auth/revoke", **({"json": wanted} if wanted else {}))


def introspect(client, token):
    return client.post(f"{API}/auth/introspect", json={"token": token})


def refresh(people, token):
    return people.nobody.post(f"{API}/auth/refresh", json={"refresh_token": token})


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
    sessions = {parts(token)[1]["sid"] for token in (*_both(tokens), renewed["access_token"])}
    assert len(sessions) == 1
    clients = [service.client(token) for token in (tokens["access_token"], renewed["access_token"])]
    assert all(map(is_live, clients))
    revoke(clients[0]).raise_for_status()
    assert not any(map(is_live, clients))
    problem_of(refresh(people, tokens["refresh_token"]), 401, "UNAUTHORIZED")


def _both(tokens):
    return tokens["access_token"], tokens["refresh_token"]


def test_token_or_cookie_that_still_holds_renews_itself(people):
    person = people.member()
    script, browser = people.script(person), people.browser(person)
    foreign = people.with_cookie(browser.headers["cookie"], {})
    for client in (script, browser):
        token = client.post(f"{API}/auth/refresh").raise_for_status().json()["access_token"]
        assert is_live(people.service.client(token))
    problem_of(foreign.post(f"{API}/auth/refresh"), 403, "FORBIDDEN")
    problem_of(people.nobody.post(f"{API}/auth/refresh"), 401, "UNAUTHORIZED")


def test_keys_and_agents_renew_nothing(service, people):
    credential = people.credential("robot")
    token = people.agent_token(credential)
    before = service.size()
    for client in (people.key, service.client(token)):
        problem_of(client.post(f"{API}/auth/refresh"), 409, "CONFLICT")
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


# -------------------------------------------------------------------------------------------------------------- forged


def test_anybody_can_verify_a_token_with_the_published_key(service, people):
    """By RFC 7515 and RFC 8037, without the library that signed it."""
    [jwk] = people.nobody.get("/.well-known/jwks.json").raise_for_status().json()["keys"]
    assert (jwk["kty"], jwk["crv"], jwk["use"]) == ("OKP", "Ed25519", "sig") and "d" not in jwk
    thumbprint = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    assert jwk["kid"] == encoded(hashlib.sha256(thumbprint.encode()).digest())
    public = Ed25519PublicKey.from_public_bytes(decoded(jwk["x"]))
    person = people.member()
    cookie = people.log_in(person).removeprefix("ledger_session=")
    for token in (*_both(people.tokens(person)), cookie, people.agent_token(people.credential("robot"))):
        signed, _, signature = token.rpartition(".")
        header, claims = parts(token)
        assert header == {"alg": "Ed25519", "kid": jwk["kid"]} | ({"typ": "JWT"} if "typ" in header else {})
        public.verify(decoded(signature), signed.encode())
        with pytest.raises(InvalidSignature):
            public.verify(decoded(signature), signed.encode() + b"x")
        assert claims["tenant_id"] == service.keys["tenant_id"]


@pytest.fixture(scope="module")
def token(people):
    return people.tokens(people.founder)["access_token"]


# A service is asked in every example, which a slow machine does slowly.
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_token_with_any_letter_changed_is_refused(service, people, token, data):
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."))
    changed = token[:place] + letter + token[place + 1 :]
    with service.client(changed) as client:
        assert not is_live(client) or meaning(changed) == meaning(token)


def meaning(token):
    """What is signed, and the bytes of the signature: the last letter of these has bits that stand for none."""
    signed, _, signature = token.strip().rpartition(".")
    return signed, decoded(signature)


def test_token_signed_otherwise_is_refused(service, people, token):
    [jwk] = people.nobody.get("/.well-known/jwks.json").json()["keys"]
    header, claims = parts(token)
    public = decoded(jwk["x"])
    own = Ed25519PrivateKey.generate()
    own_jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(own.public_key().public_bytes_raw())}

    def hashed(key):
        return lambda signed: hmac.digest(key, signed, "sha256")

    wrong = [
        forged({"alg": "none"}, claims, lambda signed: b""),
        forged({"alg": "None", "kid": jwk["kid"]}, claims, lambda signed: b""),
        forged(header, claims, lambda signed: b""),
        forged(header, claims, lambda signed: bytes(64)),
        forged({"alg": "HS256"}, claims, hashed(public)),
        forged({"alg": "HS256", "kid": jwk["kid"]}, claims, hashed(jwk["x"].encode())),
        forged({"alg": "HS256"}, claims, hashed(b"")),
        forged(header, claims, own.sign),
        forged({"alg": "EdDSA", "kid": jwk["kid"]}, claims, own.sign),
        forged(header | {"jwk": own_jwk}, claims, own.sign),
        forged({"alg": "Ed25519", "jwk": own_jwk}, claims, own.sign),
        forged(header | {"jku": "https://example.org/keys"}, claims, own.sign),
        forged(header | {"crit": ["exp"]}, claims, own.sign),
        token + ".",
        "." + token,
        token.rpartition(".")[0] + ".",
        "..",
    ]
    before = service.size()
    for text in wrong:
        with service.client(text) as client:
            assert not is_live(client), text
        assert not is_live(people.with_cookie(f"ledger_session={text}"))
        problem_of(refresh(people, text), 401, "UNAUTHORIZED")
        assert introspect(people.key, text).json() == {"active": False}
        problem_of(revoke(people.key, token=text), 404, "NOT_FOUND")
    assert is_live(service.client(token)) and service.size() == before


def test_token_of_another_deployment_is_refused(service, people, room, token):
    place = room.new()
    made = run_ledger("init", "--json", data=place)
    assert made.returncode == 0, made.stderr
    with Service(place, json.loads(made.stdout), *CHEAP_LOGINS) as other:
        strangers = People(other)
        theirs = strangers.tokens(strangers.founder)
        for here, text in ((service, theirs["access_token"]), (other, token)):
            with here.client(text) as client:
                assert not is_live(client)
        problem_of(refresh(people, theirs["refresh_token"]), 401, "UNAUTHORIZED")
        problem_of(revoke(people.key, token=theirs["access_token"]), 404, "NOT_FOUND")
        assert introspect(people.key, theirs["access_token"]).json() == {"active": False}


# ------------------------------------------------------------------------------------------------------------- revoked


def sessions(people, person):
    """Clients of two sessions of a member, a script's and a browser's."""
    return people.script(person), people.browser(person)


def test_own_session_is_revoked_without_saying_more(service, people):
    for number in range(2):
        both = sessions(people, people.member("readonly"))
        before = service.size()
        answer = revoke(both[number])
        assert (answer.status_code, service.size()) == (204, before + 1)
        assert [is_live(client) for client in both] == [number == 1, number == 0]
    problem_of(revoke(people.key), 422)
    agent = people.agent("robot")
    assert revoke(agent).status_code == 204 and not is_live(agent)


@pytest.mark.parametrize("use", ["access_token", "refresh_token"])
def test_session_is_revoked_by_any_of_its_tokens(people, use):
    for revoker in ("own", "owner"):
        person = people.member()
        tokens = people.tokens(person)
        client, other = people.service.client(tokens["access_token"]), people.script(person)
        assert revoke(client if revoker == "own" else people.key, token=tokens[use]).status_code == 204
        assert not is_live(client) and is_live(other)
        problem_of(refresh(people, tokens["refresh_token"]), 401, "UNAUTHORIZED")


def test_session_is_revoked_by_its_id(people):
    person = people.member()
    tokens = people.tokens(person)
    client, other = people.service.client(tokens["access_token"]), people.script(person)
    assert revoke(people.key, session_id=parts(tokens["access_token"])[1]["sid"]).status_code == 204
    assert not is_live(client) and is_live(other)


@pytest.mark.parametrize("name", ["member_id", "user_id"])
def test_all_sessions_of_a_member_are_revoked(people, name):
    person, bystander = people.member(), people.member()
    before, others = sessions(people, person), sessions(people, bystander)
    assert revoke(people.key, **{name: person.id}).status_code == 204
    assert not any(map(is_live, before)) and all(map(is_live, others))
    # Who is revoked may come back, and may revoke all that is his himself.
    again = sessions(people, person)
    assert all(map(is_live, again))
    assert revoke(again[0], **{name: person.id}).status_code == 204
    assert not any(map(is_live, again))


def test_all_tokens_of_an_agent_are_revoked(people):
    credential = people.credential("revoked-robot")
    tokens = [people.agent_token(credential) for _ in range(2)]
    clients = [people.service.client(token) for token in tokens]
    other = people.agent("other-robot")
    problem_of(revoke(other, agent_id="revoked-robot"), 403, "FORBIDDEN")
    assert all(map(is_live, clients))
    assert revoke(people.key, agent_id="revoked-robot").status_code == 204
    assert not any(map(is_live, clients)) and is_live(other)
    assert is_live(people.service.client(people.agent_token(credential)))


@pytest.mark.parametrize("role", ["dpo", "architect", "auditor", "readonly"])
def test_tokens_of_others_are_revoked_by_who_may(service, people, role):
    victim = people.member("readonly")
    tokens = people.tokens(victim)
    client = people.browser(people.member(role))
    before = service.size()
    wishes = [
        {"token": tokens["access_token"]},
        {"session_id": parts(tokens["access_token"])[1]["sid"]},
        {"member_id": victim.id},
        {"agent_id": "robot"},
    ]
    for wanted in wishes:
        problem_of(revoke(client, **wanted), 403, "FORBIDDEN")
    assert is_live(service.client(tokens["access_token"])) and service.size() == before


def test_who_may_do_less_revokes_no_sessions_of_who_may_more(service, people):
    ciso = people.browser(people.member("ciso"))
    for role, status in (("owner", 403), ("dpo", 403), ("ciso", 204), ("architect", 204), ("readonly", 204)):
        person = people.member(role)
        tokens = people.tokens(person)
        client = service.client(tokens["access_token"])
        assert revoke(ciso, token=tokens["access_token"]).status_code == status
        assert is_live(client) == (status == 403)
        assert revoke(ciso, member_id=person.id).status_code == status
        assert is_live(client) == (status == 403)
        # Its id alone does not say whose a session is.
        problem_of(revoke(ciso, session_id=parts(tokens["access_token"])[1]["sid"]), 403, "FORBIDDEN")
    credential = people.credential("robot")
    agent = service.client(people.agent_token(credential))
    assert revoke(ciso, agent_id="robot").status_code == 204 and not is_live(agent)
    token = people.agent_token(credential)
    assert revoke(ciso, token=token).status_code == 204 and not is_live(service.client(token))


@pytest.mark.parametrize(
    ("body", "status", "loc"),
    [
        ({"member_id": NO_SUCH_EVENT}, 404, None),
        ({"token": "x"}, 404, None),
        ({"session_id": "x", "agent_id": "y"}, 422, ["body", "agent_id"]),
        ({"session_id": "é"}, 422, ["body", "session_id"]),
        ({"agent_id": ""}, 422, ["body", "agent_id"]),
        ({"token": "x" * 4001}, 422, ["body", "token"]),
        ({"all": True}, 422, ["body"]),
    ],
)
def test_wrong_wish_revokes_nothing(service, people, body, status, loc):
    before = service.size()
    problem = problem_of(revoke(people.key, **body), status, "NOT_FOUND" if status == 404 else "VALIDATION_ERROR")
    assert locations(problem) == [loc] if loc else True
    assert service.size() == before


def test_logout_ends_what_would_renew_the_session(fresh_ledger):
    async def act(app, owner, nobody):
        login = {"email": new_email(), "password": PASSWORD}
        await owner.post(f"{API}/setup", json=login)
        tokens = (await nobody.post(f"{API}/auth/token", json=login)).json()
        cookie = {"cookie": cookie_of(await nobody.post(f"{API}/auth/login", json=login))}
        async with asgi_client(app, tokens["access_token"]) as client:
            assert (await client.post(f"{API}/auth/logout")).status_code == 204
        wanted = {"refresh_token": tokens["refresh_token"]}
        problem_of(await nobody.post(f"{API}/auth/refresh", json=wanted), 401, "UNAUTHORIZED")
        renewed = (await nobody.post(f"{API}/auth/refresh", headers=cookie | OWN_PAGE)).json()["access_token"]
        assert (await nobody.post(f"{API}/auth/logout", headers=cookie | OWN_PAGE)).status_code == 204
        async with asgi_client(app, renewed) as client:
            return (await client.get(f"{API}/auth/me")).status_code

    assert apart(fresh_ledger, act) == 401


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
        for own in _both(tokens):
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
