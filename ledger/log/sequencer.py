# SPDX-License-Identifier: Apache-2.0
"""The sequencer: puts entries in order, one transaction at a time.

    run ─► queue ─► [ all that came while the last transaction ran ] ─► prepare, one transaction, conclude ─► futures

There is no timer: a lone entry commits at once, and under load the batches grow by themselves. Before the transaction
each submission prepares what it adds, and after it each concludes what its caller gets: one after the other, since the
same few steps for many events in a row cost less than taking turns with all that a request needs. Small ones do so in
the event loop's thread, because two threads that both want the interpreter cost a third more than one; what is large,
or may wait for a network, does so in the writer's. The transaction itself is divided alike: a small one on a store of
our own begins in the event loop's thread, and only its commit, which waits for the disk, is the writer's. In the
transaction the heads are locked; each submission is decided in order against a working copy of the state, which holds
what is committed and what earlier submissions of the same batch did. A refused submission appends nothing and fails
alone.

Who owns what. The queue belongs to the event loop. `Log.committed` is written by the writer thread only, and only after
a commit; it is one immutable value, so any thread may read it at any time. A working copy lives in one call of
`_commit`.

What leaves the process, and when. A checkpoint is signed inside the transaction and released only after the commit. If
the outcome of a commit is unknown nothing is released: the log is loaded again from the store, whose word is final, and
callers get a 503; asking again with the same call_id then finds the entry or writes it. A checkpoint of the root log is
released when the rollback guard has it, too (log/guard.py). A database that turns out to be behind the guard while it
is served ends all signing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar, cast

import structlog

from ledger.log.catching_up import caught_up
from ledger.log.errors import LedgerError, OutcomeUnknownError, RollbackError, UnavailableError
from ledger.log.guard import Guard, Released
from ledger.log.keystore import Keystore
from ledger.log.store import ROOT_LOG, Batch, Head, Known, Store
from ledger.log.submission import (
    Appended,
    Outcome,
    Part,
    Prepared,
    Submission,
    Work,
    attempt,
    conclude,
    decide,
    reads,
    refusal_alone,
)
from ledger.log.working_copy import Committed, Decide, Log, WorkingCopy
from ledger.tlog.note import SigningKey

_log = structlog.get_logger("ledger.sequencer")

MAX_BATCH_EVENTS = 4096
SMALL = 8
"""Events of a submission that is prepared and concluded in the event loop's thread."""
TURN = 64
"""So many of these before the loop gets to do something else: a few milliseconds."""

_Result = TypeVar("_Result")
_Steps = Generator[None, None, list[_Result]]
"""What gives a list in the end, and may pause before."""


class _Committed(NamedTuple):
    """A submission that is left to be concluded."""

    outcome: Outcome


