# SPDX-License-Identifier: Apache-2.0
"""Identity and access (CAPABILITIES I)."""

from tests.coverage.cases import Ask, Cases
from tests.web.asking import API, TIME, UUID7, problem_of

CASES = Cases()
show = CASES.show


def listed(ask: Ask) -> dict[str, dict[str, object]]:
    """The keys in a list, by id."""
    return {key["id"]: key for key in ask.world.owner.get(f"{API}/keys").json()["items"]}


def is_refused(ask: Ask, key: str) -> bool:
    return ask.world.client(key).get(f"{API}/events").status_code == 401


# ------------------------------------------------------------------------------------------------------- API keys (I06)


@show("000-003", "001-009", "002-007", "003-189")
def created_key_is_shown_and_works(ask: Ask) -> None:
    label = ask.world.name()
    answer = ask(at=f"POST {API}/keys", json={"env": "staging", "label": label})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert listed(ask)[made["id"]]["label"] == label
    assert not is_refused(ask, made["key"])


@show("002-090")
def new_key_has_the_members_of_the_seed(ask: Ask) -> None:
    for env in ("production", "staging", "development"):
        made = ask.world.key(env=env, label="named")
        assert {"id", "key", "prefix", "env", "label", "created_at"} <= made.keys()
        assert UUID7.fullmatch(made["id"]) and TIME.fullmatch(made["created_at"])
        assert (made["env"], made["label"]) == (env, "named")
        assert made["key"].startswith(made["prefix"]) and made["prefix"].startswith(f"lk_{env}_")
    refused = ask.world.owner.post(f"{API}/keys", json={"env": "test", "label": "x"})
    problem_of(refused, 422)


@show("003-213")
def secret_of_a_key_is_never_shown_again(ask: Ask) -> None:
    made = ask.world.key()
    for path in ("keys", "events", "auth/keys", "api-keys"):
        assert made["key"] not in ask.world.owner.get(f"{API}/{path}").raise_for_status().text


@show("000-004", "002-008", "003-188")
def keys_are_listed_without_revoked_ones(ask: Ask) -> None:
    kept, revoked = ask.world.key(), ask.world.key()
    ask.world.owner.delete(f"{API}/keys/{revoked['id']}").raise_for_status()
    answer = ask()
    assert answer.status_code == 200
    found = {key["id"]: key["prefix"] for key in answer.json()["items"]}
    assert found[kept["id"]] == kept["prefix"] and revoked["id"] not in found
    assert kept["key"] not in answer.text


@show("000-049")
def keys_are_masked_in_lists(ask: Ask) -> None:
    made = ask.world.key()
    shown = listed(ask)[made["id"]]
    assert "key" not in shown and shown["prefix"] == made["prefix"]
    assert len(made["prefix"]) < len(made["key"]) - 20


@show("001-013")
def key_is_one_secret_with_a_prefix_of_ours(ask: Ask) -> None:
    made = ask.world.key()
    assert made["key"].startswith("lk_production_")
    answer = ask.world.nobody.get(f"{API}/events", headers={"x-api-key": made["key"]})
    assert answer.status_code == 200


@show("002-009", "003-190")
def key_is_revoked_by_its_id(ask: Ask) -> None:
    made = ask.world.key()
    assert ask(names={"key_id": made["id"]}).status_code == 204
    assert is_refused(ask, made["key"]) and made["id"] not in listed(ask)


@show("000-005")
def key_is_revoked_by_a_body(ask: Ask) -> None:
    made = ask.world.key()
    assert ask(json={"key_id": made["id"]}).status_code == 204
    assert is_refused(ask, made["key"]) and made["id"] not in listed(ask)
    problem_of(ask(json={"key_id": "nothing"}), 404, "NOT_FOUND")
    problem_of(ask(json={}), 422)
    problem_of(ask(by=ask.world.agent, json={"key_id": made["id"]}), 403, "FORBIDDEN")


@show("000-050", "001-010")
def revoked_key_is_refused_by_the_next_request(ask: Ask) -> None:
    made = ask.world.key()
    assert not is_refused(ask, made["key"])
    ask.world.owner.delete(f"{API}/keys/{made['id']}").raise_for_status()
    assert is_refused(ask, made["key"])


@show("003-191")
def key_is_validated(ask: Ask) -> None:
    made = ask.world.key(env="staging")
    found = ask(json={"key": made["key"]}).json()
    assert (found["valid"], found["id"], found["env"]) == (True, made["id"], "staging")
    ask.world.owner.delete(f"{API}/keys/{made['id']}").raise_for_status()
    for wrong in (made["key"], "lk_production_x"):
        assert ask(json={"key": wrong}).json() == {"valid": False}
