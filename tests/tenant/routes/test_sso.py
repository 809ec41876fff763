# SPDX-License-Identifier: Apache-2.0
"""Single sign-on, from outside: at a certified provider, with a browser and without, and everything that is refused."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.running import Service, run_ledger
from tests.tenant.sso.hostile import KEYS, Hostile, Said, public
from tests.tenant.sso.real import RealProvider, browse, node_folder
from tests.web.asking import API, locations, problem_of

SSO = f"{API}/auth/sso"
SECRET = "of the service"
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def origin(service: Service) -> str:
    """The service as a browser on its machine reaches it: Secure cookies go to this name without TLS, too."""
    return service.url.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def real(origin: str) -> Iterator[RealProvider]:
    back = [f"{origin}{SSO}/{provider}/callback" for provider in ("acme", "later")]
    client = {"client_id": "ledger", "client_secret": SECRET, "redirect_uris": back}
    with RealProvider(node_folder(), [client]) as provider:
        yield provider


@pytest.fixture(scope="module")
def acme(owner: httpx.Client, real: RealProvider) -> dict[str, Any]:
    """The real provider, by which those of example.org join as auditors."""
    return configured(owner, "acme", issuer=real.issuer, role="auditor", domains=["example.org"])


@pytest.fixture(scope="module")
def visitor(origin: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=origin, timeout=60) as client:
        yield client


def configured(owner: httpx.Client, provider: str, **changes: Any) -> dict[str, Any]:
    wanted = {"provider": provider, "client_id": "ledger", "client_secret": SECRET} | changes
    answer = owner.put(f"{SSO}/config", json=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


class Begun(NamedTuple):
    """A login that has begun: where the browser is sent, and its cookie."""

    url: str
    cookie: str

    @property
    def asked(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))


def begin(visitor: httpx.Client, provider: str = "acme", **query: str) -> Begun:
    answer = visitor.get(f"{SSO}/{provider}", params=query)
    assert answer.status_code == 302, answer.text
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"} <= set(cookie.split("; "))
    return Begun(answer.headers["location"], cookie.partition(";")[0])


def come_back(visitor: httpx.Client, url: str, cookie: str) -> httpx.Response:
    return visitor.get(url, headers={"cookie": cookie})


def log_in(visitor: httpx.Client, real: RealProvider, login: str, **query: str) -> httpx.Response:
    begun = begin(visitor, **query)
    return come_back(visitor, real.log_in(begun.url, login), begun.cookie)


def entries(owner: httpx.Client, kind: str, member_id: str = "") -> list[dict[str, Any]]:
    items = owner.get(f"{API}/events", params={"type": kind, "limit": 200}).raise_for_status().json()["items"]
    return [item["data"] for item in items if not member_id or item["data"].get("member_id") == member_id]


# ----------------------------------------------------------------------------------------------------- with a browser


def test_somebody_logs_in_with_a_browser(owner, acme, real, origin, tmp_path) -> None:
    start = f"{origin}{SSO}/acme?{urlencode({'return_to': f'{API}/auth/me?x=1'})}"
    seen = browse(node_folder(), tmp_path, start, origin, "ada")
    assert seen["url"] == f"{origin}{API}/auth/me?x=1"
    me = json.loads(seen["text"])
    assert (me["email"], me["role"]) == ("ada@example.org", "auditor")
    [cookie] = seen["cookies"]
    assert cookie["name"] == "ledger_session"
    assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax"
    [joined] = entries(owner, "member.joined", me["member_id"])
    assert (joined["how"], joined["role"], joined["actor"]) == ("sso", "auditor", f"member:{me['member_id']}")
    assert "ada" not in json.dumps(joined)
    [login] = entries(owner, "login.succeeded", me["member_id"])
    assert login["method"] == "oidc"


def test_somebody_who_does_not_agree_comes_back_with_the_reason(acme, real, origin, tmp_path) -> None:
    start = f"{origin}{SSO}/acme?return_to=/docs"
    seen = browse(node_folder(), tmp_path, start, origin, "ada", consent=False)
    assert seen["url"] == f"{origin}/docs?sso_error=access_denied"
    assert "ledger_session" not in [cookie["name"] for cookie in seen["cookies"]]


# --------------------------------------------------------------------------------------------------------- who comes in


def test_stranger_of_the_domain_joins_once(owner, acme, real, visitor) -> None:
    """Whatever case the provider writes the address in."""
    first = log_in(visitor, real, "bob")
    assert first.status_code == 200, first.text
    body = first.json()
    assert (body["email"], body["role"], body["is_admin"]) == ("bob@example.org", "auditor", False)
    assert log_in(visitor, real, "bob").json()["member_id"] == body["member_id"]
    assert len(entries(owner, "member.joined", body["member_id"])) == 1
    assert len(entries(owner, "login.succeeded", body["member_id"])) == 2
    [shown] = [each for each in owner.get(f"{API}/members").json()["items"] if each["id"] == body["member_id"]]
    assert (shown["email"], shown["name"], shown["status"]) == ("Bob@Example.org", "Bob", "active")
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert visitor.get(f"{API}/auth/me", headers={"cookie": cookie}).json()["role"] == "auditor"
    assert first.headers["cache-control"] == "no-store"


def test_others_are_strangers(owner, acme, real, visitor) -> None:
    before = len(entries(owner, "member.joined"))
    for login in ("mallory", "unverified", "nameless"):
        answer = log_in(visitor, real, login)
        problem_of(answer, 403, "SSO_REFUSED")
        assert "set-cookie" not in answer.headers
        sent = log_in(visitor, real, login, return_to="/docs?a=1")
        assert sent.headers["location"].startswith("/docs?a=1&sso_error=")
        assert "ledger_session" not in sent.headers["set-cookie"]
    assert len(entries(owner, "member.joined")) == before


def test_who_was_invited_joins_by_coming(owner, acme, real, visitor) -> None:
    invited = owner.post(f"{API}/members", json={"email": "MALLORY@example.net", "role": "dpo"}).json()
    body = log_in(visitor, real, "mallory").json()
    assert (body["member_id"], body["role"]) == (invited["id"], "dpo")
    [joined] = entries(owner, "member.joined", invited["id"])
    assert joined["how"] == "sso"
    # The invitation was taken up, and has no other use.
    accepted = {"invitation": invited["invitation"], "password": "a long enough password"}
    problem_of(visitor.post(f"{API}/invitations/accept", json=accepted), 401, "UNAUTHORIZED")
    owner.patch(f"{API}/members/{invited['id']}", json={"status": "suspended"}).raise_for_status()
    problem_of(log_in(visitor, real, "mallory"), 403, "SSO_REFUSED")
    assert len(entries(owner, "login.succeeded", invited["id"])) == 1


def test_check_finds_what_single_sign_on_keeps_in_order(service, acme, real, visitor) -> None:
    assert log_in(visitor, real, "ada").status_code == 200
    done = run_ledger("check", data=service.settings)
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------------------------------------------------- refusals


def test_login_comes_back_once(acme, real, visitor) -> None:
    begun = begin(visitor)
    back = real.log_in(begun.url, "ada")
    assert come_back(visitor, back, begun.cookie).status_code == 200
    problem_of(come_back(visitor, back, begun.cookie), 403, "SSO_REFUSED")


def test_login_comes_back_to_the_browser_that_began_it(acme, real, visitor) -> None:
    """Nobody is logged in as somebody else by being sent to the end of another's login."""
    mine, other = begin(visitor), begin(visitor)
    back = real.log_in(mine.url, "ada")
    name, _, value = mine.cookie.partition("=")
    for cookie in (
        "",
        other.cookie,
        f"{name}=",
        f"{name}=x",
        f"{name}={value[:-4]}",
        f"{name}={value[:40]}A{value[41:]}",
    ):
        problem_of(come_back(visitor, back, cookie), 403, "SSO_REFUSED")
    for_other = back.replace(f"state={mine.asked['state']}", f"state={other.asked['state']}")
    problem_of(come_back(visitor, for_other, mine.cookie), 403, "SSO_REFUSED")
    problem_of(come_back(visitor, back.replace("/acme/", "/later/"), mine.cookie), 403, "SSO_REFUSED")
    # None of that used it up.
    assert come_back(visitor, back, mine.cookie).status_code == 200


