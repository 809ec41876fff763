# SPDX-License-Identifier: Apache-2.0
"""`ledger copy`: to PostgreSQL and back, with the same evidence, and with one copy that signs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.commands.outcomes import WAIT_SECONDS, checked_sizes, done, misused, post, refused
from tests.postgres import Postgres
from tests.running import Service, environment, eventually, guarded, run_ledger

Keys = dict[str, str]
Story = tuple[Path, dict[str, bytes]]


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    """A fresh ledger in a data directory, which these tests copy elsewhere themselves, and its keys."""
    data = tmp_path_factory.mktemp("made") / "data"
    return data, json.loads(done(run_ledger("init", "--json", data=data)))


@pytest.fixture(scope="module")
def story(made_here: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The data of a ledger with a closed day, and receipts and the day as the service gave them out last."""
    data = Path(shutil.copytree(made_here[0], tmp_path_factory.mktemp("story") / "data"))
    with Service(data, made_here[1]) as service:
        items = post(service, service.create_key()["key"], *(f"call-{number}" for number in range(600)))
        done(run_ledger("root", "close", data=data))
        paths = [f"/api/v1/receipts/{item['event_id']}?disclose=all" for item in items[::60]]
        return data, _evidence(
            service, [*paths, "/api/v1/transparency/roots", "/api/v1/transparency/checkpoint", "/root/checkpoint"]
        )


def _evidence(service: Service, paths: list[str]) -> dict[str, bytes]:
    with service.client() as client:
        return {
            path: client.get(path, params={"disclose": "all"} if "receipts" in path else {}).content for path in paths
        }


def test_copy_to_postgres_and_back_gives_the_same_evidence(
    story: Story, made_here: tuple[Path, Keys], postgres: Postgres, tmp_path: Path
) -> None:
    """One after the other is confirmed and served; who was served before is refused from then on."""
    original, evidence = story
    data, back = Path(shutil.copytree(original, tmp_path / "data")), tmp_path / "back"
    guard, url = guarded(data), postgres.create_database("copy_there_and_back")
    copied = done(run_ledger("copy", "--from", str(data), "--to", url, **guard))
    assert [line.split()[0] for line in copied.splitlines()] == ["copied", "copied"]
    database = ("--database-url", url)
    refused(run_ledger("serve", "--port", "0", *database, data=data), "only one may sign", "ledger guard confirm")
    done(run_ledger("guard", "confirm", *database, data=data))
    refused(run_ledger("serve", "--port", "0", data=data), "another copy of this ledger signed last")
    with Service(data, made_here[1], *database) as service:
        assert _evidence(service, list(evidence)) == evidence
        post(service, service.create_key()["key"], "in PostgreSQL")
        done(run_ledger("root", "close", *database, data=data))
    copied = run_ledger("copy", "--from", url, "--to", str(back), **guard)
    assert f"ledger guard confirm --data {back}" in copied.stderr and done(copied)
    for name in ("keystore.db", "master.key", "ledger-verify.pyz"):
        shutil.copy(data / name, back / name)
    # The original lacks by now what the copy published.
    refused(run_ledger("guard", "confirm", data=data), "behind what was published")
    done(run_ledger("guard", "confirm", data=back, **guard))
    with Service(back, made_here[1], "--guard", guard["LEDGER_GUARD"]) as service:
        post(service, service.create_key()["key"], "in SQLite again")
    sizes = checked_sizes(done(run_ledger("check", "--replay", data=back, **guard)))
    assert sizes[0] == checked_sizes(done(run_ledger("check", data=data, **guarded(tmp_path))))[0] + 4


@pytest.mark.only_on("sqlite", "the source is a data directory")
def test_copy_of_a_served_ledger_says_that_it_lacks_the_rest(service: Service, tmp_path: Path) -> None:
    """It is for trying things; the ledger goes on elsewhere."""
    key = service.create_key()["key"]
    post(service, key, *(f"before-{number}" for number in range(300)))
    copied = run_ledger("copy", "--from", str(service.data), "--to", str(tmp_path / "copy"), **guarded(service.data))
    assert done(copied)
    post(service, key, "after")
    published = service.client().get("/root/checkpoint").text
    eventually(lambda: service.client().get("/root/checkpoint").text != published or None, "another commitment")
    shutil.copy(service.data / "master.key", tmp_path / "copy")
    shutil.copy(service.data / "keystore.db", tmp_path / "copy")
    behind = run_ledger("guard", "confirm", data=tmp_path / "copy", **guarded(service.data))
    refused(behind, "behind what was published")


def test_copy_killed_half_way_is_no_ledger(story: Story, postgres: Postgres) -> None:
    """What it left in the database is recognised, by whoever would serve it and by the next copy."""
    url = postgres.create_database("copy_killed")
    command = [sys.executable, "-m", "ledger", "copy", "--from", str(story[0]), "--to", url]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with psycopg.connect(url, autocommit=True) as connection:

        def begun() -> bool:
            there = connection.execute("select to_regclass('heads') is not null").fetchone() == (True,)
            return there and connection.execute("select from heads limit 1").fetchone() is not None

        eventually(lambda: begun() or process.poll() is not None, "the first log")
        process.kill()
        process.wait(WAIT_SECONDS)
        # Where the kill came too late for it: as it is until the very last step.
        connection.execute("update notes set text = '1' where name = 'unfinished'")
    for command_line in ("serve --port 0", "check", "guard confirm --size 5", "keys list"):
        result = run_ledger(*command_line.split(), "--database-url", url, data=story[0])
        if command_line.startswith("check"):
            assert result.returncode == 1, result.stdout + result.stderr
        else:
            refused(result, "cut short", "drop it")
    refused(run_ledger("copy", "--from", str(story[0]), "--to", url), "cut short", "drop it")


def test_copy_to_where_it_cannot_go(story: Story, postgres: Postgres, tmp_path: Path) -> None:
    data = str(story[0])
    refused(run_ledger("copy", "--from", data, "--to", data), "take the place of what it is made from")
    refused(run_ledger("copy", "--from", str(tmp_path / "none"), "--to", str(tmp_path / "new")), "no ledger")
    refused(run_ledger("copy", "--from", data, "--to", "mysql://db/ledger"), "postgresql://")
    refused(run_ledger("copy", "--from", data, "--to", postgres.url("there_is_none")), "the database cannot be used")
    refused(run_ledger("copy", "--from", postgres.create_database("copy_empty"), "--to", data), "there is no ledger")
    misused(run_ledger("copy", "--from", data), "--to")
    assert not list(tmp_path.iterdir())
