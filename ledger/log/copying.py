# SPDX-License-Identifier: Apache-2.0
"""Copying a whole ledger from one store to another: backup, restore, and the move to another kind of database.

Nothing is signed: the copy has the same leaves, heads, proofs and receipts to the byte. Data keys and the master key
are in no store and so in no copy.

The source may be in use. Its heads are read first, in one look, and then what lies below them, in chunks by index; what
is added meanwhile is in the next copy. The root log comes last and refers only to heads that its own head knows, so
the copy is the ledger as it was at that moment.

The same walk is made twice, over the source while writing and over what was written: leaves are hashed into tiles that
must be the stored ones and into a root that must be the signed head's, and everything that is stored goes into a digest
that must come out the same.

A copy is marked as unfinished before its first row and until it has been verified. An interrupted one is not opened as
a ledger (`require_finished`).
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from ledger.log.entry import read_envelope
from ledger.log.errors import DamagedError, LedgerError, OutcomeUnknownError, UnavailableError
from ledger.log.events import read_event
from ledger.log.events.logs import HeadsCommitted
from ledger.log.fold import LogsState, empty_state, fold
from ledger.log.startup import require_finished, require_signed
from ledger.log.store import (
    INSTANCE,
    ROOT_LOG,
    UNFINISHED,
    Batch,
    CommittedHead,
    Day,
    Head,
    Known,
    LogRecord,
    Row,
    Secret,
    Store,
)
from ledger.tlog.edge import Edge, FullTile
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import parse_vkey
from ledger.tlog.text import format_base64
from ledger.tlog.tiles import HEIGHT, WIDTH

CHUNK = 2 * WIDTH
"""Rows that are read and written at once; with the largest sealed values still what fits in memory."""
MAX_LINES = 4096
"""Committed heads that are written at once, where the entries of the root log have many each."""

LOOKS = 10

_encode = msgspec.msgpack.Encoder().encode

Progress = Callable[[int], None]


class LogContents(msgspec.Struct, frozen=True):
    """One log of a copy. `digest` covers every column of every row, and the root log's lines and days."""

    origin: str
    size: int
    root: str
    digest: str


class Contents(msgspec.Struct, frozen=True):
    """All that is in a copy; two copies with equal contents are equal. `rest` covers records, secrets and notes."""

    logs: tuple[LogContents, ...]
    rest: str


class _Rest(NamedTuple):
    """What a ledger has besides its entries: few rows."""

    records: Sequence[LogRecord]
    secrets: Sequence[Secret]
    notes: dict[str, str]


class _Chunk(NamedTuple):
    rows: Sequence[Row]
    tiles: Sequence[FullTile]
    side: Sequence[CommittedHead | Day]


