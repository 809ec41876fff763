# SPDX-License-Identifier: Apache-2.0
"""What the log asks of a database: one contract, so that everything outside this package is storage-neutral.

Writing is one verb. `append` opens a transaction, locks the heads of the named logs, looks up dedup keys, calls `build`
with what it found, writes the batches that `build` returns, and commits. Whatever happens, a batch is in the store
whole or not at all:

* an exception from `build`, or a database that refuses before the commit: rolled back, the exception passes on
  (database errors as UnavailableError);
* a database that fails during the commit: OutcomeUnknownError. The caller must not use what it built; it reads the
  heads again and goes on from there.

A batch for a log that was not named makes that log: its LogRecord is among the side rows (ConflictError when it
exists).

`append_in_steps` is the same as a generator, for who must not be held up. It may pause once, when nothing is left but
the commit; the thread that goes on need not be the one that began. Who drops it there, rolls back. A store that other
processes write to, too, has to wait from the beginning, and does not pause.

`build` may be called again with fresher heads, or with more dedup keys known, so it must not keep anything of an
earlier call: a store may leave it to its unique index to find that a key is taken, and look up only then. What is
committed was built with all of them known.

Reading is by log number and leaf index, never under a lock; a reader sees committed data only.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ledger.tlog.edge import FullTile

SEARCH_SPAN = 50_000
"""A listing looks at this many entries for one answer; with a rare filter it returns a short page and a cursor."""

INSTANCE = "instance"
"""Name of the note by which copies of the data are told apart."""

UNFINISHED = "unfinished"
"""Name of the note that says, where it is not empty, that the data are a copy which was cut short."""

ROOT_LOG = 0
"""Number of the root log; tenant logs count from 1."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log that exists. `log_id` is the random part of its origin and path, or "root"."""

    number: int
    log_id: str
    origin: str
    tenant_id: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest committed state of a log. `checkpoint` is the signed note, empty before the first entry."""

    size: int
    root: bytes
    checkpoint: str
    last_governing: int
    last_id: int


class Row(NamedTuple):
    """One entry with what is kept beside it. Times are milliseconds since the epoch."""

    leaf_index: int
    event_id: bytes
    type: str
    governing: bool
    recorded_at: int
    key_id: str | None
    agent_id: str | None
    tool_name: str | None
    verdict: str | None
    mode: str | None
    env: str | None
    dedup: bytes | None
    request: bytes | None
    data_key: bytes | None
    leaf: bytes
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class CommittedHead:
    """A head as the root log committed it: line `position` of the heads tree of root-log entry `root_index`."""

    root_index: int
    position: int
    log_number: int
    size: int
    checkpoint: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Day:
    """A closed day: where its `day.closed` entry is, and the root-log checkpoint signed by that very append."""

    date: str
    entry_index: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A sealed secret under its name in the vault."""

    name: str
    box: bytes


@dataclass(frozen=True, slots=True)
class SecretChange:
    """What the vault has under a name from now on, whatever it had there before; None for nothing.

    With `keep` what is there stays, and the caller has to look whose it is.
    """

    name: str
    box: bytes | None
    keep: bool = False


SideRow = CommittedHead | Day | Secret | SecretChange | LogRecord


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one transaction adds to one log."""

    log_number: int
    head: Head
    rows: Sequence[Row]
    tiles: Sequence[FullTile]
    side: Sequence[SideRow] = ()


class Known(NamedTuple):
    """An entry already stored under a dedup key."""

    leaf_index: int
    event_id: bytes
    request: bytes | None


class CallCount(NamedTuple):
    """How many entries of one agent there are of one UTC day, counted from the epoch."""

    agent_id: str
    day: int
    calls: int


class Sealed(NamedTuple):
    """The disclosures of an entry as stored."""

    blob: bytes
    data_key: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries a listing wants. None means any, and so does an empty list. Times are milliseconds, `until`
    excluded.
    """

    types: Sequence[str] = ()
    agents: Sequence[str] = ()
    envs: Sequence[str] = ()
    key_id: str | None = None
    tool_name: str | None = None
    verdict: str | None = None
    mode: str | None = None
    # Besides what is of this environment, also what is of none.
    only_env: str | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None


