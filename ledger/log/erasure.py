# SPDX-License-Identifier: Apache-2.0
"""Erasing (spec/sealed-fields.md): what is sealed beside entries is destroyed, and the log says so.

    retire     the keys that it lies under           from here on nothing new is sealed under them
    record     which entries, in the log             from here on it counts as erased
    reseal     what else lies under those keys       under new keys; what is erased goes
    destroy    the keys                              and with them every copy in old pages, journals and backups

The order makes a crash harmless. Before the record nothing is lost: keys that are merely retired still open what they
did. After it the next start does the rest (`finish`), for which it needs no more than the log and the keystore.

Somebody else may have sealed a call under a key just before it was retired, and be about to commit it. A record is a
governing entry, so under the lock he finds that the log has moved on, looks at his key again, and is sent away
(`Ledger.require_keys`). What was committed before the record came is looked for once more, and recorded, too.
"""

import asyncio
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from ledger.log.entry import format_uuid
from ledger.log.erased import EVERY, Erased, recorded_erasures
from ledger.log.errors import ConflictError, DamagedError, InvalidRequestError, LedgerError, NotFoundError
from ledger.log.events.calls import CallReported
from ledger.log.events.logs import DisclosureErased, Grounds
from ledger.log.keystore import DataKey
from ledger.log.leaf import read_leaf
from ledger.log.ledger import DAY_MS, Ledger, subject_bucket
from ledger.log.rules import MAX_RANGES
from ledger.log.sealed import NONCE_BYTES, commitments_of, decrypted, encrypted, kept_without
from ledger.log.store import Resealed, Row
from ledger.log.store.keys import SealedKey
from ledger.log.submission import Appended
from ledger.log.working_copy import Draft, Log, Moment

SPAN = 4096
"""Entries that are looked at together."""

_log = structlog.get_logger("ledger.erasure")


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What to erase, by one of the first three, and why.

    `subject` is the data subject as it was reported; `older_than_days` means calls of UTC days that ended so many days
    ago; `event_ids` are entries, of which `pointers` choose fields, all without.
    """

    grounds: Grounds
    actor: str
    subject: str | None = None
    older_than_days: int | None = None
    event_ids: Sequence[bytes] = ()
    pointers: Sequence[str] = ()
    legal_basis: str | UnsetType = UNSET


class Result(NamedTuple):
    """What came of it: how many entries, and the entries that record it."""

    entries: int
    recorded: list[tuple[int, str]]


_Record = Callable[[DisclosureErased], Appended]
"""Appends to the log and waits until that is committed."""


async def erase(ledger: Ledger, log: Log, wanted: Erasure, allowed: Callable[[Moment], None]) -> Result:
    """Erase, and come back when it is done. It goes on to its end whether or not somebody still waits for it.

    `allowed` is asked under the lock, before anything is recorded. Raises what it raises, ConflictError while another
    erasure is under way, NotFoundError for an entry that is not there, InvalidRequestError for a field that is none,
    and UnavailableError; what was recorded by then is erased all the same.
    """
    loop = asyncio.get_running_loop()

    def record(event: DisclosureErased) -> Appended:
        def decide(moment: Moment) -> Sequence[Draft]:
            allowed(moment)
            return [Draft(event)]

        return asyncio.run_coroutine_threadsafe(ledger.sequencer.submit(log, decide), loop).result()

    # In a thread, since it looks at every entry there is.
    return await asyncio.shield(asyncio.to_thread(_erase, ledger, log, wanted, record))


def _erase(ledger: Ledger, log: Log, wanted: Erasure, record: _Record) -> Result:
    with ledger.store.only_one("erasure"):
        finish(ledger, log)
        size = ledger.store.head(log.number).size
        chosen = _Chosen(ledger, log, wanted)
        entries = list(chosen.entries(0, size))
        if not entries:
            return Result(0, [])
        ledger.keystore.retire(chosen.key_ids, size)
        later: list[int] = []
        try:
            recorded = _record(wanted, entries, record)
            # What others committed meanwhile. From here on nobody can.
            later = list(chosen.entries(size, recorded[0][0]))
            recorded += _record(wanted, later, record)
        finally:
            finish(ledger, log)
        return Result(len(entries) + len(later), recorded)


def count(ledger: Ledger, log: Log, wanted: Erasure) -> int:
    """How many entries would be erased now. Raises what `erase` does."""
    return len(list(_Chosen(ledger, log, wanted).entries(0, ledger.store.head(log.number).size)))


class _Chosen:
    """The entries to erase, and the keys they lie under."""

    def __init__(self, ledger: Ledger, log: Log, wanted: Erasure) -> None:
        self._ledger = ledger
        self._log = log
        self._only: Container[int] | None = None
        self._only_calls = False
        number, keystore = log.number, ledger.keystore
        if wanted.event_ids:
            rows = [_found(ledger, log, event_id, wanted.pointers) for event_id in wanted.event_ids]
            self._only = {row.leaf_index for row in rows}
            self.key_ids = list(dict.fromkeys(row.data_key for row in rows if row.data_key is not None))
        elif wanted.subject is not None:
            self.key_ids = keystore.in_bucket(number, log.digest(subject_bucket(wanted.subject)))
        else:
            assert wanted.older_than_days is not None
            day = ledger.clock() // DAY_MS - wanted.older_than_days
            self.key_ids = keystore.before_day(number, day)
            # Labels of keys and the like are nobody's calls, however old.
            self._only_calls = True

    def entries(self, start: int, stop: int) -> Iterator[int]:
        """The indexes of those in [start, stop) of which anything is left."""
        if not self.key_ids:
            return
        for first in range(start, stop, SPAN):
            for row in self._ledger.store.under_keys(self._log.number, self.key_ids, first, min(first + SPAN, stop)):
                if self._only_calls and row.type != CallReported.type:
                    continue
                if self._only is None or row.leaf_index in self._only:
                    yield row.leaf_index


def _found(ledger: Ledger, log: Log, event_id: bytes, pointers: Sequence[str]) -> Row:
    row = ledger.store.find(log.number, event_id)
    if row is None:
        raise NotFoundError(f"there is no event {format_uuid(int.from_bytes(event_id))}")
    sealed = {pointer for pointer, _ in commitments_of(read_leaf(row.leaf)[1])}
    for place, pointer in enumerate(pointers):
        if pointer not in sealed:
            raise InvalidRequestError.at(
                ["body", "pointers", place],
                f"event {format_uuid(int.from_bytes(event_id))} has no sealed field {pointer[:80]!r}",
            )
    return row


def _record(wanted: Erasure, entries: Sequence[int], record: _Record) -> list[tuple[int, str]]:
    recorded = []
    ranges = list(_ranges(entries))
    for start in range(0, len(ranges), MAX_RANGES):
        event = DisclosureErased(
            ranges=ranges[start : start + MAX_RANGES],
            grounds=wanted.grounds,
            actor=wanted.actor,
            pointers=sorted(set(wanted.pointers)) if wanted.pointers else UNSET,
            legal_basis=wanted.legal_basis,
        )
        [item] = record(event).items
        recorded.append((item.leaf_index, item.event_id))
    return recorded


def _ranges(entries: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending indexes as ranges [from, to) that do not touch."""
    start = stop = -1
    for index in entries:
        if index != stop:
            if stop >= 0:
                yield start, stop
            start = index
        stop = index + 1
    if stop >= 0:
        yield start, stop


