# SPDX-License-Identifier: Apache-2.0
"""`ledger check`: all is well, or the first index that differs; beside a service under load as well."""

import threading
from pathlib import Path

import pytest

from ledger.log.check.crew import STRETCH
from ledger.settings import Settings
from tests.bench.building import fill
from tests.commands.outcomes import checked_sizes, digests, done, post, refused
from tests.ledgers import Ledger, Room
from tests.running import Service, run_ledger
from tests.tables import contents, opened

EVENTS = 12
FIRST = 4
"""Index of the first reported event: genesis, tenant, owner key and the agent's key come before it."""


@pytest.fixture(scope="module")
def stopped(template_ledger: Ledger, module_room: Room) -> Settings:
    """A ledger with events and a closed day, its journal written back, not served any more."""
    source, keys = template_ledger
    place = module_room.copy(source)
    with Service(place, keys) as service:
        post(service, service.create_key()["key"], *(f"checked-{number}" for number in range(EVENTS)))
        with service.client(verify=False) as client:
            client.post("/api/v1/transparency/roots").raise_for_status()
    assert not (place.data / "ledger.db-wal").exists()
    return place


@pytest.fixture
def copied(stopped: Settings, room: Room) -> Settings:
    return room.copy(stopped)


def _flip(place: Settings, index: int, mark: bytes) -> None:
    """Change one bit of the byte after `mark` in a leaf: in SQLite's own file, where that is all there is."""
    if place.database_url is None:
        content = bytearray(place.database.read_bytes())
    else:
        with opened(place) as tables:
            [(leaf,)] = tables.ask(f"select leaf from entries where {tables.entry(index)}")
        content = bytearray(leaf)
    assert content.count(mark) == 1, content.count(mark)
    content[content.index(mark) + len(mark)] ^= 1
    if place.database_url is None:
        place.database.write_bytes(content)
    else:
        with opened(place) as tables:
            tables.change(f"update entries set leaf = ? where {tables.entry(index)}", bytes(content))


def _failure(place: Settings) -> str:
    """The first line with a failure: the root log's may follow from that of the tenant's."""
    result = run_ledger("check", "--replay", data=place)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return next(line for line in result.stdout.splitlines() if line.startswith("FAIL  "))


def test_check_ok(stopped: Settings) -> None:
    result = run_ledger("check", data=stopped)
    assert checked_sizes(done(result)) == [FIRST + EVENTS, 5]
    assert result.stderr == ""
    assert checked_sizes(done(run_ledger("check", "--replay", data=stopped))) == [FIRST + EVENTS, 5]


def test_check_flipped_byte(copied: Settings) -> None:
    """One bit: event 5 stands at index 9."""
    _flip(copied, 9, b'"call_id":"checked-5","env":"')
    assert _failure(copied).partition(": ")[0].endswith("entries at index 9")


def test_check_flipped_byte_of_a_governing_leaf(copied: Settings) -> None:
    """No service could load the log, and the check still names the index, and looks at the other log."""
    _flip(copied, 1, b'"type":"tenant.create')
    result = run_ledger("check", data=copied)
    first, second = result.stdout.splitlines()[:2]
    assert result.returncode == 1 and "entries at index 1: " in first and "tenant.createe" in first
    assert second.startswith("ok    localhost/root")


def test_check_entry_missing(copied: Settings) -> None:
    with opened(copied) as tables:
        assert tables.change(f"delete from entries where {tables.entry(9)}") == 1
    assert _failure(copied).endswith("entries at index 9: the entry is missing")


@pytest.mark.only_on("sqlite", why="how processes share the work has nothing to do with the store")
def test_check_by_two_processes(stopped: Settings, room: Room) -> None:
    """More entries than one process takes at a time, with a bit flipped in the middle of them."""
    place = room.copy(stopped)
    fill(place, STRETCH + 1000, say=lambda text: None)
    done(run_ledger("check", "--replay", "--processes", "2", data=place))
    with opened(place) as tables:
        assert tables.change(f"update entries set mode = 'observe' where {tables.entry(STRETCH + 77)}") == 1
    outputs = {run_ledger("check", "--processes", processes, data=place).stdout for processes in ("1", "2")}
    assert len(outputs) == 1 and f"columns at index {STRETCH + 77}: column mode" in outputs.pop()


def test_check_without_opening_what_is_sealed(copied: Settings) -> None:
    with opened(copied) as tables:
        assert tables.change(f"update entries set sealed = leaf where {tables.entry(9)}") == 1
    assert "disclosures at index 9" in _failure(copied)
    closed = run_ledger("check", "--no-disclosures", data=copied)
    assert checked_sizes(done(closed)) == [FIRST + EVENTS, 5]
    assert closed.stderr == "The disclosures were not opened.\n"


CHANGES = {
    "update entries set verdict = 'deny' where {entry_6}": "columns at index 6: column verdict",
    "update entries set sealed = leaf where {entry_7}": "disclosures at index 7: ",
    "update heads set size = size - 1 where log_number = 1": "head at index 14: ",
    "update days set date = '2020-01-01'": "days: ",
    "delete from committed_heads": "commitments at index 3: ",
}


@pytest.mark.parametrize("statement", CHANGES)
def test_check_changed_rows(copied: Settings, statement: str) -> None:
    """Whatever column is changed with other tools, the first index that differs is named."""
    with opened(copied) as tables:
        rows = {f"entry_{index}": tables.entry(index) for index in (6, 7)}
        assert tables.change(statement.format(**rows)) >= 1
    result = run_ledger("check", data=copied)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr, result.stderr[-600:]
    assert CHANGES[statement] in next(line for line in result.stdout.splitlines() if line.startswith("FAIL  ")), result


def test_check_changes_nothing(stopped: Settings) -> None:
    rows = contents(stopped)
    before = {name: digest for name, digest in digests(stopped.data).items() if not name.endswith(("-shm", "-wal"))}
    done(run_ledger("check", "--replay", data=stopped))
    after = digests(stopped.data)
    assert contents(stopped) == rows
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
            sizes += [before, checked_sizes(done(run_ledger("check", "--replay", data=service.settings)))[0]]
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert sizes == sorted(sizes)
    assert service.size() > sizes[-2] > sizes[0], "there was no load"


def test_check_without_ledger(tmp_path: Path) -> None:
    refused(run_ledger("check", data=tmp_path / "none"), "run `ledger init`")
    assert not (tmp_path / "none").exists()