class Sequencer:
    """See the module's text. One per process; `start` and `submit` belong to one event loop."""

    def __init__(
        self,
        store: Store,
        keystore: Keystore,
        clock: Callable[[], int],
        signer_of: Callable[[Log, Committed], SigningKey],
        root: Log,
        max_queued: int = 20_000,
        guard: Guard | None = None,
    ) -> None:
        self._store = store
        self._root = root
        self._guard = guard
        self._halted: RollbackError | None = None
        self._signer_of = signer_of
        self._keystore = keystore
        self._clock = clock
        self._max_queued = max_queued
        self._queue: deque[Submission] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self.on_commit: Callable[[Log], None] | None = None
        """Told of each log that has grown, by whichever process, once that can be seen; in a thread of the caller's.
        Must be quick, and must not raise.
        """
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """Events that wait for a transaction."""
        return self._queued

    @property
    def halted(self) -> str | None:
        """Why nothing is signed any more, until an operator has looked."""
        return None if self._halted is None else self._halted.message

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Commit what is queued, then stop. Later submissions are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._writer.shutdown()

    async def submit(self, log: Log, decide: Decide, *, dedup_keys: Sequence[bytes] = (), weight: int = 1) -> Appended:
        """Add to one log; see `submit_together`."""
        [appended] = await self.submit_together([Part(log, decide)], dedup_keys=dedup_keys, weight=weight)
        return appended

    def submit_together(
        self, parts: Sequence[Part], *, dedup_keys: Sequence[bytes] = (), weight: int = 1
    ) -> asyncio.Future[list[Appended]]:
        """Queue what is prepared already; the future gets a result for each part after the commit."""
        return self.run(Prepared(parts, dedup_keys), weight=weight)

    def run(self, work: Work[_Result], *, weight: int) -> asyncio.Future[_Result]:
        """Queue a submission; the future gets what it concludes, or the error.

        `weight` is how many events it counts for. Raises UnavailableError at once when the queue is full.
        """
        if self._closing:
            raise UnavailableError("the service is shutting down")
        if self._halted is not None:
            raise self._halted
        if self._queued and self._queued + weight > self._max_queued:
            raise UnavailableError(f"{self._queued} events are waiting to be written; nothing of yours was taken")
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._queue.append(Submission(work, weight, future))
        self._queued += weight
        self._wake.set()
        return future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._gather()
                batch = self._take()
                prepared: list[Prepared | Exception | None] = []
                async for start, stop in _turns(len(batch)):
                    prepared += map(self._prepared_here, batch[start:stop])
                steps = self._process(batch, prepared)
                try:
                    if self._begins_here(batch, prepared):
                        next(steps)
                    results = await loop.run_in_executor(self._writer, _rest_of, steps)
                except StopIteration as end:
                    results = end.value
                async for start, stop in _turns(len(batch)):
                    for submission, result in zip(batch[start:stop], results[start:stop], strict=True):
                        self._queued -= submission.weight
                        _resolve(submission, result)
            if self._closing:
                return

    async def _gather(self) -> None:
        """Let the event loop finish what it has at hand: requests that have arrived already join this batch.

        A transaction and two changes of thread cost what dozens of events cost, and a lone event waits for one turn of
        the loop.
        """
        queued = 0
        while queued < self._queued < MAX_BATCH_EVENTS:
            queued = self._queued
            await asyncio.sleep(0)

    def _take(self) -> list[Submission]:
        batch: list[Submission] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= MAX_BATCH_EVENTS):
            submission = self._queue.popleft()
            weight += submission.weight
            batch.append(submission)
        return batch

    def _prepared_here(self, submission: Submission) -> Prepared | Exception | None:
        """A small submission, prepared; None for one that the writer's thread has to prepare."""
        if submission.weight > SMALL or self._keystore.remote:
            return None
        return attempt(submission.work.prepare)

    def _begins_here(self, batch: Sequence[Submission], prepared: Sequence[Prepared | Exception | None]) -> bool:
        """Whether a transaction does nothing that takes long or waits, until it commits. The root log's asks the
        guard.
        """
        return (
            not self._store.shared
            and not self._keystore.unsaved
            and sum([submission.weight for submission in batch]) <= 2 * TURN
            and not any(one is None or (isinstance(one, Prepared) and _touches_root(one)) for one in prepared)
        )

    def _process(self, batch: Sequence[Submission], prepared: Sequence[Prepared | Exception | None]) -> _Steps[Any]:
        """What each submission concludes, or why not, or what is left to be concluded; never raises. Where it pauses,
        the rest waits for the disk and belongs in the writer's thread.
        """
        prepared = [
            attempt(submission.work.prepare) if one is None else one
            for submission, one in zip(batch, prepared, strict=True)
        ]
        ready = [one for one in prepared if isinstance(one, Prepared)]
        outcomes = iter((yield from self._commit(ready)) if ready else ())
        return [
            self._concluded(submission, next(outcomes)) if isinstance(one, Prepared) else one
            for submission, one in zip(batch, prepared, strict=True)
        ]

    def _concluded(self, submission: Submission, outcome: Outcome) -> Any:
        if submission.weight > SMALL or (self._store.shared and reads(outcome)):
            return conclude(submission.work, outcome)
        return _Committed(outcome)

    def _commit(self, batch: Sequence[Prepared]) -> _Steps[Outcome]:
        """One transaction. Returns an outcome for each submission; never raises. Pauses where the store does."""
        if self._halted is not None:
            return [self._halted] * len(batch)
        # By number, the root log first: when logs are reloaded, its state names the keys that sign the others.
        by_number = {part.log.number: part.log for submission in batch for part in submission.parts}
        logs = [by_number[number] for number in sorted(by_number)]
        keys = list(dict.fromkeys(key for submission in batch for key in submission.dedup_keys))
        outcomes: list[Outcome] = []
        copies: dict[int, WorkingCopy] = {}
        stored: Mapping[bytes, Known] = {}

        def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
            nonlocal stored
            outcomes.clear()
            copies.clear()
            now, stored = self._clock(), known
            for log in logs:
                if not log.is_new and log.committed.head != heads[log.number]:
                    self.reload(log, heads[log.number])
                if log.number == ROOT_LOG and self._guard is not None and released is not None:
                    self._guard.compare(released, log.origin, log.tree, log.committed)
                copies[log.number] = WorkingCopy(log, now, known)
            for submission in batch:
                try:
                    outcomes.append(decide(submission, copies))
                except LedgerError as refusal:
                    outcomes.append(refusal)
                except Exception as error:
                    _log.exception("decision_failed", logs=[part.log.origin for part in submission.parts])
                    outcomes.append(error)
            # Keys first: an entry must never be durable before the key that opens its disclosures.
            self._keystore.flush()
            return [copy.finish() for copy in copies.values() if copy.rows]

        try:
            # Before the lock, so that the locked head of the root log is never older.
            released = self._read_guard() if ROOT_LOG in by_number else None
            # A new log has no head yet that could be locked.
            there = [log.number for log in logs if not log.is_new]
            yield from self._store.append_in_steps(there, keys, build)
        except OutcomeUnknownError as error:
            _log.error("commit_outcome_unknown", error=str(error), logs=[log.origin for log in logs])
            self._reload_all(logs)
            unknown = UnavailableError("it is unknown whether this was written; ask again")
            return self._failed(batch, outcomes, unknown, stored)
        except LedgerError as error:
            _log.error("batch_failed", error=error.for_operator)
            return self._failed(batch, outcomes, self._halt_after(error), stored)
        except Exception as error:
            _log.exception("batch_failed")
            self._reload_all(logs)
            return self._failed(batch, outcomes, error, stored)
        unreleased = self._release(copies.get(ROOT_LOG))
        for copy in copies.values():
            if copy.rows and (unreleased is None or copy.log.number != ROOT_LOG):
                # Tiles before the new state, so that who sees the state finds its tiles without reading.
                copy.log.tree.remember(copy.tiles)
                copy.log.signer = copy.signer
                copy.log.committed = copy.result()
                if self.on_commit is not None:
                    self.on_commit(copy.log)
        if unreleased is None:
            return outcomes
        # What is in the root log now is durable, but shown to nobody; the next transaction there releases it, too.
        return [
            unreleased if _touches_root(submission) and not isinstance(outcome, Exception) else outcome
            for submission, outcome in zip(batch, outcomes, strict=True)
        ]

    def _read_guard(self) -> Released | None:
        if self._guard is None:
            return None
        self._guard.require_holder(self._store.identity())
        return self._guard.read()

    def _release(self, root: WorkingCopy | None) -> LedgerError | None:
        """Let the guard take what was committed to the root log. Gives the error when it could not."""
        if root is None or not root.rows or self._guard is None:
            return None
        try:
            self._guard.advance(root.result().head.checkpoint)
        except LedgerError as error:
            _log.error("root_checkpoint_not_released", error=error.for_operator)
            return self._halt_after(error)
        return None

    def _halt_after(self, error: LedgerError) -> LedgerError:
        """After a RollbackError nothing is signed any more. The log has the details, callers are told what it means."""
        if not isinstance(error, RollbackError):
            return error
        if self._halted is None:
            _log.critical("signing_halted", error=error.message)
            self._halted = RollbackError(
                "nothing is signed: the database lacks what was published; an operator must look"
            )
        return self._halted

    def _failed(
        self, batch: Sequence[Prepared], outcomes: list[Outcome], error: Exception, known: Mapping[bytes, Known]
    ) -> list[Outcome]:
        """What the callers of a batch that failed are told: that nothing of theirs was written, but for those who were
        refused on what is committed. A refusal that rests on others of the batch does not stand without them.
        """
        if len(outcomes) != len(batch):
            return [error] * len(batch)
        now = self._clock()
        return [
            (isinstance(outcome, Exception) and refusal_alone(submission, now, known)) or error
            for submission, outcome in zip(batch, outcomes, strict=True)
        ]

    def _reload_all(self, logs: Sequence[Log]) -> None:
        for log in logs:
            if log.is_new:
                continue
            try:
                self.reload(log)
            except LedgerError as failure:
                # The next transaction sees that the heads differ, and loads what it needs.
                _log.error("reload_failed", log=log.origin, error=failure.for_operator)
            except Exception:
                _log.exception("reload_failed", log=log.origin)

    def catch_up(self, log: Log) -> "Future[None]":
        """Have the writer thread take a log's state from the store, between two transactions."""
        return self._writer.submit(self.reload, log)

    def reload(self, log: Log, head: Head | None = None) -> None:
        """Take the log's state from the store, where it has `head` now: what was decided on an older one is decided
        again. Raises DamagedError when it is no extension of what is known here.
        """
        guard = self._guard if log is self._root else None
        # The guard before the head: what was released by then is in the store by now.
        released = None if guard is None else guard.read()
        before = log.committed
        committed = caught_up(self._store, log, head or self._store.head(log.number))
        if committed.state is not before.state and log is not self._root:
            # Perhaps its key was replaced, and it is the root log that names the keys.
            self.reload(self._root)
        # Before the guard: it takes nothing that was not signed by the log's own key.
        signer = log.signer if committed is before else self._signer_of(log, committed)
        if guard is not None:
            try:
                if released is not None:
                    guard.compare(released, log.origin, log.tree, committed)
                guard.advance(committed.head.checkpoint)
            except RollbackError as error:
                self._halt_after(error)
                raise
        log.signer, log.committed = signer, committed
        if self.on_commit is not None and committed is not before:
            self.on_commit(log)


def _rest_of(steps: _Steps[Any]) -> list[Any]:
    """What the steps that are left come to."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return cast(list[Any], end.value)


def _touches_root(submission: Prepared) -> bool:
    return any(part.log.number == ROOT_LOG for part in submission.parts)


async def _turns(count: int) -> AsyncIterator[tuple[int, int]]:
    """Ranges of a few out of so many, between which the loop does something else."""
    for start in range(0, count, TURN):
        if start:
            await asyncio.sleep(0)
        yield start, start + TURN


def _resolve(submission: Submission, result: Any) -> None:
    if isinstance(result, _Committed):
        result = conclude(submission.work, result.outcome)
    future = submission.future
    if future.cancelled():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
