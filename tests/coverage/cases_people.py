# SPDX-License-Identifier: Apache-2.0
"""People and agents: coming in, tokens, members, roles, forms of credentials (CAPABILITIES I01–I05, I07–I10)."""

import httpx

from ledger.web.rates import Buckets
from tests.coverage.cases import Apart, Ask, Cases
from tests.running import event
from tests.tenant.people_world import OWN_PAGE, PASSWORD, Person, is_live, new_email
from tests.web.asking import API, Clock, asgi_client, problem_of, report

CASES = Cases()
show = CASES.show

CHEAP = {"password_memory": 64, "password_passes": 1}


def bearer(ask: Ask, token: str) -> httpx.Client:
    return ask.world.client(token)


# -------------------------------------------------------------------------------------------- coming in (I01, I02, I03)


@show("002-004")
def first_member_is_made_once(ask: Ask) -> None:
    async def act(here: Apart) -> None:
        wanted = {"email": new_email(), "password": PASSWORD}
        made = await ask.through(here.client, json=wanted)
        assert (made.status_code, made.json()["role"]) == (201, "owner")
        problem_of(await ask.through(here.client, json=wanted), 409, "CONFLICT")

    ask.world.apart(act, **CHEAP)


@show("002-087")
def setup_is_locked_and_passwords_are_long(ask: Ask) -> None:
    people = ask.world.people
    problem_of(people.key.post(f"{API}/setup", json={"email": new_email(), "password": PASSWORD}), 409, "CONFLICT")
    for length, status in ((11, 422), (12, 201)):
        body = {"email": new_email(), "password": "x" * length}
        assert people.key.post(f"{API}/members", json=body).status_code == status


@show("002-001")
def login_sets_the_session_cookie(ask: Ask) -> None:
    person = ask.world.people.member("dpo")
    answer = ask(by=ask.world.nobody, json=person.login)
    assert answer.status_code == 200 and "HttpOnly" in answer.headers["set-cookie"]
    assert answer.json()["user_id"] == person.id and answer.json()["is_admin"] is False


@show("002-002")
def logout_destroys_the_session(ask: Ask) -> None:
    browser = ask.world.people.browser(ask.world.people.member())
    answer = ask(by=browser)
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["set-cookie"]
    assert not is_live(browser)


@show("000-001", "002-003", "003-003")
def current_user_is_shown_with_his_tenant(ask: Ask) -> None:
    people = ask.world.people
    person = people.member("ciso")
    for client in (people.browser(person), people.script(person)):
        client.headers["x-tenant-id"] = ask.world.service.keys["tenant_id"]
        me = ask(by=client).json()
        assert (me["user_id"], me["email"], me["role"], me["is_admin"]) == (person.id, person.email, "ciso", False)
        assert me["tenant_id"] == ask.world.service.keys["tenant_id"]
    assert ask().json()["operator"] is True


@show("000-002")
def profile_is_updated(ask: Ask) -> None:
    owner = ask.world.people.browser(ask.world.people.founder)
    name = ask.world.name()
    for wanted, shown in (("display_name", "name"), ("org_name", "organization"), ("logo", "logo")):
        value = f"https://{name}.example/{wanted}"
        assert ask(by=owner, json={wanted: value}).json()[shown] == value


@show("002-080", "003-202")
def browser_is_known_by_a_cookie_that_no_script_reads(ask: Ask) -> None:
    people = ask.world.people
    person = people.member()
    set_cookie = people.nobody.post(f"{API}/auth/login", json=person.login).headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Lax"} <= set(set_cookie.split("; "))
    assert is_live(people.with_cookie(set_cookie.partition(";")[0], {}))
    assert is_live(people.script(person))


@show("002-081")
def admin_is_an_owner_by_his_session(ask: Ask) -> None:
    people = ask.world.people
    for role, status in (("owner", 200), ("readonly", 403)):
        browser = people.browser(people.member(role))
        assert browser.get(f"{API}/auth/me").json()["is_admin"] == (role == "owner")
        assert browser.get(f"{API}/admin/tenants").status_code == status


@show("002-083")
def route_takes_a_cookie_or_a_key_and_some_take_nothing(ask: Ask) -> None:
    browser = ask.world.people.browser(ask.world.people.member())
    for client in (browser, ask.world.owner):
        assert client.get(f"{API}/events").status_code == 200
    problem_of(ask.world.nobody.get(f"{API}/events"), 401, "UNAUTHORIZED")
    assert ask.world.nobody.get(f"{API}/roles").status_code == 200


