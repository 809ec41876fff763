# SPDX-License-Identifier: Apache-2.0
"""Coming in: the setup, and logins by a browser."""

import json
import re
import time
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.aliases import second_names
from ledger.web.rates import Buckets
from tests.running import CHEAP_LOGINS, Service
from tests.tenant.people_world import PASSWORD, apart, cookie_of, is_live, new_email
from tests.web.asking import API, NO_SUCH_EVENT, Clock, asgi_client, locations, problem_of

pytestmark = pytest.mark.any_store("who comes in is the same on every store")

ATTEMPTS, WINDOW = 10, 300
QUERY = {"older_than_days": "30000"}
"""What a route wants in its query; others ask for nothing there."""


# --------------------------------------------------------------------------------------------------------------- setup


def test_setup_is_by_the_owner_s_key_and_once(fresh_ledger):
    with Service(*fresh_ledger, *CHEAP_LOGINS) as service:
        wanted = {"email": "Ada@Example.org", "password": PASSWORD, "name": "Ada"}
        strangers = {
            401: [""],
            403: [
                service.create_key(role=role, env="all")["key"]
                for role in ("ciso", "dpo", "architect", "auditor", "readonly", "agent")
            ],
        }
        strangers[403].append(service.create_key(role="owner", env="production")["key"])
        before = service.size()
        for status, keys in strangers.items():
            for key in keys:
                with service.client(key) as client:
                    assert client.post(f"{API}/setup", json=wanted).status_code == status
        with service.client() as owner, service.client("") as nobody:
            problem_of(owner.post(f"{API}/setup", json=wanted | {"password": "x" * 11}), 422)
            problem_of(owner.post(f"{API}/setup", json=wanted | {"email": "ada"}), 422)
            assert service.size() == before
            answer = owner.post(f"{API}/setup", json=wanted)
            assert answer.status_code == 201
            made = answer.json()
            assert (made["role"], made["status"], made["email"], made["name"], made["invitation"]) == (
                "owner", "active", "Ada@Example.org", "Ada", None
            )  # fmt: skip
            assert service.size() == before + 1
            for again in (wanted, wanted | {"email": "bob@example.org"}):
                problem_of(owner.post(f"{API}/setup", json=again), 409, "CONFLICT")
            assert service.size() == before + 1
            # Whoever set the tenant up is a member like others: nobody minds the capitals of his address.
            login = {"email": " ada@EXAMPLE.org", "password": PASSWORD}
            assert nobody.post(f"{API}/auth/login", json=login).json()["member_id"] == made["id"]


def test_two_setups_at_once_are_one(fresh_ledger):
    with Service(*fresh_ledger, *CHEAP_LOGINS) as service, service.client() as owner:
        bodies = [{"email": f"{name}@example.org", "password": PASSWORD} for name in "abcdefgh"]
        before = service.size()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: owner.post(f"{API}/setup", json=body).status_code, bodies))
        assert Counter(answers) == {201: 1, 409: 7}
        assert service.size() == before + 1


# ----------------------------------------------------------------------------------------------------------- passwords


@pytest.mark.parametrize(("length", "status"), [(0, 422), (1, 422), (11, 422), (12, 201), (200, 201), (201, 422)])
def test_new_password_has_twelve_characters_or_more(service, people, length, status):
    password = "é" * length
    invitation = people.invited()["invitation"]
    person = people.member()
    before = service.size()
    made = people.key.post(f"{API}/members", json={"email": new_email(), "password": password})
    taken = people.nobody.post(f"{API}/invitations/accept", json={"invitation": invitation, "password": password})
    assert (made.status_code, taken.status_code) == (status, status)
    if status == 422:
        assert locations(made.json()) == locations(taken.json()) == [["body", "password"]]
        assert service.size() == before
        client, before = people.browser(person), service.size()
        body = {"password": {"current": PASSWORD, "new": password}}
        assert locations(problem_of(client.patch(f"{API}/auth/me", json=body), 422)) == [["body", "password", "new"]]
        assert service.size() == before


