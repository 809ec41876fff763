# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL of the tests: it starts, crashes, recovers, and is never left behind."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.postgres import Postgres, PostgresServer
from tests.running import eventually

ONE_SERVER = """
import sys
from tests.postgres import PostgresServer
server = PostgresServer()
print(server.pid, server.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(tcp=True, settings={"work_mem": "5MB"}) as running:
        yield running


def asked(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def test_server_of_a_supported_version(server: PostgresServer) -> None:
    assert int(str(asked(server.url("postgres"), "show server_version_num"))) >= 150_000
    assert asked(server.url("postgres"), "show work_mem") == "5MB"
    assert psutil.Process(server.pid).uids().effective != 0


def test_database_from_a_template(server: PostgresServer) -> None:
    asked(server.create_database("one"), "create table things as select 7 as thing")
    assert asked(server.create_database("two", template="one"), "select thing from things") == 7
    asked(server.url("two"), "delete from things")
    assert asked(server.url("one"), "select count(*) from things") == 1
    server.drop_database("two")
    with pytest.raises(psycopg.OperationalError, match="two"):
        asked(server.url("two"), "select 1")


def test_password_over_tcp(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url("postgres"), password="another").close()


@pytest.mark.parametrize("crash", [True, False])
def test_restart_keeps_what_was_committed(server: PostgresServer, crash: bool) -> None:
    name = f"kept_{crash}"
    url = server.create_database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table things as select 7 as thing")
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        if crash:
            server.kill()
            assert not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
            server.start()
        else:
            server.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert asked(url, "select thing from things") == 7


def test_server_ends_with_who_started_it() -> None:
    """Also with one that is killed and can say nothing any more."""
    owner = subprocess.Popen(
        [sys.executable, "-c", ONE_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    server = psutil.Process(int(pid))
    assert server.is_running() and Path(folder).exists()
    owner.kill()
    owner.communicate()
    eventually(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, "the server to end")
    eventually(lambda: not Path(folder).exists(), "its folder to go")


def test_cluster_that_is_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    with PostgresServer() as place:
        data = place.folder / "kept"
        with PostgresServer(data) as first:
            asked(first.url("postgres"), "create table things as select 7 as thing")
        with PostgresServer(data) as second:
            assert asked(second.url("postgres"), "select thing from things") == 7
    assert not data.exists() and not place.folder.exists()


def test_server_that_cannot_start() -> None:
    with pytest.raises(AssertionError, match="no_such_setting"):
        PostgresServer(settings={"no_such_setting": "1"})


def test_common_server(postgres: Postgres) -> None:
    url = postgres.create_database("common")
    assert asked(url, "select current_database()") == url.partition("?")[0].rsplit("/", 1)[1]
    postgres.drop_database("common")
    postgres.drop_database("common")


def open_files() -> Counter[str]:
    """What this process has open, pipes and sockets by their numbers."""
    found = Counter()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing itself
            found[os.readlink(f"/proc/self/fd/{number}")] += 1
    return found


def test_no_file_stays_open(postgres: Postgres) -> None:
    with PostgresServer() as server:
        before = open_files()
        server.restart()
        # What other tests left to the garbage collector may be closed meanwhile.
        assert open_files() - before == Counter()
