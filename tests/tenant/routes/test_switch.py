# SPDX-License-Identifier: Apache-2.0
"""The kill switch over HTTP: engaged once, released once, and nothing that is evidence stops."""

import pytest

from tests.running import event
from tests.web.asking import API, TIME, problem_of, report

SWITCH = f"{API}/kill-switch"


@pytest.fixture(autouse=True)
def released(owner):
    assert owner.delete(SWITCH).status_code == 200


def test_switch_is_engaged_and_released_once_each(service, owner):
    assert owner.get(SWITCH).json()["engaged"] is False
    size = service.size()
    engaged = owner.put(SWITCH, json={"reason": "an agent went wild"})
    state = engaged.json()
    assert (state["engaged"], state["leaf_index"], state["reason"]) == (True, size, "an agent went wild")
    assert state["actor"].startswith("key:")
    assert TIME.fullmatch(state["since"])
    assert engaged.headers["ledger-leaf-index"] == str(size)
    problem_of(owner.put(SWITCH, json={"reason": "another"}), 409, "CONFLICT")
    again = owner.put(SWITCH)
    assert again.json() == state == owner.get(SWITCH).json()
    assert "ledger-leaf-index" not in again.headers
    assert owner.get(f"{API}/tenant").json()["halted"] is True
    assert service.size() == size + 1
    assert owner.delete(SWITCH).json()["engaged"] is False
    assert owner.delete(SWITCH).json()["engaged"] is False
    assert service.size() == size + 2


def test_reports_go_on_while_agents_get_no_tokens(service, owner):
    made = owner.post(f"{API}/agents/robot/credentials", json={"env": "production"}).json()
    ask = {"agent_id": "robot", "secret": made["secret"]}
    assert owner.post(f"{API}/auth/agent/token", json=ask).status_code == 200
    owner.put(SWITCH)
    problem_of(owner.post(f"{API}/auth/agent/token", json=ask), 403, "HALTED")
    assert report(owner, event("under the switch"))["accepted"] == 1
    owner.delete(SWITCH)
    assert owner.post(f"{API}/auth/agent/token", json=ask).status_code == 200


def test_other_products_name_the_tenant_in_the_path(service, owner):
    own, other = (f"{API}/decision/kill-switch/{name}" for name in (service.keys["tenant_id"], "another"))
    assert owner.post(own, json={}).json()["engaged"] is True
    assert owner.get(own).json() == owner.get(SWITCH).json()
    assert owner.delete(own).json()["engaged"] is False
    for method in ("GET", "POST", "DELETE"):
        problem_of(owner.request(method, other), 404, "NOT_FOUND")


@pytest.mark.parametrize(("role", "env"), [("auditor", "all"), ("agent", "production"), ("owner", "staging")])
def test_who_reads_the_switch_need_not_turn_it(service, role, env):
    with service.client(service.create_key(role=role, env=env)["key"]) as client:
        assert client.get(SWITCH).status_code == 200
        problem_of(client.put(SWITCH), 403, "FORBIDDEN")
        problem_of(client.delete(SWITCH), 403, "FORBIDDEN")


@pytest.mark.parametrize("body", [b"{", b'{"reason":1}', b'{"why":"x"}', b'{"reason":"a","reason":"b"}'])
def test_wrong_body_engages_nothing(owner, body):
    assert owner.put(SWITCH, content=body).status_code in (400, 422)
    assert owner.get(SWITCH).json()["engaged"] is False
