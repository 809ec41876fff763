# SPDX-License-Identifier: Apache-2.0
"""`ledger init`: a new ledger with private files, or nothing at all."""

import base64
import json
import os
import re
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.commands.init_command import command as init
from ledger.log.errors import UnavailableError
from ledger.log.store import UNFINISHED
from ledger.log.store.keys import SqliteKeys
from ledger.log.store.postgres import PostgresStore
from ledger.settings import Settings
from tests.commands.outcomes import WAIT_SECONDS, checked_sizes, digests, done, refused, run_together
from tests.ledgers import Ledger, Room
from tests.running import Service, environment, eventually, run_ledger, variables
from tests.tables import contents, opened

_UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_VKEY_END = r"\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_for_people(tmp_path: Path) -> None:
    result = run_ledger("init", "--origin", "ledger.example.com", data=tmp_path / "data")
    assert re.fullmatch(
        rf"tenant     {_UUID7}\n"
        r"owner key  lk_all_[A-Za-z0-9_-]{43}\n"
        rf"log vkey   ledger\.example\.com/log/[0-9a-f]{{16}}{_VKEY_END}\n"
        rf"root vkey  ledger\.example\.com/root{_VKEY_END}\n",
        done(result),
    )
    assert "shown this once" in result.stderr
    assert f"Next: ledger serve --data {tmp_path / 'data'}" in result.stderr


def test_init_json(tmp_path: Path) -> None:
    result = run_ledger("init", "--json", "--origin", "ledger.example.com:8443/eu", data=tmp_path / "data")
    made = json.loads(done(result))
    assert result.stderr == ""
    assert set(made) == {"tenant_id", "owner_key", "log_vkey", "root_vkey"}
    assert re.fullmatch(_UUID7, made["tenant_id"])
    assert made["root_vkey"].startswith("ledger.example.com:8443/eu/root+")
    assert checked_sizes(done(run_ledger("check", "--replay", data=tmp_path / "data"))) == [3, 3]


