# SPDX-License-Identifier: Apache-2.0
"""Members over HTTP: who may put whom into which role, and what ends at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.running import CHEAP_LOGINS, Service
from tests.tables import contents
from tests.tenant.people_world import MEMBER_ROLES, PASSWORD, People, apart, is_live, new_email
from tests.web.asking import API, NO_SUCH_EVENT, TIME, UUID7, asgi_client, locations, problem_of

MEMBERS = f"{API}/members"

# Who may put others into which role, or take them out of it.
GIVES = {
    "owner": {"owner", "ciso", "dpo", "architect", "auditor", "readonly"},
    "ciso": {"ciso", "architect", "auditor", "readonly"},
    "dpo": set(),
    "architect": set(),
    "auditor": set(),
    "readonly": set(),
}


def listed(client):
    return {member["id"]: member for member in client.get(MEMBERS).raise_for_status().json()["items"]}


@pytest.fixture(scope="module")
def browsers(people):
    """A client of a member of each role."""
    with ExitStack() as stack:
        yield {role: stack.enter_context(people.browser(people.member(role))) for role in MEMBER_ROLES}


# --------------------------------------------------------------------------------------------------------------- roles


@pytest.mark.parametrize("giver", MEMBER_ROLES)
def test_role_is_given_and_taken_by_who_may_do_as_much(service, people, browsers, giver):
    client = browsers[giver]
    for role in MEMBER_ROLES:
        may = role in GIVES[giver]
        before = service.size()
        invited = client.post(MEMBERS, json={"email": new_email(), "role": role})
        created = client.post(MEMBERS, json={"email": new_email(), "role": role, "password": PASSWORD})
        assert (invited.status_code, created.status_code) == ((201, 201) if may else (403, 403)), role
        assert service.size() == before + 2 * may
        for old, new in ((role, "readonly"), ("readonly", role)):
            person = people.member(old)
            before = service.size()
            changed = client.patch(f"{MEMBERS}/{person.id}", json={"role": new})
            allowed = may and giver in ("owner", "ciso")
            assert changed.status_code == (200 if allowed else 403), (old, new)
            assert service.size() == before + (allowed and old != new)
            assert listed(people.key)[person.id]["role"] == (new if allowed else old)
        person = people.member(role)
        before = service.size()
        for status in ("suspended", "active"):
            answer = client.patch(f"{MEMBERS}/{person.id}", json={"status": status})
            assert answer.status_code == (200 if may else 403), (role, status)
        assert client.delete(f"{MEMBERS}/{person.id}").status_code == (204 if may else 403), role
        assert service.size() == before + 3 * may


def test_role_is_the_one_that_the_member_has_now(people):
    """A session has no role of its own."""
    person = people.member("owner")
    client = people.browser(person)
    body = {"email": new_email(), "role": "dpo"}
    for role, status in (("ciso", 403), ("readonly", 403), ("owner", 201)):
        people.key.patch(f"{MEMBERS}/{person.id}", json={"role": role}).raise_for_status()
        assert client.get(f"{API}/auth/me").json()["role"] == role
        assert client.post(MEMBERS, json=body).status_code == status


@pytest.mark.any_store("what is decided under the lock is the same on every store")
@pytest.mark.parametrize("kind", ["member", "key"])
def test_role_is_asked_again_under_the_lock(fresh_ledger, kind):
    """Who is made less while his request is on its way gives nothing that he may no longer give."""

    async def act(app, owner, nobody):
        login = {"email": new_email(), "password": PASSWORD}
        made = await owner.post(MEMBERS, json=login | {"role": "owner"})
        await owner.post(MEMBERS, json={"email": new_email(), "password": PASSWORD, "role": "owner"})
        token = (await nobody.post(f"{API}/auth/token", json=login)).json()["access_token"]
        ledger, member = app.service.ledger, made.json()["id"]
        submit, before = ledger.sequencer.submit, ledger.log(1).committed.head.size

        async def late(*arguments, **options):
            """What the request wants to append comes after somebody else's change."""
            ledger.sequencer.submit = submit
            changed = await owner.patch(f"{MEMBERS}/{member}", json={"role": "ciso"})
            assert changed.status_code == 200
            return await submit(*arguments, **options)

        async with asgi_client(app, token) as client:
            ledger.sequencer.submit = late
            if kind == "member":
                answer = await client.post(MEMBERS, json={"email": new_email(), "role": "owner"})
            else:
                answer = await client.post(f"{API}/keys", json={"env": "all", "role": "owner", "label": "x"})
        return answer, ledger.log(1).committed.head.size - before

    answer, grown = apart(fresh_ledger, act)
    problem_of(answer, 403, "FORBIDDEN")
    assert grown == 1


