# SPDX-License-Identifier: Apache-2.0
"""Second names of routes: each answers like the route that it stands for, whoever asks."""

import re

import pytest

from ledger.aliases import ALIASES
from tests.web.asking import API

PLACES = [
    pytest.param(method, own, path, id=f"{method} {path}")
    for handler, paths in ALIASES
    for method in sorted(handler.http_methods)
    for own in handler.paths
    for path in paths
]

pytestmark = pytest.mark.any_store("names of routes are the same on every store")


@pytest.fixture(scope="module")
def clients(service):
    agent, nobody = service.create_key()["key"], ""
    with service.client() as of_owner, service.client(agent) as of_agent, service.client(nobody) as of_nobody:
        yield [of_owner, of_agent, of_nobody]


def outcome(client, method, path):
    # A stream that was let in would have no end; this is no id of its.
    answer = client.request(method, API + re.sub(r"\{\w+:\w+\}", "x", path), headers={"last-event-id": "none"})
    problem = answer.headers.get("content-type", "").startswith("application/problem")
    return answer.status_code, answer.json()["code"] if problem else None


@pytest.mark.parametrize(("method", "own", "path"), PLACES)
def test_alias_answers_like_its_route(clients, method, own, path):
    assert re.findall(r"\{.*?\}", path) == re.findall(r"\{.*?\}", own)
    outcomes = [outcome(client, method, path) for client in clients]
    assert outcomes == [outcome(client, method, own) for client in clients]
    assert all(status not in (404, 405) or "{" in path for status, _ in outcomes)


def test_no_alias_is_a_route_of_its_own():
    owned = {(method, path) for handler, _ in ALIASES for method in handler.http_methods for path in handler.paths}
    aliases = [(method, path) for handler, paths in ALIASES for method in handler.http_methods for path in paths]
    assert len(aliases) == len(set(aliases)) and not owned & set(aliases)
