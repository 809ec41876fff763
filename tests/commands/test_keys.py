# SPDX-License-Identifier: Apache-2.0
"""`ledger keys`: through a running service, and in a directory that nobody serves."""

import json
from pathlib import Path
from typing import Any

from tests.commands.outcomes import checked_sizes, done, misused, refused, run_together
from tests.ledgers import Ledger
from tests.running import Place, Service, eventually, run_ledger


def _create(place: Place, *flags: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(done(run_ledger("keys", "create", "--json", *flags, data=place)))
    return made


def _status(service: Service, key: str) -> int:
    with service.client(key, verify=False) as client:
        return client.get("/api/v1/events").status_code


def test_keys_create_beside_a_service(service: Service) -> None:
    result = run_ledger("keys", "create", "--env", "staging", "--label", "billing agent", data=service.settings)
    [secret] = done(result).splitlines()
    assert secret.startswith("lk_staging_")
    assert "staging" in result.stderr and "role agent" in result.stderr
    assert secret not in result.stderr
    assert _status(service, secret) == 200


def test_keys_create_json(service: Service) -> None:
    flags = ("--env", "all", "--label", "an auditor", "--role", "auditor", "--expires", "2097-01-01T00:00:00+01:00")
    made = _create(service.settings, *flags)
    assert made["key"].startswith(made["prefix"])
    assert (made["role"], made["env"], made["label"]) == ("auditor", "all", "an auditor")
    assert made["expires_at"] == "2096-12-31T23:00:00.000Z"
    about = {"id", "key", "prefix", "env", "role", "label", "created_at", "created_by", "expires_at"}
    assert set(made) == about | {"agents", "triggers", "uploads"}


def test_keys_list_shows_no_secret(service: Service) -> None:
    made = _create(service.settings, "--env", "production", "--label", "red \x1b[31m alert")
    people, programs = run_together(("keys", "list"), ("keys", "list", "--json"), data=service.settings)
    [line] = [line for line in done(people).splitlines() if made["id"] in line]
    assert line.split("  ") == [made["id"], made["prefix"] + "…", "agent", "production", "-", r"red \x1b[31m alert"]
    listed = {key["id"]: key for key in json.loads(done(programs))["items"]}
    assert listed[made["id"]] == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in people.stdout + programs.stdout


def test_keys_revoke_beside_a_service(service: Service) -> None:
    made = _create(service.settings, "--env", "production", "--label", "short-lived")
    assert _status(service, made["key"]) == 200
    assert done(run_ledger("keys", "revoke", made["id"], data=service.settings)) == f"revoked {made['id']}\n"
    # On PostgreSQL the command is a writer of its own, whom the service follows within a second.
    eventually(lambda: _status(service, made["key"]) == 401, "the revocation", seconds=1)
    again, listed = run_together(("keys", "revoke", made["id"]), ("keys", "list"), data=service.settings)
    refused(again, "409", "revoked already")
    assert made["id"] not in done(listed)


def test_keys_without_a_service(fresh_ledger: Ledger) -> None:
    """The same three commands on a ledger that nobody serves; a service started later agrees."""
    place, keys = fresh_ledger
    kept = _create(place, "--env", "production", "--label", "kept")
    gone = _create(place, "--env", "development", "--label", "gone")
    done(run_ledger("keys", "revoke", gone["id"], data=place))
    refused(run_ledger("keys", "revoke", gone["id"], data=place), "409", "revoked already")
    assert checked_sizes(done(run_ledger("check", "--replay", data=place))) == [6, 3]
    with Service(place, keys) as service:
        assert (_status(service, kept["key"]), _status(service, gone["key"])) == (200, 401)


def test_keys_create_bad_expiry(service: Service) -> None:
    base = ("keys", "create", "--env", "production", "--label", "x", "--expires")
    moments = ("2097-01-01T00:00:00", "2020-01-01T00:00:00Z")
    for result in run_together(*((*base, moment) for moment in moments), data=service.settings):
        refused(result, "422", "expires_at")


def test_keys_create_wrong_words(service: Service) -> None:
    for result in run_together(
        ("keys", "create", "--label", "x"),
        ("keys", "create", "--env", "all", "--label", "x", "--role", "operator"),
        data=service.settings,
    ):
        misused(result)


def test_keys_revoke_unknown(service: Service) -> None:
    """Whatever is given as an id stays one part of the path, and is never another route."""
    ids = ("01a2013b-00bf-715c-95f8-fb5db729f327", "../events?x#y", "nul\x01", "\udcff")
    for result in run_together(*(("keys", "revoke", key_id) for key_id in ids), data=service.settings):
        refused(result, "DELETE /api/v1/keys/")


def test_keys_without_ledger(tmp_path: Path) -> None:
    refused(run_ledger("keys", "list", data=tmp_path / "none"), "run `ledger init")
    assert not (tmp_path / "none").exists()