class _Walk:
    """A log up to one of its heads, read in chunks and looked at on the way. Raises DamagedError with the place."""

    def __init__(self, store: Store, record: LogRecord, head: Head) -> None:
        self._store = store
        self._record = record
        self._head = head
        # One for each table, so that the result does not depend on how much is read at once.
        self._digests = {kind: blake2b(digest_size=32) for kind in (Row, CommittedHead, Day)}
        self.edge = Edge()

    def chunks(self) -> Iterator[_Chunk]:
        days = self._store.days() if self._record.number == ROOT_LOG else []
        for start in range(0, self._head.size, CHUNK):
            rows = self._store.rows(self._record.number, start, min(start + CHUNK, self._head.size))
            for group in self._groups(start, rows):
                first, stop = group[0].leaf_index, group[-1].leaf_index + 1
                side: list[CommittedHead | Day] = []
                if self._record.number == ROOT_LOG:
                    side += self._store.committed_heads(first, stop)
                    side += [day for day in days if first <= day.entry_index < stop]
                tiles = self._grow(group)
                for row in group:
                    # SQLite has no booleans.
                    self._digests[Row].update(_encode((*row[:3], bool(row.governing), *row[4:])))
                for line in side:
                    self._digests[type(line)].update(_encode(line))
                yield _Chunk(group, tiles, side)
        if self.edge.root() != self._head.root:
            # Full tiles were compared on the way; what differs is behind them, or leaves and tiles were both changed.
            raise DamagedError(
                f"the {self._head.size} leaves of {self._record.origin} have root {format_base64(self.edge.root())}, "
                f"its head has {format_base64(self._head.root)}; the tiles agree up to entry "
                f"{self._head.size // WIDTH * WIDTH}"
            )

    def _groups(self, start: int, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """The rows in order; in the root log in such groups that their lines are not too many at once."""
        group, lines = list[Row](), 0
        for index, row in enumerate(rows, start):
            if row.leaf_index != index:
                raise self._missing(index)
            count = self._lines(row)
            if group and lines + count > MAX_LINES:
                yield group
                group, lines = [], 0
            group.append(row)
            lines += count
        if group:
            yield group
        if len(rows) < min(CHUNK, self._head.size - start):
            raise self._missing(start + len(rows))

    def _missing(self, index: int) -> DamagedError:
        return DamagedError(f"entry {index} of {self._record.origin} is missing")

    def _lines(self, row: Row) -> int:
        if self._record.number != ROOT_LOG or row.type != HeadsCommitted.type:
            return 0
        try:
            event = read_event(read_envelope(row.leaf))
            assert isinstance(event, HeadsCommitted)
            return event.count
        except (LedgerError, msgspec.MsgspecError, ValueError, KeyError, AssertionError) as error:
            raise DamagedError(f"entry {row.leaf_index} of {self._record.origin} is damaged: {error}") from error

    def _grow(self, rows: Sequence[Row]) -> list[FullTile]:
        tiles = self.edge.append([leaf_hash(row.leaf) for row in rows])
        for tile in tiles:
            where = self._record.number, tile.level, tile.number
            stored = self._store.tile(*where)
            if stored != tile.hashes or self._store.tile_roots(*where, tile.number + 1) != [tile.hashes[-32:]]:
                raise DamagedError(
                    f"entry {_first_difference(tile, stored)} of {self._record.origin} is not the one in its stored "
                    f"tile {tile.level}/{tile.number}, or the tile is damaged: see `ledger check`"
                )
        return tiles

    def contents(self) -> LogContents:
        assert self.edge.size == self._head.size
        head = self._head.checkpoint, self._head.last_governing, self._head.last_id.to_bytes(16)
        digests = [digest.digest() for digest in self._digests.values()]
        whole = blake2b(_encode([self._record, head, digests]), digest_size=32).hexdigest()
        return LogContents(self._record.origin, self._head.size, format_base64(self._head.root), whole)


def _first_difference(tile: FullTile, stored: bytes | None) -> int:
    """The first entry whose hash is not that of the stored tile, or the tile's first where that cannot be told."""
    first = tile.number << HEIGHT * (tile.level + 1)
    if tile.level or stored is None or len(stored) != len(tile.hashes):
        return first
    derived = (tile.hashes[at : at + 32] == stored[at : at + 32] for at in range(0, WIDTH * 32, 32))
    return next((first + place for place, same in enumerate(derived) if not same), first)


def copy_ledger(
    source: Store, target: Store, again: Callable[[], Store], progress: Progress, expected: Contents | None = None
) -> Contents:
    """Copy everything to an empty store, then read it again out of the store that `again` opens on the same data.

    Raises DamagedError for a source that does not hang together or, with `expected`, is not what it was, and
    UnavailableError. `progress` is told of each entry twice.
    """
    require_finished(source)
    target.put_note(UNFINISHED, "1")
    heads, rest = _look(source)
    _require_heads(source, rest.records, heads)
    try:
        written = _write(source, target, rest, heads, progress)
    except OutcomeUnknownError as error:
        raise UnavailableError(f"the copy was cut short: {error}") from error
    if expected is not None and written != expected:
        raise DamagedError(f"{_difference(written, expected)} is not what was written into this backup")
    reread = again()
    try:
        found = read_contents(reread, progress)
    finally:
        reread.close()
    if found != written:
        raise DamagedError(f"{_difference(found, written)} does not read as it was written; the copy cannot be used")
    # Told apart from its source from now on: of several copies only one may sign (log/guard.py).
    target.put_note(INSTANCE, secrets.token_hex(8))
    target.put_note(UNFINISHED, "")
    return written


def read_contents(store: Store, progress: Progress) -> Contents:
    """Walk through all logs of a store. Raises DamagedError."""
    heads, rest = _look(store)
    _require_heads(store, rest.records, heads)
    logs = []
    for record in rest.records:
        walk = _Walk(store, record, heads[record.number])
        for chunk in walk.chunks():
            progress(len(chunk.rows))
        logs.append(walk.contents())
    return Contents(tuple(logs), _digest_of(rest))


def _look(store: Store) -> tuple[dict[int, Head], _Rest]:
    """The heads of all logs at one moment, and what a ledger of that moment has besides its entries.

    A secret is stored with the entry that speaks of it: where none came while the heads were read, they belong to those
    heads. A note is about a log as it was before.
    """
    for _ in range(LOOKS):
        texts, boxes = store.notes(), store.secrets()
        heads = store.heads()
        if store.secrets() == boxes:
            break
    else:
        raise UnavailableError("keys are being made all the time; try again when that is over")
    # The root log is the last.
    records = [record for record in store.logs() if record.number in heads]
    records.sort(key=lambda record: (record.number == ROOT_LOG, record.number))
    if not records or records[-1].number != ROOT_LOG:
        raise DamagedError("there is no root log in this database")
    notes = {name: text for name, text in sorted(texts.items()) if name not in (INSTANCE, UNFINISHED)}
    return heads, _Rest(records, sorted(boxes, key=lambda secret: secret.name), notes)


def _require_heads(store: Store, records: Sequence[LogRecord], heads: dict[int, Head]) -> None:
    """Each head is signed by the key that the root log of the same moment names. Raises DamagedError."""
    size = heads[ROOT_LOG].size
    governing = ((index, leaf) for index, leaf in store.governing(ROOT_LOG, 0) if index < size)
    logs = fold(empty_state([LogsState]), governing)[LogsState]
    for record in records:
        if record.origin not in logs.vkeys:
            raise DamagedError(f"the root log knows no log {record.origin!r}: the table of logs was changed")
        require_signed(record.origin, heads[record.number], parse_vkey(logs.current_vkey(record.origin)))


def _write(source: Store, target: Store, rest: _Rest, heads: dict[int, Head], progress: Progress) -> Contents:
    logs = []
    for record in rest.records:
        head = heads[record.number]
        walk = _Walk(source, record, head)
        # What a ledger cannot be opened without goes with the first row of the root log, the last log to be written.
        side: list[LogRecord | Secret] = [record, *(rest.secrets if record.number == ROOT_LOG else ())]
        named: list[int] = []
        for chunk in walk.chunks():
            batch = Batch(record.number, _head_at(walk.edge, head), chunk.rows, chunk.tiles, [*side, *chunk.side])
            target.append(named, [], partial(_just, [batch]))
            side, named = [], [record.number]
            progress(len(chunk.rows))
        logs.append(walk.contents())
    for name, text in rest.notes.items():
        target.put_note(name, text)
    return Contents(tuple(logs), _digest_of(rest))


def _just(batches: Sequence[Batch], heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> Sequence[Batch]:
    return batches


def _head_at(edge: Edge, head: Head) -> Head:
    """The head of a log that is written as far as `edge`: before it is whole it has no checkpoint."""
    if edge.size == head.size:
        return head
    return Head(edge.size, edge.root(), "", head.last_governing, head.last_id)


def _digest_of(rest: _Rest) -> str:
    return blake2b(_encode([rest.records, rest.secrets, list(rest.notes.items())]), digest_size=32).hexdigest()


def _difference(found: Contents, wanted: Contents) -> str:
    """The first part of two contents that differs."""
    for log, other in zip(found.logs, wanted.logs, strict=False):
        if log != other:
            return f"{other.origin} ({log.size} entries, root {log.root})"
    return "the list of logs, secrets and notes" if len(found.logs) == len(wanted.logs) else "the list of logs"
