# SPDX-License-Identifier: Apache-2.0
"""`ledger guard`, and the fault that it is there for: yesterday's database under today's guard."""

import re
import shutil
from pathlib import Path

import pytest

from ledger.settings import Settings
from tests.commands.outcomes import checked_sizes, digests, done, misused, post, refused
from tests.ledgers import Ledger, Room
from tests.log.tampering import ROOT, edit
from tests.running import Service, run_ledger
from tests.tables import alter, contents

Days = tuple[Settings, Settings]


def _guard(place: Settings) -> Path:
    assert place.guard is not None
    return place.guard


def _under(guarded: Settings) -> dict[str, str]:
    """The setting for the guard of another place's ledger."""
    return {"LEDGER_GUARD": str(guarded.guard)}


def _root_size(place: Settings) -> int:
    return checked_sizes(done(run_ledger("check", data=place)))[-1]


def _grow_root_log(service: Service) -> None:
    """An entry of the root log, whose head is what the guard keeps."""
    with service.client() as owner:
        owner.post("/api/v1/signing-keys/rotate", json={"purpose": "root"}).raise_for_status()


@pytest.fixture(scope="module")
def made(template_ledger: Ledger, module_room: Room) -> Days:
    """Yesterday's copy of a ledger's data and guard, and those of today; to be copied."""
    today = module_room.copy(template_ledger[0])
    with Service(today, template_ledger[1]) as service:
        key = service.create_key()["key"]
        post(service, key, "yesterday's")
        done(run_ledger("root", "close", data=today))
    yesterday = module_room.copy(today)
    service.start()
    with service:
        post(service, key, "today's")
        _grow_root_log(service)
    return yesterday, today


@pytest.fixture
def days(made: Days, room: Room) -> Days:
    """Yesterday's data, and those of today."""
    yesterday, today = made
    return room.copy(yesterday), room.copy(today)


def test_yesterdays_database_under_todays_guard(days: Days, template_ledger: Ledger) -> None:
    """It refuses to sign and says what to do, stays readable, and signs nothing; today's goes on as before."""
    yesterday, today = days
    had, has = _root_size(yesterday), _root_size(today)
    assert has > had
    guard, (files, rows) = digests(_guard(today)), (digests(yesterday.data), contents(yesterday))
    for command in (("serve", "--port", "0"), ("keys", "create", "--env", "all", "--label", "x"), ("root", "close")):
        refused(
            run_ledger(*command, data=yesterday, **_under(today)),
            f"the database is behind what was published: its root log has {had} entries",
            f"a checkpoint of {has} was released",
            "Put the newest copy in its place (a later backup, or the standby that has it) and start again",
            "`ledger check`, `ledger copy`",
            "a new one is begun with `ledger init`",
        )
    checked = run_ledger("check", "--replay", data=yesterday, **_under(today))
    assert checked.returncode == 1
    *sound, behind = checked.stdout.splitlines()
    assert len(checked_sizes("\n".join(sound))) == 2 and "guard: the database is behind" in behind
    # An export is signed and recorded, too.
    out = yesterday.data / "evidence"
    refused(run_ledger("export", "--out", str(out), data=yesterday, **_under(today)), "the database is behind")
    assert not out.exists()
    assert digests(_guard(today)) == guard
    assert contents(yesterday) == rows
    after = digests(yesterday.data)
    assert {name for name in after if after[name] != files.get(name)} <= {
        "serve.lock",
        "ledger.db-shm",
        "ledger.db-wal",
    }
    with Service(today, template_ledger[1]) as service:
        assert service.client().get("/ready").json() == {"ready": True, "reason": None}


def test_guard_shows_both_sides(days: Days) -> None:
    yesterday, today = days
    shown = done(run_ledger("guard", "show", data=today))
    sizes = re.findall(r"^(published|database)  +(\d+) entries  root (\S+)", shown, re.MULTILINE)
    assert [name for name, _, _ in sizes] == ["published", "database"]
    assert sizes[0][1:] == sizes[1][1:]
    assert shown.splitlines()[-1] == "ok         the database has what was published"
    behind = run_ledger("guard", "show", data=yesterday, **_under(today))
    assert behind.returncode == 1
    assert behind.stdout.splitlines()[-1].startswith("REFUSED    the database is behind")
    _guard(yesterday).rename(yesterday.data / "elsewhere")
    missing = run_ledger("guard", "show", data=yesterday)
    assert missing.returncode == 1 and "there is no such file" in missing.stdout


