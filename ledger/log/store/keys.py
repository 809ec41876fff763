# SPDX-License-Identifier: Apache-2.0
"""Where data keys are kept: a table of sealed keys in a file, or in a database, of its own.

It is apart from the log's database and its backups, because erasing means destroying a key. `ledger/log/keystore.py` is
the only user, and only it can open what lies here.
"""

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ledger.log.errors import ConfigurationError, UnavailableError
from ledger.log.store import named_sql

_SQL = named_sql.load("keys.sql")
_HAS_TABLE = "select 1 from sqlite_schema where type = 'table' and name = ?"
_RETIRED = named_sql.read("sqlite_keys_schema.sql").rpartition(";\n\n")[2]


class SealedKey(NamedTuple):
    """A row: `day` counts from 1970-01-01 UTC, `bucket` is a keyed digest of whose data it is."""

    key_id: bytes
    log_number: int
    bucket: bytes
    day: int
    sealed: bytes


class RetiredKey(NamedTuple):
    """A key that nothing new is sealed under, and the size its log had when it was retired."""

    key_id: bytes
    log_number: int
    size: int


class KeyTable(Protocol):
    """Every method may raise UnavailableError. Keys are retired before they are destroyed: they still open what is
    sealed, and nothing new is sealed under them.
    """

    @property
    def remote(self) -> bool:
        """Whether the table is across a network."""
        ...

    def of_bucket(self, log_number: int, bucket: bytes, day: int) -> tuple[bytes, bytes] | None:
        """(key_id, sealed) of a bucket and day, unless retired; always the same one where two processes made one
        each.
        """
        ...

    def in_bucket(self, log_number: int, bucket: bytes) -> list[bytes]:
        """Ids of all keys of a bucket, whatever the day, retired ones too."""
        ...

    def before_day(self, log_number: int, day: int) -> list[bytes]:
        """Ids of all keys of a log for days before this one."""
        ...

    def is_usable(self, key_id: bytes) -> bool:
        """Whether a key is there and not retired."""
        ...

    def retire(self, key_ids: Sequence[bytes], size: int) -> None:
        """Retire keys, all or none, synced when it returns. One that is retired already stays as it is."""
        ...

    def retired(self) -> list[RetiredKey]: ...

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        """Remove keys for ever, all or none, synced when it returns."""
        ...

    def reseal(self, key_id: bytes, sealed: bytes) -> None:
        """Put a key's new box in the place of the old one, synced when it returns."""
        ...

    def of_id(self, key_id: bytes) -> SealedKey | None: ...

    def after(self, key_id: bytes) -> list[SealedKey]:
        """The next keys by id, up to a thousand; b"" begins with the first."""
        ...

    def insert(self, keys: Sequence[SealedKey]) -> None:
        """Add keys, all or none, synced when it returns. One that is there already is left alone."""
        ...

    def close(self) -> None: ...


class KeyQuestions(ABC):
    """What both tables ask and write, by the names of `keys.sql`."""

    @abstractmethod
    def _ask(self, name: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows of a question. Raises UnavailableError."""

    @abstractmethod
    def _write(self, *statements: tuple[str, Sequence[Sequence[Any]]]) -> None:
        """Statements by name, each with its rows of parameters, in one transaction. Raises UnavailableError."""

    def of_bucket(self, log_number: int, bucket: bytes, day: int) -> tuple[bytes, bytes] | None:
        return next(iter(self._ask("select_of_bucket", (log_number, bucket, day))), None)

    def of_id(self, key_id: bytes) -> SealedKey | None:
        return next((SealedKey(*row) for row in self._ask("select_of_id", (key_id,))), None)

    def after(self, key_id: bytes) -> list[SealedKey]:
        return [SealedKey(*row) for row in self._ask("select_after", (key_id,))]

    def in_bucket(self, log_number: int, bucket: bytes) -> list[bytes]:
        return [key_id for (key_id,) in self._ask("select_in_bucket", (log_number, bucket))]

    def before_day(self, log_number: int, day: int) -> list[bytes]:
        return [key_id for (key_id,) in self._ask("select_before_day", (log_number, day))]

    def is_usable(self, key_id: bytes) -> bool:
        return not self._ask("select_unusable", (key_id, key_id))

    def retired(self) -> list[RetiredKey]:
        return [RetiredKey(*row) for row in self._ask("select_retired", ())]

    def insert(self, keys: Sequence[SealedKey]) -> None:
        self._write(("insert", keys))

    def reseal(self, key_id: bytes, sealed: bytes) -> None:
        self._write(("reseal", [(sealed, key_id)]))

    def retire(self, key_ids: Sequence[bytes], size: int) -> None:
        self._write(("retire", [(key_id, size) for key_id in key_ids]))

    def destroy(self, key_ids: Sequence[bytes]) -> None:
        ids = [(key_id,) for key_id in key_ids]
        self._write(("destroy", ids), ("forget_retired", ids))


class SqliteKeys(KeyQuestions):
    """The file keeps no journal of old pages and overwrites what it deletes."""

    remote = False

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file. Raises ConfigurationError when it is missing: a new one in its place would make everything
        that is sealed look erased.
        """
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
            if not self._connection.execute(_HAS_TABLE, ("retired_keys",)).fetchall():
                # A file from before there was any erasure.
                self._connection.execute(
                    _RETIRED.replace("create table", "create temp table") if read_only else _RETIRED
                )
        except sqlite3.Error as error:
            raise ConfigurationError(f"keystore {path} cannot be opened: {error}") from error

    @classmethod
    def initialise(cls, path: Path) -> "SqliteKeys":
        """Make a new, empty file. Raises ConfigurationError when it exists or cannot be made."""
        # Under another name until it is whole: what a crash leaves in between is no keystore, and in nobody's way.
        unfinished = path.with_name(f"{path.name}.new")
        try:
            if path.exists():
                raise FileExistsError("it exists")
            for leftover in path.parent.glob(f"{unfinished.name}*"):
                leftover.unlink()
            os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(unfinished, isolation_level=None)
            try:
                connection.executescript(f"pragma journal_mode = delete; {named_sql.read('sqlite_keys_schema.sql')}")
            finally:
                connection.close()
            unfinished.rename(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"keystore {path} cannot be made: {error}") from error
        return cls(path)

    def _ask(self, name: str, parameters: Sequence[Any]) -> list[Any]:
        try:
            return self._connection.execute(_SQL[name].replace("%s", "?"), parameters).fetchall()
        except sqlite3.Error as error:
            raise UnavailableError(f"the keystore cannot be read: {error}") from error

    def _write(self, *statements: tuple[str, Sequence[Sequence[Any]]]) -> None:
        try:
            self._connection.execute("begin immediate")
            for name, rows in statements:
                self._connection.executemany(_SQL[name].replace("%s", "?"), rows)
            self._connection.execute("commit")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise UnavailableError(f"the keystore cannot be written: {error}") from error

    def close(self) -> None:
        self._connection.close()
