# SPDX-License-Identifier: Apache-2.0
"""Following logs as they grow: who waits for news of one, and where he reads on.

    commit, by this process or another ─► Streams.told ─► who follows that log ─► reads on in the store from his place

News say that a log has grown and nothing else; what was added is read in the store, by leaf index. So nobody misses an
entry or gets one twice, however he began and whoever wrote it, and nothing is kept for readers who are slow.

News are passed on a few times a second, so that a busy log makes no busy readers; and readers who are at the same place
share what is read.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakSet

from ledger.log.errors import UnavailableError
from ledger.log.sequencer import Sequencer
from ledger.log.working_copy import Log

PACE_SECONDS = 0.05
"""How long news wait for more of the same."""
ENDLESS = "endless"
"""What the state of a request says whose answer ends only when somebody ends it."""

_Result = TypeVar("_Result")


class Follower:
    """Somebody who waits for news of a log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.news = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Until there are news, or so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.news.wait()
        except TimeoutError:
            return
        self.news.clear()


class Streams:
    """All streams of a process, at most `most` at once. A stream that is silent says every `heartbeat` seconds that it
    is there. Belongs to one event loop; only `told` comes from elsewhere.
    """

    def __init__(self, sequencer: Sequencer, most: int, heartbeat: float) -> None:
        self.heartbeat = heartbeat
        self.ended = False
        self._most = most
        # Who is held by nobody any more is gone, whether he could say so or not.
        self._followers: WeakSet[Follower] = WeakSet()
        self._due: set[int] = set()
        self._reading: dict[Hashable, asyncio.Future[Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        sequencer.on_commit = self.told

    def __len__(self) -> int:
        return len(self._followers)

    def follow(self, log: Log) -> Follower:
        """Raises UnavailableError where there is no room for one more."""
        if self.ended:
            raise UnavailableError("the service is shutting down")
        if len(self) >= self._most:
            raise UnavailableError(f"{self._most} streams are open, and no more are kept: try again later")
        self._loop = asyncio.get_running_loop()
        follower = Follower(log)
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        self._followers.discard(follower)

    def end(self) -> None:
        """Let all streams end, and begin none."""
        self.ended = True
        for follower in self._followers:
            follower.news.set()

    def told(self, log: Log) -> None:
        """Some log has grown. Costs next to nothing while nobody follows any."""
        if self._followers and self._loop is not None:
            self._loop.call_soon_threadsafe(self._hear, log.number)

    def _hear(self, number: int) -> None:
        if not self._due:
            asyncio.get_running_loop().call_later(PACE_SECONDS, self._pass_on)
        self._due.add(number)

    def _pass_on(self) -> None:
        due, self._due = self._due, set()
        for follower in self._followers:
            if follower.log.number in due:
                follower.news.set()

    async def read(self, place: Hashable, read: Callable[[], _Result]) -> _Result:
        """What `read` finds in the store; read once for all who ask for this place meanwhile."""
        reading = self._reading.get(place)
        if reading is None:
            reading = self._reading[place] = asyncio.ensure_future(asyncio.to_thread(read))
            reading.add_done_callback(lambda done: self._forget(place, done))
        # One of them may go away while the others wait.
        found: _Result = await asyncio.shield(reading)
        return found

    def _forget(self, place: Hashable, done: "asyncio.Future[Any]") -> None:
        del self._reading[place]
        if not done.cancelled():
            # Nobody may be left to hear of an error.
            done.exception()
