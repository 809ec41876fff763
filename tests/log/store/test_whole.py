# SPDX-License-Identifier: Apache-2.0
"""What every store must tell a check of the whole: all that there is, also what belongs to nothing."""

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.store import CommittedHead, Store
from ledger.tlog.edge import FullTile
from tests.log.store.rows import add, make, row

PLACES = st.integers(0, 3)


def test_next_entry_is_the_first_at_or_behind_a_place(store: Store) -> None:
    add(store, *(row(index) for index in range(1, 5)))
    there = [(0, 0), *((1, index) for index in range(5))]
    for place in [(-1, 9), *product((0, 1), range(7)), (2, 0)]:
        assert store.next_entry(*place) == min((entry for entry in there if entry >= place), default=None)


@settings(max_examples=15)
@given(st.sets(st.tuples(st.sampled_from([0, 1]), PLACES, PLACES), max_size=6))
def test_next_tile_is_the_first_at_or_behind_a_place(kind: Any, there: set[tuple[int, int, int]]) -> None:
    store = kind.new()
    make(store)
    for log in (0, 1):
        tiles = [FullTile(level, number, bytes(511 * 32)) for at, level, number in there if at == log]
        add(store, row(1), log=log, tiles=tuple(tiles))
    for place in product((-1, 0, 1, 2), range(5), range(5)):
        assert store.next_tile(*place) == min((tile for tile in there if tile >= place), default=None)
    store.close()


def test_lines_of_commitments_are_read_by_ranges_of_entries(store: Store) -> None:
    heads = [
        CommittedHead(index, position, log, 10 * index + position, "note\n", b"line\n")
        for index in (1, 2, 4)
        for position, log in enumerate((1, 0))
    ]
    assert store.committed_heads(0, 1 << 40) == []
    add(store, row(1), log=0, side=tuple(reversed(heads)))
    for start, stop in product(range(-1, 6), range(6)):
        assert store.committed_heads(start, stop) == [head for head in heads if start <= head.root_index < stop]
    assert store.committed_heads(-(1 << 40), 1 << 40) == heads
