# SPDX-License-Identifier: Apache-2.0
"""The sequencer: puts entries in order, one transaction at a time.

    submit ─► queue ─► [ everything queued while the last transaction ran ] ─► one transaction ─► futures

There is no timer: a lone entry commits at once, and under load the batches grow by themselves. In the transaction the
heads are locked; each submission is decided in order against a working copy of the state, which holds what is committed
and what earlier submissions of the same batch did. A refused submission appends nothing and fails alone.

Who owns what. The queue belongs to the event loop. `Log.committed` is written by the writer thread only, and only after
a commit; it is one immutable value, so any thread may read it at any time. A working copy lives in one call of
`_commit`.

What leaves the process, and when. A checkpoint is signed inside the transaction and released only after the commit. If
the outcome of a commit is unknown nothing is released: the log is loaded again from the store, whose word is final, and
callers get a 503; asking again with the same call_id then finds the entry or writes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from ledger.log import canonical
from ledger.log.entry import MAX_ENTRY_BYTES, IdSource, compose, format_time, format_uuid
from ledger.log.errors import ConflictError, InvalidRequestError, LedgerError, OutcomeUnknownError, UnavailableError
from ledger.log.events import Event, Governing
from ledger.log.fold import BEFORE_GENESIS, State, fold
from ledger.log.keystore import Keystore
from ledger.log.store import Batch, Head, Known, LogRecord, Row, SideRow, Store
from ledger.log.tree import Tree
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.edge import Edge, FullTile
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import SigningKey

_log = structlog.get_logger("ledger.sequencer")

MAX_BATCH_EVENTS = 4096


class Moment(NamedTuple):
    """What a decision may look at: the state under the lock, the clock, and the index its first entry will get."""

    state: State
    now: int
    next_index: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that is about to become an entry. `data` is its canonical text where that is known beforehand.

    `side` rows that need the checkpoint of the transaction are functions of it.
    """

    event: Event
    subject: str | None = None
    time: str | None = None
    data: bytes | None = None
    sealed: bytes | None = None
    data_key: bytes | None = None
    dedup: bytes | None = None
    request: bytes | None = None
    side: tuple[SideRow | Callable[[str], SideRow], ...] = ()


Decide = Callable[[Moment], Sequence[Draft]]


@dataclass(frozen=True, slots=True)
class Committed:
    """A log as of one commit."""

    head: Head
    edge: Edge
    state: State


class Log:
    """One log in this process."""

    def __init__(self, record: LogRecord, tree: Tree, signer: SigningKey, pepper: bytes, committed: Committed) -> None:
        self.record = record
        self.number = record.number
        self.origin = record.origin
        self.tree = tree
        self.signer = signer
        self.committed = committed
        self._pepper = pepper

    def digest(self, data: bytes) -> bytes:
        """A 16-byte keyed digest that means nothing outside this log: for dedup keys and for names of data subjects."""
        return blake2b(data, key=self._pepper, digest_size=16).digest()


class Item(NamedTuple):
    """What became of one draft: a new entry, or the one that was there already (then without its leaf)."""

    leaf_index: int
    event_id: str
    duplicate: bool
    leaf: bytes | None


class Appended(NamedTuple):
    """Result of a submission: the log as committed with it, and an item for each draft, in order."""

    committed: Committed
    items: list[Item]


class _Submission(NamedTuple):
    log: Log
    decide: Decide
    dedup_keys: Sequence[bytes]
    weight: int
    future: asyncio.Future[Appended]


_Outcome = tuple["WorkingCopy", list[Item]] | Exception