@pytest.mark.parametrize("change", [{"code": "another"}, {"code": None}, {"iss": "https://example.net"}, {"iss": None}])
def test_answer_that_is_not_the_provider_s_is_refused(acme, real, visitor, change) -> None:
    begun = begin(visitor)
    address, _, query = real.log_in(begun.url, "ada").partition("?")
    told = {name: value for name, value in (dict(parse_qsl(query)) | change).items() if value is not None}
    problem_of(come_back(visitor, f"{address}?{urlencode(told)}", begun.cookie), 403, "SSO_REFUSED")


@pytest.mark.parametrize("error", ["access_denied", "server_error", "<script>", "x" * 5000, "a\r\nset-cookie: b=c", ""])
def test_error_of_the_provider_is_a_word_or_nothing(acme, visitor, error) -> None:
    for query in ({}, {"return_to": "/docs"}):
        begun = begin(visitor, **query)
        told = urlencode({"state": begun.asked["state"], "error": error})
        answer = come_back(visitor, f"{SSO}/acme/callback?{told}", begun.cookie)
        known = error if error.replace("_", "").isalpha() and len(error) < 40 else "no_code"
        if query:
            assert answer.headers["location"] == f"/docs?sso_error={known}"
            assert answer.headers["set-cookie"].startswith("ledger_sso=;")
        else:
            assert problem_of(answer, 403, "SSO_REFUSED")["reason"] == known


