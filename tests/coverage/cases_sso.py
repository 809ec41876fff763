# SPDX-License-Identifier: Apache-2.0
"""Single sign-on (CAPABILITIES I11), at a provider in this process; a certified one is in the tests of the routes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from tests.coverage.cases import Ask, Cases
from tests.tenant.sso.hostile import KEYS, Hostile, Said, public, signed
from tests.web.asking import API, problem_of

CASES = Cases()
show = CASES.show


@contextmanager
def provider() -> Iterator[Hostile]:
    with Hostile() as running:
        running.describe()
        running.answers["/jwks"] = Said(json.dumps({"keys": public(KEYS["RS256"])}).encode())
        yield running


def configured(ask: Ask, running: Hostile) -> str:
    """The name of a provider by which those of its own domain join."""
    name = ask.world.name()
    wanted = {"provider": name, "issuer": running.issuer, "client_id": "ledger", "domains": [f"{name}.example"]}
    ask.world.owner.put(f"{API}/auth/sso/config", json=wanted).raise_for_status()
    return name


@show("003-016")
def providers_are_offered_to_everybody(ask: Ask) -> None:
    with provider() as running:
        name = configured(ask, running)
    assert name in [each["provider"] for each in ask(by=ask.world.nobody).json()["items"]]


@show("003-017")
def login_is_begun_at_the_provider(ask: Ask) -> None:
    with provider() as running:
        answer = ask(by=ask.world.nobody, names={"provider": configured(ask, running)})
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{running.issuer}/auth?")


@show("003-018")
def somebody_comes_back_and_is_logged_in(ask: Ask) -> None:
    nobody, now = ask.world.nobody, int(time.time())
    with provider() as running:
        name = configured(ask, running)
        begun = nobody.get(f"{API}/auth/sso/{name}")
        asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
        claims = {"iss": running.issuer, "aud": "ledger", "sub": "1", "iat": now, "exp": now + 60}
        token = signed(claims | {"nonce": asked["nonce"], "email": f"ada@{name}.example"})
        running.answers["/token"] = Said(json.dumps({"id_token": token}).encode())
        told = {"code": "1", "state": asked["state"]}
        cookie = {"cookie": begun.headers["set-cookie"].partition(";")[0]}
        problem_of(ask(by=nobody, names={"provider": name}, params=told), 403, "SSO_REFUSED")
        answer = ask(by=nobody, names={"provider": name}, params=told, headers=cookie)
    assert answer.status_code == 200, answer.text
    assert answer.headers["set-cookie"].startswith("ledger_session=")


@show("003-019", "003-020")
def configuration_is_saved_and_shown_without_its_secret(ask: Ask) -> None:
    owner, name = ask.world.owner, ask.world.name()
    wanted = {"provider": name, "issuer": "https://id.example.org", "client_id": "ledger", "client_secret": "hidden"}
    saved = ask(json=wanted) if ask.row.method == "POST" else owner.put(f"{API}/auth/sso/config", json=wanted)
    listed = ask() if ask.row.method == "GET" else owner.get(f"{API}/auth/sso/config")
    assert saved.status_code == 200, saved.text
    assert saved.json() in listed.json()["items"]
    assert saved.json()["client_secret"] == "********" and "hidden" not in listed.text


@show("003-021")
def connection_is_tested(ask: Ask) -> None:
    with provider() as running:
        assert ask(json={"issuer": running.issuer}).json()["ok"] is True
    answer = ask(json={"issuer": running.issuer}).json()
    assert answer["ok"] is False and answer["checks"][-1]["message"]