class Resealed(NamedTuple):
    """What is to be stored beside an entry from now on instead of what lies there under the key `before`; None for
    nothing. With `forget` the digest of what the caller sent goes, too.
    """

    leaf_index: int
    before: bytes
    data_key: bytes | None
    sealed: bytes | None
    forget: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Entries (index, leaf) of a listing, newest first, and below which index the next page starts; None at the end."""

    entries: list[tuple[int, bytes]] = field(default_factory=list)
    below: int | None = None


class Onward(NamedTuple):
    """Entries (index, leaf) of a listing, oldest first, and the index from which on nothing was looked at."""

    entries: list[tuple[int, bytes]]
    following: int


Build = Callable[[Mapping[int, Head], Mapping[bytes, Known]], Sequence[Batch]]


class Store(Protocol):
    """See the module's text for the first two. Every method may raise UnavailableError."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to the same logs, so that what this one knows can be out of date."""
        ...

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None: ...

    def append_in_steps(
        self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build
    ) -> Iterator[None]: ...

    def logs(self) -> list[LogRecord]: ...

    def heads(self) -> dict[int, Head]: ...

    def head(self, log_number: int) -> Head: ...

    def positions(self, log_numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        """(size, last governing index) of these logs as committed now: the cheapest way to see that one moved."""
        ...

    def leaves(self, log_number: int, start: int, stop: int) -> list[bytes]:
        """Leaves [start, stop), as many as exist; at most a few thousand at a time."""
        ...

    def rows(self, log_number: int, start: int, stop: int) -> list[Row]:
        """The same with everything beside them."""
        ...

    def governing(self, log_number: int, start: int) -> Iterator[tuple[int, bytes]]:
        """Governing entries (index, leaf) from `start` on, in order."""
        ...

    def find(self, log_number: int, event_id: bytes) -> Row | None:
        """An entry by id. O(log n), by the order of ids; no index is kept for it."""
        ...

    def known(self, log_number: int, dedup_keys: Sequence[bytes]) -> dict[bytes, Known]:
        """The entries of a log that are stored under these dedup keys."""
        ...

    def sealed(self, log_number: int, index: int) -> Sealed | None: ...

    def under_keys(self, log_number: int, key_ids: Collection[bytes], start: int, stop: int) -> list[Row]:
        """Of the entries [start, stop) those that have something sealed under one of these data keys."""
        ...

    def reseal(self, log_number: int, changes: Sequence[Resealed]) -> None:
        """Change what lies beside entries, all or nothing. One that is under another key by now is left alone."""
        ...

    def only_one(self, work: str) -> AbstractContextManager[None]:
        """To be held while something is done that nobody else may do at the same time, in this process or another
        one. Raises ConflictError when somebody does.
        """
        ...

    def search(self, log_number: int, wanted: Filter, below: int, limit: int) -> Page: ...

    def count_calls(self, log_number: int, types: Sequence[str], start: int, stop: int) -> list[CallCount]:
        """How many of the entries [start, stop) are of these types, by agent and day; a few thousand at a time."""
        ...

    def search_onward(self, log_number: int, wanted: Filter, start: int, stop: int, limit: int) -> Onward:
        """What a listing wants of the entries [start, stop), in order. It goes as far as a listing goes for one
        answer.
        """
        ...

    def tile(self, log_number: int, level: int, number: int) -> bytes | None:
        """A stored full tile: 511 hashes."""
        ...

    def tile_roots(self, log_number: int, level: int, start: int, stop: int) -> list[bytes]:
        """Root hashes of full tiles [start, stop) of a level."""
        ...

    def secret(self, name: str) -> bytes | None: ...

    def secrets(self) -> list[Secret]:
        """All of them, by name."""
        ...

    def committed_sizes(self) -> dict[int, int]:
        """For each log the size of the newest head that the root log has committed."""
        ...

    def committed_heads(self, root_index: int, stop: int | None = None) -> list[CommittedHead]:
        """The lines of a root-log entry, in order; with `stop` those of all entries [root_index, stop)."""
        ...

    def covering_head(self, log_number: int, index: int) -> CommittedHead | None:
        """The first committed head of a log whose tree holds leaf `index`."""
        ...

    def days(self) -> list[Day]: ...

    def day(self, date: str) -> Day | None: ...

    def note(self, name: str) -> str | None:
        """A named remark of the service itself, e.g. the newest self-check."""
        ...

    def notes(self) -> dict[str, str]: ...

    def put_note(self, name: str, text: str) -> None: ...

    def identity(self) -> str:
        """Which copy of the data this is: other after `ledger copy` or `ledger restore`, and where the database server
        can tell, on another server or after a failover.
        """
        ...

    # What only a check of the whole asks for: all that there is, also what nobody should have put there.

    def next_entry(self, log_number: int, index: int) -> tuple[int, int] | None:
        """(log number, leaf index) of the first entry at or after this place, of this log or of one with a higher
        number, whether there is such a log or not.
        """
        ...

    def next_tile(self, log_number: int, level: int, number: int) -> tuple[int, int, int] | None:
        """(log number, level, number) of the first full tile at or after this one, in that order."""
        ...

    def damage(self) -> str | None:
        """What the database itself finds wrong with its file and its indexes, None when nothing."""
        ...

    def close(self) -> None: ...
