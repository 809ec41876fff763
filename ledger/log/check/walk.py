# SPDX-License-Identifier: Apache-2.0
"""Walking over a stretch of a log: all that can be said of its entries without knowing the ones before.

A stretch begins where a tile does, so its full tiles are those of the log, and their roots are all that is needed to
join it to the others. What remains is left to whoever walks the whole log (`trail.py`): the chain of governing entries,
tiles of higher levels, the head.

The work goes a tile of 256 leaves at a time: small enough that its bytes stay in the processor's cache from one step to
the next, which makes the steps half as slow as over 2,048.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from operator import lt
from typing import TypeVar

from ledger.log.check.disclosures import Opener
from ledger.log.check.entry import Place, check_beside, check_leaf
from ledger.log.check.findings import Finding, MismatchError
from ledger.log.check.holdings import Holdings
from ledger.log.check.together import CHECKS
from ledger.log.entry import Envelope
from ledger.log.erased import NOTHING_ERASED, Erased, recorded_erasures
from ledger.log.errors import UnavailableError
from ledger.log.events import Event, Governing, catalogue
from ledger.log.events.logs import HeadsCommitted, LedgerTamperDetected, LedgerVerified
from ledger.log.store import Row, Store
from ledger.tlog.edge import Edge, FullTile
from ledger.tlog.tiles import WIDTH

_Answer = TypeVar("_Answer")

REMEMBERED = frozenset(
    name
    for name, event in catalogue().items()
    if issubclass(event, Governing | HeadsCommitted | LedgerVerified | LedgerTamperDetected)
)
"""Types of the entries that are needed to judge the log as a whole."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Leaves [start, stop) of a log. Both are multiples of 256, but for the end of the log."""

    log_number: int
    origin: str
    start: int
    stop: int
    disclosures: bool
    erased: Erased = NOTHING_ERASED


@dataclass(slots=True)
class Walked:
    """What a walk brings home: of all that lies before its `problem`, where there is one.

    `rest` are the leaf hashes behind the last full tile.
    """

    roots: list[bytes] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)
    remembered: list[tuple[int, bytes]] = field(default_factory=list)
    last_id: bytes = b""
    problem: Finding | None = None


