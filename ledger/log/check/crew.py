# SPDX-License-Identifier: Apache-2.0
"""Who walks: this process, or several that are started for it.

A log is cut into stretches, which are walked in any order and joined in theirs; so the first wrong place is the same
whoever found it. Each process opens the ledger for itself, reading only. It is started afresh and not forked: a fork
would share open databases and locks that some thread holds.
"""

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from types import TracebackType

from ledger.log.check.holdings import Holdings
from ledger.log.check.walk import Stretch, Walked, Walker
from ledger.log.errors import UnavailableError
from ledger.tlog.tiles import WIDTH

STRETCH = 64 * WIDTH
"""Leaves of a stretch: a third of a second of work, and two kilobytes to hand over."""
_AHEAD = 3
"""Stretches handed out to each process at a time."""

_runs = count()


class Crew:
    """As many `processes`; with one, all the work is done in this one. To be used in a `with` statement."""

    def __init__(self, processes: int = 1, stretch: int = STRETCH) -> None:
        assert processes > 0 and stretch > 0 and stretch % WIDTH == 0
        self.processes = processes
        self.stretch = stretch
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def walk(self, holdings: Holdings, stretches: Iterator[Stretch], entries: int) -> Iterator[tuple[Stretch, Walked]]:
        """Walk stretches of so many `entries` altogether and give what was found, in their order.

        The next stretches are asked for while others are walked, so what was found in one comes also when an earlier
        one has shown that nobody needs it. Raises UnavailableError.
        """
        # Starting a process takes longer than walking what one stretch holds.
        if self.processes == 1 or holdings.reopen is None or entries <= self.stretch:
            walker = Walker(holdings)
            for stretch in stretches:
                yield stretch, walker.walk(stretch)
            return
        try:
            yield from self._walk_apart(holdings.reopen, stretches)
        except BrokenProcessPool as error:
            raise UnavailableError("a process of the check has ended; is there enough memory?") from error

    def _walk_apart(
        self, reopen: Callable[[], Holdings], stretches: Iterator[Stretch]
    ) -> Iterator[tuple[Stretch, Walked]]:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(self.processes, get_context("spawn"), initializer=_begin)
        run = f"{os.getpid()}/{next(_runs)}"
        handed_out = deque[tuple[Stretch, Future[Walked]]]()
        try:
            while True:
                for stretch in islice(stretches, _AHEAD * self.processes - len(handed_out)):
                    handed_out.append((stretch, self._executor.submit(_walk, run, reopen, stretch)))
                if not handed_out:
                    return
                stretch, future = handed_out.popleft()
                yield stretch, future.result()
        finally:
            for _, future in handed_out:
                future.cancel()


# In another process

_walkers: dict[str, tuple[Walker, Holdings]] = {}
"""The one of the newest run: what an earlier one has read may have changed since."""


def spare_collector() -> None:
    """For a process that does nothing but check: a walk makes many objects and next to no cycles, so that the garbage
    collector would go through the whole program again and again for nothing.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _begin() -> None:
    spare_collector()
    # Who presses Ctrl-C means the process that was started by hand; it ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process that was killed can tell the others nothing, and they would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _walk(run: str, reopen: Callable[[], Holdings], stretch: Stretch) -> Walked:
    if run not in _walkers:
        for _, holdings in _walkers.values():
            holdings.close()
        _walkers.clear()
        holdings = reopen()
        _walkers[run] = Walker(holdings), holdings
    return _walkers[run][0].walk(stretch)
