# SPDX-License-Identifier: Apache-2.0
"""The self-check: everything the store says of a log, derived again from the leaf bytes and compared.

A log passes when each leaf is a valid entry in its place, each column beside it says what the leaf says, each
disclosure that can still be opened fits its commitment, the leaves hash to the stored tiles and to the head, and the
log's key signed that head. The root log passes when, besides, its commitments are those of heads that the logs really
had. The first thing that differs is named with its index; what comes after it is not looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ledger.log.days import day_document
from ledger.log.entry import Envelope, parse_time, parse_uuid
from ledger.log.errors import DamagedError, NotFoundError
from ledger.log.events import Event, Governing
from ledger.log.events.calls import CallReported
from ledger.log.events.logs import DayClosed, HeadsCommitted, LogGenesis, SigningKeyRotated
from ledger.log.evidence import known_keys, verify_day
from ledger.log.fold import BEFORE_GENESIS, State, empty_state
from ledger.log.leaf import InvalidEntryError, read_leaf
from ledger.log.ledger import Ledger
from ledger.log.receipts import heads_line
from ledger.log.report import call_identity
from ledger.log.rotation import is_endorsed
from ledger.log.sealed import Commitment, decrypt, digest_of, read_disclosure
from ledger.log.store import ROOT_LOG, Row
from ledger.log.working_copy import Committed, Log
from ledger.tlog.checkpoint import Checkpoint, open_checkpoint
from ledger.tlog.edge import Edge
from ledger.tlog.errors import TlogError
from ledger.tlog.merkle import leaf_hash, root_hash
from ledger.tlog.text import format_base64

CHUNK = 2048

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """Result of checking a log of `size` entries. `problem` is None when all is well."""

    origin: str
    size: int
    root: bytes
    problem: str | None = None
    check: str = ""
    first_index: int | None = None


class _MismatchError(Exception):
    def __init__(self, check: str, index: int | None, text: str) -> None:
        super().__init__(text)
        self.check = check
        self.index = index
        self.text = text


def check_ledger(ledger: Ledger, *, replay: bool = False, progress: Progress | None = None) -> list[Report]:
    """Check every log, the root log last: what it commits to is compared with logs that have passed.

    Beside a running service this sees the heads as they were when the ledger was opened.
    """
    numbers = [record.number for record in ledger.records() if record.number != ROOT_LOG]
    return [check_log(ledger, ledger.log(number), replay=replay, progress=progress) for number in [*numbers, ROOT_LOG]]


def check_log(ledger: Ledger, log: Log, *, replay: bool = False, progress: Progress | None = None) -> Report:
    """Check one log up to the head it has in this process. With `replay` its live state must equal a fold from zero."""
    committed = log.committed
    head = committed.head
    try:
        walk = _Walk(log, empty_state(committed.state.parts))
        for start in range(0, head.size, CHUNK):
            stop = min(start + CHUNK, head.size)
            walk.take(ledger, start, stop)
            if progress is not None:
                progress(stop - start)
        _check_head(ledger, log, committed, walk)
        if replay and walk.state != committed.state:
            raise _MismatchError("replay", committed.state.governing, "the live state is not the fold of the log")
        if log.number == ROOT_LOG:
            _check_commitments(ledger, walk)
            if (damage := ledger.store.damage()) is not None:
                raise _MismatchError("database", None, damage)
    except DamagedError as damage:
        return Report(log.origin, head.size, head.root, damage.message, "tiles", 0)
    except _MismatchError as mismatch:
        return Report(log.origin, head.size, head.root, mismatch.text, mismatch.check, mismatch.index)
    return Report(log.origin, head.size, head.root)


@dataclass(slots=True)
class _Walk:
    """What is known after the leaves looked at so far."""

    log: Log
    state: State
    edge: Edge = field(default_factory=Edge)
    last_id: int = 0
    commitments: list[tuple[int, HeadsCommitted]] = field(default_factory=list)
    days: list[tuple[int, str]] = field(default_factory=list)

    def take(self, ledger: Ledger, start: int, stop: int) -> None:
        """Look at leaves [start, stop)."""
        rows = ledger.store.rows(self.log.number, start, stop)
        hashes = []
        for index, row in zip(range(start, stop), rows, strict=False):
            if row.leaf_index != index:
                break
            self._entry(ledger, index, row)
            hashes.append(leaf_hash(row.leaf))
        if len(hashes) < stop - start:
            raise _MismatchError("entries", start + len(hashes), "the entry is missing")
        for tile in self.edge.append(hashes):
            where = self.log.number, tile.level, tile.number
            roots = ledger.store.tile_roots(*where, tile.number + 1)
            if ledger.store.tile(*where) != tile.hashes or roots != [tile.hashes[-32:]]:
                first = tile.number << 8 * (tile.level + 1)
                raise _MismatchError(
                    "tiles", first, f"stored tile {tile.level}/{tile.number} is not that of the leaves"
                )

    def _entry(self, ledger: Ledger, index: int, row: Row) -> None:
        try:
            envelope, event = read_leaf(row.leaf)
        except InvalidEntryError as error:
            raise _MismatchError("entries", index, str(error)) from None
        event_id = parse_uuid(envelope.id)
        assert event_id is not None
        if event_id <= self.last_id or row.event_id != event_id.to_bytes(16, "big"):
            raise _MismatchError("ids", index, f"id {envelope.id} does not follow the one before, or is not the row's")
        self.last_id = event_id
        if envelope.source != self.log.origin:
            raise _MismatchError("entries", index, f"source is {envelope.source!r}, want {self.log.origin!r}")
        if isinstance(event, LogGenesis) != (index == 0):
            raise _MismatchError("entries", index, "a genesis entry stands at index 0 and nowhere else")
        if isinstance(event, Governing):
            as_of = BEFORE_GENESIS if event.as_of is msgspec.UNSET else event.as_of
            if as_of != self.state.governing:
                raise _MismatchError("as_of", index, f"as_of is {as_of}, want {self.state.governing}")
            try:
                self.state = self.state.apply(index, event)
            except (ValueError, KeyError) as error:
                raise _MismatchError("entries", index, f"does not follow from the entries before it: {error}") from None
            if isinstance(event, SigningKeyRotated) and not is_endorsed(event):
                raise _MismatchError("keys", index, "the previous key did not endorse the new one")
        _check_columns(index, row, envelope, event)
        if isinstance(event, CallReported) and row.dedup != self.log.digest(call_identity(event)):
            raise _MismatchError("columns", index, "column dedup is not that of the call: it could be reported twice")
        _check_disclosures(ledger, self.log, index, row, event)
        if isinstance(event, HeadsCommitted):
            self.commitments.append((index, event))
        elif isinstance(event, DayClosed):
            self.days.append((index, event.date))


def _check_columns(index: int, row: Row, envelope: Envelope, event: Event) -> None:
    reported = hasattr(event, "agent_id")
    said = {
        "type": event.type,
        "governing": isinstance(event, Governing),
        "recorded_at": parse_time(envelope.recordedat),
        "key_id": getattr(event, "key_id", None) if reported else None,
        "env": getattr(event, "env", None) if reported else None,
        **{name: getattr(event, name, None) for name in ("agent_id", "tool_name", "verdict", "mode")},
    }
    for name, value in said.items():
        if getattr(row, name) != value:
            raise _MismatchError("columns", index, f"column {name} is {getattr(row, name)!r}, the leaf says {value!r}")


def _check_disclosures(ledger: Ledger, log: Log, index: int, row: Row, event: Event) -> None:
    """Whatever can be opened must fit. A destroyed key is an erasure and no mismatch."""
    commitments = dict(_commitments(event))
    if row.sealed is None or row.data_key is None:
        if commitments:
            raise _MismatchError("disclosures", index, "the entry has sealed fields, but nothing is stored for them")
        return
    try:
        key = ledger.keystore.find(row.data_key)
        if key is None:
            raise _MismatchError("disclosures", index, "the data key is gone, and no entry says that it was destroyed")
        texts = decrypt(row.sealed, key, log.origin.encode())
    except DamagedError as damage:
        raise _MismatchError("disclosures", index, damage.message) from None
    found = {read_disclosure(text).pointer: digest_of(text) for text in texts}
    if found != commitments:
        raise _MismatchError("disclosures", index, "the stored disclosures are not those of the commitments")


def _commitments(event: Event) -> list[tuple[str, str]]:
    """Pointer and digest of every commitment in an event."""
    found = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Commitment):
            found.append((f"/data/{name}", value.digest))
        elif isinstance(value, dict):
            for member, commitment in value.items():
                if isinstance(commitment, Commitment):
                    found.append((f"/data/{name}/{member}", commitment.digest))
                else:
                    found.append((f"/data/{name}", commitment))
    return found


def _check_head(ledger: Ledger, log: Log, committed: Committed, walk: _Walk) -> None:
    head = committed.head
    root = walk.edge.root()
    last = max(head.size - 1, 0)
    # In this order, so that what a running service adds meanwhile is in the head already.
    beyond = ledger.store.leaves(log.number, head.size, head.size + 1)
    stored = ledger.store.head(log.number)
    if stored.size < head.size or (stored.size == head.size and stored != head):
        raise _MismatchError("head", last, "the stored head is not the one that this process knows")
    if root != head.root:
        raise _MismatchError(
            "head", last, f"the leaves have root {format_base64(root)}, the head {format_base64(head.root)}"
        )
    if head.last_governing != walk.state.governing or head.last_id < walk.last_id:
        raise _MismatchError("head", last, "the head does not name the newest governing entry, or an older last id")
    try:
        checkpoint = open_checkpoint(head.checkpoint, known_keys(ledger).of(log.origin)[-1:])
    except TlogError as error:
        raise _MismatchError("head", last, f"the checkpoint does not open: {error}") from None
    if (checkpoint.origin, checkpoint.size, checkpoint.root) != (log.origin, head.size, root):
        raise _MismatchError("head", last, "the checkpoint is not that of the head")
    if beyond and stored.size == head.size:
        raise _MismatchError("entries", head.size, "the entry lies beyond the head")


def _check_commitments(ledger: Ledger, walk: _Walk) -> None:
    """The root log's own promises: each commitment is to heads that the logs had, each day is evidence that holds."""
    for index, event in walk.commitments:
        lines = []
        for position, head in enumerate(ledger.store.committed_heads(index)):
            checkpoint = _open_own(ledger, head.log_number, head.checkpoint, "commitments", index)
            if (head.position, head.size) != (position, checkpoint.size) or head.line != heads_line(
                checkpoint.origin, head.checkpoint
            ):
                raise _MismatchError("commitments", index, f"line {position} is not that of its checkpoint")
            lines.append(head.line)
        root = format_base64(root_hash([leaf_hash(line) for line in lines]))
        if len(lines) != event.count or root != event.root or lines != sorted(lines):
            raise _MismatchError("commitments", index, "the stored lines are not those that the entry commits to")
    stored = [day for day in ledger.store.days() if day.entry_index < walk.edge.size]
    if [(day.entry_index, day.date) for day in stored] != walk.days:
        raise _MismatchError("days", None, "the stored days are not those that the log closed")
    before = 0
    for day in stored:
        size = _open_own(ledger, ROOT_LOG, day.checkpoint, "days", day.entry_index).size
        if size <= max(before, day.entry_index):
            raise _MismatchError("days", day.entry_index, f"the checkpoint of {day.date} is older than its entry")
        before = size
        reason = verify_day(known_keys(ledger), day_document(ledger, day).text())
        if reason is not None:
            raise _MismatchError("days", day.entry_index, f"the document of {day.date} does not hold: {reason}")


def _open_own(ledger: Ledger, log_number: int, note: str, check: str, index: int) -> Checkpoint:
    """A checkpoint that a log really had."""
    try:
        log = ledger.log(log_number)
        checkpoint = open_checkpoint(note, known_keys(ledger).of(log.origin))
    except (TlogError, NotFoundError) as error:
        raise _MismatchError(check, index, f"a stored checkpoint does not open: {error}") from None
    committed = log.committed
    if checkpoint.size > committed.head.size or log.tree.root(committed.edge, checkpoint.size) != checkpoint.root:
        raise _MismatchError(check, index, f"{log.origin} never had the head of size {checkpoint.size} stored here")
    return checkpoint