def test_init_makes_private_files(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    guard = tmp_path / "state" / "guard"
    done(run_ledger("init", data=data, LEDGER_GUARD=str(guard)))
    assert _mode(data) == _mode(guard) == 0o700
    assert {path.suffix: _mode(path) for path in guard.iterdir()} == {".checkpoint": 0o600, ".lock": 0o600}
    files = {path.name: _mode(path) for path in data.iterdir()}
    assert files.pop("ledger-verify.pyz") & 0o022 == 0
    assert files == dict.fromkeys(("ledger.db", "keystore.db", "master.key", "serve.lock"), 0o600)


@pytest.mark.only_on("postgres", why="of SQLite it is the test before")
def test_init_in_a_database_makes_private_files(room: Room) -> None:
    """The directory holds what the database must not have, and nothing of what it has."""
    place = room.new()
    result = run_ledger("init", data=place)
    done(result)
    assert _mode(place.data) == 0o700
    files = {path.name: _mode(path) for path in place.data.iterdir() if path.is_file()}
    assert files.pop("ledger-verify.pyz") & 0o022 == 0
    assert files == dict.fromkeys(("keystore.db", "master.key", "serve.lock"), 0o600)
    assert f"Next: ledger serve --data {place.data} --database-url URL" in result.stderr


def test_serve_makes_private_files(service: Service) -> None:
    names = {path.name: path for path in service.data.iterdir() if path.name not in ("ledger-verify.pyz", "guard")}
    files = {name: _mode(path) for name, path in names.items()}
    assert set(files.values()) == {0o600}
    in_the_file = {"serve.sock", "ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert in_the_file & set(files) == (set() if service.settings.shared else in_the_file)


def test_init_twice_changes_nothing(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    before = digests(place.data), contents(place)
    refused(run_ledger("init", "--origin", "other.example.com", data=place), "already", "nothing was changed")
    assert (digests(place.data), contents(place)) == before


@pytest.mark.only_on("postgres", why="two data directories on SQLite have two databases")
def test_init_from_another_directory_changes_nothing(fresh_ledger: Ledger, tmp_path: Path) -> None:
    """Whose database it is does not depend on whose directory is empty."""
    place, _ = fresh_ledger
    before = contents(place)
    refused(run_ledger("init", data=replace(place, data=tmp_path / "other")), "already", "nothing was changed")
    assert contents(place) == before
    assert checked_sizes(done(run_ledger("check", data=place))) == [3, 3]


@pytest.mark.only_on("postgres", why="of SQLite it is the test of two files that stand in the way")
def test_init_in_a_database_that_cannot_be_used(room: Room) -> None:
    place = room.new()
    nowhere = replace(place, database_url=str(place.database_url).replace("/ledger_test_", "/no_such_"))
    refused(run_ledger("init", data=nowhere), "the database cannot be used", "does not exist")
    with opened(place) as tables:
        tables.change("create table heads (ours integer)")
    refused(run_ledger("init", data=place), "heads")
    with opened(place) as tables:
        tables.change("drop table heads")
    done(run_ledger("init", data=place))
    assert checked_sizes(done(run_ledger("check", data=place))) == [3, 3]


def test_init_bad_origin(tmp_path: Path) -> None:
    origins = ("", "https://ledger.example.com", "ünicode.example", "a\nb")
    for result in run_together(*(("init", "--origin", origin) for origin in origins), data=tmp_path / "data"):
        refused(result, "not a host name")
    assert not (tmp_path / "data").exists()


def test_init_master_key_of_environment(tmp_path: Path) -> None:
    data, key = tmp_path / "data", base64.b64encode(os.urandom(32)).decode()
    done(run_ledger("init", data=data, LEDGER_MASTER_KEY=key))
    assert not (data / "master.key").exists()
    refused(run_ledger("check", data=data), "no master key", "LEDGER_MASTER_KEY")
    assert done(run_ledger("check", data=data, LEDGER_MASTER_KEY=key))


def test_init_master_key_malformed_leaves_no_ledger(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused(run_ledger("init", data=data, LEDGER_MASTER_KEY="c2hvcnQ="), "LEDGER_MASTER_KEY", "32 bytes")
    assert not (data / "ledger.db").exists()
    assert done(run_ledger("init", data=data))


def test_init_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(run_ledger("init", data=tmp_path / "file" / "data"), "Not a directory")


@pytest.mark.parametrize("obstacle", ["keystore.db", "ledger.new"])
def test_init_failed_half_way_leaves_no_ledger(tmp_path: Path, obstacle: str) -> None:
    """A directory stands where a file is to be made; when it is gone, init starts over."""
    data = tmp_path / "data"
    (data / obstacle).mkdir(parents=True)
    refused(run_ledger("init", data=data))
    assert not (data / "ledger.db").exists()
    (data / obstacle).rmdir()
    done(run_ledger("init", data=data))
    assert checked_sizes(done(run_ledger("check", data=data))) == [3, 3]


@pytest.mark.only_on("postgres", why="its directory has keys and no database")
def test_keys_of_a_ledger_elsewhere_are_kept(fresh_ledger: Ledger) -> None:
    """Whoever forgets the URL is not told to make a new ledger over the keys of his own, and cannot."""
    place, _ = fresh_ledger
    before, forgotten = digests(place.data), replace(place, database_url=None)
    for command in (("keys", "list"), ("check",), ("serve", "--port", "0")):
        refused(run_ledger(*command, data=forgotten), "only the keys of one", "--database-url")
    refused(
        run_ledger("init", data=forgotten), "holds the data keys of a ledger", "--database-url", "nothing was changed"
    )
    (place.data / "master.key").rename(place.data / "away")
    refused(run_ledger("init", data=forgotten), "holds the data keys of a ledger")
    (place.data / "away").rename(place.data / "master.key")
    assert digests(place.data) == before
    assert checked_sizes(done(run_ledger("check", data=place))) == [3, 3]


@pytest.mark.only_on("postgres", why="of SQLite it is the test before")
def test_keys_of_a_ledger_in_another_database_are_kept_apart(fresh_ledger: Ledger, room: Room) -> None:
    """Two ledgers in one keystore would be backed up, moved and lost together."""
    place, _ = fresh_ledger
    before, other = digests(place.data), replace(place, database_url=room.new().database_url)
    refused(run_ledger("init", data=other), "holds the data keys of a ledger", "--data", "nothing was changed")
    assert digests(place.data) == before
    refused(run_ledger("check", data=other), "no ledger in this database")
    assert checked_sizes(done(run_ledger("check", data=place))) == [3, 3]


@pytest.mark.only_on("postgres", why="on SQLite the database is unfinished, too, and made anew")
def test_init_that_failed_after_its_keys_is_run_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own keys are not those of another ledger."""
    place = room.new()

    def fail(*_: object) -> None:
        raise UnavailableError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresStore, "append", fail)
        failed = CliRunner().invoke(init, env=variables(place))
    assert failed.exit_code == 1 and "went away" in failed.stderr
    with closing(SqliteKeys(place.keystore, read_only=True)) as keys:
        assert keys.after(b"")
    done(run_ledger("init", data=place))
    assert checked_sizes(done(run_ledger("check", data=place))) == [3, 3]
    assert {path.name for path in place.data.iterdir() if path.suffix in (".new", ".unfinished")} == set()


def _begin(place: Settings) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ledger", "init", "--json"]
    told = environment(**variables(place))
    return subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_init_killed_half_way(room: Room) -> None:
    """Killed as soon as one file after another appears: there is a whole ledger or none, and init can be run again."""
    place = room.new()
    for name in ("master.key", "keystore.db", "ledger.new"):
        process = _begin(place)
        eventually(lambda name=name, process=process: (place.data / name).exists() or process.poll() is not None, name)
        process.kill()
        process.communicate(timeout=WAIT_SECONDS)
    if run_ledger("check", data=place).returncode != 0:
        done(run_ledger("init", data=place))
    assert checked_sizes(done(run_ledger("check", "--replay", data=place))) == [3, 3]
    assert not [path for path in place.data.iterdir() if path.name.startswith("ledger.new")]


def _one_of_two(first: Settings, second: Settings) -> None:
    """Of two inits at the same time one makes the ledger, and the other changes nothing."""
    both = [_begin(place) for place in (first, second)]
    outputs = [process.communicate(timeout=WAIT_SECONDS) for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 1]
    assert all("Traceback" not in errors for _, errors in outputs)
    made = (first, second)[codes.index(0)]
    assert checked_sizes(done(run_ledger("check", data=made))) == [3, 3]


def test_init_twice_at_once(room: Room) -> None:
    place = room.new()
    _one_of_two(place, place)


@pytest.mark.only_on("postgres", why="two data directories on SQLite have two databases")
def test_init_from_two_directories_at_once(room: Room) -> None:
    place = room.new()
    _one_of_two(place, replace(place, data=place.data.with_name("other")))


@pytest.mark.only_on("postgres", why="on SQLite a copy has another name until it is whole")
def test_init_over_the_beginning_of_a_copy(room: Room) -> None:
    place = room.new()
    assert place.database_url is not None
    with closing(PostgresStore.initialise(place.database_url)) as store:
        store.put_note(UNFINISHED, "1")
    refused(run_ledger("init", data=place), "a copy of a ledger that was cut short", "drop it")