@pytest.mark.parametrize(
    "text", ["Ångström-kelvin", "Zażółć gęślą jaźń", "한국어 비밀번호 하나 둘", "naïve café crème"]
)
def test_password_is_its_characters_and_not_their_bytes(people, text):
    forms = {form: unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    assert forms["NFC"] != forms["NFD"]
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        person = people.member(password=forms[form])
        assert is_live(people.browser(person._replace(password=forms[other])))
        for wrong in (text + " ", text[:-1]):
            refused = people.nobody.post(f"{API}/auth/login", json=person.login | {"password": wrong})
            problem_of(refused, 401, "UNAUTHORIZED")


# -------------------------------------------------------------------------------------------------------------- logins


def test_login_sets_a_cookie_that_only_this_page_sends(service, people):
    person = people.member("auditor")
    before = service.size()
    answer = people.nobody.post(f"{API}/auth/login", json=person.login)
    assert answer.status_code == 200
    value, *attributes = answer.headers["set-cookie"].split("; ")
    age = next(each for each in attributes if each.startswith("Max-Age="))
    assert sorted(attributes) == sorted(["HttpOnly", "Secure", "SameSite=Lax", "Path=/", age])
    assert 12 * 3600 - 5 <= int(age.removeprefix("Max-Age=")) <= 12 * 3600
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "user_id": person.id,
        "member_id": person.id,
        "tenant_id": service.keys["tenant_id"],
        "email": person.email,
        "role": "auditor",
        "is_admin": False,
        "expires_at": answer.json()["expires_at"],
    }
    entry = people.key.get(f"{API}/events/{answer.headers['ledger-event-id']}").json()
    assert (entry["type"], entry["leaf_index"], entry["data"]["member_id"]) == ("login.succeeded", before, person.id)
    assert is_live(people.with_cookie(value))
    # The cookie is found among others, and the first of two counts.
    assert is_live(people.with_cookie(f"theme=dark; {value}; other=1"))
    assert not is_live(people.with_cookie(f"ledger_session=x; {value}"))


def test_wrong_logins_are_told_alike(service, people):
    """Nothing in an answer says whether there is such a member."""
    member, gone, suspended = people.member(), people.member(), people.member()
    people.key.delete(f"{API}/members/{gone.id}").raise_for_status()
    people.key.patch(f"{API}/members/{suspended.id}", json={"status": "suspended"}).raise_for_status()
    before = service.size()
    wrong = [
        member.login | {"password": "wrong password"},
        member.login | {"password": PASSWORD.upper()},
        member.login | {"tenant_id": NO_SUCH_EVENT},
        {"email": new_email(), "password": PASSWORD},
        {"email": people.invited()["email"], "password": PASSWORD},
        {"email": "no address at all", "password": PASSWORD},
        gone.login,
        suspended.login,
        suspended.login | {"password": "wrong password"},
    ]
    for path in ("auth/login", "auth/token"):
        answers = [people.nobody.post(f"{API}/{path}", json=body) for body in wrong]
        seen = {
            (
                answer.content.replace(answer.headers["x-request-id"].encode(), b"<id>"),
                tuple(sorted(set(answer.headers.items()) - {("x-request-id", answer.headers["x-request-id"])} - {
                    (name, value) for name, value in answer.headers.items() if name in ("x-trace-id", "date")
                })),
            )
            for answer in answers
        }  # fmt: skip
        assert len(seen) == 1
        for answer in answers:
            problem_of(answer, 401, "UNAUTHORIZED")
            assert "set-cookie" not in answer.headers
    # Only the invitation wrote something: refusals are counted first.
    assert service.size() == before + 1


def test_login_may_name_its_tenant(service, people):
    person = people.member()
    tenant_id = service.keys["tenant_id"]
    for body, headers in (({"tenant_id": tenant_id}, {}), ({}, {"x-tenant-id": tenant_id})):
        answer = people.nobody.post(f"{API}/auth/login", json=person.login | body, headers=headers)
        assert answer.json()["tenant_id"] == tenant_id
    refused = people.nobody.post(f"{API}/auth/login", json=person.login, headers={"x-tenant-id": NO_SUCH_EVENT})
    problem_of(refused, 401, "UNAUTHORIZED")


