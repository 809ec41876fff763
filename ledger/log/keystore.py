# SPDX-License-Identifier: Apache-2.0
"""Data keys: what must be destroyed to erase, and so what is kept out of the database and its backups.

There is one key per (log, bucket, UTC day); a bucket is a keyed digest of a data subject or of a retention class, so
the table (`store/keys.py`) names nobody. Each key is sealed under the master key.

Order matters: a key is durable here *before* an entry sealed under it is committed in the store. A crash in between
leaves a key that nothing uses; the other order would leave entries that nobody can ever open.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.log.errors import DamagedError, UnavailableError
from ledger.log.store.keys import KeyTable, RetiredKey, SealedKey
from ledger.log.vault import Vault

CACHE_KEYS = 4096


@dataclass(frozen=True)
class DataKey:
    key_id: bytes
    key: bytes

    @cached_property
    def aead(self) -> AESGCM:
        return AESGCM(self.key)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row of the table, and what opens it."""

    row: SealedKey
    _open: Callable[[bytes], bytes]

    def open(self) -> DataKey:
        """Raises DamagedError."""
        return DataKey(self.row.key_id, self._open(self.row.sealed))


Bucket = tuple[int, bytes, int]


class Keystore:
    """The keys, opened. Used from the thread that prepares events and from the one that commits them.

    `_fresh` holds keys that exist in memory only; `flush` writes them, and the sequencer calls it before each commit.
    What is in memory has a lock of its own, under which nothing is waited for: who needs a key that is known does not
    stand in line behind a slow disk. `_table_lock` is taken first where both are.
    """

    def __init__(self, table: KeyTable, vault: Vault) -> None:
        self._table = table
        self._box = vault.box("keystore")
        self._lock = threading.Lock()
        self._table_lock = threading.Lock()
        self._by_bucket: OrderedDict[Bucket, tuple[DataKey, int]] = OrderedDict()
        self._fresh: dict[Bucket, DataKey] = {}

    @property
    def remote(self) -> bool:
        """Whether asking for a key can take as long as a network wants."""
        return self._table.remote

    @property
    def unsaved(self) -> bool:
        """Whether the next `flush` has something to write."""
        return bool(self._fresh)

    def key_for(self, log_number: int, bucket: bytes, day: int, as_of: int) -> DataKey:
        """The key of a bucket and day, made when there is none yet. Raises DamagedError, and UnavailableError when the
        table cannot be read.

        `as_of` is the log's newest governing entry that the caller knows. Every erasure is one, so a key that is
        remembered from before it may have been retired, and the table is asked again.
        """
        name = (log_number, bucket, day)
        key = self._remembered(name, as_of)
        if key is not None:
            return key
        with self._table_lock:
            # Somebody else may have been faster.
            key = self._remembered(name, as_of)
            if key is not None:
                return key
            found = self._table.of_bucket(*name)
            with self._lock:
                if found is not None:
                    key = DataKey(found[0], self._open(found[1]))
                else:
                    key = self._fresh[name] = DataKey(os.urandom(16), os.urandom(32))
                self._by_bucket[name] = key, as_of
                # A fresh key must stay until it is written: dropping it would make a second key, which is harmless, but
                # also lose the first.
                if len(self._by_bucket) > CACHE_KEYS and (oldest := next(iter(self._by_bucket))) not in self._fresh:
                    del self._by_bucket[oldest]
                return key

    def _remembered(self, name: Bucket, as_of: int) -> DataKey | None:
        with self._lock:
            found = self._by_bucket.get(name)
            # A fresh key is in no table yet, so nobody can have retired it.
            if found is None or (found[1] != as_of and name not in self._fresh):
                return None
            self._by_bucket.move_to_end(name)
            return found[0]

    def require_usable(self, key_ids: Iterable[bytes]) -> None:
        """Raises UnavailableError when one of the keys was retired or destroyed since it was asked for."""
        with self._table_lock:
            with self._lock:
                fresh = {key.key_id for key in self._fresh.values()}
            for key_id in set(key_ids) - fresh:
                if not self._table.is_usable(key_id):
                    raise UnavailableError("values of the same kind are being erased; nothing of yours was taken")

    # Erasing

    def in_bucket(self, log_number: int, bucket: bytes) -> list[bytes]:
        """Ids of all keys of a bucket. Raises UnavailableError, as all that follow."""
        with self._table_lock:
            return self._table.in_bucket(log_number, bucket)

    def before_day(self, log_number: int, day: int) -> list[bytes]:
        """Ids of all keys of a log for days before this one."""
        with self._table_lock:
            return self._table.before_day(log_number, day)

    def retire(self, key_ids: Sequence[bytes], size: int) -> None:
        """Have nothing more sealed under these keys: by this process from now on, by others once they know of a
        governing entry that comes later than this. `size` is that of the log.
        """
        with self._table_lock:
            self._table.retire(key_ids, size)
            self._forget(key_ids)

    def retired(self) -> list[RetiredKey]:
        with self._table_lock:
            return self._table.retired()

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        """Whatever is still sealed under these keys can never be opened again."""
        with self._table_lock:
            self._table.destroy(key_ids)
            self._forget(key_ids)

    def _forget(self, key_ids: Sequence[bytes]) -> None:
        gone = set(key_ids)
        with self._lock:
            for name in [name for name, (key, _) in self._by_bucket.items() if key.key_id in gone]:
                del self._by_bucket[name]

    def flush(self) -> None:
        """Make all keys durable. Raises UnavailableError; the keys stay fresh then and the next flush tries again."""
        if not self.unsaved:
            return
        with self._table_lock:
            with self._lock:
                writing = list(self._fresh.items())
            # A key that an earlier flush wrote, although it reported a failure, is written already.
            self._table.insert([SealedKey(key.key_id, *name, self._box.seal(key.key)) for name, key in writing])
            with self._lock:
                for name, _ in writing:
                    del self._fresh[name]

    def find(self, key_id: bytes) -> DataKey | None:
        """The key with this id, or None when it was destroyed. Raises DamagedError and UnavailableError."""
        with self._lock:
            for key in self._fresh.values():
                if key.key_id == key_id:
                    return key
        stored = self.stored(key_id)
        return None if stored is None else stored.open()

    def stored(self, key_id: bytes) -> StoredKey | None:
        """A key as the table has it, not opened yet. Raises UnavailableError."""
        with self._table_lock:
            row = self._table.of_id(key_id)
        return None if row is None else StoredKey(row, self._open)

    def all(self) -> Iterator[StoredKey]:
        """Every key in the table, in the order of their ids. Raises UnavailableError."""
        last = b""
        while True:
            with self._table_lock:
                rows = self._table.after(last)
            if not rows:
                return
            yield from (StoredKey(row, self._open) for row in rows)
            last = rows[-1].key_id

    def reseal(self) -> int:
        """Seal all keys under the master key that is in force; how many were not yet. Raises DamagedError, and
        UnavailableError; asked again, it goes on where it was.
        """
        changed = 0
        for stored in self.all():
            if not self._box.is_current(stored.row.sealed):
                with self._table_lock:
                    self._table.reseal(stored.row.key_id, self._box.seal(stored.open().key))
                changed += 1
        return changed

    def _open(self, sealed: bytes) -> bytes:
        try:
            return self._box.open(sealed)
        except ValueError as error:
            raise DamagedError(
                "a data key does not open: the keystore is damaged, or was sealed under another master key"
            ) from error

    def close(self) -> None:
        with self._table_lock:
            self._table.close()
