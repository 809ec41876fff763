# SPDX-License-Identifier: Apache-2.0
"""`ledger guard`, and the fault that it is there for: yesterday's database under today's guard."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.commands.outcomes import checked_sizes, digests, done, misused, post, refused
from tests.postgres import Postgres
from tests.running import Service, run_ledger

Keys = dict[str, str]


def _under(guarded: Path) -> dict[str, str]:
    """The setting for the guard of another directory's ledger."""
    return {"LEDGER_GUARD": str(guarded / "guard")}


def _root_size(data: Path) -> int:
    return checked_sizes(done(run_ledger("check", data=data)))[-1]


def _grow_root_log(service: Service) -> None:
    """An entry of the root log, whose head is what the guard keeps."""
    with service.client() as owner:
        owner.post("/api/v1/signing-keys/rotate", json={"purpose": "root"}).raise_for_status()


@pytest.fixture(scope="module")
def made(template_ledger: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with yesterday's copy of a ledger's data and guard, and with those of today; to be copied."""
    folder = tmp_path_factory.mktemp("days")
    today = Path(shutil.copytree(template_ledger[0], folder / "today"))
    with Service(today, template_ledger[1]) as service:
        key = service.create_key()["key"]
        post(service, key, "yesterday's")
        done(run_ledger("root", "close", data=today))
    shutil.copytree(today, folder / "yesterday")
    service.start()
    with service:
        post(service, key, "today's")
        _grow_root_log(service)
    return folder


@pytest.fixture
def days(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Yesterday's data, and those of today."""
    copy = Path(shutil.copytree(made, tmp_path / "days"))
    return copy / "yesterday", copy / "today"


def test_yesterdays_database_under_todays_guard(days: tuple[Path, Path], template_ledger: tuple[Path, Keys]) -> None:
    """It refuses to sign and says what to do, stays readable, and signs nothing; today's goes on as before."""
    yesterday, today = days
    had, has = _root_size(yesterday), _root_size(today)
    assert has > had
    guard, files = digests(today / "guard"), digests(yesterday)
    for command in (("serve", "--port", "0"), ("keys", "create", "--env", "all", "--label", "x"), ("root", "close")):
        refused(
            run_ledger(*command, data=yesterday, **_under(today)),
            f"the database is behind what was published: its root log has {had} entries",
            f"a checkpoint of {has} was released",
            "Put the newest copy in its place (a later backup, or the standby that has it) and start again",
            "`ledger check`, `ledger export`",
            "a new one is begun with `ledger init`",
        )
    checked = run_ledger("check", "--replay", data=yesterday, **_under(today))
    assert checked.returncode == 1
    *sound, behind = checked.stdout.splitlines()
    assert len(checked_sizes("\n".join(sound))) == 2 and "guard: the database is behind" in behind
    done(run_ledger("export", "--out", str(yesterday / "evidence"), data=yesterday, **_under(today)))
    assert digests(today / "guard") == guard
    after = digests(yesterday)
    assert {name for name in after if after[name] != files.get(name) and not name.startswith("evidence")} <= {
        "serve.lock",
        "ledger.db-shm",
        "ledger.db-wal",
    }
    with Service(today, template_ledger[1]) as service:
        assert service.client().get("/ready").json() == {"ready": True, "reason": None}


def test_yesterdays_postgres_under_todays_guard(postgres: Postgres, tmp_path: Path) -> None:
    """A database restored from a dump, behind the same address or another."""
    data = tmp_path / "data"
    today = ("--database-url", postgres.create_database("guard_today"))
    keys = json.loads(done(run_ledger("init", "--json", *today, data=data)))
    with Service(data, keys, *today) as service:
        key = service.create_key()["key"]
        post(service, key, "yesterday's")
    yesterday = ("--database-url", postgres.create_database("guard_yesterday", template="guard_today"))
    service.start()
    with service:
        post(service, key, "today's")
    words = "behind what was published", "`ledger export`", "a new one is begun with `ledger init`"
    for command in (("serve", "--port", "0"), ("keys", "list"), ("guard", "confirm")):
        refused(run_ledger(*command, *yesterday, data=data), *words)
    checked = run_ledger("check", *yesterday, data=data)
    assert checked.returncode == 1 and len(checked_sizes("\n".join(checked.stdout.splitlines()[:-1]))) == 2
    done(run_ledger("guard", "show", *today, data=data))


def test_guard_shows_both_sides(days: tuple[Path, Path]) -> None:
    yesterday, today = days
    shown = done(run_ledger("guard", "show", data=today))
    sizes = re.findall(r"^(published|database)  +(\d+) entries  root (\S+)", shown, re.MULTILINE)
    assert [name for name, _, _ in sizes] == ["published", "database"]
    assert sizes[0][1:] == sizes[1][1:]
    assert shown.splitlines()[-1] == "ok         the database has what was published"
    behind = run_ledger("guard", "show", data=yesterday, **_under(today))
    assert behind.returncode == 1
    assert behind.stdout.splitlines()[-1].startswith("REFUSED    the database is behind")
    (yesterday / "guard").rename(yesterday / "elsewhere")
    missing = run_ledger("guard", "show", data=yesterday)
    assert missing.returncode == 1 and "there is no such file" in missing.stdout


def test_database_that_has_everything_is_confirmed_at_once(fresh_ledger: tuple[Path, Keys]) -> None:
    data, _ = fresh_ledger
    [file] = (data / "guard").glob("*.checkpoint")
    before = file.read_bytes()
    output = done(run_ledger("guard", "confirm", data=data))
    assert re.fullmatch(r"confirmed  3 entries  root \S+  newest \S+Z\n", output)
    assert file.read_bytes() == before


def test_missing_guard_is_confirmed_by_its_size(fresh_ledger: tuple[Path, Keys]) -> None:
    """A move to another machine: the operator looks at the size, and says it."""
    data, keys = fresh_ledger
    shutil.rmtree(data / "guard")
    refused(run_ledger("serve", "--port", "0", data=data), "no rollback guard", "ledger guard confirm")
    refused(run_ledger("guard", "confirm", data=data), "ledger guard confirm --size 3")
    refused(run_ledger("guard", "confirm", "--size", "4", data=data), "3 entries, not 4; nothing was changed")
    assert not (data / "guard").exists() or not list((data / "guard").glob("*.checkpoint"))
    done(run_ledger("guard", "confirm", "--size", "3", data=data))
    with Service(data, keys) as service:
        assert service.size() == 3


def test_garbled_guard_is_refused_and_can_be_confirmed(fresh_ledger: tuple[Path, Keys]) -> None:
    data, _ = fresh_ledger
    [file] = (data / "guard").glob("*.checkpoint")
    file.write_bytes(b"\x1b[2J garbled")
    for command in (("serve", "--port", "0"), ("guard", "confirm")):
        refused(run_ledger(*command, data=data), "holds no checkpoint")
    assert "\x1b" not in run_ledger("guard", "show", data=data).stdout
    confirmed = run_ledger("guard", "confirm", "--size", "3", data=data)
    assert done(confirmed) and "kept as evidence in" in confirmed.stderr
    assert [path.read_bytes() for path in (data / "guard").glob("*.disowned-*")] == [b"\x1b[2J garbled"]
    done(run_ledger("guard", "show", data=data))


def test_going_back_takes_the_exact_size_and_keeps_the_evidence(
    days: tuple[Path, Path], template_ledger: tuple[Path, Keys]
) -> None:
    """Published heads are disowned by nobody who has not said so; what they were is kept."""
    yesterday, today = days
    size = _root_size(yesterday)
    [file] = (today / "guard").glob("*.checkpoint")
    published = file.read_bytes()
    guard = _under(today)
    refused(run_ledger("guard", "confirm", data=yesterday, **guard), f"ledger guard confirm --size {size}", "disown")
    refused(run_ledger("guard", "confirm", "--size", str(size + 1), data=yesterday, **guard), "nothing was changed")
    assert file.read_bytes() == published
    done(run_ledger("guard", "confirm", "--size", str(size), data=yesterday, **guard))
    assert [path.read_bytes() for path in (today / "guard").glob("*.disowned-*")] == [published]
    with Service(yesterday, template_ledger[1], "--guard", guard["LEDGER_GUARD"]) as service:
        _grow_root_log(service)
    # Now today's is the one with another history than what was published.
    refused(run_ledger("serve", "--port", "0", data=today), "another history")


def test_confirm_is_not_for_a_ledger_that_is_served(service: Service) -> None:
    refused(run_ledger("guard", "confirm", data=service.data), "another process serves")
    done(run_ledger("guard", "show", data=service.data))


def test_damaged_database_is_not_confirmed(fresh_ledger: tuple[Path, Keys]) -> None:
    """The word of an operator does not make a head out of what hangs together no more."""
    data, _ = fresh_ledger
    content = (data / "ledger.db").read_bytes()
    (data / "ledger.db").write_bytes(content.replace(b'"type":"release.published"', b'"type":"release.Published"'))
    assert (data / "ledger.db").read_bytes() != content
    shutil.rmtree(data / "guard")
    refused(run_ledger("guard", "confirm", "--size", "3", data=data), "ledger check")


def test_size_is_a_number() -> None:
    misused(run_ledger("guard", "confirm", "--size", "newest"), "--size")