# ------------------------------------------------------------------------------------------------------------- members


def test_member_is_shown_to_all_people_and_to_no_agent(people, browsers):
    person = people.member("auditor", name="Größe 😀")
    for client in (*browsers.values(), people.key):
        shown = client.get(f"{MEMBERS}/{person.id}").json()
        assert shown == listed(client)[person.id]
    assert shown == {
        "id": person.id,
        "user_id": person.id,
        "email": person.email,
        "name": "Größe 😀",
        "role": "auditor",
        "status": "active",
        "created_at": shown["created_at"],
        "invitation_expires_at": None,
    }
    assert UUID7.fullmatch(person.id) and TIME.fullmatch(shown["created_at"])
    agent = people.agent()
    for path in (MEMBERS, f"{MEMBERS}/{person.id}"):
        problem_of(agent.get(path), 403, "FORBIDDEN")
        problem_of(people.nobody.get(path), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("member_id", [NO_SUCH_EVENT, "x", "%01", "a" * 300])
def test_nobody_is_no_member(service, people, member_id):
    gone = people.member()
    people.key.delete(f"{MEMBERS}/{gone.id}").raise_for_status()
    before = service.size()
    for name in (member_id, gone.id):
        problem_of(people.key.get(f"{MEMBERS}/{name}"), 404, "NOT_FOUND")
        problem_of(people.key.patch(f"{MEMBERS}/{name}", json={"role": "owner"}), 404, "NOT_FOUND")
        problem_of(people.key.delete(f"{MEMBERS}/{name}"), 404, "NOT_FOUND")
    assert service.size() == before


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body"]),
        ({"email": "nobody"}, ["body", "email"]),
        ({"email": "a b@c"}, ["body", "email"]),
        ({"email": "a@b@c"}, ["body", "email"]),
        ({"email": "@c"}, ["body", "email"]),
        ({"email": "a@" + "b" * 253}, ["body", "email"]),
        ({"email": 1}, ["body", "email"]),
        ({"email": "a@b", "role": "agent"}, ["body", "role"]),
        ({"email": "a@b", "role": "operator"}, ["body", "role"]),
        ({"email": "a@b", "role": "admin"}, ["body", "role"]),
        ({"email": "a@b", "name": ""}, ["body", "name"]),
        ({"email": "a@b", "name": "x" * 201}, ["body", "name"]),
        ({"email": "a@b", "is_admin": True}, ["body"]),
    ],
)
def test_wrong_wish_makes_no_member(service, people, body, loc):
    before = service.size()
    assert locations(problem_of(people.key.post(MEMBERS, json=body), 422)) == [loc]
    assert service.size() == before


def test_change_that_changes_nothing_is_no_entry(service, people):
    person = people.member("dpo")
    before = service.size()
    for body in ({}, {"role": "dpo"}, {"status": "active"}, {"role": None, "status": None}):
        answer = people.key.patch(f"{MEMBERS}/{person.id}", json=body)
        assert answer.status_code == 200 and "ledger-event-id" not in answer.headers
    assert service.size() == before


def test_who_was_invited_is_neither_suspended_nor_activated(service, people):
    invited = people.invited()
    before = service.size()
    for status in ("suspended", "active"):
        problem_of(people.key.patch(f"{MEMBERS}/{invited['id']}", json={"status": status}), 409, "CONFLICT")
    assert service.size() == before


# ---------------------------------------------------------------------------------------------------------- last owner


