# SPDX-License-Identifier: Apache-2.0
"""How a process stays current when others write to the same logs (DESIGN: currency across processes).

A thread asks the store a few times a second for the size and the newest governing entry of every log that is loaded;
where one moved, the writer thread catches up. Nothing is decided from knowledge whose last confirmation is older than
`MAX_AGE_SECONDS`: a key that was revoked elsewhere must not be good here because the database is slow to say so. What
is written is decided again under the lock in any case.

Nothing is sent between processes: a NOTIFY inside an append would put all commits of the database in one line.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import structlog

from ledger.log.errors import LedgerError, UnavailableError
from ledger.log.store import Store
from ledger.log.working_copy import Log

_log = structlog.get_logger("ledger.currency")

POLL_SECONDS = 0.2
MAX_AGE_SECONDS = 1.0


class Currency:
    """`logs` gives the loaded logs; `catch_up` has the writer thread look at one of them."""

    def __init__(
        self, store: Store, logs: Callable[[], Sequence[Log]], catch_up: Callable[[Log], "Future[None]"]
    ) -> None:
        self._store = store
        self._logs = logs
        self._catch_up = catch_up
        self._confirmed = time.monotonic()
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-currency", daemon=True)

    def start(self) -> None:
        self._confirmed = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def require(self) -> None:
        """Raises UnavailableError when it is too long ago that the store confirmed what is known here."""
        age = time.monotonic() - self._confirmed
        if age > MAX_AGE_SECONDS:
            raise UnavailableError(f"the database has not said for {age:.0f} s what other processes decided")

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            asked = time.monotonic()
            try:
                self._poll()
            except LedgerError as error:
                self._report(error.for_operator)
            except Exception as error:
                self._report(repr(error))
            else:
                self._failing = False
                self._confirmed = asked

    def _poll(self) -> None:
        logs = {log.number: log for log in self._logs()}
        for number, (size, governing) in self._store.positions(list(logs)).items():
            log = logs[number]
            if governing != log.committed.head.last_governing:
                # Knowledge that decisions rest on: not confirmed before it is here.
                self._catch_up(log).result(timeout=MAX_AGE_SECONDS)
            elif size != log.committed.head.size:
                self._catch_up(log)

    def _report(self, reason: str) -> None:
        if not self._failing:
            _log.error("not_current", reason=reason, consequence="requests are refused until the database answers")
        self._failing = True
