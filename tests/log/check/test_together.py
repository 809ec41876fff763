# SPDX-License-Identifier: Apache-2.0
"""Where many entries together are said to be well, each of them is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.check import Holdings
from ledger.log.check.disclosures import Opener
from ledger.log.check.entry import Place, check_beside, check_leaf
from ledger.log.check.findings import MismatchError
from ledger.log.check.together import CHECKS
from ledger.log.store import Row
from tests.log.check.conftest import SIZE
from tests.log.world import TENANT, World

CALLS = "call.reported"


def place_of(grown: World, holdings: Holdings, *, disclosures: bool = True) -> Place:
    opener = Opener(holdings.keystore, TENANT, grown.log.origin) if disclosures else None
    return Place(TENANT, grown.log.origin, holdings.pepper(TENANT), opener)


@pytest.fixture(scope="module")
def calls(grown: World) -> list[Row]:
    return [row for row in grown.ledger.store.rows(TENANT, 0, SIZE) if row.type == CALLS]


def well(place: Place, row: Row) -> bool:
    try:
        check_beside(place, row.leaf_index, row, *check_leaf(place, row.leaf_index, row, b""))
    except MismatchError:
        return False
    return True


@pytest.mark.parametrize("disclosures", [True, False])
def test_entries_that_are_well_are_seen_to_be(
    grown: World, holdings: Holdings, calls: list[Row], disclosures: bool
) -> None:
    place = place_of(grown, holdings, disclosures=disclosures)
    assert CHECKS[CALLS].all_well(place, calls)
    assert all(CHECKS[CALLS].all_well(place, [row]) for row in calls[:20])
    root = Place(0, grown.root.origin, holdings.pepper(0), Opener(holdings.keystore, 0, grown.root.origin))
    heads = [row for row in grown.ledger.store.rows(0, 0, 99) if row.type == "heads.committed"]
    assert len(heads) > 1 and CHECKS["heads.committed"].all_well(root, heads)


@st.composite
def changed_rows(draw: st.DrawFn, rows: list[Row]) -> list[Row]:
    """A few rows, and in one of them one column that is another's, none at all, or nobody's."""
    start = draw(st.integers(0, len(rows) - 5))
    found = rows[start : start + 5]
    index, name = draw(st.integers(0, 4)), draw(st.sampled_from(Row._fields[1:]))
    value: Any = getattr(found[index], name)
    others = [getattr(rows[draw(st.integers(0, len(rows) - 1))], name) for _ in range(3)]
    if isinstance(value, bytes):
        at = draw(st.integers(0, len(value) - 1))
        others += [value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :], value[:at], value + b"\x00", value + b" "]
    elif isinstance(value, str):
        others += [value + " ", value[:-1], value.upper(), ""]
    elif isinstance(value, bool):
        others.append(not value)
    elif isinstance(value, int):
        others += [value + 1, -value]
    optional = name not in ("event_id", "type", "governing", "recorded_at", "leaf")
    other = draw(st.sampled_from(others) | st.just(None) if optional else st.sampled_from(others))
    return [*found[:index], found[index]._replace(**{name: other}), *found[index + 1 :]]


@pytest.mark.parametrize("disclosures", [True, False])
@settings(max_examples=250)
@given(data=st.data())
def test_nothing_is_said_to_be_well_that_is_not(
    grown: World, holdings: Holdings, calls: list[Row], disclosures: bool, data: st.DataObject
) -> None:
    place = place_of(grown, holdings, disclosures=disclosures)
    rows = data.draw(changed_rows(calls))
    each = [well(place, row) for row in rows]
    assert not CHECKS[CALLS].all_well(place, rows) or all(each)
    # These leaves are plain, so that it is never for want of understanding that nothing is said.
    assert CHECKS[CALLS].all_well(place, rows) == all(each)


def test_without_a_pepper_keyed_digests_are_left_out(grown: World, holdings: Holdings, calls: list[Row]) -> None:
    place = place_of(grown, holdings)
    rows = [calls[0]._replace(dedup=bytes(16))]
    assert not CHECKS[CALLS].all_well(place, rows) and not well(place, rows[0])
    without = Place(place.number, place.origin, None, place.opener)
    assert CHECKS[CALLS].all_well(without, rows) and well(without, rows[0])


def test_closed_disclosures_need_only_be_there(grown: World, holdings: Holdings, calls: list[Row]) -> None:
    opened, closed = (place_of(grown, holdings, disclosures=wanted) for wanted in (True, False))
    sealed = next(row for row in calls if row.sealed is not None)
    rows = [sealed._replace(sealed=b"another blob")]
    assert not CHECKS[CALLS].all_well(opened, rows) and CHECKS[CALLS].all_well(closed, rows)
    rows = [sealed._replace(sealed=None, data_key=None)]
    assert not CHECKS[CALLS].all_well(closed, rows) and not well(closed, rows[0])