@show("002-084")
def write_by_a_cookie_needs_a_header_and_by_a_key_none(ask: Ask) -> None:
    people = ask.world.people
    cookie = people.log_in(people.founder)
    for headers, status in (({}, 403), (OWN_PAGE, 201)):
        body = {"email": new_email()}
        assert people.with_cookie(cookie, headers).post(f"{API}/members", json=body).status_code == status
    assert people.key.post(f"{API}/members", json={"email": new_email()}).status_code == 201


@show("002-085")
def eleventh_login_in_five_minutes_has_to_wait(ask: Ask) -> None:
    async def act(here: Apart) -> list[int]:
        here.app._tenancy.logins._attempts = Buckets(10 / 300, 10, Clock(0))
        body = {"email": new_email(), "password": PASSWORD}
        async with asgi_client(here.app) as nobody:
            answers = [await nobody.post(f"{API}/auth/login", json=body) for _ in range(11)]
        assert answers[-1].headers["retry-after"] == "30"
        return [answer.status_code for answer in answers]

    assert ask.world.apart(act, **CHEAP) == [401] * 10 + [429]


@show("002-086")
def wrong_address_and_wrong_password_are_told_alike(ask: Ask) -> None:
    person = ask.world.people.member()
    bodies = [person.login | {"password": "wrong"}, {"email": new_email(), "password": PASSWORD}]
    answers = [ask.world.nobody.post(f"{API}/auth/login", json=body).json() for body in bodies]
    assert answers[0] | {"request_id": ""} == answers[1] | {"request_id": ""}


# ---------------------------------------------------------------------------------------------------- tokens (I04, I05)


@show("003-001")
def user_gets_a_token(ask: Ask) -> None:
    person = ask.world.people.member()
    headers = {"x-tenant-id": ask.world.service.keys["tenant_id"]}
    tokens = ask(by=ask.world.nobody, json=person.login, headers=headers).json()
    assert tokens["token_type"] == "Bearer" and is_live(bearer(ask, tokens["access_token"]))
    problem_of(ask(by=ask.world.nobody, json=person.login, headers={"x-tenant-id": "other"}), 401, "UNAUTHORIZED")


@show("003-002")
def agent_gets_a_token_by_its_secret(ask: Ask) -> None:
    made = ask.world.people.credential("robot", env="staging")
    tokens = ask(by=ask.world.nobody, json={"agent_id": "robot", "secret": made["secret"]}).json()
    me = bearer(ask, tokens["access_token"]).get(f"{API}/auth/me").json()
    assert (me["agent_id"], me["env"]) == ("robot", "staging")


@show("003-004")
def token_is_introspected(ask: Ask) -> None:
    token = ask.world.people.tokens(ask.world.people.member("dpo"))["access_token"]
    shown = ask(json={"token": token}).json()
    assert (shown["active"], shown["role"]) == (True, "dpo")
    assert ask(data={"token": token}).json() == shown
    assert ask(json={"token": token[:-8] + "AAAAAAAA"}).json() == {"active": False}


@show("003-005")
def token_is_renewed(ask: Ask) -> None:
    tokens = ask.world.people.tokens(ask.world.people.member())
    by_body = ask(by=ask.world.nobody, json={"refresh_token": tokens["refresh_token"]})
    by_token = ask(by=bearer(ask, tokens["refresh_token"]))
    for answer in (by_body, by_token):
        assert is_live(bearer(ask, answer.raise_for_status().json()["access_token"]))


@show("003-006")
def token_of_another_user_is_revoked(ask: Ask) -> None:
    people = ask.world.people
    person = people.member()
    clients = [people.browser(person), people.script(person)]
    problem_of(ask(by=people.browser(people.member()), json={"user_id": person.id}), 403, "FORBIDDEN")
    assert ask(json={"user_id": person.id}).status_code == 204
    assert not any(map(is_live, clients))


@show("003-007")
def own_token_is_revoked(ask: Ask) -> None:
    client = ask.world.people.script(ask.world.people.member())
    assert ask(by=client).status_code == 204 and not is_live(client)


@show("003-009")
def agent_is_given_credentials(ask: Ask) -> None:
    made = ask(json={"agent_id": "robot"})
    assert made.status_code == 201 and is_live(bearer(ask, ask.world.people.agent_token(made.json())))


# -------------------------------------------------------------------------------------------- members, roles (I09, I10)


