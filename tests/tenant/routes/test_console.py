# SPDX-License-Identifier: Apache-2.0
"""What a console remembers, which is in no log, and feedback, which is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tenant.routes.console import MAX_STATE_BYTES
from tests.commands.outcomes import done
from tests.running import run_ledger
from tests.web.asking import API, locations, problem_of

STATE = f"{API}/dashboard/state"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=30, deadline=None)
@given(state=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), JSON, max_size=5))
def test_what_was_put_comes_back(owner, state):
    body = json.dumps(state, ensure_ascii=False).encode("utf-8", "surrogatepass")
    answer = owner.put(STATE, content=body)
    if answer.status_code == 200:
        assert answer.json() == owner.get(STATE).json() == state
    else:
        assert answer.status_code in (400, 422)


def test_everybody_has_a_state_of_his_own_and_the_log_knows_nothing(service, owner):
    auditor = service.create_key(role="auditor", env="all")
    size = service.size()
    with service.client(auditor["key"]) as other:
        owner.put(STATE, json={"whose": "owner"})
        assert other.get(STATE).json() == {}
        other.put(STATE, json={"whose": "auditor"})
        assert owner.get(STATE).json() == {"whose": "owner"}
    assert service.size() == size
    done(run_ledger("check", data=service.settings))


def test_state_is_an_object_of_at_most_64_kb(owner):
    fits = b'{"a":"' + b"x" * (MAX_STATE_BYTES - 8) + b'"}'
    assert owner.put(STATE, content=fits).status_code == 200
    problem_of(owner.put(STATE, content=fits + b" "), 413)
    for body in (b"", b"[]", b"1", b"null"):
        assert owner.put(STATE, content=body).status_code in (400, 422)
    assert owner.get(STATE).content == fits


def test_feedback_is_sealed_in_the_log(service, owner):
    size = service.size()
    answer = owner.post(f"{API}/feedback", json={"topic": "feature", "text": "more cowbell"})
    assert answer.status_code == 201
    assert answer.json()["topic"] == "feature"
    assert answer.headers["ledger-leaf-index"] == str(size)
    path = f"{API}/events/{answer.headers['ledger-event-id']}"
    assert "cowbell" not in owner.get(path).text
    assert owner.get(path, params={"disclose": "all"}).json()["data"]["text"] == "more cowbell"
    assert owner.get(path).json()["subject"] == answer.json()["feedback_id"]


@pytest.mark.parametrize("body", [{}, {"topic": "praise", "text": "x"}, {"topic": "bug", "text": ""}])
def test_wrong_feedback_is_refused(owner, body):
    assert locations(problem_of(owner.post(f"{API}/feedback", json=body), 422))


def test_agents_have_no_console(service):
    with service.client(service.create_key()["key"]) as agent:
        for method, path in (("GET", STATE), ("PUT", STATE), ("POST", f"{API}/feedback")):
            problem_of(agent.request(method, path, json={}), 403, "FORBIDDEN")
