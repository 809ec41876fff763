# SPDX-License-Identifier: Apache-2.0
"""What is particular to SQLite: the file, its format, and how durable a commit is."""

import sqlite3
from pathlib import Path

import pytest

from ledger.log.errors import ConfigurationError, ConflictError
from ledger.log.store.sqlite import SqliteStore
from tests.log.store.rows import add, make, row


def test_store_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    for read_only in (False, True):
        with pytest.raises(ConfigurationError, match="ledger init"):
            SqliteStore(tmp_path / "ledger.db", read_only=read_only)
    assert list(tmp_path.iterdir()) == []


def test_file_that_exists_is_not_made_again(tmp_path: Path) -> None:
    SqliteStore.initialise(tmp_path / "ledger.db").close()
    with pytest.raises(ConflictError, match="exists already"):
        SqliteStore.initialise(tmp_path / "ledger.db")


def test_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteStore.initialise(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="has format 99"):
        SqliteStore(path)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 50)
    with pytest.raises(ConfigurationError):
        SqliteStore(path)


def test_file_is_private_and_every_commit_is_synced(tmp_path: Path) -> None:
    store = SqliteStore.initialise(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600
    [connection] = {store._writer}
    assert connection is not None
    assert connection.execute("pragma synchronous").fetchone() == (2,)
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    store.close()


def test_sealed_file_is_alone_and_gets_its_journal_back_when_it_is_written(tmp_path: Path) -> None:
    store = SqliteStore.initialise(tmp_path / "ledger.db")
    make(store)
    store.seal()
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"]
    reader = SqliteStore(tmp_path / "ledger.db", read_only=True)
    assert reader.head(1).size == 1
    reader.close()
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"]
    writer = SqliteStore(tmp_path / "ledger.db")
    add(writer, row(1))
    assert (tmp_path / "ledger.db-wal").exists()
    writer.close()
