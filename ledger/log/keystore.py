# SPDX-License-Identifier: Apache-2.0
"""Data keys: what must be destroyed to erase, and so what is kept out of the database and its backups.

There is one key per (log, bucket, UTC day); a bucket is a keyed digest of a data subject or of a retention class, so
the file names nobody. Each key is sealed under the master key. The file keeps no journal of old pages and overwrites
what it deletes.

Order matters: a key is durable here *before* an entry sealed under it is committed in the store. A crash in between
leaves a key that nothing uses; the other order would leave entries that nobody can ever open.
"""

import os
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.log.errors import ConfigurationError, DamagedError, UnavailableError
from ledger.log.vault import Vault

_SCHEMA = """
create table data_keys (
    key_id blob primary key,
    log_number integer not null,
    bucket blob not null,
    day integer not null,          -- days since 1970-01-01, UTC
    sealed blob not null
) strict, without rowid;
create index data_keys_bucket on data_keys (log_number, bucket, day);
"""
CACHE_KEYS = 4096


@dataclass(frozen=True)
class DataKey:
    key_id: bytes
    key: bytes

    @cached_property
    def aead(self) -> AESGCM:
        return AESGCM(self.key)


Bucket = tuple[int, bytes, int]


class Keystore:
    """The key file. Used from the thread that prepares events and from the one that commits them; a lock serves both.

    `_fresh` holds keys that exist in memory only; `flush` writes them, and the sequencer calls it before each commit.
    """

    def __init__(self, path: Path, vault: Vault, *, read_only: bool = False) -> None:
        """Open the file at `path`. Raises ConfigurationError when it is missing: a new one in its place would make
        everything that is sealed look erased.
        """
        self._box = SecretBox(vault.derive("keystore"))
        self._lock = threading.Lock()
        self._by_bucket: OrderedDict[Bucket, DataKey] = OrderedDict()
        self._fresh: dict[Bucket, DataKey] = {}
        if not path.exists():
            raise ConfigurationError(f"the keystore {path} is missing: restore it from its backup")
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.execute("select count(*) from data_keys").fetchone()
            if not read_only:
                self._connection.executescript("pragma synchronous = full; pragma secure_delete = on;")
        except sqlite3.Error as error:
            raise ConfigurationError(f"keystore {path} cannot be opened: {error}") from error

    @classmethod
    def initialise(cls, path: Path, vault: Vault) -> "Keystore":
        """Make a new, empty keystore. Raises ConfigurationError when the file exists or cannot be made."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                connection.executescript(f"pragma journal_mode = delete; {_SCHEMA}")
            finally:
                connection.close()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"keystore {path} cannot be made: {error}") from error
        return cls(path, vault)

    def key_for(self, log_number: int, bucket: bytes, day: int) -> DataKey:
        """The key of a bucket and day, made when there is none yet. Raises DamagedError, and
        UnavailableError when the file cannot be read.
        """
        name = (log_number, bucket, day)
        with self._lock:
            key = self._by_bucket.get(name)
            if key is not None:
                self._by_bucket.move_to_end(name)
                return key
            row = self._one(
                "select key_id, sealed from data_keys where log_number = ? and bucket = ? and day = ?", name
            )
            if row is not None:
                key = DataKey(row[0], self._open(row[1]))
            else:
                key = self._fresh[name] = DataKey(os.urandom(16), os.urandom(32))
            self._by_bucket[name] = key
            # A fresh key must stay until it is written: dropping it would make a second key, which is harmless, but
            # also lose the first.
            if len(self._by_bucket) > CACHE_KEYS and (oldest := next(iter(self._by_bucket))) not in self._fresh:
                del self._by_bucket[oldest]
            return key

    def flush(self) -> None:
        """Make all keys durable. Raises UnavailableError; the keys stay fresh then and the next flush tries again."""
        if not self._fresh:
            return
        with self._lock:
            rows = [(key.key_id, *name, bytes(self._box.encrypt(key.key))) for name, key in self._fresh.items()]
            # A key that an earlier flush wrote, although it reported a failure, is written already.
            try:
                self._connection.execute("begin immediate")
                self._connection.executemany("insert or ignore into data_keys values (?, ?, ?, ?, ?)", rows)
                self._connection.execute("commit")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise UnavailableError(f"the keystore cannot be written: {error}") from error
            self._fresh.clear()

    def find(self, key_id: bytes) -> DataKey | None:
        """The key with this id, or None when it was destroyed. Raises DamagedError and UnavailableError."""
        with self._lock:
            for key in self._fresh.values():
                if key.key_id == key_id:
                    return key
            row = self._one("select sealed from data_keys where key_id = ?", (key_id,))
        return None if row is None else DataKey(key_id, self._open(row[0]))

    def _one(self, sql: str, parameters: tuple[Any, ...]) -> Any:
        try:
            return self._connection.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"the keystore cannot be read: {error}") from error

    def _open(self, sealed: bytes) -> bytes:
        try:
            return bytes(self._box.decrypt(sealed))
        except (CryptoError, ValueError) as error:
            raise DamagedError(
                "a data key does not open: the keystore is damaged, or was sealed under another master key"
            ) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()
