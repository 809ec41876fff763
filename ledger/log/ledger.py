# SPDX-License-Identifier: Apache-2.0
"""The ledger of one deployment: all its logs, with what they share.

Logs are made by an explicit command only, never because data is missing: a ledger that finds nothing says so and stops.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import UNSET

from ledger.log.catching_up import caught_up
from ledger.log.currency import Currency
from ledger.log.entry import ENTRY_RULE
from ledger.log.errors import DamagedError, NotFoundError
from ledger.log.events.logs import LogCreated, LogGenesis, ReleasePublished
from ledger.log.export_spool import Spool
from ledger.log.fold import LogsState, Part, State, empty_state, fold
from ledger.log.guard import Guard, Released
from ledger.log.keys import create_signing_key, load_signing_key
from ledger.log.keystore import DataKey, Keystore
from ledger.log.sequencer import Sequencer
from ledger.log.startup import check_before_signing, newest_commitment, require_finished, require_signed
from ledger.log.store import ROOT_LOG, Head, LogRecord, Secret, Store
from ledger.log.tree import TileCache, Tree
from ledger.log.vault import Vault
from ledger.log.working_copy import Committed, Draft, Log, Moment, WorkingCopy
from ledger.tlog.edge import Edge
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.note import SigningKey, parse_vkey

MAX_COMMIT_DELAY = 60
"""Seconds within which the root log promises to cover a signed head."""

IDLE_MS = 300_000
"""A log that nobody has asked for in so long may be forgotten; no request lasts anywhere near."""

_Result = TypeVar("_Result")

PEPPER_BYTES = 32
_EMPTY_HEAD = Head(0, EMPTY_ROOT, "", -1, 0)
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Release:
    """The verifier that this deployment hands out."""

    version: str
    sha256: str


class Ledger:
    """Opened logs, loaded on first use. `parts` are the layers that fold tenant logs.

    Tenant logs beyond `keep_loaded` are forgotten again when they have been idle.

    `spool` has exports that were made, of which an erasure leaves none that shows something sealed.

    `guard` is the directory of the rollback guard, without which only tests should sign. Raises RollbackError when the
    database is not what was released or more, ConfigurationError when there is no guard for it.
    """

    def __init__(
        self,
        store: Store,
        keystore: Keystore,
        vault: Vault,
        parts: Sequence[type[Part]],
        clock: Callable[[], int],
        max_queued: int = 20_000,
        *,
        guard: Path | None = None,
        spool: Spool | None = None,
        read_only: bool = False,
        keep_loaded: int = 1000,
    ) -> None:
        self.store = store
        self.keystore = keystore
        self.vault = vault
        self.spool = spool
        self.clock = clock
        self._read_only = read_only
        self.keep_loaded = keep_loaded
        self.parts = parts
        self._tiles = TileCache()
        self._logs: dict[int, Log] = {}
        self._lock = threading.RLock()
        require_finished(store)
        self._records = {record.number: record for record in store.logs()}
        self.root = self.log(ROOT_LOG)
        self.guard = None if guard is None else Guard.of(self.root, guard)
        self.sequencer = Sequencer(store, keystore, clock, self._signer_of, self.root, max_queued, self.guard)
        self._currency = None
        if store.shared and not read_only:
            self._currency = Currency(store, lambda: list(self._logs.values()), self.sequencer.catch_up)
        if self.guard is not None and not read_only:
            self.guard.compare(self.guard.require(), self.root.origin, self.root.tree, self._root_now())
            self.guard.require_holder(store.identity())
            # What was committed just before a crash and never shown is released now.
            self.sequencer.reload(self.root)

    def start(self) -> None:
        """Begin to write. Belongs to the event loop that submits."""
        self.sequencer.start()
        self.start_following()

    def start_following(self) -> None:
        """Begin to follow what other processes write, where there may be any."""
        if self._currency is not None:
            self._currency.start()

    def stop_following(self) -> None:
        if self._currency is not None:
            self._currency.stop()

    async def stop(self) -> None:
        """Commit what is queued, then let go of everything."""
        await asyncio.to_thread(self.stop_following)
        await self.sequencer.stop()
        self.close()

    async def reading(self, read: Callable[[], _Result]) -> _Result:
        """What `read` finds in the store: asked at once where that is a file, in a thread where it is across a network,
        so that a slow database never stops the event loop.
        """
        return await asyncio.to_thread(read) if self.store.shared else read()

    async def sealing(self, seal: Callable[[], _Result]) -> _Result:
        """The same about data keys."""
        return await asyncio.to_thread(seal) if self.keystore.remote else seal()

    def require_current(self) -> None:
        """Raises UnavailableError when this process may have missed what another one decided."""
        if self._currency is not None:
            self._currency.require()

    async def refresh(self, log: Log) -> None:
        """Catch up with what is committed at this moment. Raises UnavailableError."""
        await asyncio.wrap_future(self.sequencer.catch_up(log))

    def catch_up(self, log: Log) -> None:
        """The same from a thread that may wait; with nobody else to write there is nothing to catch up with."""
        if self.store.shared:
            self.sequencer.catch_up(log).result()

    def log(self, number: int) -> Log:
        """A log by number. Raises NotFoundError."""
        log = self.loaded(number)
        if log is None:
            with self._lock:
                log = self._logs.get(number) or self._load(number)
                self._evict()
        return log

    def loaded(self, number: int) -> Log | None:
        """A log by number where it is in memory, without asking the store."""
        log = self._logs.get(number)
        if log is not None:
            log.used = self.clock()
        return log

    def _evict(self) -> None:
        """Forget the logs that were unused the longest, where too many are loaded; they load again on their next use.

        Only idle ones: no request may still hold one of them while another loads it again.
        """
        idle = [log for log in self._logs.values() if log.number != ROOT_LOG and log.used < self.clock() - IDLE_MS]
        idle.sort(key=lambda log: log.used)
        for log in idle[: max(0, len(self._logs) - self.keep_loaded)]:
            del self._logs[log.number]

    def records(self) -> list[LogRecord]:
        """All logs there are, as the store has them now."""
        self._records = {record.number: record for record in self.store.logs()}
        return list(self._records.values())

    def find_log(self, wanted: Callable[[LogRecord], bool]) -> Log:
        """The one log whose record is wanted. Raises NotFoundError."""
        for records in (lambda: self._records.values(), self.records):
            for record in records():
                if wanted(record):
                    return self.log(record.number)
        raise NotFoundError("there is no such log")

    def _load(self, number: int) -> Log:
        record = self._records.get(number) or next((r for r in self.records() if r.number == number), None)
        if record is None:
            raise NotFoundError("there is no such log")
        tree = Tree(self.store, number, self._tiles)
        parts: Sequence[type[Part]] = [LogsState] if number == ROOT_LOG else self.parts
        committed = newest_commitment(self.store, number)
        # Then the head: governing entries that come later are folded when the log is caught up.
        head = self.store.head(number)
        governing = ((i, leaf) for i, leaf in self.store.governing(number, 0) if i < head.size)
        state = fold(empty_state(parts), governing)
        logs = state if number == ROOT_LOG else self.root.committed.state
        if record.origin not in logs[LogsState].vkeys:
            # Made a moment ago, perhaps by another process: what is known of the root log is from before.
            logs = self._root_now().state
        signer = self._load_signer(record.origin, logs)
        box = self.store.secret(pepper_name(number))
        if box is None:
            raise DamagedError(f"the vault has no pepper for log {number}: restore the database from a backup")
        pepper = self.vault.open(pepper_name(number), box)
        log = Log(record, tree, signer, pepper, Committed(head, tree.load_edge(head.size), state))
        if not self._read_only:
            check_before_signing(self.store, log, logs[LogsState], committed, self.clock())
        log.used = self.clock()
        self._logs[number] = log
        return log

    def compare_with_guard(self) -> Released | None:
        """What was released last, and the database as it is now has it; None when there is no guard file.

        Raises RollbackError when the database does not have it, and what `Guard.read` raises.
        """
        released = None if self.guard is None else self.guard.read()
        if self.guard is not None and released is not None:
            self.guard.compare(released, self.root.origin, self.root.tree, self._root_now())
        return released

    def _root_now(self) -> Committed:
        return caught_up(self.store, self.root, self.store.head(ROOT_LOG))

    def _load_signer(self, origin: str, root_state: State) -> SigningKey:
        if origin not in root_state[LogsState].vkeys:
            raise DamagedError(f"the root log knows no log {origin!r}: the table of logs was changed")
        return load_signing_key(origin, root_state[LogsState].current_vkey(origin), self.store, self.vault)

    def _signer_of(self, log: Log, committed: Committed) -> SigningKey:
        """The key that signs a log on from a head that another process signed, with that very key.

        Raises DamagedError for a head that it did not sign: nothing is built on rows that somebody put there.
        """
        if log is not self.root and log.origin not in self.root.committed.state[LogsState].vkeys:
            self.sequencer.reload(self.root)
        root_state = committed.state if log is self.root else self.root.committed.state
        vkey = root_state[LogsState].current_vkey(log.origin)
        require_signed(log.origin, committed.head, parse_vkey(vkey))
        return log.signer if log.signer.vkey.format() == vkey else self._load_signer(log.origin, root_state)

    def data_key(self, log: Log, subject: str | None, now: int) -> DataKey:
        return data_key(self.keystore, log, subject, now)

    def require_keys(self, moment: Moment, seen: int, drafts: Sequence[Draft]) -> None:
        """Under the lock: no key that drafts were sealed under was retired since `seen` was the newest governing entry.
        Raises UnavailableError.
        """
        if moment.state.governing != seen:
            self.keystore.require_usable([draft.data_key for draft in drafts if draft.data_key is not None])

    def close(self) -> None:
        self.keystore.close()
        self.store.close()


STANDARD = b"class\x00standard"


def subject_bucket(subject: str) -> bytes:
    """What the keys of a data subject are found by, before it is digested."""
    return b"subject\x00" + subject.encode()


def data_key(keystore: Keystore, log: Log, subject: str | None, now: int) -> DataKey:
    """The day's key for what belongs to a data subject, or to nobody in particular."""
    bucket = STANDARD if subject is None else subject_bucket(subject)
    return keystore.key_for(log.number, log.digest(bucket), now // DAY_MS, log.committed.state.governing)


FirstDrafts = Callable[[Log], Sequence[Draft]]


def initialise(
    store: Store,
    keystore: Keystore,
    vault: Vault,
    host: str,
    clock: Callable[[], int],
    parts: Sequence[type[Part]],
    tenant_id: str,
    first_drafts: FirstDrafts,
    release: Release,
) -> tuple[str, str]:
    """Make the root log and the first tenant's log, in one transaction. Returns their vkeys: (root, tenant).

    `first_drafts` gives the entries that follow the tenant log's genesis. Raises ConflictError when a ledger is there.
    """
    now = clock()
    log_id = secrets.token_hex(8)
    records = [
        LogRecord(ROOT_LOG, "root", f"{host}/root", None),
        LogRecord(ROOT_LOG + 1, log_id, f"{host}/log/{log_id}", tenant_id),
    ]
    root, of_root_vault = new_log(store, vault, records[0], [LogsState])
    tenant, of_tenant_vault = new_log(store, vault, records[1], parts)
    sealed = (*of_root_vault, *of_tenant_vault)
    vkeys = root.signer.vkey.format(), tenant.signer.vkey.format()

    copies = [WorkingCopy(log, now, {}) for log in (root, tenant)]
    of_root = [
        genesis(root, "root", tuple(records) + sealed),
        Draft(LogCreated(origin=tenant.origin, vkey=vkeys[1]), subject=tenant.origin),
        Draft(ReleasePublished(version=release.version, sha256=release.sha256), subject=release.version),
    ]
    copies[0].add(copies[0].plan(lambda _: of_root))
    copies[1].add(copies[1].plan(lambda _: [genesis(tenant, "tenant"), *first_drafts(tenant)]))
    keystore.flush()
    batches = [copy.finish() for copy in copies]
    store.append([], [], lambda heads, known: batches)
    return vkeys


def new_log(
    store: Store, vault: Vault, record: LogRecord, parts: Sequence[type[Part]]
) -> tuple[Log, tuple[Secret, Secret]]:
    """A log without entries, and what the vault gets with it: its signing key and its pepper. Nothing is stored yet."""
    signer, secret = create_signing_key(record.origin, vault)
    pepper, name = os.urandom(PEPPER_BYTES), pepper_name(record.number)
    committed = Committed(_EMPTY_HEAD, Edge(), empty_state(parts))
    log = Log(record, Tree(store, record.number, TileCache()), signer, pepper, committed)
    return log, (secret, Secret(name, vault.seal(name, pepper)))


def genesis(log: Log, kind: Literal["root", "tenant"], side: tuple[LogRecord | Secret, ...] = ()) -> Draft:
    """The first entry of a log."""
    event = LogGenesis(
        origin=log.origin,
        kind=kind,
        entry_rule=ENTRY_RULE,
        vkey=log.signer.vkey.format(),
        max_commit_delay=MAX_COMMIT_DELAY if kind == "root" else UNSET,
    )
    return Draft(event, subject=log.origin, side=side)


def pepper_name(number: int) -> str:
    return f"pepper/{number}"
