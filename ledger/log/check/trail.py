# SPDX-License-Identifier: Apache-2.0
"""One log while it is walked: stretches are joined in order, and what needs the entries before is looked at here.

That is the chain of governing entries with the state they make, the keys a log says it signs with, the tiles of higher
levels, and in the end the head. A trail ends at its first problem, whatever comes after it.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import msgspec

from ledger.log.check.entry import BESIDE_THE_LEAF
from ledger.log.check.findings import Finding, MismatchError, Report
from ledger.log.check.walk import Walked, check_roots, check_tile
from ledger.log.entry import read_envelope
from ledger.log.errors import DamagedError
from ledger.log.events import Governing, read_event
from ledger.log.events.logs import (
    DayClosed,
    DisclosureErased,
    HeadsCommitted,
    LedgerTamperDetected,
    LedgerVerified,
    LogGenesis,
    SigningKeyRotated,
)
from ledger.log.events.tenants import TenantCreated
from ledger.log.fold import BEFORE_GENESIS, State
from ledger.log.rotation import is_endorsed
from ledger.log.store import Head, LogRecord, Store
from ledger.tlog.checkpoint import open_checkpoint
from ledger.tlog.edge import Edge
from ledger.tlog.errors import TlogError
from ledger.tlog.note import parse_vkey
from ledger.tlog.text import format_base64
from ledger.tlog.tiles import WIDTH


@dataclass(slots=True)
class Trail:
    """What is known of a log after the stretches taken so far. `head` is the one to arrive at, None where it is
    missing; `size` is how many entries there should be.
    """

    record: LogRecord
    head: Head | None
    size: int
    state: State
    problem: Finding | None = None
    edge: Edge = field(default_factory=Edge)
    last_id: bytes = b""
    vkeys: list[tuple[int, str]] = field(default_factory=list)
    tenant_id: str | None = None
    commitments: list[tuple[int, HeadsCommitted]] = field(default_factory=list)
    days: list[tuple[int, str]] = field(default_factory=list)
    erasures: list[int] = field(default_factory=list)
    verdicts: list[LedgerVerified | LedgerTamperDetected] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The entry that is blamed for what is wrong with the log as a whole."""
        return max(self.size - 1, 0)

    def report(self) -> Report:
        root = self.edge.root() if self.head is None else self.head.root
        return Report.of(self.record.origin, self.size, root, self.problem)

    def take(self, store: Store, walked: Walked) -> None:
        """Go on by the stretch that begins where the last one ended. Raises MismatchError."""
        self._chain(walked)
        for tile in self.edge.append_tiles(walked.roots):
            check_tile(store, self.record.number, tile)
            check_roots(store, self.record.number, tile.number, [tile.hashes[-32:]], tile.level)
        if walked.problem is not None:
            raise MismatchError(*astuple(walked.problem))
        self.edge.append(walked.rest)
        self.last_id = walked.last_id

    def _chain(self, walked: Walked) -> None:
        for index, leaf in walked.remembered:
            if not _comes_before(index, walked.problem):
                return
            event = read_event(read_envelope(leaf))
            if isinstance(event, Governing):
                self._govern(index, event)
            elif isinstance(event, HeadsCommitted):
                self.commitments.append((index, event))
            elif isinstance(event, LedgerVerified | LedgerTamperDetected):
                self.verdicts.append(event)

    def _govern(self, index: int, event: Governing) -> None:
        as_of = BEFORE_GENESIS if event.as_of is msgspec.UNSET else event.as_of
        if as_of != self.state.governing:
            raise MismatchError("as_of", index, f"as_of is {as_of}, want {self.state.governing}")
        try:
            self.state = self.state.apply(index, event)
        except (ValueError, KeyError) as error:
            raise MismatchError("entries", index, f"does not follow from the entries before it: {error}") from None
        own = getattr(event, "origin", None) == self.record.origin
        match event:
            case LogGenesis():
                if not own:
                    raise MismatchError("entries", index, f"this is the genesis of {event.origin!r}")
                self.vkeys.append((index, event.vkey))
            case SigningKeyRotated():
                if not is_endorsed(event):
                    raise MismatchError("keys", index, "the previous key did not endorse the new one")
                if own:
                    if event.previous_vkey != self.vkeys[-1][1]:
                        raise MismatchError("keys", index, "the key before is not the one that the log had")
                    self.vkeys.append((index, event.vkey))
            case DisclosureErased():
                if event.ranges[-1][1] > index:
                    raise MismatchError("entries", index, "an erasure names entries that come after it")
                self.erasures.append(index)
            case TenantCreated():
                self.tenant_id = event.tenant_id
            case DayClosed():
                self.days.append((index, event.date))

    def check_head(self, store: Store) -> None:
        """The stored head, and the signed one, are those of the leaves. Raises MismatchError."""
        head, last = self.head, self.last
        if head is None:
            raise MismatchError("head", last, "the head is missing")
        number, root = self.record.number, self.edge.root()
        # In this order, so that what a running service adds meanwhile is in the head already.
        beyond = store.next_entry(number, self.size)
        try:
            stored = store.head(number)
        except DamagedError as damage:
            raise MismatchError("head", last, damage.message) from None
        if stored.size < head.size or (stored.size == head.size and stored != head):
            raise MismatchError("head", last, "the stored head is not the one that this process knows")
        if root != head.root:
            want, got = format_base64(root), format_base64(head.root)
            raise MismatchError("head", last, f"the leaves have root {want}, the head {got}")
        if head.last_governing != self.state.governing or head.last_id < int.from_bytes(self.last_id):
            raise MismatchError("head", last, "the head does not name the newest governing entry, or an older last id")
        if not self.vkeys:
            raise MismatchError("head", last, "the log names no key that could have signed it")
        try:
            checkpoint = open_checkpoint(head.checkpoint, [parse_vkey(self.vkeys[-1][1])])
        except TlogError as error:
            raise MismatchError("head", last, f"the checkpoint does not open: {error}") from None
        if (checkpoint.origin, checkpoint.size, checkpoint.root) != (self.record.origin, head.size, root):
            raise MismatchError("head", last, "the checkpoint is not that of the head")
        if beyond is not None and beyond[0] == number and beyond[1] >= stored.size:
            raise MismatchError("entries", beyond[1], "the entry lies beyond the head")

    def check_keys(self, of_root: Sequence[tuple[int, str]]) -> None:
        """The keys that the root log names for this log, oldest first, are those that the log names itself. Raises
        MismatchError.
        """
        named = [vkey for _, vkey in of_root]
        for place, (index, vkey) in enumerate(self.vkeys):
            if named[place : place + 1] != [vkey]:
                raise MismatchError("keys", index, "the root log names another key for this log from here on, or none")
        if len(named) > len(self.vkeys):
            raise MismatchError("keys", self.last, "the root log names a newer key for this log")


def _comes_before(index: int, problem: Finding | None) -> bool:
    """Whether an entry's place in the chain is looked at before what a walk found: after its leaf, before what is
    stored beside it, and before the tile it is in.
    """
    if problem is None or problem.index is None:
        return True
    if problem.check == "tiles":
        return index < problem.index + WIDTH
    return index < problem.index or (index == problem.index and problem.check in BESIDE_THE_LEAF)
