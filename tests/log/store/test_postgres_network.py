# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL across a network that cuts, swallows and delays, message by message.

Each row: where in a transaction what happens, what the caller is told, and what is in the database then. Waits are
bounded, and the next transaction goes through by itself.
"""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from ledger.log.errors import OutcomeUnknownError, UnavailableError
from ledger.log.store import Batch, Head, Known
from ledger.log.store.postgres import PostgresStore
from ledger.log.store.postgres_connection import Patience, connect
from tests.log.store.rows import add, head, make, row
from tests.postgres import Postgres, PostgresServer
from tests.robustness import proxy as network
from tests.robustness.proxy import Act, Point, Proxy, cut, cut_behind, cut_within, hold
from tests.running import eventually

SHORT = Patience(connect=2, lock=0.4, write=1, read=0.8, poll=0.5)
BOUND = 10.0
"""Seconds that nothing may take longer than with so little patience."""

WRITTEN, NOT_WRITTEN = 1, 0


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    made = postgres.create_database("network")
    store = PostgresStore.initialise(made)
    make(store)
    store.close()
    yield made
    postgres.drop_database("network")


@pytest.fixture(scope="module")
def proxy(url: str) -> Iterator[Proxy]:
    with Proxy(url) as running:
        yield running


@pytest.fixture
def store(proxy: Proxy) -> Iterator[PostgresStore]:
    """A store behind the proxy whose connections are all in use already, and that is well again in the end."""
    opened = PostgresStore(proxy.url, patience=SHORT)
    add_one(opened)
    opened.positions([1])
    yield opened
    proxy.clear()
    proxy.release()
    eventually(lambda: works(opened), "the store to work again", 5)
    opened.close()


@pytest.fixture
def direct(url: str) -> Iterator[PostgresStore]:
    """The same without a proxy, as another process sees it."""
    opened = PostgresStore(url, patience=SHORT)
    yield opened
    opened.close()


def add_one(store: PostgresStore) -> None:
    """The next row, whichever that is under the lock."""

    def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
        return [Batch(1, head(heads[1].size + 1), [row(heads[1].size)], [])]

    store.append([1], [], build)


def works(store: PostgresStore) -> bool:
    try:
        before = store.head(1).size
        add_one(store)
    except UnavailableError:
        return False
    assert store.positions([1])[1][0] > before
    return True


def added(direct: PostgresStore, before: int) -> int:
    """How many rows there are more; head and rows always belong together."""
    size = direct.head(1).size
    assert [found.leaf_index for found in direct.rows(1, 0, size)] == list(range(size))
    return size - before


CASES: list[tuple[Point, Act, type[Exception] | None, int]] = [
    # A connection that broke before the commit was asked for is replaced, and the batch is built and sent again.
    (network.LOCK, cut, None, WRITTEN),
    (network.LOCK, cut_within, None, WRITTEN),
    (network.LOCK, cut_behind, None, WRITTEN),
    (network.LOCKED, cut, None, WRITTEN),
    (network.LOCKED, cut_within, None, WRITTEN),
    (network.ROWS, cut, None, WRITTEN),
    (network.ROWS, cut_within, None, WRITTEN),
    (network.ROWS, cut_behind, None, WRITTEN),
    (network.ROWS_END, cut, None, WRITTEN),
    (network.ROWS_TAKEN, cut, None, WRITTEN),
    # From there on only the database knows.
    (network.COMMIT, cut, OutcomeUnknownError, NOT_WRITTEN),
    (network.COMMIT, cut_within, OutcomeUnknownError, NOT_WRITTEN),
    (network.COMMITTED, cut, OutcomeUnknownError, WRITTEN),
    (network.COMMITTED, cut_within, OutcomeUnknownError, WRITTEN),
    # Silence is waited for, but not for long.
    (network.LOCK, hold, UnavailableError, NOT_WRITTEN),
    (network.LOCKED, hold, UnavailableError, NOT_WRITTEN),
    (network.ROWS, hold, UnavailableError, NOT_WRITTEN),
    (network.ROWS_END, hold, UnavailableError, NOT_WRITTEN),
    (network.ROWS_TAKEN, hold, UnavailableError, NOT_WRITTEN),
    (network.COMMIT, hold, OutcomeUnknownError, NOT_WRITTEN),
    (network.COMMITTED, hold, OutcomeUnknownError, WRITTEN),
]


@pytest.mark.parametrize(
    ("point", "act", "told", "outcome"), CASES, ids=[f"{act.__name__} at {point.name}" for point, act, *_ in CASES]
)
def test_transaction(
    store: PostgresStore,
    direct: PostgresStore,
    proxy: Proxy,
    point: Point,
    act: Act,
    told: type[Exception] | None,
    outcome: int,
) -> None:
    before = direct.head(1).size
    trap, started = proxy.set(point, act), time.monotonic()
    if told is None:
        add(store, row(before))
    else:
        with pytest.raises(told) as raised:
            add(store, row(before))
        if isinstance(raised.value, UnavailableError):
            assert raised.value.retry_after == 5
            assert "127.0.0.1" not in raised.value.message, "callers are not told where the database is"
    assert time.monotonic() - started < BOUND
    trap.wait()
    proxy.release(lose=True)
    assert added(direct, before) == outcome


def test_commit_that_was_just_sent(store: PostgresStore, direct: PostgresStore, proxy: Proxy) -> None:
    """The connection ends while it is on its way: it is there or not, and the next transaction starts from there."""
    for _ in range(5):
        before = direct.head(1).size
        proxy.set(network.COMMIT, cut_behind)
        # Perhaps its answer was quicker than the cut.
        with suppress(OutcomeUnknownError):
            add_one(store)
        add_one(store)
        assert added(direct, before) in (1, 2)


def test_commit_that_was_held_up_takes_effect_later(direct: PostgresStore, proxy: Proxy, store: PostgresStore) -> None:
    """Nobody can know in between; once it is there the next transaction starts from it."""
    before = direct.head(1).size
    hasty = PostgresStore(proxy.url, patience=replace(SHORT, lock=5, write=0.2))
    proxy.set(network.COMMIT, hold)
    with pytest.raises(OutcomeUnknownError):
        add(hasty, row(before))
    assert added(direct, before) == 0
    proxy.release()
    eventually(lambda: added(direct, before) == 1, "the commit to arrive")
    add_one(hasty)
    assert added(direct, before) == 2
    hasty.close()


def test_commit_that_waits_for_a_standby_takes_effect_later(postgres: Postgres) -> None:
    """A server that must hear of its standby first, and does not: no timeout of its own ends that wait."""
    if os.environ.get("LEDGER_TEST_DATABASE_URL"):
        pytest.skip("the settings of somebody else's server stay as they are")
    with PostgresServer() as server:
        url = server.create_database("one")
        store = PostgresStore.initialise(url)
        make(store)
        store.close()
        hasty, patient = (PostgresStore(url, patience=replace(SHORT, lock=lock)) for lock in (0.3, 5))
        with psycopg.connect(server.url("postgres"), autocommit=True) as operator:
            operator.execute("alter system set synchronous_standby_names = 'nobody'")
            operator.execute("select pg_reload_conf()")
            eventually(lambda: fails(hasty, OutcomeUnknownError), "the setting to be read")
            size = patient.head(1).size
            with pytest.raises(UnavailableError, match="holds the log"):
                add(hasty, row(size))
            operator.execute("alter system reset synchronous_standby_names")
            operator.execute("select pg_reload_conf()")
        add_one(patient)
        assert added(patient, 0) == patient.head(1).size == size + 2
        hasty.close()
        patient.close()


def fails(store: PostgresStore, how: type[Exception]) -> bool:
    try:
        add_one(store)
    except how:
        return True
    return False


def test_no_connection_to_be_had(store: PostgresStore, direct: PostgresStore, proxy: Proxy) -> None:
    before = direct.head(1).size
    for act in (cut, cut_within, cut_behind, hold):
        proxy.cut_all()
        trap, started = proxy.set(network.CONNECT, act), time.monotonic()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            add(store, row(before))
        assert time.monotonic() - started < BOUND
        trap.wait()
        proxy.release(lose=True)
    assert added(direct, before) == 0


def test_look_up_of_repetitions(store: PostgresStore, direct: PostgresStore, proxy: Proxy) -> None:
    """After a repetition keys are looked up first; what fails there has written nothing."""
    size = direct.head(1).size
    used = (b"key %d" % size).ljust(16)

    def build(heads: Any, known: Any) -> Any:
        return []

    add(store, row(size, dedup=used, request=b"r"))
    with pytest.raises(Exception, match="already"):
        add(store, row(size + 1, dedup=used, request=b"r"))
    proxy.set(network.LOOK_UP, cut)
    store.append([1], [used], build)
    proxy.set(network.LOOK_UP, hold)
    with pytest.raises(UnavailableError):
        store.append([1], [used], build)
    assert added(direct, size) == 1


@pytest.mark.parametrize("point", [network.READ, network.FOUND], ids=lambda point: point.name)
@pytest.mark.parametrize("act", [cut, cut_within, hold])
def test_reading(store: PostgresStore, proxy: Proxy, point: Point, act: Act) -> None:
    """A reader whose connection is cut asks again on another one; silence ends in time."""
    before, started = store.logs(), time.monotonic()
    trap = proxy.set(point, act)
    if act is hold:
        with pytest.raises(UnavailableError, match="cannot be read"):
            store.logs()
        proxy.release(lose=True)
    assert store.logs() == before
    assert time.monotonic() - started < BOUND
    trap.wait()


def test_reading_after_all_connections_were_cut(store: PostgresStore, proxy: Proxy) -> None:
    """As after a restart of the server: none of the pool's connections works any more, and readers do not notice."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.rows(1, 0, 10_000), range(64)))
    assert proxy.cut_all() > 2
    assert store.head(1).size > 1


