# SPDX-License-Identifier: Apache-2.0
"""What one process revoked, the other one refuses within a second, and the first from its next request on."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
import pytest

from tests.ledgers import Ledger, Room
from tests.running import CHEAP_LOGINS, Service
from tests.tenant.people_world import OWN_PAGE, PASSWORD, People
from tests.web.asking import API

pytestmark = pytest.mark.only_on("postgres", why="a data directory is served by one process")

SECONDS = 1.0
"""How old knowledge may be that somebody is let in by."""
PATIENCE = 20


class Pair(NamedTuple):
    first: Service
    second: Service
    people: People


@pytest.fixture(scope="module")
def pair(template_ledger: Ledger, module_room: Room) -> Iterator[Pair]:
    source, keys = template_ledger
    place = module_room.copy(source)
    with (
        Service(place, keys, *CHEAP_LOGINS) as first,
        Service(place, keys, *CHEAP_LOGINS, log_name="second.stderr") as second,
    ):
        yield Pair(first, second, People(first))


Made = tuple[dict[str, str], Callable[[httpx.Client], httpx.Response]]
"""The headers of somebody who may come in, and what ends that, asked by an owner."""


def key(people: People) -> Made:
    made = people.service.create_key(role="auditor")
    return bearer(made["key"]), lambda owner: owner.delete(f"{API}/keys/{made['id']}")


def cookie(people: People) -> Made:
    person = people.member()
    return {"cookie": people.log_in(person)}, lambda owner: revoke(owner, member_id=person.id)


def logged_out(people: People) -> Made:
    headers = {"cookie": people.log_in(people.member())}

    def log_out(owner: httpx.Client) -> httpx.Response:
        with caller(owner.base_url, headers) as browser:
            return browser.post(f"{API}/auth/logout")

    return headers, log_out


def access_token(people: People) -> Made:
    token = people.tokens(people.member())["access_token"]
    return bearer(token), lambda owner: revoke(owner, token=token)


def agent_token(people: People) -> Made:
    token = people.agent_token(people.credential("robot"))
    return bearer(token), lambda owner: revoke(owner, agent_id="robot")


def agent_credential(people: People) -> Made:
    made = people.credential("robot")
    place = f"{API}/agents/robot/credentials/{made['id']}"
    return bearer(people.agent_token(made)), lambda owner: owner.delete(place)


def suspended(people: People) -> Made:
    person = people.member("owner")
    place = f"{API}/members/{person.id}"
    return {"cookie": people.log_in(person)}, lambda owner: owner.patch(place, json={"status": "suspended"})


def removed(people: People) -> Made:
    person = people.member("ciso")
    token = people.tokens(person)["access_token"]
    return bearer(token), lambda owner: owner.delete(f"{API}/members/{person.id}")


def other_password(people: People) -> Made:
    person = people.member()
    cookie = people.log_in(person)

    def change(owner: httpx.Client) -> httpx.Response:
        with caller(owner.base_url, {"cookie": cookie}) as browser:
            body = {"password": {"current": PASSWORD, "new": f"{PASSWORD} and another"}}
            return browser.patch(f"{API}/auth/me", json=body)

    return {"cookie": cookie}, change


def caller(url: httpx.URL | str, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(base_url=url, headers=headers | OWN_PAGE, timeout=60, verify=False)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def revoke(owner: httpx.Client, **whose: str) -> httpx.Response:
    return owner.post(f"{API}/auth/revoke", json=whose)


KINDS = (
    key, cookie, logged_out, access_token, agent_token, agent_credential, suspended, removed, other_password,
)  # fmt: skip


@pytest.mark.parametrize("here", ["first", "second"])
@pytest.mark.parametrize("kind", KINDS)
def test_revocation_bites_at_once_here_and_within_a_second_there(
    pair: Pair, kind: Callable[[People], Made], here: str
) -> None:
    headers, end = kind(pair.people)
    services = (pair.first, pair.second) if here == "first" else (pair.second, pair.first)
    with caller(services[0].url, headers) as near, caller(services[1].url, headers) as far:
        for client in (near, far):
            # A process that was not asked before learns at once of what the other one made.
            assert client.get(f"{API}/auth/me").status_code == 200
        with services[0].client() as owner:
            ended = end(owner)
        revoked_at = time.monotonic()
        assert ended.is_success, ended.text
        assert near.get(f"{API}/auth/me").status_code == 401
        statuses = []
        while not statuses or statuses[-1] != 401:
            asked_at = time.monotonic()
            statuses.append(far.get(f"{API}/auth/me").status_code)
            assert asked_at - revoked_at < (SECONDS if statuses[-1] == 200 else PATIENCE), statuses
        # Until it knows better it lets in, or says that it does not know; never again after that.
        assert set(statuses) <= {200, 401, 503}
        assert near.get(f"{API}/auth/me").status_code == far.get(f"{API}/auth/me").status_code == 401


def test_write_is_refused_there_at_once(pair: Pair) -> None:
    """What a process has not heard of yet it learns under the lock, before it writes."""
    for _ in range(5):
        person = pair.people.member("owner")
        headers = bearer(pair.people.tokens(person)["access_token"])
        with caller(pair.second.url, headers) as far, pair.first.client() as owner:
            assert far.get(f"{API}/auth/me").status_code == 200
            assert owner.patch(f"{API}/members/{person.id}", json={"role": "ciso"}).status_code == 200
            body = {"env": "all", "label": "too late", "role": "owner"}
            assert far.post(f"{API}/keys", json=body).status_code == 403
            assert owner.patch(f"{API}/members/{person.id}", json={"status": "suspended"}).status_code == 200
            assert far.post(f"{API}/members", json={"email": "x@example.org"}).status_code == 401
            assert far.post(f"{API}/auth/refresh").status_code == 401