@pytest.mark.any_store("what is decided under the lock is the same on every store")
def test_last_owner_stays(fresh_ledger):
    with Service(*fresh_ledger, *CHEAP_LOGINS) as service:
        people = People(service)
        founder = f"{MEMBERS}/{people.founder.id}"
        other = people.member("owner")
        people.invited("owner")
        people.key.patch(f"{MEMBERS}/{other.id}", json={"status": "suspended"}).raise_for_status()
        before = service.size()
        for client in (people.key, people.browser(people.founder)):
            for role in MEMBER_ROLES[1:]:
                problem_of(client.patch(founder, json={"role": role}), 409, "CONFLICT")
            problem_of(client.patch(founder, json={"status": "suspended"}), 409, "CONFLICT")
            problem_of(client.delete(founder), 409, "CONFLICT")
        # The login.
        assert service.size() == before + 1
        people.key.patch(f"{MEMBERS}/{other.id}", json={"status": "active"}).raise_for_status()
        # Of two owners who go at the same moment, one stays.
        with ThreadPoolExecutor(2) as pool:
            gone = list(pool.map(lambda name: people.key.delete(f"{MEMBERS}/{name}"), (other.id, people.founder.id)))
        assert Counter(answer.status_code for answer in gone) == {204: 1, 409: 1}
        assert [m["role"] for m in listed(people.key).values() if m["status"] == "active"] == ["owner"]


# ---------------------------------------------------------------------------------------------------------- suspension


def test_suspended_member_s_sessions_end_at_once_and_for_good(people):
    person = people.member("owner")
    tokens = people.tokens(person)
    clients = [people.browser(person), people.service.client(tokens["access_token"])]
    assert all(map(is_live, clients))
    place = f"{MEMBERS}/{person.id}"
    people.key.patch(place, json={"status": "suspended"}).raise_for_status()
    assert not any(map(is_live, clients))
    refresh = {"refresh_token": tokens["refresh_token"]}
    problem_of(people.nobody.post(f"{API}/auth/refresh", json=refresh), 401, "UNAUTHORIZED")
    for path in ("auth/login", "auth/token"):
        problem_of(people.nobody.post(f"{API}/{path}", json=person.login), 401, "UNAUTHORIZED")
    assert listed(people.key)[person.id]["status"] == "suspended"
    people.key.patch(place, json={"status": "active"}).raise_for_status()
    assert not any(map(is_live, clients))
    problem_of(people.nobody.post(f"{API}/auth/refresh", json=refresh), 401, "UNAUTHORIZED")
    assert is_live(people.browser(person))


def test_member_who_suspends_himself_is_out(people):
    person = people.member("ciso")
    client = people.browser(person)
    assert client.patch(f"{MEMBERS}/{person.id}", json={"status": "suspended"}).status_code == 200
    assert not is_live(client)


# ------------------------------------------------------------------------------------------------------------- removal


def boxes(people, prefixes=("email/", "member/", "invitation/")):
    """The names in the vault of what is kept of members."""
    return {name for name, _ in contents(people.service.settings)["vault"] if name.startswith(prefixes)}


def test_removal_frees_the_address_and_empties_the_vault(people):
    before = boxes(people)
    person = people.member(name="Ada")
    client = people.browser(person)
    assert len(boxes(people) - before) == 2
    again = {"email": person.email.upper()}
    problem_of(people.key.post(MEMBERS, json=again), 409, "CONFLICT")
    assert people.key.delete(f"{MEMBERS}/{person.id}").status_code == 204
    assert boxes(people) == before
    assert not is_live(client) and person.id not in listed(people.key)
    problem_of(people.nobody.post(f"{API}/auth/login", json=person.login), 401, "UNAUTHORIZED")
    invited = people.key.post(MEMBERS, json=again).raise_for_status().json()
    assert len(boxes(people) - before) == 3
    body = {"invitation": invited["invitation"], "password": PASSWORD}
    assert people.nobody.post(f"{API}/invitations/accept", json=body).json()["id"] != person.id
    assert len(boxes(people) - before) == 2
    # Who was there before has nothing of it: neither his sessions nor his rights.
    assert not is_live(client) and is_live(people.browser(person))


def test_addresses_of_two_at_once_are_one_s(service, people):
    email, before = new_email(), boxes(people)
    bodies = [{"email": email}, {"email": email.upper(), "password": PASSWORD}] * 4
    size = service.size()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: people.key.post(MEMBERS, json=body).status_code, bodies))
    assert Counter(answers) == {201: 1, 409: 7}
    assert service.size() == size + 1
    assert len(boxes(people) - before) in (2, 3)