@pytest.mark.parametrize(
    "path",
    [
        "https://example.net", "//example.net", "/\\example.net", "\\\\example.net", "example.net", "", "javascript:x",
        "/\t/example.net", "/\n/example.net", "/ /example.net", "/a\\b", "/a#b", "/é", "/" + "a" * 1000,
    ],
)  # fmt: skip
def test_way_to_another_host_is_no_way_back(acme, visitor, path) -> None:
    answer = visitor.get(f"{SSO}/acme", params={"return_to": path})
    assert locations(problem_of(answer, 422)) == [["query", "return_to"]]


def test_provider_that_was_configured_anew_begins_again(owner, real, visitor) -> None:
    wanted = {"issuer": real.issuer, "domains": ["example.org"]}
    configured(owner, "later", **wanted)
    begun = begin(visitor, "later")
    back = real.log_in(begun.url, "ada")
    configured(owner, "later", **wanted)
    problem_of(come_back(visitor, back, begun.cookie), 403, "SSO_REFUSED")
    configured(owner, "later", enabled=False, **wanted)
    problem_of(visitor.get(f"{SSO}/later"), 404, "NOT_FOUND")
    problem_of(visitor.get(f"{SSO}/nobody"), 404, "NOT_FOUND")
    assert "later" not in [each["provider"] for each in visitor.get(f"{SSO}/providers").json()["items"]]


def test_host_decides_where_the_browser_comes_back_to(acme, visitor) -> None:
    for host, base in (
        ("ledger.example.org", "https://ledger.example.org"),
        ("localhost.example.org:8443", "https://localhost.example.org:8443"),
        ("localhost:1", "http://localhost:1"),
        ("[::1]:2", "http://[::1]:2"),
    ):
        answer = visitor.get(f"{SSO}/acme", headers={"host": host})
        asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        assert asked["redirect_uri"] == f"{base}{SSO}/acme/callback"


def test_unreachable_provider_is_told_and_no_more(owner, visitor) -> None:
    with Hostile() as gone:
        configured(owner, "gone", issuer=gone.issuer)
    problem = problem_of(visitor.get(f"{SSO}/gone"), 503, "SSO_PROVIDER_ERROR")
    assert problem["detail"] == "the provider cannot be reached"


# -------------------------------------------------------------------------------------------------------- configuration


def test_offers_are_public_and_say_where_to_begin(service, acme, visitor) -> None:
    tenant = service.keys["tenant_id"]
    [offer] = [each for each in visitor.get(f"{SSO}/providers").json()["items"] if each["provider"] == "acme"]
    assert offer == {"provider": "acme", "name": "Acme", "start": f"{SSO}/acme"}
    named = visitor.get(f"{SSO}/providers", params={"tenant_id": tenant}).json()["items"]
    [start] = [each["start"] for each in named if each["provider"] == "acme"]
    assert visitor.get(start).status_code == 302
    problem_of(visitor.get(f"{SSO}/providers", params={"tenant_id": "x"}), 404, "NOT_FOUND")


def test_client_secret_is_never_shown(service, owner) -> None:
    shown = configured(owner, "secretive", issuer="https://id.example.org", client_secret="hidden-words")
    assert shown["client_secret"] == "********"
    assert shown["redirect_uri"] == f"{service.url}{SSO}/secretive/callback"
    listed = owner.get(f"{SSO}/config")
    assert "hidden-words" not in listed.text
    [again] = [each for each in listed.json()["items"] if each["provider"] == "secretive"]
    assert again == shown
    assert all("hidden-words" not in json.dumps(data) for data in entries(owner, "sso.configured"))
    tested = owner.post(f"{SSO}/config/test", json={"provider": "secretive"})
    assert "hidden-words" not in tested.text


def test_client_secret_stays_with_the_client_and_the_issuer(owner) -> None:
    issuer = "https://id.example.org"
    assert configured(owner, "kept", issuer=issuer)["client_secret"]
    for unchanged in ({}, {"client_secret": "********"}):
        body = {"provider": "kept", "client_id": "ledger", "issuer": issuer, "enabled": False} | unchanged
        assert owner.put(f"{SSO}/config", json=body).json()["client_secret"] == "********"
        for other in ({"issuer": "https://example.net"}, {"client_id": "another"}):
            problem = problem_of(owner.put(f"{SSO}/config", json=body | other), 422)
            assert locations(problem) == [["body", "client_secret"]]
    assert configured(owner, "kept", issuer="https://example.net", client_secret=None)["client_secret"] is None
    assert configured(owner, "kept", issuer=issuer, client_secret=None)["client_secret"] is None


