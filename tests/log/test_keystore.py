# SPDX-License-Identifier: Apache-2.0
"""Data keys: one per log, bucket and day; durable when flushed, gone for good when destroyed."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.errors import ConfigurationError, DamagedError, UnavailableError
from ledger.log.keystore import CACHE_KEYS, DataKey, Keystore
from ledger.log.store.keys import RetiredKey, SealedKey, SqliteKeys
from ledger.log.vault import Vault

VAULT = Vault(bytes(32))
BUCKETS = st.tuples(st.integers(0, 2), st.sampled_from([b"a" * 16, b"b" * 16]), st.integers(20_000, 20_002))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keystore.db"


@pytest.fixture
def keystore(path: Path) -> Iterator[Keystore]:
    opened = Keystore(SqliteKeys.initialise(path), VAULT)
    yield opened
    opened.close()


def stored(path: Path) -> list[bytes]:
    with sqlite3.connect(path) as connection:
        return [row[0] for row in connection.execute("select key_id from data_keys")]


def destroy(path: Path, key: DataKey) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("pragma secure_delete = on")
        connection.execute("delete from data_keys where key_id = ?", (key.key_id,))
    connection.close()


@settings(max_examples=30)
@given(st.lists(BUCKETS | st.just("flush") | st.just("reopen"), max_size=20))
def test_bucket_has_one_key_for_ever(tmp_path_factory: pytest.TempPathFactory, steps: list[object]) -> None:
    path = tmp_path_factory.mktemp("keystore") / "keystore.db"
    keystore, keys = Keystore(SqliteKeys.initialise(path), VAULT), dict[object, DataKey]()
    for step in steps:
        if isinstance(step, tuple):
            key = keystore.key_for(*step, 0)
            assert keys.setdefault(step, key) == key
            assert keystore.find(key.key_id) == key
        else:
            keystore.flush()
            assert sorted(stored(path)) == sorted(key.key_id for key in keys.values())
        if step == "reopen":
            keystore.close()
            keystore = Keystore(SqliteKeys(path), VAULT)
    assert len({key.key_id for key in keys.values()}) == len({key.key for key in keys.values()}) == len(keys)
    keystore.close()


def test_key_is_durable_only_once_it_is_flushed(path: Path, keystore: Keystore) -> None:
    key = keystore.key_for(1, b"a", 20_000, 0)
    assert stored(path) == []
    keystore.flush()
    other = Keystore(SqliteKeys(path), VAULT)
    assert other.find(key.key_id) == key and other.key_for(1, b"a", 20_000, 0) == key
    other.close()


def test_destroyed_key_is_found_no_more_and_leaves_no_bytes(path: Path, keystore: Keystore) -> None:
    keys = [keystore.key_for(1, bytes([i]) * 16, 20_000, 0) for i in range(20)]
    keystore.flush()
    with sqlite3.connect(path) as connection:
        [(sealed,)] = connection.execute("select sealed from data_keys where key_id = ?", (keys[7].key_id,))
    assert sealed in path.read_bytes()
    destroy(path, keys[7])
    assert keystore.find(keys[7].key_id) is None
    assert sealed not in path.read_bytes()
    assert not path.with_name(path.name + "-journal").exists() and not path.with_name(path.name + "-wal").exists()
    assert [keystore.find(key.key_id) for key in keys if key != keys[7]] == [key for key in keys if key != keys[7]]


def test_file_is_private_and_holds_no_key_in_the_clear(path: Path, keystore: Keystore) -> None:
    key = keystore.key_for(1, b"a", 20_000, 0)
    keystore.flush()
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.key not in path.read_bytes()


def test_find_gives_none_for_an_unknown_key(keystore: Keystore) -> None:
    assert keystore.find(os.urandom(16)) is None


def test_all_keys_are_listed_as_they_are_kept(path: Path, keystore: Keystore) -> None:
    """More than are read at once; also those that do not open."""
    keys = [keystore.key_for(number % 3, number.to_bytes(16, "big"), 20_000 + number, 0) for number in range(1005)]
    assert list(keystore.all()) == [] and keystore.stored(keys[0].key_id) is None
    keystore.flush()
    found = {stored.row.key_id: stored for stored in keystore.all()}
    assert list(found) == sorted(key.key_id for key in keys)
    for number, key in enumerate(keys):
        row = found[key.key_id].row
        assert (row.log_number, row.bucket, row.day) == (number % 3, number.to_bytes(16, "big"), 20_000 + number)
    assert [found[key.key_id].open() for key in keys[:3]] == keys[:3]
    assert keystore.stored(keys[7].key_id) == found[keys[7].key_id]
    with sqlite3.connect(path) as connection:
        connection.execute("update data_keys set sealed = zeroblob(72) where key_id = ?", (keys[7].key_id,))
    connection.close()
    damaged = next(stored for stored in keystore.all() if stored.row.key_id == keys[7].key_id)
    with pytest.raises(DamagedError, match="does not open"):
        damaged.open()


def test_flush_that_fails_keeps_the_keys_for_the_next_one(path: Path, keystore: Keystore) -> None:
    """Another process holds the file: the keys stay in memory, and nothing is lost or written twice."""
    key = keystore.key_for(1, b"a", 20_000, 0)
    keystore._table._connection.execute("pragma busy_timeout = 0")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin exclusive")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="keystore cannot be written"):
            keystore.flush()
    holder.execute("rollback")
    holder.close()
    assert keystore.key_for(1, b"a", 20_000, 0) == key
    keystore.flush()
    keystore.flush()
    assert stored(path) == [key.key_id]


def test_many_fresh_keys_all_survive_until_they_are_flushed(path: Path, keystore: Keystore) -> None:
    """More than the cache holds, in one batch: dropping one would lose what is sealed under it."""
    keys = [keystore.key_for(1, i.to_bytes(16, "big"), 20_000, 0) for i in range(CACHE_KEYS + 10)]
    keystore.flush()
    assert sorted(stored(path)) == sorted(key.key_id for key in keys)
    for i in (0, 1, 5, CACHE_KEYS + 9):
        assert keystore.key_for(1, i.to_bytes(16, "big"), 20_000, 0) == keys[i] == keystore.find(keys[i].key_id)


def test_two_threads_get_the_same_key(keystore: Keystore) -> None:
    got: list[list[DataKey]] = [[], []]
    start = threading.Barrier(2)

    def ask(mine: list[DataKey]) -> None:
        start.wait()
        for i in range(200):
            mine.append(keystore.key_for(1, i.to_bytes(16, "big"), 20_000, 0))
            if i % 20 == 0:
                keystore.flush()

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] == got[1] and len(got[0]) == 200


class SlowTable(SqliteKeys):
    """Its disk takes as long for a write as the test wants."""

    def insert(self, keys: Sequence[SealedKey]) -> None:
        self.writing.set()
        assert self.go_on.wait(20)
        super().insert(keys)


def test_known_key_does_not_wait_for_a_slow_disk(path: Path) -> None:
    SqliteKeys.initialise(path).close()
    table = SlowTable(path)
    table.writing, table.go_on = threading.Event(), threading.Event()
    keystore = Keystore(table, VAULT)
    key = keystore.key_for(1, b"a", 20_000, 0)
    flush = threading.Thread(target=keystore.flush)
    flush.start()
    assert table.writing.wait(20)
    assert keystore.key_for(1, b"a", 20_000, 0) == keystore.find(key.key_id) == key
    table.go_on.set()
    flush.join()
    assert stored(path) == [key.key_id] and keystore.find(key.key_id) == key
    keystore.close()


def test_keystore_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is missing: restore it"):
        Keystore(SqliteKeys(tmp_path / "keystore.db"), VAULT)
    with pytest.raises(ConfigurationError, match="cannot be made"):
        Keystore(SqliteKeys.initialise(tmp_path / "missing" / "keystore.db"), VAULT)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Keystore(SqliteKeys(broken), VAULT)


def test_key_sealed_under_another_master_key_is_damage(path: Path, keystore: Keystore) -> None:
    key = keystore.key_for(1, b"a", 20_000, 0)
    keystore.flush()
    other = Keystore(SqliteKeys(path), Vault(bytes(range(32))))
    with pytest.raises(DamagedError, match="another master key"):
        other.find(key.key_id)
    with pytest.raises(DamagedError, match="another master key"):
        other.key_for(1, b"a", 20_000, 0)
    other.close()


# Erasing


def test_retired_key_opens_but_is_given_to_nobody(path: Path, keystore: Keystore) -> None:
    keys = [keystore.key_for(1, b"a", day, 0) for day in (5, 6)]
    other = keystore.key_for(1, b"b", 5, 0)
    keystore.flush()
    assert keystore.in_bucket(1, b"a") == sorted(key.key_id for key in keys)
    assert set(keystore.before_day(1, 6)) == {keys[0].key_id, other.key_id}
    assert keystore.in_bucket(2, b"a") == keystore.before_day(2, 9) == []
    keystore.require_usable([key.key_id for key in keys])
    keystore.retire([keys[0].key_id], 7)
    keystore.retire([keys[0].key_id], 9)
    assert keystore.retired() == [RetiredKey(keys[0].key_id, 1, 7)]
    assert keystore.find(keys[0].key_id) == keys[0]
    with pytest.raises(UnavailableError):
        keystore.require_usable([keys[0].key_id])
    fresh = keystore.key_for(1, b"a", 5, 0)
    assert fresh.key_id != keys[0].key_id and keystore.key_for(1, b"a", 6, 0) == keys[1]
    # A key that is not written yet is nobody else's to retire.
    keystore.require_usable([fresh.key_id, keys[1].key_id])
    keystore.flush()
    keystore.destroy([keys[0].key_id])
    keystore.destroy([keys[0].key_id])
    assert keystore.find(keys[0].key_id) is None and keystore.retired() == []
    assert keystore.in_bucket(1, b"a") == sorted([keys[1].key_id, fresh.key_id])
    assert keys[0].key_id not in path.read_bytes()


def test_remembered_key_is_asked_for_again_when_the_log_was_governed(path: Path, keystore: Keystore) -> None:
    """Another process retired it; its record is a governing entry."""
    key = keystore.key_for(1, b"a", 5, 3)
    keystore.flush()
    another = Keystore(SqliteKeys(path), VAULT)
    another.retire([key.key_id], 7)
    assert keystore.key_for(1, b"a", 5, 3) == key
    assert keystore.key_for(1, b"a", 5, 7) != key
    another.close()


def test_file_from_before_there_was_erasure_is_read_and_written(path: Path, keystore: Keystore) -> None:
    key = keystore.key_for(1, b"a", 5, 0)
    keystore.flush()
    keystore.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table retired_keys")
    reading = Keystore(SqliteKeys(path, read_only=True), VAULT)
    assert reading.retired() == [] and reading.find(key.key_id) == key
    reading.close()
    writing = Keystore(SqliteKeys(path), VAULT)
    writing.retire([key.key_id], 1)
    assert [retired.key_id for retired in writing.retired()] == [key.key_id]
    writing.close()