@show("000-023", "003-012")
def members_are_listed(ask: Ask) -> None:
    person = ask.world.people.member("auditor", name="Ada")
    found = {member["id"]: member for member in ask().json()["items"]}[person.id]
    assert (found["email"], found["role"], found["name"], found["status"]) == (person.email, "auditor", "Ada", "active")


@show("000-024", "003-013")
def member_is_invited(ask: Ask) -> None:
    email = new_email()
    invited = ask(json={"email": email, "role": "architect"})
    assert (invited.status_code, invited.json()["status"]) == (201, "invited")
    body = {"invitation": invited.json()["invitation"], "password": PASSWORD}
    joined = ask.world.nobody.post(f"{API}/invitations/accept", json=body).json()
    assert (joined["email"], joined["role"], joined["status"]) == (email, "architect", "active")


@show("003-008")
def user_is_created(ask: Ask) -> None:
    made = ask(json={"email": new_email(), "password": PASSWORD, "role": "dpo"})
    assert made.status_code == 201, made.text
    assert is_live(ask.world.people.browser(Person(made.json()["id"], made.json()["email"], "dpo")))


@show("000-025", "003-014")
def role_of_a_member_is_changed(ask: Ask) -> None:
    people = ask.world.people
    person = people.member("readonly")
    names = {"id" if ask.row.path.endswith("{id}") else "user_id": person.id}
    assert ask(names=names, json={"role": "auditor"}).json()["role"] == "auditor"
    browser = people.browser(person)
    assert ask(names=names, json={"status": "suspended"}).json()["status"] == "suspended"
    assert not is_live(browser)


@show("000-026", "003-015")
def member_is_removed(ask: Ask) -> None:
    people = ask.world.people
    person = people.member()
    browser = people.browser(person)
    names = {"id" if ask.row.path.endswith("{id}") else "user_id": person.id}
    assert ask(names=names).status_code == 204
    assert not is_live(browser)
    assert person.id not in [member["id"] for member in people.key.get(f"{API}/members").json()["items"]]


@show("000-045", "000-057")
def roles_are_public_with_their_permissions(ask: Ask) -> None:
    roles = {each["role"]: each for each in ask(by=ask.world.nobody, at=f"GET {API}/roles").json()["items"]}
    assert {"owner", "ciso", "dpo", "architect", "auditor", "readonly"} <= roles.keys()
    assert "payload:erase" in roles["dpo"]["permissions"] and "payload:erase" not in roles["ciso"]["permissions"]


# -------------------------------------------------------------------------------------- forms of credentials (I07, I08)


@show("000-048", "001-012", "004-036")
def key_is_taken_in_a_product_s_header(ask: Ask) -> None:
    header = {"000": "X-PhronEdge-Key", "001": "X-API-Key", "004": "X-AEGIS-API-Key"}[ask.row.seed]
    key = ask.world.key()
    for headers in ({header: key["key"]}, {"authorization": f"Bearer {key['key']}"}):
        me = ask.world.nobody.get(f"{API}/auth/me", headers=headers)
        assert me.json()["key_id"] == key["id"]
    assert ask.world.nobody.get(f"{API}/auth/me", headers={header: "other"}).status_code == 401


@show("004-037")
def token_of_an_agent_is_taken_in_a_product_s_header(ask: Ask) -> None:
    token = ask.world.people.agent_token(ask.world.people.credential("robot"))
    me = ask.world.nobody.get(f"{API}/auth/me", headers={"X-AEGIS-Agent-Token": token})
    assert me.json()["agent_id"] == "robot"


@show("002-082")
def key_says_for_which_agent_it_acts(ask: Ask) -> None:
    key = ask.world.key(agents=["mine", "ours"])
    client = ask.world.client(key["key"])
    client.headers["X-Edictum-Agent-Id"] = "mine"
    assert client.get(f"{API}/auth/me").json()["agents"] == ["mine"]
    report(client, event(ask.world.name(), agent_id="mine"))
    refused = client.post(f"{API}/events", json={"events": [event(ask.world.name(), agent_id="ours")]})
    problem_of(refused, 403, "FORBIDDEN")


@show("002-100")
def session_sees_all_environments(ask: Ask) -> None:
    browser = ask.world.people.browser(ask.world.people.member("readonly"))
    for env in ("production", "staging", "development"):
        [item] = report(ask.world.client(ask.world.key(env=env)["key"]), event(ask.world.name()))["items"]
        assert browser.get(f"{API}/events/{item['event_id']}").json()["data"]["env"] == env