class Walker:
    """Walks stretches of one set of holdings, and keeps what several stretches need."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._places: dict[tuple[int, bool], Place] = {}
        self._retired = holdings.retired()

    def walk(self, stretch: Stretch) -> Walked:
        """Raises UnavailableError when the store as a whole cannot be read."""
        place = self._places.get((stretch.log_number, stretch.disclosures))
        if place is None:
            place = self._places[stretch.log_number, stretch.disclosures] = self._place(stretch)
        place = replace(place, erased=stretch.erased, retired=self._retired)
        walked = Walked()
        if stretch.start:
            # Whoever walks the stretch before this one sees whether that row is in order.
            before = self._holdings.store.rows(place.number, stretch.start - 1, stretch.start)
            walked.last_id = before[0].event_id if before else b""
        try:
            for start in range(stretch.start, stretch.stop, WIDTH):
                _Step(self._holdings, place, walked, start, min(start + WIDTH, stretch.stop)).take()
        except MismatchError as mismatch:
            walked.problem = mismatch.finding
        try:
            check_roots(self._holdings.store, place.number, stretch.start // WIDTH, walked.roots)
        except MismatchError as mismatch:
            # These tiles lie before whatever else was found.
            walked.problem = mismatch.finding
        return walked

    def _place(self, stretch: Stretch) -> Place:
        number, origin = stretch.log_number, stretch.origin
        opener = Opener(self._holdings.keystore, number, origin) if stretch.disclosures else None
        return Place(number, origin, self._holdings.pepper(number), opener)


@dataclass(frozen=True, slots=True)
class _Step:
    """Leaves [start, stop), which fill a tile or are the end of the log."""

    holdings: Holdings
    place: Place
    walked: Walked
    start: int
    stop: int

    @property
    def store(self) -> Store:
        return self.holdings.store

    def take(self) -> None:
        rows, problem = self._read()
        if not self._all_well(rows):
            for row in rows:
                self._look_at(row)
        if problem is not None:
            raise problem
        if rows:
            self.walked.last_id = rows[-1].event_id
        hashes = [sha256(b"\x00" + row.leaf).digest() for row in rows]
        tiles = Edge().append(hashes)
        if not tiles:
            self.walked.rest = hashes
        for tile in tiles:
            tile = FullTile(0, self.start // WIDTH, tile.hashes)
            check_tile(self.store, self.place.number, tile)
            self.walked.roots.append(tile.hashes[-32:])

    def _read(self) -> tuple[list[Row], MismatchError | None]:
        """The rows up to the first one that is missing, and that."""
        number = self.place.number
        try:
            rows, text = self.store.rows(number, self.start, self.stop), "the entry is missing"
        except UnavailableError:
            rows, text = self._read_singly()
        present = [row for index, row in enumerate(rows, self.start) if row.leaf_index == index]
        # Rows come in order and none twice: where one is out of its place, all behind it are.
        if len(present) == self.stop - self.start:
            return present, None
        return present, MismatchError("entries", self.start + len(present), text)

    def _read_singly(self) -> tuple[list[Row], str]:
        """The rows before the first one that cannot be read, and why not. Raises UnavailableError when it is not that
        row alone.
        """
        self.store.logs()
        rows: list[Row] = []
        for index in range(self.start, self.stop):
            try:
                rows += self.store.rows(self.place.number, index, index + 1)
            except UnavailableError as error:
                return rows, error.message
        return rows, "the entry is missing"

    def _all_well(self, rows: Sequence[Row]) -> bool:
        """Whether nothing is wrong with these entries. If not, or if nobody knows, each must be looked at."""
        ids = [row.event_id for row in rows]
        if not all(map(lt, [self.walked.last_id, *ids], ids)):
            return False
        # The first entry of a log is of a type that is not among these.
        if self.start == 0 and rows and rows[0].type in CHECKS:
            return False
        by_type: dict[str, list[Row]] = {}
        for row in rows:
            by_type.setdefault(row.type, []).append(row)
        for name, group in by_type.items():
            if name in CHECKS:
                if not CHECKS[name].all_well(self.place, group):
                    return False
            elif not all(map(self._is_well, group)):
                return False
        self.walked.remembered += [(row.leaf_index, row.leaf) for row in rows if row.type in REMEMBERED]
        return True

    def _is_well(self, row: Row) -> bool:
        try:
            check_beside(self.place, row.leaf_index, row, *check_leaf(self.place, row.leaf_index, row, b""))
        except MismatchError:
            return False
        return True

    def _look_at(self, row: Row) -> None:
        index = row.leaf_index
        envelope, event = check_leaf(self.place, index, row, self.walked.last_id)
        self.walked.last_id = row.event_id
        if event.type in REMEMBERED:
            self.walked.remembered.append((index, row.leaf))
        try:
            check_beside(self.place, index, row, envelope, event)
        except MismatchError:
            if not self._is_well_by_now(index, envelope, event):
                raise

    def _is_well_by_now(self, index: int, envelope: Envelope, event: Event) -> bool:
        """Whether nothing is wrong but that something was erased while it was looked at. An erasure is recorded, then
        seals anew, then destroys keys; so what is wrong with a row that stays as it is, is wrong.
        """
        number, before = self.place.number, None
        with suppress(UnavailableError):
            while (row := next(iter(self.store.rows(number, index, index + 1)), None)) not in (None, before):
                before = row
                erased = Erased.by(event for _, event in recorded_erasures(self.store, number))
                place = replace(self.place, erased=erased, retired=self.holdings.retired())
                with suppress(MismatchError):
                    check_beside(place, index, row, envelope, event)
                    return True
        return False


def check_tile(store: Store, log_number: int, tile: FullTile) -> None:
    """A tile as the leaves make it against the stored one. Raises MismatchError with the first leaf below it."""
    stored = _readable(store, tile.level, tile.number, lambda: store.tile(log_number, tile.level, tile.number))
    if stored != tile.hashes:
        raise _mismatch(tile.level, tile.number, "is missing" if stored is None else "is not that of the leaves")


def check_roots(store: Store, log_number: int, first: int, roots: Sequence[bytes], level: int = 0) -> None:
    """The roots of full tiles from `first` on against those stored apart from the tiles, all in one question. Raises
    MismatchError.
    """
    last = first + len(roots)
    if _readable(store, level, first, lambda: store.tile_roots(log_number, level, first, last)) == list(roots):
        return
    for number, root in enumerate(roots, first):
        if _readable(store, level, number, lambda n=number: store.tile_roots(log_number, level, n, n + 1)) != [root]:  # type: ignore[misc]
            raise _mismatch(level, number, "has another root beside it than that of the leaves")


def _readable(store: Store, level: int, number: int, ask: Callable[[], _Answer]) -> _Answer:
    """The answer to a question about a tile. Raises MismatchError when there is none, UnavailableError when there is
    none to any question.
    """
    try:
        return ask()
    except UnavailableError as error:
        store.logs()
        raise _mismatch(level, number, f"cannot be read: {error.message}") from None


def _mismatch(level: int, number: int, text: str) -> MismatchError:
    return MismatchError("tiles", number << 8 * (level + 1), f"stored tile {level}/{number} {text}")