class Sequencer:
    """See the module's text. One per process; `start` and `submit` belong to one event loop."""

    def __init__(self, store: Store, keystore: Keystore, clock: Callable[[], int], max_queued: int = 20_000) -> None:
        self._store = store
        self._keystore = keystore
        self._clock = clock
        self._max_queued = max_queued
        self._queue: deque[_Submission] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """Events that wait for a transaction."""
        return self._queued

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Commit what is queued, then stop. Later submissions are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._writer.shutdown()

    def submit(
        self, log: Log, decide: Decide, *, dedup_keys: Sequence[bytes] = (), weight: int = 1
    ) -> asyncio.Future[Appended]:
        """Queue a submission. `decide` runs under the lock and raises a LedgerError to refuse.

        `dedup_keys` must name every dedup key of its drafts; `weight` is how many events it counts for. The future gets
        the result after the commit, or the error. Raises UnavailableError at once when the queue is full.
        """
        if self._closing:
            raise UnavailableError("the service is shutting down")
        if self._queued and self._queued + weight > self._max_queued:
            raise UnavailableError(f"{self._queued} events are waiting to be written; nothing of yours was taken")
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._queue.append(_Submission(log, decide, dedup_keys, weight, future))
        self._queued += weight
        self._wake.set()
        return future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = self._take()
                outcomes = await loop.run_in_executor(self._writer, self._commit, batch)
                for submission, outcome in zip(batch, outcomes, strict=True):
                    self._queued -= submission.weight
                    _resolve(submission.future, outcome)
            if self._closing:
                return

    def _take(self) -> list[_Submission]:
        batch: list[_Submission] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= MAX_BATCH_EVENTS):
            submission = self._queue.popleft()
            weight += submission.weight
            batch.append(submission)
        return batch

    def _commit(self, batch: Sequence[_Submission]) -> list[_Outcome]:
        """One transaction, in the writer thread. Returns an outcome for each submission; never raises."""
        logs = list({submission.log.number: submission.log for submission in batch}.values())
        keys = list(dict.fromkeys(key for submission in batch for key in submission.dedup_keys))
        outcomes: list[_Outcome] = []
        copies: dict[int, WorkingCopy] = {}

        def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
            outcomes.clear()
            copies.clear()
            now = self._clock()
            for log in logs:
                if log.committed.head != heads[log.number]:
                    self.reload(log)
                copies[log.number] = WorkingCopy(log, now, known)
            for submission in batch:
                copy = copies[submission.log.number]
                try:
                    outcomes.append((copy, copy.take(submission.decide)))
                except LedgerError as refusal:
                    outcomes.append(refusal)
                except Exception as error:
                    _log.exception("decision_failed", log=copy.log.origin)
                    outcomes.append(error)
            # Keys first: an entry must never be durable before the key that opens its disclosures.
            self._keystore.flush()
            return [copy.finish() for copy in copies.values() if copy.rows]

        try:
            self._store.append([log.number for log in logs], keys, build)
        except OutcomeUnknownError as error:
            _log.error("commit_outcome_unknown", error=str(error), logs=[log.origin for log in logs])
            return self._fail(
                batch, outcomes, UnavailableError("it is unknown whether this was written; ask again"), logs
            )
        except LedgerError as error:
            _log.error("batch_failed", error=error.message)
            return self._fail(batch, outcomes, error, ())
        except Exception as error:
            _log.exception("batch_failed")
            return self._fail(batch, outcomes, error, logs)
        for copy in copies.values():
            if copy.rows:
                # Tiles before the new state, so that who sees the state finds its tiles without reading.
                copy.log.tree.remember(copy.tiles)
                copy.log.committed = copy.result()
        return outcomes

    def _fail(
        self, batch: Sequence[_Submission], outcomes: list[_Outcome], error: Exception, reload: Sequence[Log]
    ) -> list[_Outcome]:
        for log in reload:
            try:
                self.reload(log)
            except Exception:
                _log.exception("reload_failed", log=log.origin)
        # Who was refused stays refused; the others learn that nothing of theirs was written.
        refused = outcomes if len(outcomes) == len(batch) else [error] * len(batch)
        return [outcome if isinstance(outcome, Exception) else error for outcome in refused]

    def reload(self, log: Log) -> None:
        """Take the log's state from the store: what was decided on an older one is decided again."""
        head = self._store.head(log.number)
        state = log.committed.state
        state = fold(state, self._store.governing(log.number, state.governing + 1))
        log.committed = Committed(head, log.tree.load_edge(head.size), state)


def _resolve(future: asyncio.Future[Appended], outcome: _Outcome) -> None:
    if future.cancelled():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        copy, items = outcome
        # A submission that turned out to be all duplicates changed nothing, and the committed log stands for it.
        future.set_result(Appended(copy.log.committed if not copy.rows else copy.result(), items))


