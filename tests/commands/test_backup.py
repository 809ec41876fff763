# SPDX-License-Identifier: Apache-2.0
"""`ledger backup` and `ledger restore` with real processes: beside a service, killed, damaged, too old."""

import base64
import json
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from ledger.commands import places
from ledger.commands.restore_command import command as restore
from tests.commands.outcomes import WAIT_SECONDS, checked_sizes, digests, done, misused, post, refused
from tests.postgres import Postgres
from tests.running import Service, environment, event, eventually, guarded, read_json, run_ledger

Keys = dict[str, str]

FILES = {"backup.json", "ledger.db", "ledger-verify.pyz"}
EVENTS = 2000


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    """A fresh ledger in a data directory, which these tests copy elsewhere themselves, and its keys."""
    data = tmp_path_factory.mktemp("made") / "data"
    return data, json.loads(done(run_ledger("init", "--json", data=data)))


@pytest.fixture
def fresh_here(made_here: tuple[Path, Keys], tmp_path: Path) -> tuple[Path, Keys]:
    return Path(shutil.copytree(made_here[0], tmp_path / "data")), made_here[1]


@pytest.fixture(scope="module")
def filled(made_here: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a ledger with some thousand entries and a closed day; not to be changed."""
    data = Path(shutil.copytree(made_here[0], tmp_path_factory.mktemp("filled") / "data"))
    with Service(data, made_here[1]) as service:
        key = service.create_key()["key"]
        for start in range(0, EVENTS, 1000):
            post(service, key, *(f"call-{number}" for number in range(start, start + 1000)))
        done(run_ledger("root", "close", data=data))
    return data


@pytest.fixture(scope="module")
def checked(filled: Path) -> str:
    """What the self-check says of it."""
    return done(run_ledger("check", "--replay", data=filled))


@pytest.fixture(scope="module")
def backup(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it; not to be changed."""
    folder = tmp_path_factory.mktemp("backups") / "deep" / "first"
    done(run_ledger("backup", str(folder), data=filled))
    return folder


def _keys_to(source: Path, data: Path) -> Path:
    """Put the keys in their place, from where they are kept apart."""
    for name in ("keystore.db", "master.key"):
        shutil.copy(source / name, data / name)
    return data


def test_backup_is_a_folder_for_its_owner_without_keys(filled: Path, backup: Path) -> None:
    assert {path.name for path in backup.iterdir()} == FILES
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    assert stat.S_IMODE((backup / "ledger.db").stat().st_mode) == 0o600
    assert [path.name for path in backup.parent.iterdir()] == ["first"]
    master = (filled / "master.key").read_bytes().strip()
    for path in backup.iterdir():
        assert master not in path.read_bytes() and base64.b64decode(master) not in path.read_bytes()


def test_backup_says_what_is_in_it_and_what_is_not(filled: Path, checked: str, tmp_path: Path) -> None:
    result = run_ledger("backup", str(tmp_path / "backup"), data=filled)
    lines = [line.split() for line in done(result).splitlines()]
    assert [line[1:] for line in lines] == [line.split()[1:] for line in checked.splitlines()]
    assert "Not in it: the data keys and the master key" in result.stderr
    said = read_json(tmp_path / "backup" / "backup.json")
    assert said["format"] == "ledger-backup/v1"
    assert [(log["origin"], log["size"]) for log in said["contents"]["logs"]] == [(l[1], int(l[2])) for l in lines]  # noqa: E741


def test_restored_ledger_is_the_one_it_was(filled: Path, checked: str, backup: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = run_ledger("restore", str(backup), data=data, **guarded(filled))
    assert [line.split()[0] for line in done(result).splitlines()] == ["restored", "restored"]
    for name in ("master.key", "keystore.db"):
        assert f"{data / name} is missing" in result.stderr
    assert "ledger guard confirm --data" in result.stderr
    _keys_to(filled, data)
    assert (data / "ledger-verify.pyz").read_bytes() == (filled / "ledger-verify.pyz").read_bytes()
    assert done(run_ledger("check", "--replay", data=data, **guarded(filled))) == checked
    assert {path.name for path in backup.iterdir()} == FILES, "reading it left no journal in it"


def test_restore_into_postgres_and_back_up_from_it(
    filled: Path, checked: str, backup: Path, tmp_path: Path, postgres: Postgres
) -> None:
    """What is in a backup does not depend on where it was taken from."""
    database = ("--database-url", postgres.create_database("restored"))
    done(run_ledger("restore", str(backup), *database, data=tmp_path))
    _keys_to(filled, tmp_path)
    assert done(run_ledger("check", "--replay", *database, data=tmp_path)) == checked
    done(run_ledger("backup", str(tmp_path / "again"), *database, data=tmp_path))
    assert read_json(tmp_path / "again" / "backup.json")["contents"] == read_json(backup / "backup.json")["contents"]


def test_backup_beside_a_busy_service(
    made_here: tuple[Path, Keys], fresh_here: tuple[Path, Keys], tmp_path: Path
) -> None:
    """Nothing that was acknowledged before is missing, and what comes meanwhile is no harm to it or from it."""
    data, keys = fresh_here
    stop, failed = threading.Event(), []
    with Service(data, keys, "--root-interval", "0.05") as service:
        key = service.create_key()["key"]

        def report() -> None:
            number = 0
            with service.client(key) as client:
                while not stop.is_set():
                    events = [event(f"during-{number}-{place}") for place in range(20)]
                    number += 1
                    answer = client.post("/api/v1/events", json={"events": events})
                    if answer.status_code != httpx.codes.OK:
                        failed.append(answer.text)

        reporter = threading.Thread(target=report)
        post(service, key, *(f"before-{number}" for number in range(700)))
        reporter.start()
        try:
            eventually(lambda: service.size() > 800, "the load")
            size = service.size()
            done(run_ledger("backup", str(tmp_path / "backup"), data=data))
        finally:
            stop.set()
            reporter.join()
        assert failed == []
    restored = tmp_path / "restored"
    result = run_ledger("restore", str(tmp_path / "backup"), data=restored, **guarded(data))
    done(result)
    _keys_to(data, restored)
    sizes = checked_sizes(done(run_ledger("check", "--replay", data=restored)))
    assert sizes[0] >= size
    # The service went on and published more: this copy can be read, and not be signed on.
    assert "This copy cannot be signed on. the database is behind what was published" in result.stderr
    refused(run_ledger("serve", "--port", "0", data=restored, **guarded(data)), "behind what was published")


def test_backup_takes_no_place_that_is_taken(filled: Path, backup: Path, tmp_path: Path) -> None:
    before = digests(backup)
    refused(run_ledger("backup", str(backup), data=filled), "exists already")
    refused(run_ledger("backup", str(tmp_path / "new"), data=tmp_path / "none"), "no ledger")
    assert digests(backup) == before and not list(tmp_path.iterdir())


def test_restore_overwrites_nothing(filled: Path, backup: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(filled, tmp_path / "data"))
    before = digests(data)
    refused(run_ledger("restore", str(backup), data=data), "there is a ledger in", "nothing was changed")
    assert digests(data) == before


def test_restore_of_what_is_no_backup(filled: Path, backup: Path, tmp_path: Path) -> None:
    refused(run_ledger("restore", str(filled), data=tmp_path / "data"), "is no backup")
    misused(run_ledger("restore", str(tmp_path / "missing"), data=tmp_path / "data"), "does not exist")
    bad = Path(shutil.copytree(backup, tmp_path / "bad"))
    (bad / "backup.json").write_text('{"format": 7}')
    refused(run_ledger("restore", str(bad), data=tmp_path / "data"), "is damaged")
    said = read_json(backup / "backup.json") | {"format": "ledger-backup/v9"}
    (bad / "backup.json").write_text(json.dumps(said))
    refused(run_ledger("restore", str(bad), data=tmp_path / "data"), "ledger-backup/v9")
    assert not (tmp_path / "data").exists()


def test_damaged_backup_is_not_restored(backup: Path, tmp_path: Path) -> None:
    """A bit of an entry, half the file, no file."""
    content = (backup / "ledger.db").read_bytes()
    at = content.rindex(b'"type":"call.reported"')
    cut = Path(shutil.copytree(backup, tmp_path / "cut"))
    for changed, word in (
        (content[:at] + b'"type":"call.rePorted"' + content[at + 22 :], "entr"),
        (content[: len(content) // 2], "ledger.db"),
    ):
        (cut / "ledger.db").write_bytes(changed)
        result = run_ledger("restore", str(cut), data=tmp_path / "data")
        refused(result, word)
        assert not (tmp_path / "data" / "ledger.db").exists()
    (cut / "ledger.db").unlink()
    refused(run_ledger("restore", str(cut), data=tmp_path / "data"), "no ledger at")


def test_failed_restore_says_what_it_left_in_a_database(backup: Path, tmp_path: Path, postgres: Postgres) -> None:
    """Tables of no ledger are in the way of the next try, and only whoever is told so knows what to do with them."""
    content = (backup / "ledger.db").read_bytes()
    at = content.rindex(b'"type":"call.reported"')
    bad = Path(shutil.copytree(backup, tmp_path / "bad"))
    (bad / "ledger.db").write_bytes(content[:at] + b'"type":"call.rePorted"' + content[at + 22 :])
    database = ("--database-url", postgres.create_database("restore_failed"))
    failed = run_ledger("restore", str(bad), *database, data=tmp_path / "data")
    refused(failed, "entr", "holds the beginning of the copy, and no ledger", "drop it, make an empty one")
    refused(run_ledger("restore", str(backup), *database, data=tmp_path / "data"), "cut short", "drop it")
    postgres.drop_database("restore_failed")
    postgres.create_database("restore_failed")
    done(run_ledger("restore", str(backup), *database, data=tmp_path / "data"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the disk is gone")])
def test_interrupted_restore_says_so_too(
    backup: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(places, "copy_ledger", fail)
    url = postgres.new_database()
    result = CliRunner().invoke(restore, [str(backup), "--data", str(tmp_path / "data"), "--database-url", url])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds the beginning of the copy, and no ledger" in result.stderr


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_killed_half_way_leaves_nothing_that_looks_whole(
    filled: Path, checked: str, backup: Path, tmp_path: Path, command: str
) -> None:
    """Killed as soon as a file is begun; run again it does what was asked."""
    target = tmp_path / "target"
    arguments = {
        "backup": ["backup", str(target), "--data", str(filled)],
        "restore": ["restore", str(backup), "--data", str(target)],
    }[command]
    whole = target if command == "backup" else target / "ledger.db"
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "ledger", *arguments],
            env=environment(**guarded(filled)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda process=process: process.poll() is not None or list(tmp_path.rglob("ledger.*")), "a file")
        process.kill()
        process.wait(WAIT_SECONDS)
    if not whole.exists():
        done(run_ledger(*arguments, **guarded(filled)))
    restored = target if command == "restore" else tmp_path / "again"
    if command == "backup":
        done(run_ledger("restore", str(target), data=restored))
    _keys_to(filled, restored)
    assert checked_sizes(done(run_ledger("check", data=restored))) == checked_sizes(
        done(run_ledger("check", data=filled))
    )
