# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with the database is answered by one line and an exit code, as with the directory."""

import base64
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.settings import Settings
from tests.commands.outcomes import checked_sizes, done, refused
from tests.ledgers import Ledger, Room
from tests.running import Service, run_ledger
from tests.tables import opened

pytestmark = pytest.mark.only_on("postgres", why="what is wrong is in the database or on the way to it")


def _at(place: Settings, old: str, new: str) -> Settings:
    """The same place with something else in its URL."""
    assert place.database_url is not None and old in place.database_url
    return replace(place, database_url=place.database_url.replace(old, new))


def _change(statement: str) -> Callable[[Settings], Settings]:
    def change(place: Settings) -> Settings:
        with opened(place) as tables:
            tables.change(statement)
        return place

    return change


def _without_keystore(place: Settings) -> Settings:
    place.keystore.unlink()
    return place


def _another_master_key(place: Settings) -> Settings:
    place.master_key_file.write_bytes(base64.b64encode(os.urandom(32)))
    return place


# What is done to a ledger's place, and words of the answer of every command.
WRONG: dict[str, tuple[Callable[[Settings], Settings], str]] = {
    "no such database": (lambda place: _at(place, "/ledger_test_", "/no_such_"), "does not exist"),
    "no server": (lambda place: replace(place, database_url="postgresql://127.0.0.1:1/ledger"), "refused"),
    "no such role": (lambda place: replace(place, database_url=_role(place)), "nobody_known"),
    "no URL": (lambda place: replace(place, database_url="postgresql://["), "the database cannot be used"),
    "another kind": (
        lambda place: replace(place, database_url="mysql://127.0.0.1/ledger"),
        "the database cannot be used",
    ),
    "empty": (_change("drop schema public cascade; create schema public"), "run `ledger init` first"),
    "cut short": (_change("truncate logs, heads cascade"), "run `ledger init` first"),
    "of a later version": (_change("update schema_version set version = 7"), "has format 7"),
    "of something else": (_change("drop table heads cascade"), "ledger"),
    "another master key": (_another_master_key, "the master key is not the one"),
    "no keystore": (_without_keystore, "keystore.db is missing"),
}


def _role(place: Settings) -> str:
    assert place.database_url is not None
    scheme, _, rest = place.database_url.partition("://")
    return f"{scheme}://nobody_known@{rest.rpartition('@')[2]}"


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["serve --port 0", "check", "keys list"])
def test_what_is_wrong_with_a_database_is_said(fresh_ledger: Ledger, name: str, command: str) -> None:
    change, words = WRONG[name]
    result = run_ledger(*command.split(), data=change(fresh_ledger[0]))
    if command == "check" and result.stdout:
        # Where the database opens, the self-check names what is wrong with each log.
        assert result.returncode == 1 and words in result.stdout, result.stdout
    else:
        refused(result, words)


def test_password_is_never_shown(fresh_ledger: Ledger) -> None:
    place = replace(fresh_ledger[0], database_url="postgresql://somebody:secret-password@127.0.0.1:1/ledger")
    elsewhere = replace(place, data=place.data.with_name("without-keys"))
    for command, where in (("check", place), ("serve --port 0", place), ("init", elsewhere)):
        result = run_ledger(*command.split(), data=where)
        refused(result, "the database cannot be used")
        assert "secret-password" not in result.stderr


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret%zz@db/x", "postgresql://u:a secret@db/x", "password=a secret", "mysql://secret"]
)
def test_text_that_is_no_url_is_never_shown(fresh_ledger: Ledger, url: str) -> None:
    result = run_ledger("check", data=replace(fresh_ledger[0], database_url=url))
    refused(result, "percent-encoded")
    assert "secret" not in result.stderr


def test_service_says_where_without_the_password(fresh_ledger: Ledger) -> None:
    place, keys = fresh_ledger
    told = _at(place, "://postgres", "://postgres:secret-password")
    with Service(told, keys) as service:
        assert service.size() == 3
    log = service.log_path.read_text()
    assert "serving PostgreSQL" in log and "secret-password" not in log


def test_keystore_in_a_database_of_its_own(room: Room) -> None:
    """For several hosts: the directory then holds no key of a disclosure, and each host has a directory of its own."""
    place = replace(room.new(), keystore_url=room.new().database_url)
    done(run_ledger("init", data=place))
    assert not place.keystore.exists()
    other = replace(place, data=place.data.with_name("another-host"), master_key_path=place.master_key_file)
    assert checked_sizes(done(run_ledger("check", data=other))) == [3, 3]
    refused(run_ledger("check", data=replace(place, keystore_url=room.new().database_url)), "without a keystore")