@pytest.mark.parametrize("point", [network.POLL, network.POLLED], ids=lambda point: point.name)
@pytest.mark.parametrize("act", [cut, cut_within, hold])
def test_poll(store: PostgresStore, proxy: Proxy, point: Point, act: Act) -> None:
    """A poll that hears nothing says so, soon, and the next one has a new connection of its own."""
    trap, started = proxy.set(point, act), time.monotonic()
    if act is hold:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            store.positions([0, 1])
    else:
        assert set(store.positions([0, 1])) == {0, 1}
    assert time.monotonic() - started < BOUND
    trap.wait()
    proxy.release(lose=True)
    assert set(store.positions([0, 1])) == {0, 1}


def test_poll_does_not_wait_for_readers(store: PostgresStore, proxy: Proxy) -> None:
    """However many readers are stuck, it is known what other processes did."""
    with ThreadPoolExecutor(16) as pool:
        for _ in range(16):
            proxy.set(network.READ, network.delay(0.6))
        readers = [pool.submit(store.logs) for _ in range(16)]
        started = time.monotonic()
        assert set(store.positions([0, 1])) == {0, 1}
        assert time.monotonic() - started < SHORT.poll
        assert {len(reader.result()) for reader in readers} == {2}


@pytest.mark.parametrize("point", [network.LOCKED, network.COMMIT, network.COMMITTED], ids=lambda point: point.name)
def test_slow_network(store: PostgresStore, direct: PostgresStore, proxy: Proxy, point: Point) -> None:
    before = direct.head(1).size
    proxy.set(point, network.delay(0.2))
    add(store, row(before))
    assert added(direct, before) == 1


