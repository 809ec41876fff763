# SPDX-License-Identifier: Apache-2.0
"""Invitations: good once, for a week, and not after the member they were for is gone."""

import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tenant.people_world import PASSWORD, apart, new_email
from tests.web.asking import API, Clock, problem_of

pytestmark = pytest.mark.any_store("who comes in is the same on every store")


def accept(people, invitation, **wanted):
    body = {"invitation": invitation, "password": PASSWORD} | wanted
    return people.nobody.post(f"{API}/invitations/accept", json=body)


def test_invitation_is_good_once(service, people):
    invited = people.invited("dpo", name="Grace")
    assert re.fullmatch(r"li_[A-Za-z0-9_-]{43}", invited["invitation"])
    assert (invited["status"], invited["role"], invited["name"]) == ("invited", "dpo", "Grace")
    assert invited["invitation"] not in people.key.get(f"{API}/members").text
    before = service.size()
    problem_of(accept(people, invited["invitation"], password="short"), 422)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: accept(people, invited["invitation"]), range(8)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 401: 7}
    assert service.size() == before + 1
    [joined] = [answer.json() for answer in answers if answer.status_code == 201]
    assert joined == {name: invited[name] for name in joined} | {"status": "active", "invitation_expires_at": None}
    login = {"email": invited["email"], "password": PASSWORD}
    assert people.nobody.post(f"{API}/auth/login", json=login).json()["role"] == "dpo"
    problem_of(accept(people, invited["invitation"]), 401, "UNAUTHORIZED")
    assert service.size() == before + 2


def test_who_joins_says_what_he_is_called(people):
    invited = people.invited(name="G. Hopper")
    assert accept(people, invited["invitation"], name="Grace").json()["name"] == "Grace"
    assert people.key.get(f"{API}/members/{invited['id']}").json()["name"] == "Grace"


def test_invitation_goes_with_its_member(service, people):
    invited = people.invited()
    people.key.delete(f"{API}/members/{invited['id']}").raise_for_status()
    before = service.size()
    problem_of(accept(people, invited["invitation"]), 401, "UNAUTHORIZED")
    assert service.size() == before


@pytest.mark.parametrize("text", ["x", "li_" + "A" * 43, "\x00", "é" * 100, "lk_all_x"])
def test_other_text_is_no_invitation(service, people, text):
    before = service.size()
    problem_of(accept(people, text), 401, "UNAUTHORIZED")
    secrets = (people.service.keys["owner_key"], people.credential("a")["secret"])
    for secret in secrets:
        problem_of(accept(people, secret), 401, "UNAUTHORIZED")
    # The credential.
    assert service.size() == before + 1


def test_invitation_expires_after_a_week(fresh_ledger):
    clock = Clock(time.time_ns() // 1_000_000 + 1000)

    async def act(app, owner, nobody):
        made = [(await owner.post(f"{API}/members", json={"email": new_email()})).json() for _ in range(2)]
        expires_at = clock.now + 7 * 86_400_000
        statuses = []
        for invited, now in zip(made, (expires_at - 1, expires_at), strict=True):
            clock.now = now
            body = {"invitation": invited["invitation"], "password": PASSWORD}
            statuses.append((await nobody.post(f"{API}/invitations/accept", json=body)).status_code)
        # Whoever came too late is invited again, after what was is taken back.
        again = {"email": made[1]["email"]}
        assert (await owner.post(f"{API}/members", json=again)).status_code == 409
        assert (await owner.delete(f"{API}/members/{made[1]['id']}")).status_code == 204
        assert (await owner.post(f"{API}/members", json=again)).status_code == 201
        return statuses

    assert apart(fresh_ledger, act, clock=clock) == [201, 401]
