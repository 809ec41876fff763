# SPDX-License-Identifier: Apache-2.0
"""Who am I, what may I do, and what one changes of oneself."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.web.permissions import PERMISSIONS
from ledger.web.rates import Buckets
from tests.tenant.people_world import MEMBER_ROLES, PASSWORD, apart, is_live, new_email
from tests.web.asking import API, Clock, asgi_client, locations, problem_of

pytestmark = pytest.mark.any_store("who somebody is, is the same on every store")

ME = f"{API}/auth/me"
OTHER = "another good password"


def permissions_of(*roles):
    """What the table gives to somebody who has all these roles."""
    return sorted(name for name, holders in PERMISSIONS.items() if holders & set(roles))


# ---------------------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize("role", MEMBER_ROLES)
def test_member_is_the_same_by_cookie_and_by_token(service, people, role):
    person = people.member(role, name="Ada")
    for client in (people.browser(person), people.script(person)):
        assert client.get(ME).json() == {
            "actor": f"member:{person.id}",
            "user_id": person.id,
            "member_id": person.id,
            "key_id": None,
            "agent_id": None,
            "tenant_id": service.keys["tenant_id"],
            "organization": client.get(ME).json()["organization"],
            "email": person.email,
            "name": "Ada",
            "logo": None,
            "role": role,
            "is_admin": role == "owner",
            "operator": role == "owner",
            "env": None,
            "agents": None,
            "permissions": permissions_of(role, *(["operator"] if role == "owner" else [])),
        }


@pytest.mark.parametrize("role", [*MEMBER_ROLES, "agent"])
def test_key_is_nobody_s_profile(service, role):
    agents = ["a", "b"] if role == "agent" else None
    key = service.create_key(role=role, env="staging", agents=agents)
    with service.client(key["key"]) as client:
        me = client.get(ME).json()
        assert (me["actor"], me["key_id"], me["role"]) == (f"key:{key['id']}", key["id"], role)
        assert (me["member_id"], me["user_id"], me["email"], me["name"]) == (None, None, None, None)
        assert (me["env"], me["agents"], me["operator"]) == ("staging", agents, False)
        assert me["permissions"] == permissions_of(role)


def test_agent_is_its_credential_s(people):
    credential = people.credential("robot", env="development")
    me = people.service.client(people.agent_token(credential)).get(ME).json()
    assert (me["actor"], me["agent_id"], me["key_id"]) == ("agent:robot", "robot", credential["id"])
    assert (me["env"], me["agents"], me["role"], me["member_id"]) == ("development", ["robot"], "agent", None)
    assert me["permissions"] == permissions_of("agent")


def test_owner_key_of_all_environments_runs_the_service(people):
    me = people.key.get(ME).json()
    assert (me["operator"], me["permissions"]) == (True, permissions_of("owner", "operator"))
    problem_of(people.nobody.get(ME), 401, "UNAUTHORIZED")


def test_roles_are_published_as_the_table_has_them(people):
    roles = {role["role"]: role for role in people.nobody.get(f"{API}/roles").raise_for_status().json()["items"]}
    assert {name: role["permissions"] for name, role in roles.items()} == {
        name: permissions_of(name) for name in (*MEMBER_ROLES, "agent", "operator")
    }
    assert {name for name, role in roles.items() if role["members"]} == set(MEMBER_ROLES)
    assert {name for name, role in roles.items() if role["keys"]} == {*MEMBER_ROLES, "agent"}


# -------------------------------------------------------------------------------------------------------------- change


def test_profile_is_one_s_own_and_sealed(service, people):
    person = people.member("readonly", name="Ada")
    client = people.browser(person)
    for body, want in (
        ({"name": "Ada L."}, {"name": "Ada L.", "logo": None}),
        (
            {"logo": "data:image/png;base64,iVBORw0KGgo="},
            {"name": "Ada L.", "logo": "data:image/png;base64,iVBORw0KGgo="},
        ),
        ({"display_name": "Größe 😀", "logo": "https://x"}, {"name": "Größe 😀", "logo": "https://x"}),
    ):
        before = service.size()
        answer = client.patch(ME, json=body)
        assert answer.status_code == 200
        assert {name: answer.json()[name] for name in want} == want == {n: client.get(ME).json()[n] for n in want}
        assert answer.headers["ledger-leaf-index"] == str(before) and service.size() == before + 1
        entry = people.key.get(f"{API}/events/{answer.headers['ledger-event-id']}")
        assert entry.json()["data"]["actor"] == f"member:{person.id}"
        assert not any(text in entry.text for text in body.values())
    assert people.key.get(f"{API}/members/{person.id}").json()["name"] == "Größe 😀"


def test_organization_is_the_tenant_s_name(service, people):
    for client in (people.key, people.browser(people.founder), people.script(people.member("owner"))):
        name = new_email()
        assert client.patch(ME, json={"organization": name}).json()["organization"] == name
        assert people.browser(people.member()).get(ME).json()["organization"] == name
        assert client.patch(ME, json={"org_name": f"{name}!"}).json()["organization"] == f"{name}!"


@pytest.mark.parametrize("role", MEMBER_ROLES[1:])
def test_who_may_not_change_the_tenant_changes_nothing_with_it(service, people, role):
    client = people.browser(people.member(role, name="Ada"))
    before = service.size()
    problem_of(client.patch(ME, json={"organization": "x", "name": "y"}), 403, "FORBIDDEN")
    assert client.get(ME).json()["name"] == "Ada" and service.size() == before


def test_keys_and_agents_have_no_profile(service, people):
    agent = people.agent()
    before = service.size()
    for client in (people.key, agent):
        for body in ({"name": "x"}, {"logo": "https://x"}, {"password": {"current": PASSWORD, "new": OTHER}}):
            problem_of(client.patch(ME, json=body), 403, "FORBIDDEN")
    assert service.size() == before


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body"]),
        ({"name": ""}, ["body", "name"]),
        ({"name": None}, ["body", "name"]),
        ({"logo": "https://" + "x" * 100_001}, ["body", "logo"]),
        ({"logo": "javascript:alert(1)"}, ["body", "logo"]),
        ({"name": "a\u202eb"}, ["body", "name"]),
        ({"role": "owner"}, ["body"]),
        ({"email": "other@example.org"}, ["body"]),
        ({"password": OTHER}, ["body", "password"]),
        ({"password": {"new": OTHER}}, ["body", "password"]),
    ],
)
def test_wrong_wish_changes_nothing(service, people, body, loc):
    client = people.browser(people.founder)
    before = service.size()
    assert locations(problem_of(client.patch(ME, json=body), 422)) == [loc]
    assert service.size() == before


# ------------------------------------------------------------------------------------------------------------ password


def test_new_password_ends_all_sessions(service, people):
    person, other = people.member(), people.member()
    clients = [people.browser(person), people.script(person), people.browser(person)]
    refresh = {"refresh_token": people.tokens(person)["refresh_token"]}
    bystander = people.browser(other)
    before = service.size()
    answer = clients[0].patch(ME, json={"password": {"current": PASSWORD, "new": OTHER}})
    assert answer.status_code == 200 and service.size() == before + 1
    assert OTHER not in people.key.get(f"{API}/events/{answer.headers['ledger-event-id']}").text
    assert not any(map(is_live, clients)) and is_live(bystander)
    problem_of(people.nobody.post(f"{API}/auth/refresh", json=refresh), 401, "UNAUTHORIZED")
    problem_of(people.nobody.post(f"{API}/auth/login", json=person.login), 401, "UNAUTHORIZED")
    assert is_live(people.browser(person._replace(password=OTHER)))


def test_new_password_needs_the_old_one(service, people):
    person = people.member()
    client = people.browser(person)
    before = service.size()
    for wrong in (OTHER, PASSWORD.upper(), people.founder.email):
        problem_of(client.patch(ME, json={"password": {"current": wrong, "new": OTHER}}), 401, "UNAUTHORIZED")
    assert service.size() == before
    assert is_live(client) and is_live(people.browser(person))


def test_two_new_passwords_at_once_are_one(service, people):
    person = people.member()
    client = people.browser(person)
    before = service.size()
    bodies = [{"password": {"current": PASSWORD, "new": f"{OTHER} {number}"}} for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda body: client.patch(ME, json=body).status_code, bodies))
    assert Counter(answers) == {200: 1, 401: 5} and service.size() == before + 1
    [kept] = [body["password"]["new"] for body, status in zip(bodies, answers, strict=True) if status == 200]
    assert is_live(people.browser(person._replace(password=kept)))


def test_guesses_at_the_old_password_are_attempts_to_log_in(fresh_ledger):
    async def act(app, owner, nobody):
        login = {"email": new_email(), "password": PASSWORD}
        await owner.post(f"{API}/setup", json=login)
        token = (await nobody.post(f"{API}/auth/token", json=login)).json()["access_token"]
        app._tenancy.logins._attempts = Buckets(10 / 300, 3, Clock(0))
        wrong = {"password": {"current": "a guess", "new": OTHER}}
        async with asgi_client(app, token) as client:
            statuses = [(await client.patch(ME, json=wrong)).status_code for _ in range(5)]
            statuses.append((await client.patch(ME, json={"name": "Ada"})).status_code)
        before = app.service.ledger.log(1).committed.head.size
        await app._tenancy.tallies.flush()
        [failed] = (await owner.get(f"{API}/events", params={"type": "login.failed"})).json()["items"]
        assert app.service.ledger.log(1).committed.head.size == before + 1
        return statuses, failed["data"]["count"]

    assert apart(fresh_ledger, act, login_attempts=3) == ([401, 401, 401, 429, 429, 200], 3)