@pytest.mark.parametrize("point", [network.LOCKED, network.ROWS], ids=lambda point: point.name)
def test_writer_that_stands_still_is_ended_by_the_next(
    store: PostgresStore, direct: PostgresStore, proxy: Proxy, point: Point
) -> None:
    """It holds the heads, and no timeout of the server reaches a session that waits for rows."""
    before = direct.head(1).size
    trap = proxy.set(point, hold)
    with ThreadPoolExecutor(1) as pool:
        standing = pool.submit(add, store, row(before))
        trap.wait()
        with pytest.raises(UnavailableError, match="another process holds the log"):
            add(direct, row(before))
        add(direct, row(before))
        assert isinstance(standing.exception(BOUND), UnavailableError)
    assert added(direct, before) == 1


def test_head_that_somebody_holds(store: PostgresStore, direct: PostgresStore, url: str) -> None:
    """Another session at work, or an operator's: the wait ends in time, and then it goes on by itself."""
    before = direct.head(1).size
    with psycopg.connect(url) as other:
        other.execute("select * from heads for update")
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="another process holds the log"):
            add(store, row(before))
        assert SHORT.lock <= time.monotonic() - started < BOUND
        assert store.head(1).size == before
    add(store, row(before))
    assert added(direct, before) == 1


def test_statement_that_takes_too_long(store: PostgresStore, direct: PostgresStore, url: str) -> None:
    before = direct.head(1).size
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "create function slow() returns trigger language plpgsql as "
            "$$ begin perform pg_sleep(5); return new; end $$; "
            "create trigger slow before insert on entries for each row execute function slow()"
        )
        try:
            started = time.monotonic()
            with pytest.raises(UnavailableError, match="refused a write"):
                add(store, row(before))
            assert time.monotonic() - started < BOUND
        finally:
            other.execute("drop trigger slow on entries; drop function slow")
    add(store, row(before))
    assert added(direct, before) == 1


def test_peer_that_is_gone_is_noticed(url: str) -> None:
    """What the server does by itself about a machine that vanished. A proxy cannot play that, so the settings of a
    connection stand for it.
    """
    wanted = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"}
    with PostgresServer(tcp=True) as server, connect(server.url("postgres"), SHORT) as connection:
        said = {name: connection.execute(f"select current_setting('{name}')").fetchone() for name in wanted}
        assert said == {name: (value,) for name, value in wanted.items()}
        timeout = connection.execute("show idle_in_transaction_session_timeout").fetchone()
        assert timeout == ("400ms",)
