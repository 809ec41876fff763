# SPDX-License-Identifier: Apache-2.0
"""What lies in the store and belongs to no log: entries and tiles of none, tiles where no tile can be yet, heads and
names of logs that the root log does not know.

None of it is under a signed head, so no leaf and no proof shows it. But a service would trip over it one day, or show
it to somebody.
"""

from collections.abc import Iterator, Mapping

from ledger.log.check.findings import MismatchError, Report
from ledger.log.check.trail import Trail
from ledger.log.fold import LogsState
from ledger.log.store import ROOT_LOG, Head, Store
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.tiles import HEIGHT

_FIRST = -(1 << 20)
"""Below every number of a log."""


def check_record(trail: Trail, root_origin: str) -> None:
    """A log stands in the table of logs as the root log and the log itself name it. Raises MismatchError."""
    record, host = trail.record, root_origin.removesuffix("/root")
    origin = f"{host}/root" if record.number == ROOT_LOG else f"{host}/log/{record.log_id}"
    if record.origin != origin or (record.number == ROOT_LOG) != (record.log_id == "root"):
        raise MismatchError("logs", None, f"log {record.log_id!r} has origin {record.origin!r}, want {origin!r}")
    # A log need not say whose it is; the root log is nobody's.
    if record.tenant_id != trail.tenant_id and (record.number == ROOT_LOG or trail.tenant_id is not None):
        raise MismatchError("logs", None, f"the log is of tenant {trail.tenant_id}, the table says {record.tenant_id}")


def stray_logs(store: Store, trails: Mapping[int, Trail], heads: Mapping[int, Head]) -> Iterator[Report]:
    """What there is of logs that do not exist: each once, with the first thing found of it."""
    root = trails.get(ROOT_LOG)
    if root is not None and root.problem is None:
        here = {trail.record.origin for trail in trails.values()}
        for origin in sorted(set(root.state[LogsState].vkeys) - here):
            yield _nothing(origin, "the root log knows this log, the table of logs does not")
    found: dict[int, str] = {}
    for number, text in (*_heads(heads), *_entries(store), *_tiles(store)):
        if number not in found and is_stray(store, number, trails):
            found[number] = text
    for number, text in sorted(found.items()):
        yield _nothing(f"log {number}", f"there is {text}, but no log")


def _heads(heads: Mapping[int, Head]) -> Iterator[tuple[int, str]]:
    for number in heads:
        yield number, "a head"


def _entries(store: Store) -> Iterator[tuple[int, str]]:
    """The first entry of each number of a log, whether there is such a log or not."""
    number = _FIRST
    while (entry := store.next_entry(number, 0)) is not None:
        yield entry[0], f"an entry {entry[1]}"
        number = entry[0] + 1


def _tiles(store: Store) -> Iterator[tuple[int, str]]:
    number = _FIRST
    while (tile := store.next_tile(number, 0, 0)) is not None:
        yield tile[0], f"a tile {tile[1]}/{tile[2]}"
        number = tile[0] + 1


def is_stray(store: Store, number: int, trails: Mapping[int, Trail]) -> bool:
    # A running service may have made the log meanwhile.
    return number not in trails and all(record.number != number for record in store.logs())


def check_tiles_beyond(store: Store, trail: Trail) -> None:
    """There is no tile that is not full yet. Raises MismatchError."""
    number, level = trail.record.number, 0
    while (found := store.next_tile(number, level, trail.size >> HEIGHT * (level + 1))) is not None:
        log_number, at, tile = found
        if log_number != number:
            return
        end = tile + 1 << HEIGHT * (at + 1)
        # What a running service adds meanwhile is in the head already.
        if end > trail.size and end > store.head(number).size:
            first = tile << HEIGHT * (at + 1)
            raise MismatchError("tiles", first, f"tile {at}/{tile} cannot be full yet")
        level = level + 1 if at == level else at


def _nothing(origin: str, text: str) -> Report:
    return Report(origin, 0, EMPTY_ROOT, text, "logs", None)
