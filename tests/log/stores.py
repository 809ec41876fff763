# SPDX-License-Identifier: Apache-2.0
"""Stores around the real one: one that counts transactions, and one whose transactions fail where a test says."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from ledger.log.errors import OutcomeUnknownError, UnavailableError
from ledger.log.store import Batch, Build, Head, Known, Store


class AroundStore:
    """Everything but writing is the real store's."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.transactions: list[int] = []

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        for _ in self.append_in_steps(log_numbers, dedup_keys, build):
            pass

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        self.transactions.append(len(log_numbers))
        return self.store.append_in_steps(log_numbers, dedup_keys, build)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class _RollBackError(Exception):
    pass


class FailingStore(AroundStore):
    """Its next transactions fail in the ways of `faults`, one each; then it works again."""

    WAYS = ("before begin", "in build", "while writing", "unknown, not persisted", "unknown, persisted")

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.faults: list[str] = []
        self.reads_fail = False

    def append_in_steps(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> Iterator[None]:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "before begin":
            raise UnavailableError("the store cannot be written")

        def failing(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> Any:
            batches = build(heads, known)
            if fault == "in build":
                raise UnavailableError("the store is gone")
            if fault == "while writing":
                return _breaks_off(batches, self.store.shared)
            if fault == "unknown, not persisted":
                raise _RollBackError
            return batches

        try:
            yield from super().append_in_steps(log_numbers, dedup_keys, failing)
        except _RollBackError:
            raise OutcomeUnknownError("the connection was lost") from None
        if fault == "unknown, persisted":
            raise OutcomeUnknownError("the connection was lost")

    def head(self, log_number: int) -> Head:
        self._require_reads()
        return self.store.head(log_number)

    def leaves(self, log_number: int, start: int, stop: int) -> list[bytes]:
        self._require_reads()
        return self.store.leaves(log_number, start, stop)

    def _require_reads(self) -> None:
        if self.reads_fail:
            raise UnavailableError("the store cannot be read")


def _breaks_off(batches: Sequence[Batch], server: bool) -> Iterator[Batch]:
    """All batches are written, and then the disk is full, as the store's own library puts it."""
    yield from batches
    if server:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")
    raise sqlite3.OperationalError("database or disk is full")
