# SPDX-License-Identifier: Apache-2.0
"""Searching by id: whatever the ids are, as long as they increase, each is found, and nothing else."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from ledger.log.store import Row
from ledger.log.store.id_search import KEPT_IDS, IdSearch

LOG = 7
# What lies between an id and the next: mostly one, as within a batch, sometimes a millisecond, sometimes a year.
GAPS = st.lists(st.sampled_from((1, 1, 1, 2, 1 << 80, 1 << 115)) | st.integers(1, 1 << 110), min_size=1, max_size=400)


class Rows:
    """Rows with these ids, and how many of them were read."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.read = 0

    def __call__(self, log_number: int, index: int) -> Row:
        assert log_number == LOG
        self.read += 1
        fields = (None,) * (len(Row._fields) - 2)
        return Row(index, self.ids[index].to_bytes(16, "big"), *fields)  # type: ignore[arg-type]


def find(search: IdSearch, number: int, low: int, high: int) -> int | None:
    row = search.find(LOG, number.to_bytes(16, "big"), low, high)
    return None if row is None else row.leaf_index


@given(GAPS, st.data())
def test_each_id_is_found_and_no_other(gaps: list[int], data: st.DataObject) -> None:
    ids = [*accumulate(gaps)]
    rows = Rows(ids)
    search = IdSearch(rows)
    low = data.draw(st.integers(0, len(ids)))
    for index, number in enumerate(ids):
        assert find(search, number, low, len(ids)) == (index if index >= low else None)
    for number in data.draw(st.lists(st.integers(0, ids[-1] + 1), max_size=20)):
        assert find(search, number, 0, len(ids)) == (ids.index(number) if number in ids else None)


@given(GAPS)
def test_search_takes_no_more_than_twice_the_steps_of_halving(gaps: list[int]) -> None:
    ids = [*accumulate(gaps)]
    rows = Rows(ids)
    for number in ids:
        before = rows.read
        assert find(IdSearch(rows), number, 0, len(ids)) is not None
        assert rows.read - before <= 2 * len(ids).bit_length() + 1


def test_even_ids_of_a_large_log_are_found_in_few_steps() -> None:
    rows = Rows(ids := list(range(5, 40 * KEPT_IDS, 2)))
    search = IdSearch(rows)
    for index in range(0, len(ids), 101):
        assert find(search, ids[index], 0, len(ids)) == index
    rows.read = 0
    asked = range(7, len(ids), 103)
    assert [find(search, ids[index], 0, len(ids)) for index in asked] == list(asked)
    assert rows.read <= 3 * len(asked)
