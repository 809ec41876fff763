# SPDX-License-Identifier: Apache-2.0
"""What is kept of members: sealed in the log until it is erased, whole after any history, one address one member."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.running import CHEAP_LOGINS, Service, run_ledger
from tests.tables import contents, dump
from tests.tenant.people_world import MEMBER_ROLES, PASSWORD, People, is_live, new_email
from tests.tenant.routes.test_members import MEMBERS, listed
from tests.web.asking import API, problem_of

# ------------------------------------------------------------------------------------------------------------- privacy

SECRET = "Zuckerhut-Quetzalcoatl"


def everything(place):
    """All bytes of the database and of the data directory."""
    files = filter(Path.is_file, place.data.rglob("*"))
    return b"\n".join([dump(place), *(file.read_bytes() for file in files)])


def test_what_members_are_called_is_in_no_leaf_and_gone_when_it_is_erased(fresh_ledger):
    email, name, logo = f"{SECRET}@example.org".lower(), SECRET, f"https://example.org/{SECRET}.png"
    with Service(*fresh_ledger, *CHEAP_LOGINS) as service:
        people = People(service)
        created = people.member("dpo", email=email, name=name)
        client = people.browser(created)
        client.patch(f"{API}/auth/me", json={"logo": logo, "name": f"{name} the second"}).raise_for_status()
        answer = client.get(f"{API}/auth/me").json()
        assert (answer["email"], answer["name"], answer["logo"]) == (email, f"{name} the second", logo)
        invited = people.invited(email=f"2-{email}", name=name)
        accept = {"invitation": invited["invitation"], "password": PASSWORD, "name": f"{name} the third"}
        people.nobody.post(f"{API}/invitations/accept", json=accept).raise_for_status()
        leaves = [leaf for row in contents(service.settings)["entries"] for leaf in row if isinstance(leaf, bytes)]
        for text in (SECRET, SECRET.lower(), invited["invitation"], PASSWORD):
            assert not any(text.encode() in leaf for leaf in leaves)
            assert text.encode() not in everything(service.settings)
        for member_id in (created.id, invited["id"]):
            body = {"subject": member_id, "grounds": "other"}
            people.key.delete(f"{MEMBERS}/{member_id}").raise_for_status()
            erased = people.key.post(f"{API}/erasures", json=body)
            assert erased.status_code == 200, erased.text
        shown = people.key.get(f"{API}/events", params={"limit": 200, "disclose": "all"}).raise_for_status().text
        assert SECRET not in shown and SECRET.lower() not in shown and people.founder.email in shown
        assert erased.json()["entries"] == 2
        service.terminate()
        kept = everything(service.settings)
        assert SECRET.encode() not in kept and SECRET.lower().encode() not in kept
    checked = run_ledger("check", "--replay", data=service.settings)
    assert checked.returncode == 0, checked.stdout


def test_who_is_still_a_member_is_not_erased(service, people):
    """What lets him in would go with him."""
    person = people.member("owner", name="Ada")
    before = service.size()
    problem_of(people.key.post(f"{API}/erasures", json={"subject": person.id, "grounds": "other"}), 409, "CONFLICT")
    assert service.size() == before
    assert listed(people.key)[person.id]["email"] == person.email and is_live(people.browser(person))


# ------------------------------------------------------------------------------------------------------------- history


def test_ledger_is_whole_after_any_history_of_members(fresh_ledger):
    """What is decided over HTTP is what a fold from zero gives, and the vault has what it says, whatever was done."""
    chance = random.Random(20260301)
    with Service(*fresh_ledger, *CHEAP_LOGINS) as service:
        people = People(service)
        ids, emails, invitations = [people.founder.id], [new_email() for _ in range(6)], ["x"]
        statuses: Counter[int] = Counter()
        for _ in range(120):
            before = service.size()
            choice = chance.randrange(7)
            someone = f"{MEMBERS}/{chance.choice(ids)}"
            if choice < 2:
                body = {"email": chance.choice(emails), "role": chance.choice(MEMBER_ROLES)}
                answer = people.key.post(MEMBERS, json=body | chance.choice([{}, {"password": PASSWORD}]))
                if answer.status_code == 201:
                    ids.append(answer.json()["id"])
                    invitations.append(answer.json()["invitation"] or "x")
            elif choice == 2:
                answer = people.key.patch(someone, json={"role": chance.choice(MEMBER_ROLES)})
            elif choice == 3:
                answer = people.key.patch(someone, json={"status": chance.choice(["active", "suspended"])})
            elif choice == 4:
                answer = people.key.delete(someone)
            elif choice == 5:
                body = {"invitation": chance.choice(invitations), "password": PASSWORD}
                answer = people.nobody.post(f"{API}/invitations/accept", json=body)
            else:
                body = {"email": chance.choice(emails), "password": PASSWORD}
                answer = people.nobody.post(f"{API}/auth/login", json=body)
            statuses[answer.status_code] += 1
            # What is refused leaves nothing; what is done, one entry or, where nothing changes, none.
            assert service.size() - before == ("ledger-event-id" in answer.headers)
            assert answer.is_success or "ledger-event-id" not in answer.headers
        assert set(statuses) == {200, 201, 204, 401, 404, 409}
        shown = listed(people.key)
        service.terminate()
        service.start()
        with service.client() as again:
            assert listed(again) == shown
    checked = run_ledger("check", "--replay", data=service.settings)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# ------------------------------------------------------------------------------------------------------ two processes


@pytest.mark.only_on("postgres", why="a data directory is served by one process")
def test_address_is_given_away_once_by_two_processes(fresh_ledger):
    with (
        Service(*fresh_ledger, *CHEAP_LOGINS) as first,
        Service(*fresh_ledger, *CHEAP_LOGINS, log_name="second.stderr") as second,
        first.client() as one,
        second.client() as two,
    ):
        people = People(first)
        for _ in range(12):
            email = new_email()
            bodies = [{"email": email, "password": PASSWORD, "role": "owner"}] * 4
            with ThreadPoolExecutor(4) as pool:
                answers = list(
                    pool.map(lambda ask: ask[0].post(MEMBERS, json=ask[1]), zip((one, two) * 2, bodies, strict=True))
                )
            assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 3}
            [made] = [answer.json() for answer in answers if answer.status_code == 201]
            login = {"email": email, "password": PASSWORD}
            for service in (first, second):
                with service.client("") as nobody:
                    # The one that did not make him knows him as soon, too.
                    assert nobody.post(f"{API}/auth/login", json=login).json()["member_id"] == made["id"]
            assert [m["id"] for m in listed(one).values() if m["email"] == email] == [made["id"]]
        assert len([m for m in listed(one).values() if m["role"] == "owner"]) == 13
        assert people.founder.id in listed(one)
    checked = run_ledger("check", "--replay", data=first.settings)
    assert checked.returncode == 0, checked.stdout + checked.stderr