def test_more_logins_than_ten_in_five_minutes_have_to_wait(fresh_ledger):
    """Right and wrong ones count together; after the wait that is told, and no sooner, one more is taken."""
    clock = Clock(0)
    second = 1_000_000_000

    async def act(app, owner, nobody):
        app._tenancy.logins._attempts = Buckets(ATTEMPTS / WINDOW, ATTEMPTS, clock)
        login = {"email": new_email(), "password": PASSWORD}
        assert (await owner.post(f"{API}/setup", json=login)).status_code == 201

        async def attempt(number, client=nobody):
            path = ("auth/login", "auth/token", "invitations/accept")[number % 3]
            body = {"invitation": "x", "password": PASSWORD} if number % 3 == 2 else login
            return await client.post(f"{API}/{path}", json=body)

        statuses = [(await attempt(number)).status_code for number in range(ATTEMPTS)]
        assert statuses == [(200, 200, 401)[number % 3] for number in range(ATTEMPTS)]
        for number in range(3):
            answer = await attempt(number)
            problem = problem_of(answer, 429, "RATE_LIMITED")
            wait = WINDOW // ATTEMPTS
            assert (int(answer.headers["retry-after"]), problem["retry_after_ms"]) == (wait, wait * 1000)
        async with asgi_client(app, remote="192.0.2.7") as elsewhere:
            assert (await attempt(0, elsewhere)).status_code == 200
        clock.now += wait * second - 1
        assert (await attempt(0)).status_code == 429
        clock.now += 1
        assert [(await attempt(0)).status_code for _ in range(2)] == [200, 429]
        clock.now += WINDOW * second
        assert Counter([(await attempt(0)).status_code for _ in range(ATTEMPTS + 1)]) == {200: ATTEMPTS, 429: 1}

    apart(fresh_ledger, act, login_attempts=ATTEMPTS)


def test_refusals_are_entries_that_say_how_many_there_were(fresh_ledger):
    async def act(app, owner, nobody):
        login = {"email": new_email(), "password": PASSWORD}
        member_id = (await owner.post(f"{API}/setup", json=login)).json()["id"]
        agent = (await owner.post(f"{API}/keys", json={"env": "all", "label": "x"})).json()
        log = app.service.ledger.log(1)
        before = log.committed.head.size
        for _ in range(3):
            await nobody.post(f"{API}/auth/login", json=login | {"password": "wrong"})
        for number in range(5):
            await nobody.post(f"{API}/auth/token", json={"email": f"no-{number}@example.org", "password": "wrong"})
        async with asgi_client(app, agent["key"]) as client:
            for _ in range(4):
                assert (await client.get(f"{API}/members")).status_code == 403
        assert log.committed.head.size == before
        await app._tenancy.tallies.flush()
        items = (await owner.get(f"{API}/events", params={"limit": 200})).json()["items"]
        written = [(item["type"], item["data"]) for item in items if item["leaf_index"] >= before]
        await app._tenancy.tallies.flush()
        assert log.committed.head.size == before + 3
        return sorted(written, key=str), member_id, agent["id"]

    written, member_id, key_id = apart(fresh_ledger, act)
    for _, data in written:
        data.pop("as_of", None)
    assert written == [
        ("access.denied", {"actor": f"key:{key_id}", "permission": "members:read", "count": 4, "v": 1}),
        ("login.failed", {"count": 3, "member_id": member_id, "v": 1}),
        ("login.failed", {"count": 5, "v": 1}),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "loc"),
    [
        ("auth/login", b"", 400, None),
        ("auth/login", b"{}", 422, ["body"]),
        ("auth/login", b'{"email":"a@b","password":""}', 422, ["body", "password"]),
        ("auth/login", b'{"email":"a@b","password":"\\ud800"}', 422, ["body", "password"]),
        ("auth/login", b'{"email":"a@b","password":"x","password":"y"}', 422, ["body"]),
        ("auth/login", b'{"email":"a@b","password":"x","more":1}', 422, ["body"]),
        ("auth/login", json.dumps({"email": "a@" + "b" * 253, "password": "x"}).encode(), 422, ["body", "email"]),
        ("auth/login", json.dumps({"email": "a@b", "password": "x" * 201}).encode(), 422, ["body", "password"]),
        ("invitations/accept", b"{}", 422, ["body"]),
        ("invitations/accept", b'{"invitation":"","password":"x"}', 422, ["body", "invitation"]),
    ],
)
def test_wrong_body_is_named_where_it_is_wrong(service, people, path, body, status, loc):
    before = service.size()
    problem = problem_of(people.nobody.post(f"{API}/{path}", content=body), status)
    assert locations(problem) == [loc] if loc else "errors" not in problem
    assert service.size() == before


