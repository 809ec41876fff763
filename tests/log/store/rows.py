# SPDX-License-Identifier: Apache-2.0
"""What is put into a store, and all that can be read of one."""

from collections.abc import Mapping
from typing import Any

from ledger.log.store import Batch, Head, Known, LogRecord, Row, SideRow, Store
from ledger.tlog.edge import FullTile

ROOT = LogRecord(0, "root", "localhost/root", None)
TENANT = LogRecord(1, "abc", "localhost/log/abc", "a-tenant")
NOW = 1_772_366_400_000


def make(store: Store) -> None:
    batches = [Batch(record.number, head(1), [row(0, governing=True)], [], [record]) for record in (ROOT, TENANT)]
    store.append([], [], lambda heads, known: batches)


def event_id(index: int) -> bytes:
    return (NOW << 80 | 7 << 76 | 2 << 62 | index).to_bytes(16, "big")


def head(size: int, last_governing: int = 0) -> Head:
    return Head(size, bytes([size % 256]) * 32, f"note {size}\n", last_governing, int.from_bytes(event_id(size - 1)))


def row(index: int, **changes: Any) -> Row:
    values: dict[str, Any] = dict.fromkeys(Row._fields)
    values |= {
        "leaf_index": index,
        "event_id": event_id(index),
        "type": "call.reported",
        "governing": False,
        "recorded_at": NOW + index,
        "leaf": b"leaf %d" % index,
    }
    return Row(**(values | changes))


def add(
    store: Store, *rows: Row, log: int = 1, side: tuple[SideRow, ...] = (), tiles: tuple[FullTile, ...] = ()
) -> None:
    """Append rows to a log that has an entry already."""

    def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
        size = heads[log].size + len(rows)
        last = max([heads[log].last_governing, *(r.leaf_index for r in rows if r.governing)])
        return [Batch(log, head(size, last), rows, tiles, side)]

    store.append([log], [], build)


def contents(store: Store) -> Any:
    """All that can be read of a store."""
    return (
        store.logs(),
        store.heads(),
        [store.rows(number, 0, 100) for number in (0, 1)],
        store.committed_sizes(),
        store.days(),
        [store.secret(name) for name in ("a", "b")],
        [store.tile(1, 0, number) for number in range(3)],
    )
