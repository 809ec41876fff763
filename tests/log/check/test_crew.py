# SPDX-License-Identifier: Apache-2.0
"""However a log is cut up and whoever walks the pieces, the same is found."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.check import Crew, Holdings, check_holdings
from ledger.log.check.crew import STRETCH
from ledger.log.check.walk import Stretch
from ledger.log.errors import UnavailableError
from tests.log.check.conftest import SIZE, changing
from tests.log.world import TENANT, World, findings

CHANGES: dict[str, Mapping[str, Any]] = {
    "leaf": {"leaf": b"{}"},
    "id": {"event_id": bytes(16)},
    "column": {"verdict": "deny"},
    "disclosures": {"sealed": b"no blob", "data_key": bytes(16)},
}
PLACES = st.sampled_from([0, 1, 3, 4, 255, 256, 257, 511, 512, 600, 1023, 1024, SIZE - 1]) | st.integers(0, SIZE - 1)


@settings(max_examples=40)
@given(
    changes=st.dictionaries(PLACES, st.sampled_from(sorted(CHANGES)), max_size=3),
    missing=st.sets(PLACES, max_size=1),
    unreadable=st.sets(PLACES, max_size=1),
    tiles=st.integers(1, 5),
)
def test_first_wrong_place_is_the_same_in_pieces_of_any_size(
    holdings: Holdings,
    changes: dict[int, str],
    missing: set[int],
    unreadable: set[int],
    tiles: int,
) -> None:
    changed, changed_holdings = changing(holdings)
    changed.changes = {(TENANT, index): CHANGES[name] for index, name in changes.items()}
    changed.missing = {(TENANT, index) for index in missing}
    changed.unreadable = {(TENANT, index) for index in unreadable}
    whole = findings(check_holdings(changed_holdings, replay=True))
    assert findings(check_holdings(changed_holdings, replay=True, crew=Crew(1, tiles * 256))) == whole
    wrong = min([*changes, *missing, *unreadable], default=None)
    assert [index for log, _, index in whole if log == "tenant"] == ([] if wrong is None else [wrong])


def stretches(size: int, step: int = 256) -> list[Stretch]:
    return [Stretch(TENANT, "localhost", start, min(start + step, size), True) for start in range(0, size, step)]


def test_pieces_come_in_order_and_only_while_they_are_wanted(grown: World, holdings: Holdings) -> None:
    pieces = [replace(piece, origin=grown.log.origin) for piece in stretches(SIZE)]
    seen = list[int]()
    for piece, walked in Crew().walk(holdings, pieces, lambda piece: len(seen) < 3):
        assert walked.problem is None
        seen.append(piece.start)
    assert seen == [0, 256, 512]


class Dying:
    """Opens nothing, and ends the process that tries to."""

    def __call__(self) -> Holdings:
        os._exit(1)


def test_process_that_ends_is_told_from_a_finding(holdings: Holdings) -> None:
    with Crew(2, 256) as crew, pytest.raises(UnavailableError, match="has ended"):
        list(crew.walk(replace(holdings, reopen=Dying()), stretches(SIZE), lambda piece: True))


def test_small_ledger_is_not_worth_a_process(grown: World, holdings: Holdings) -> None:
    assert SIZE <= STRETCH
    with Crew(2) as crew:
        assert findings(check_holdings(replace(holdings, reopen=Dying()), crew=crew)) == []