class WorkingCopy:
    """A log with what this batch has added so far. Nothing of it is seen by anybody until the commit."""

    def __init__(self, log: Log, now: int, known: Mapping[bytes, Known]) -> None:
        self.log = log
        self.rows: list[Row] = []
        self.tiles: list[FullTile] = []
        self._before = log.committed
        self._state = log.committed.state
        self._now = now
        self._recorded_at = format_time(now)
        self._ids = IdSource(log.committed.head.last_id)
        self._known = known
        self._added: dict[bytes, Known] = {}
        self._side: list[SideRow | Callable[[str], SideRow]] = []
        self._result: Committed | None = None

    def take(self, decide: Decide) -> list[Item]:
        """Decide one submission and add its entries, all or none. Raises what `decide` raises, and ConflictError."""
        first = self._before.head.size + len(self.rows)
        drafts = decide(Moment(self._state, self._now, first))
        state, rows, items = self._state, list[Row](), list[Item]()
        side = list[SideRow | Callable[[str], SideRow]]()
        added: dict[bytes, Known] = {}
        for position, draft in enumerate(drafts):
            if draft.dedup is not None:
                seen = self._added.get(draft.dedup) or self._known.get(draft.dedup)
                here = added.get(draft.dedup)
                if seen is not None or here is not None:
                    items.append(_duplicate(seen, here, draft, position))
                    continue
            index = first + len(rows)
            row = self._row(index, draft, state)
            if row.governing:
                state = state.apply(index, draft.event)
            if draft.dedup is not None:
                added[draft.dedup] = Known(index, row.event_id, draft.request)
            rows.append(row)
            side += draft.side
            items.append(Item(index, format_uuid(int.from_bytes(row.event_id)), False, row.leaf))
        self._state = state
        self._added |= added
        self.rows += rows
        self._side += side
        return items

    def _row(self, index: int, draft: Draft, state: State) -> Row:
        event = draft.event
        governing = isinstance(event, Governing)
        if governing and state.governing != BEFORE_GENESIS:
            event = replace(event, as_of=state.governing)
        event_id = self._ids.next(self._now)
        leaf = compose(
            data=canonical.encode(event) if draft.data is None else draft.data,
            id=format_uuid(event_id),
            recordedat=self._recorded_at,
            source=self.log.origin,
            subject=draft.subject,
            time=draft.time,
            type=event.type,
        )
        if len(leaf) > MAX_ENTRY_BYTES:
            raise InvalidRequestError.at(["body"], f"an entry has {len(leaf)} bytes, at most {MAX_ENTRY_BYTES} fit")
        reported = hasattr(event, "agent_id")
        return Row(
            leaf_index=index,
            event_id=event_id.to_bytes(16, "big"),
            type=event.type,
            governing=governing,
            recorded_at=self._now,
            key_id=getattr(event, "key_id", None) if reported else None,
            agent_id=getattr(event, "agent_id", None),
            tool_name=getattr(event, "tool_name", None),
            verdict=getattr(event, "verdict", None),
            mode=getattr(event, "mode", None),
            env=getattr(event, "env", None) if reported else None,
            dedup=draft.dedup,
            request=draft.request,
            data_key=draft.data_key,
            leaf=leaf,
            sealed=draft.sealed,
        )

    def finish(self) -> Batch:
        """Grow the tree, sign the new head, and hand over what is to be written."""
        before = self._before
        edge = before.edge.copy()
        self.tiles = edge.append([leaf_hash(row.leaf) for row in self.rows])
        root = edge.root()
        note = Checkpoint(self.log.origin, edge.size, root).sign(self.log.signer)
        head = Head(edge.size, root, note, self._state.governing, self._ids.last)
        self._result = Committed(head, edge, self._state)
        side = [row(note) if callable(row) else row for row in self._side]
        return Batch(self.log.number, head, self.rows, self.tiles, side)

    def result(self) -> Committed:
        assert self._result is not None, "the working copy was never finished"
        return self._result


def _duplicate(stored: Known | None, here: Known | None, draft: Draft, position: int) -> Item:
    """The item of a draft whose dedup key is taken, by an entry or by an earlier draft of the same submission."""
    seen = stored or here
    assert seen is not None
    event_id = format_uuid(int.from_bytes(seen.event_id))
    if seen.request != draft.request:
        # An entry of this submission will not exist, so it has no index to tell.
        where = {} if stored is None else {"leaf_index": seen.leaf_index, "event_id": event_id}
        raise ConflictError(
            "this call_id stands for other content " + ("in the same request" if stored is None else "already"),
            errors=[{"loc": ["body", "events", position, "call_id"], "msg": "used for other content"}],
            **where,
        )
    return Item(seen.leaf_index, event_id, True, None)