def test_database_that_has_everything_is_confirmed_at_once(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    [file] = _guard(place).glob("*.checkpoint")
    before = file.read_bytes()
    output = done(run_ledger("guard", "confirm", data=place))
    assert re.fullmatch(r"confirmed  3 entries  root \S+  newest \S+Z\n", output)
    assert file.read_bytes() == before


def test_missing_guard_is_confirmed_by_its_size(fresh_ledger: Ledger) -> None:
    """A move to another machine: the operator looks at the size, and says it."""
    place, keys = fresh_ledger
    shutil.rmtree(_guard(place))
    refused(run_ledger("serve", "--port", "0", data=place), "no rollback guard", "ledger guard confirm")
    refused(run_ledger("guard", "confirm", data=place), "ledger guard confirm --size 3")
    refused(run_ledger("guard", "confirm", "--size", "4", data=place), "3 entries, not 4; nothing was changed")
    assert not _guard(place).exists() or not list(_guard(place).glob("*.checkpoint"))
    done(run_ledger("guard", "confirm", "--size", "3", data=place))
    with Service(place, keys) as service:
        assert service.size() == 3


def test_garbled_guard_is_refused_and_can_be_confirmed(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    [file] = _guard(place).glob("*.checkpoint")
    file.write_bytes(b"\x1b[2J garbled")
    for command in (("serve", "--port", "0"), ("guard", "confirm")):
        refused(run_ledger(*command, data=place), "holds no checkpoint")
    assert "\x1b" not in run_ledger("guard", "show", data=place).stdout
    confirmed = run_ledger("guard", "confirm", "--size", "3", data=place)
    assert done(confirmed) and "kept as evidence in" in confirmed.stderr
    assert [path.read_bytes() for path in _guard(place).glob("*.disowned-*")] == [b"\x1b[2J garbled"]
    done(run_ledger("guard", "show", data=place))


def test_going_back_takes_the_exact_size_and_keeps_the_evidence(days: Days, template_ledger: Ledger) -> None:
    """Published heads are disowned by nobody who has not said so; what they were is kept."""
    yesterday, today = days
    size = _root_size(yesterday)
    [file] = _guard(today).glob("*.checkpoint")
    published = file.read_bytes()
    guard = _under(today)
    refused(run_ledger("guard", "confirm", data=yesterday, **guard), f"ledger guard confirm --size {size}", "disown")
    refused(run_ledger("guard", "confirm", "--size", str(size + 1), data=yesterday, **guard), "nothing was changed")
    assert file.read_bytes() == published
    done(run_ledger("guard", "confirm", "--size", str(size), data=yesterday, **guard))
    assert [path.read_bytes() for path in _guard(today).glob("*.disowned-*")] == [published]
    with Service(yesterday, template_ledger[1], "--guard", guard["LEDGER_GUARD"]) as service:
        _grow_root_log(service)
    # Now today's is the one with another history than what was published.
    refused(run_ledger("serve", "--port", "0", data=today), "another history")


@pytest.mark.only_on("sqlite", why="nothing says of a database whether somebody serves it")
def test_confirm_is_not_for_a_ledger_that_is_served(service: Service) -> None:
    refused(run_ledger("guard", "confirm", data=service.settings), "another process serves")
    done(run_ledger("guard", "show", data=service.settings))


def test_damaged_database_is_not_confirmed(fresh_ledger: Ledger) -> None:
    """The word of an operator does not make a head out of what hangs together no more."""
    place, _ = fresh_ledger
    alter(place, edit(b'"type":"release.published"', b'"type":"release.Published"', 2, ROOT))
    shutil.rmtree(_guard(place))
    refused(run_ledger("guard", "confirm", "--size", "3", data=place), "ledger check")


def test_size_is_a_number() -> None:
    misused(run_ledger("guard", "confirm", "--size", "newest"), "--size")
