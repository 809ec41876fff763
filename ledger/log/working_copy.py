# SPDX-License-Identifier: Apache-2.0
"""A log while a batch is decided: drafts become rows, rows become a tree and a signed head, and nobody sees any of it
yet.

A working copy begins as what is committed. Each decision is first planned and then added, so that a submission to
several logs can be refused by one of them and leave nothing in the others. `finish` grows the tree and signs; the
result counts only when the store has committed it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ledger.log import canonical
from ledger.log.entry import MAX_ENTRY_BYTES, IdSource, compose, format_time, format_uuid
from ledger.log.errors import ConflictError, InvalidRequestError
from ledger.log.events import Event, Governing
from ledger.log.fold import BEFORE_GENESIS, State
from ledger.log.store import Batch, Head, Known, LogRecord, Row, SideRow
from ledger.log.tree import Tree
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.edge import Edge, FullTile
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import SigningKey

DIGEST_BYTES = 16


class Moment(NamedTuple):
    """What a decision may look at: the state under the lock, the clock, and the index its first entry will get."""

    state: State
    now: int
    next_index: int


class Draft(Struct, frozen=True):
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
        self.used = 0
        """When it was last asked for, in milliseconds of the ledger's clock."""
        self._pepper = pepper

    @property
    def is_new(self) -> bool:
        """Whether it has no entry yet: its first transaction makes it."""
        return self.committed.head.size == 0

    def digest(self, data: bytes) -> bytes:
        """A 16-byte keyed digest that means nothing outside this log: for dedup keys and for names of data subjects."""
        return keyed_digest(self._pepper, data)


def keyed_digest(pepper: bytes, data: bytes) -> bytes:
    digest = _keyed(pepper).copy()
    digest.update(data)
    return digest.digest()


@lru_cache(maxsize=64)
def _keyed(pepper: bytes) -> blake2b:
    return blake2b(key=pepper, digest_size=DIGEST_BYTES)


class Item(NamedTuple):
    """What became of one draft: a new entry, or the one that was there already (then without its leaf)."""

    leaf_index: int
    event_id: str
    duplicate: bool
    leaf: bytes | None


class Plan(NamedTuple):
    """What one decision would add to a working copy."""

    state: State
    rows: list[Row]
    items: list[Item]
    added: dict[bytes, Known]
    side: list[SideRow | Callable[[str], SideRow]]


class WorkingCopy:
    """A log with what this batch has added so far. Nothing of it is seen by anybody until the commit."""

    def __init__(self, log: Log, now: int, known: Mapping[bytes, Known]) -> None:
        self.log = log
        self.rows: list[Row] = []
        self.tiles: list[FullTile] = []
        self.signer = log.signer
        self._before = log.committed
        self._state = log.committed.state
        self._now = now
        self._recorded_at = format_time(now)
        self._ids = IdSource(log.committed.head.last_id)
        self._known = known
        self._added: dict[bytes, Known] = {}
        self._side: list[SideRow | Callable[[str], SideRow]] = []
        self._result: Committed | None = None

    def plan(self, decide: Decide) -> Plan:
        """Decide, without adding anything yet. Raises what `decide` raises, and ConflictError."""
        first = self._before.head.size + len(self.rows)
        drafts = decide(Moment(self._state, self._now, first))
        state = self._state
        rows: list[Row] = []
        items: list[Item] = []
        side: list[SideRow | Callable[[str], SideRow]] = []
        added: dict[bytes, Known] = {}
        for position, draft in enumerate(drafts):
            if draft.dedup is not None:
                seen = self._added.get(draft.dedup) or self._known.get(draft.dedup)
                here = added.get(draft.dedup)
                if seen is not None or here is not None:
                    items.append(_duplicate(seen, here, draft, position))
                    continue
            index = first + len(rows)
            row, event_id = self._row(index, draft, state)
            if row.governing:
                state = state.apply(index, draft.event)
            if draft.dedup is not None:
                added[draft.dedup] = Known(index, row.event_id, draft.request)
            rows.append(row)
            side += draft.side
            items.append(Item(index, event_id, False, row.leaf))
        return Plan(state, rows, items, added, side)

    def add(self, plan: Plan, signer: SigningKey | None = None) -> None:
        """Take over a plan that was made of this very copy as it stands."""
        self._state = plan.state
        self._added |= plan.added
        self.rows += plan.rows
        self._side += plan.side
        self.signer = signer or self.signer

    def _row(self, index: int, draft: Draft, state: State) -> tuple[Row, str]:
        """The row of a draft, and its event_id as text."""
        event = draft.event
        governing = isinstance(event, Governing)
        if governing and state.governing != BEFORE_GENESIS:
            event = replace(event, as_of=state.governing)
        number = self._ids.next(self._now)
        event_id = format_uuid(number)
        leaf = compose(
            data=canonical.encode(event) if draft.data is None else draft.data,
            id=event_id,
            recordedat=self._recorded_at,
            source=self.log.origin,
            subject=draft.subject,
            time=draft.time,
            type=event.type,
        )
        if len(leaf) > MAX_ENTRY_BYTES:
            raise InvalidRequestError.at(["body"], f"an entry has {len(leaf)} bytes, at most {MAX_ENTRY_BYTES} fit")
        agent_id = getattr(event, "agent_id", None)
        row = Row(
            index,
            number.to_bytes(16, "big"),
            event.type,
            governing,
            self._now,
            None if agent_id is None else getattr(event, "key_id", None),
            agent_id,
            getattr(event, "tool_name", None),
            getattr(event, "verdict", None),
            getattr(event, "mode", None),
            None if agent_id is None else getattr(event, "env", None),
            draft.dedup,
            draft.request,
            draft.data_key,
            leaf,
            draft.sealed,
        )
        return row, event_id

    def finish(self) -> Batch:
        """Grow the tree, sign the new head, and hand over what is to be written."""
        edge = self._before.edge.copy()
        self.tiles = edge.append([leaf_hash(row.leaf) for row in self.rows])
        root = edge.root()
        note = Checkpoint(self.log.origin, edge.size, root).sign(self.signer)
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