def test_configuration_is_an_entry(owner) -> None:
    before = len(entries(owner, "sso.configured"))
    wanted = {"provider": "entry", "client_id": "c", "issuer": "https://id.example.org", "domains": ["b.org", "a.org"]}
    answer = owner.post(f"{SSO}/config", json=wanted | {"role": "dpo"})
    assert answer.status_code == 200 and "ledger-leaf-index" in answer.headers
    assert (answer.json()["domains"], answer.json()["client_secret"]) == (["a.org", "b.org"], None)
    newest, *others = entries(owner, "sso.configured")
    assert len(others) == before
    assert (newest["provider"], newest["role"], newest["domains"]) == ("entry", "dpo", ["a.org", "b.org"])
    headers = {"idempotency-key": "once"}
    indexes = {owner.put(f"{SSO}/config", json=wanted, headers=headers).headers["ledger-leaf-index"] for _ in range(3)}
    assert len(indexes) == 1


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("provider", {"provider": "providers"}),
        ("provider", {"provider": "config"}),
        ("provider", {"provider": "A"}),
        ("provider", {"provider": "a/b"}),
        ("issuer", {"issuer": "http://id.example.org"}),
        ("issuer", {"issuer": "https://id.example.org?x"}),
        ("issuer", {"issuer": "file:///x"}),
        ("client_id", {"client_id": ""}),
        ("client_secret", {"client_secret": ""}),
        ("role", {"role": "agent"}),
        ("domains", {"domains": ["example"]}),
        ("domains", {"domains": ["Example.org"]}),
    ],
)
def test_configuration_that_cannot_be_is_refused(owner, place, change) -> None:
    right = {"provider": "wrong", "client_id": "c", "issuer": "https://id.example.org"}
    [loc] = locations(problem_of(owner.put(f"{SSO}/config", json=right | change), 422))
    assert loc[:2] == ["body", place]


def test_only_owners_of_everything_choose_who_says_who_somebody_is(service) -> None:
    body = {"provider": "theirs", "client_id": "c", "issuer": "https://id.example.org"}
    for role, env, may_read in (("ciso", "all", True), ("auditor", "all", True), ("readonly", "all", False),
                                ("agent", "all", False), ("owner", "production", True)):  # fmt: skip
        with service.client(service.create_key(role=role, env=env)["key"]) as client:
            problem_of(client.put(f"{SSO}/config", json=body), 403, "FORBIDDEN")
            problem_of(client.post(f"{SSO}/config", json=body), 403, "FORBIDDEN")
            problem_of(client.post(f"{SSO}/config/test", json={"issuer": body["issuer"]}), 403, "FORBIDDEN")
            assert client.get(f"{SSO}/config").status_code == (200 if may_read else 403)


# ---------------------------------------------------------------------------------------------------------------- tests


def checked(owner: httpx.Client, **wanted: str) -> dict[str, Any]:
    return owner.post(f"{SSO}/config/test", json=wanted).raise_for_status().json()


def test_test_of_a_provider_says_that_it_works(owner, acme, real) -> None:
    for wanted in ({"provider": "acme"}, {"issuer": real.issuer}):
        answer = checked(owner, **wanted)
        assert answer["ok"] and answer["issuer"] == real.issuer
        assert [(each["check"], each["ok"]) for each in answer["checks"]] == [
            ("address", True), ("metadata", True), ("keys", True)
        ]  # fmt: skip
        assert "RS256" in answer["algorithms"] and "HS256" not in answer["algorithms"]


def test_test_of_a_provider_says_what_is_wrong(owner) -> None:
    def failed() -> tuple[str, str]:
        answer = checked(owner, issuer=hostile.issuer)
        *before, last = answer["checks"]
        assert not answer["ok"] and not last["ok"] and all(each["ok"] for each in before)
        return last["check"], last["message"]

    assert checked(owner, issuer="http://example.net")["checks"][0]["message"] == "the issuer is not https"
    with Hostile() as hostile:
        assert failed() == ("metadata", "the provider answered with status 404")
        hostile.describe(issuer="https://example.net")
        assert failed() == ("metadata", "the provider says that it is another issuer")
        hostile.describe()
        assert failed() == ("keys", "the provider answered with status 404")
        hostile.answers["/jwks"] = Said(b"{}")
        assert failed()[0] == "keys"
        hostile.answers["/jwks"] = Said(json.dumps({"keys": public(KEYS["RS256"])}).encode())
        assert checked(owner, issuer=hostile.issuer)["ok"]
    assert failed() == ("metadata", "the provider cannot be reached")
    problem_of(owner.post(f"{SSO}/config/test", json={}), 422)
    problem_of(owner.post(f"{SSO}/config/test", json={"provider": "acme", "issuer": "https://x"}), 422)
    problem_of(owner.post(f"{SSO}/config/test", json={"provider": "nobody"}), 404, "NOT_FOUND")