# -------------------------------------------------------------------------------------------------- writes by a cookie


def writes(nobody):
    """Every route that changes something and needs a credential, under all its names."""
    document = nobody.get("/openapi.json").json()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    named = {(method, API + path) for each in second_names() for method in each.http_methods for path in each.paths}
    for method, path in sorted(described | named):
        if method not in ("GET", "HEAD", "OPTIONS"):
            place = method, re.sub(r"\{.*?\}", "x", path)
            if nobody.request(*place, params=QUERY).status_code == 401:
                yield place


def test_cookie_alone_writes_nothing_and_a_key_needs_no_header(service, people):
    """A page of another site may send the cookie along, but no header of its own, so that the header shows our page."""
    places = list(writes(people.nobody))
    assert len(places) >= 40
    cookie = people.log_in(people.founder)
    foreign, own = people.with_cookie(cookie, {}), people.with_cookie(cookie)
    before = service.size()
    for method, path in places:
        problem = problem_of(foreign.request(method, path, params=QUERY), 403, "FORBIDDEN")
        assert "X-Requested-With" in problem["detail"], path
    assert service.size() == before
    assert is_live(foreign) and foreign.get(f"{API}/members").status_code == 200
    for method, path in places:
        # Without what the route needs, so that nothing is done: only who may ask is asked here.
        refused = people.key.request(method, path, params=QUERY, content=b"[]")
        assert "X-Requested-With" not in refused.text, path
        assert refused.status_code != 401, path
    assert own.patch(f"{API}/auth/me", json={"name": "Ada"}).status_code == 200


def test_hot_route_lets_no_cookie_in_without_the_header(people):
    foreign = people.browser(people.founder, {})
    problem_of(foreign.post(f"{API}/events", json={"events": []}), 403, "FORBIDDEN")
    own = people.browser(people.founder)
    problem_of(own.post(f"{API}/events", json={"events": []}), 403, "FORBIDDEN")


# ------------------------------------------------------------------------------------------------------------- logouts


def test_logout_ends_this_session_and_no_other(service, people):
    person = people.member()
    first, second, script = people.browser(person), people.browser(person), people.script(person)
    before = service.size()
    answer = first.post(f"{API}/auth/logout")
    assert answer.status_code == 204
    assert answer.headers["set-cookie"] == "ledger_session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
    assert answer.headers["ledger-leaf-index"] == str(before)
    entry = people.key.get(f"{API}/events/{answer.headers['ledger-event-id']}").json()
    assert (entry["type"], entry["data"]["actor"]) == ("session.ended", f"member:{person.id}")
    assert [is_live(client) for client in (first, second, script)] == [False, True, True]
    problem_of(first.post(f"{API}/auth/logout"), 401, "UNAUTHORIZED")
    assert service.size() == before + 1
    assert script.post(f"{API}/auth/logout").status_code == 204
    assert [is_live(client) for client in (second, script)] == [True, False]


def test_only_sessions_of_members_are_logged_out_of(service, people):
    clients = (people.key, people.agent())
    before = service.size()
    for client in clients:
        problem_of(client.post(f"{API}/auth/logout"), 409, "CONFLICT")
        assert is_live(client)
    assert service.size() == before


def test_session_lasts_twelve_hours(fresh_ledger):
    clock = Clock(time.time_ns() // 1_000_000 + 1000)

    async def act(app, owner, nobody):
        login = {"email": new_email(), "password": PASSWORD}
        await owner.post(f"{API}/setup", json=login)
        begun = clock.now
        cookie = cookie_of(await nobody.post(f"{API}/auth/login", json=login))
        statuses = []
        for later in (0, 12 * 3600 - 1, 12 * 3600):
            clock.now = begun + later * 1000
            statuses.append((await nobody.get(f"{API}/auth/me", headers={"cookie": cookie})).status_code)
        return statuses

    assert apart(fresh_ledger, act, clock=clock) == [200, 200, 401]
