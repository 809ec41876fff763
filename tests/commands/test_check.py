# SPDX-License-Identifier: Apache-2.0
"""`ledger check`: all is well, or the first index that differs; beside a service under load as well."""

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from tests.commands.outcomes import checked_sizes, digests, done, post, refused, run_together
from tests.running import Service, run_ledger

EVENTS = 12
FIRST = 4
"""Index of the first reported event: genesis, tenant, owner key and the agent's key come before it."""


@pytest.fixture(scope="module")
def stopped(template_ledger: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with events and a closed day, its journal written back, not served any more."""
    source, keys = template_ledger
    data = Path(shutil.copytree(source, tmp_path_factory.mktemp("stopped") / "data"))
    with Service(data, keys) as service:
        post(service, service.create_key()["key"], *(f"checked-{number}" for number in range(EVENTS)))
        with service.client(verify=False) as client:
            client.post("/api/v1/transparency/roots").raise_for_status()
    assert not (data / "ledger.db-wal").exists()
    return data


@pytest.fixture
def copied(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "data"))


def _flip(database: Path, mark: bytes) -> None:
    """Change one bit of the byte after the only place where the file holds `mark`."""
    content = bytearray(database.read_bytes())
    assert content.count(mark) == 1, content.count(mark)
    content[content.index(mark) + len(mark)] ^= 1
    database.write_bytes(content)


def _failure(data: Path) -> str:
    """The first line with a failure: the root log's may follow from that of the tenant's."""
    result = run_ledger("check", "--replay", data=data)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return next(line for line in result.stdout.splitlines() if line.startswith("FAIL  "))


def test_check_ok(stopped: Path) -> None:
    result = run_ledger("check", data=stopped)
    assert checked_sizes(done(result)) == [FIRST + EVENTS, 5]
    assert result.stderr == ""
    assert checked_sizes(done(run_ledger("check", "--replay", data=stopped))) == [FIRST + EVENTS, 5]


def test_check_flipped_byte(copied: Path) -> None:
    """One bit, in the file itself: event 5 stands at index 9."""
    _flip(copied / "ledger.db", b'"call_id":"checked-5","env":"')
    assert _failure(copied).partition(": ")[0].endswith("entries at index 9")


def test_check_flipped_byte_of_a_governing_leaf(copied: Path) -> None:
    """State cannot be folded over it, so the check ends there, still naming the index."""
    _flip(copied / "ledger.db", b'"type":"tenant.create')
    refused(run_ledger("check", data=copied), "entry 1", "tenant.createe")


def test_check_entry_missing(copied: Path) -> None:
    connection = sqlite3.connect(copied / "ledger.db", isolation_level=None)
    assert connection.execute("delete from entries where position = (1 << 40) + 9").rowcount == 1
    connection.close()
    refused(run_ledger("check", data=copied), "entry 9 of log 1 is missing")


CHANGES = {
    "update entries set verdict = 'deny' where position = (1 << 40) + 6": "columns at index 6: column verdict",
    "update entries set sealed = zeroblob(99) where position = (1 << 40) + 7": "disclosures at index 7: ",
    "update heads set size = size - 1 where log_number = 1": "head at index 14: ",
    "update days set date = '2020-01-01'": "days: ",
    "delete from committed_heads": "commitments at index 3: ",
}


def test_check_changed_rows(stopped: Path, tmp_path: Path) -> None:
    """Whatever column is changed with other tools, the first index that differs is named."""
    commands = []
    for number, statement in enumerate(CHANGES):
        data = Path(shutil.copytree(stopped, tmp_path / str(number)))
        connection = sqlite3.connect(data / "ledger.db", isolation_level=None)
        assert connection.execute(statement).rowcount >= 1
        connection.close()
        commands.append(("check", "--data", str(data)))
    for result, (statement, words) in zip(run_together(*commands), CHANGES.items(), strict=True):
        assert result.returncode == 1, statement
        assert "Traceback" not in result.stderr, (statement, result.stderr[-600:])
        assert words in next(line for line in result.stdout.splitlines() if line.startswith("FAIL  ")), result


def test_check_changes_nothing(stopped: Path) -> None:
    before = {name: digest for name, digest in digests(stopped).items() if not name.endswith(("-shm", "-wal"))}
    done(run_ledger("check", "--replay", data=stopped))
    after = digests(stopped)
    assert {name: digest for name, digest in after.items() if name in before} == before
    # SQLite's own shared memory and an empty journal may be left; nothing else is made.
    assert {name.removesuffix("-shm").removesuffix("-wal") for name in after} == set(before)


def test_check_beside_a_service_under_load(service: Service) -> None:
    key, stop, sizes = service.create_key()["key"], threading.Event(), list[int]()

    def load(worker: int) -> None:
        number = 0
        while not stop.is_set():
            post(service, key, *(f"load-{worker}-{number}-{place}" for place in range(5)))
            number += 1

    workers = [threading.Thread(target=load, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(2):
            before = service.size()
            sizes += [before, checked_sizes(done(run_ledger("check", "--replay", data=service.data)))[0]]
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert sizes == sorted(sizes)
    assert service.size() > sizes[-2] > sizes[0], "there was no load"


def test_check_without_ledger(tmp_path: Path) -> None:
    refused(run_ledger("check", data=tmp_path / "none"), "run `ledger init`")
    assert not (tmp_path / "none").exists()
