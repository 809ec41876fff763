# SPDX-License-Identifier: Apache-2.0
"""Tokens that are refused: forged ones, and those that somebody revoked."""

import hashlib
import hmac
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import CHEAP_LOGINS, Service, run_ledger
from tests.tenant.people_world import OWN_PAGE, PASSWORD, People, apart, cookie_of, is_live, new_email
from tests.tenant.routes.test_tokens import both, decoded, encoded, introspect, parts, refresh, revoke
from tests.web.asking import API, NO_SUCH_EVENT, asgi_client, locations, problem_of

pytestmark = pytest.mark.any_store("tokens are the same on every store")


def forged(header, claims, sign):
    """A JWT (RFC 7515 §3.1) with a signature of one's own over what is signed."""
    signed = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
    return f"{signed}.{encoded(sign(signed.encode()))}"


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
    for token in (*both(people.tokens(person)), cookie, people.agent_token(people.credential("robot"))):
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