# What is left to do once it is recorded


def finish_all(ledger: Ledger) -> None:
    """Finish what a process that ended in the middle left to do, in all logs. For the start of a service; what cannot
    be done now is left to the next one.
    """
    try:
        retired = sorted(ledger.keystore.retired(), key=attrgetter("log_number"))
        for number, _ in groupby(retired, key=attrgetter("log_number")):
            with ledger.store.only_one("erasure"):
                finish(ledger, ledger.log(number))
    except ConflictError:
        # Whoever is at it finishes this as well.
        return
    except LedgerError as error:
        _log.error("erasure_unfinished", error=error.for_operator)


def finish(ledger: Ledger, log: Log) -> None:
    """Do what is left of recorded erasures: seal anew what they did not concern, then destroy the keys.

    A key is due when the log has a record from after it was retired. Raises DamagedError and UnavailableError.
    """
    retired = [key for key in ledger.keystore.retired() if key.log_number == log.number]
    if not retired:
        return
    erasures = list(recorded_erasures(ledger.store, log.number))
    newest = erasures[-1][0] if erasures else -1
    due = [key for key in retired if key.size <= newest]
    if not due:
        return
    since = min(key.size for key in due)
    erased = Erased.by([event for index, event in erasures if index >= since])
    key_ids = [key.key_id for key in due]

    @cache
    def key_of(key_id: bytes) -> tuple[SealedKey, DataKey]:
        stored = ledger.keystore.stored(key_id)
        if stored is None:
            raise DamagedError("a data key is gone that nobody destroyed: run `ledger check`")
        return stored.row, stored.open()

    size = ledger.store.head(log.number).size
    for start in range(0, size, SPAN):
        rows = ledger.store.under_keys(log.number, key_ids, start, min(start + SPAN, size))
        changes = [_resealed(ledger, log, row, key_of, erased) for row in rows]
        # Keys first, as ever: what is sealed under them must never be durable without them.
        ledger.keystore.flush()
        if changes:
            ledger.store.reseal(log.number, changes)
    # Before the keys, so that a crash leaves something to finish.
    if ledger.spool is not None:
        ledger.spool.forget_disclosed(log.record.log_id)
    ledger.keystore.destroy(key_ids)
    _log.info("erased", log=log.origin, keys=len(key_ids))


def _resealed(
    ledger: Ledger, log: Log, row: Row, key_of: Callable[[bytes], tuple[SealedKey, DataKey]], erasures: Erased
) -> Resealed:
    assert row.data_key is not None and row.sealed is not None
    gone = Resealed(row.leaf_index, row.data_key, None, None, True)
    erased = erasures.fields(row.leaf_index)
    if erased is EVERY:
        return gone
    (_, _, bucket, day, _), before = key_of(row.data_key)
    context = log.origin.encode()
    whole = decrypted(row.sealed, before, context)
    try:
        kept = kept_without(whole, erased) if erased else whole
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedError(f"what is stored beside entry {row.leaf_index} are not disclosures: {error}") from error
    if kept is None:
        return gone
    # Of the same bucket and day, so that it is found again when that is to be erased.
    key = ledger.keystore.key_for(log.number, bucket, day, log.committed.state.governing)
    blob = encrypted(kept, key, context, os.urandom(NONCE_BYTES))
    return Resealed(row.leaf_index, row.data_key, key.key_id, blob, bool(erased))
