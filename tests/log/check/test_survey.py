# SPDX-License-Identifier: Apache-2.0
"""A question that the store cannot answer ends the check of what it is about, and of nothing else."""

import pytest

from ledger.log.check import Holdings, check_holdings
from ledger.log.errors import UnavailableError
from tests.log.check.conftest import SIZE, changing
from tests.log.world import TENANT, World, findings

Finding = tuple[str, str, int | None]

FAULTS: dict[str, tuple[set[tuple[str, int]], list[Finding]]] = {
    "a tile": ({("tile", TENANT)}, [("tenant", "tiles", 0)]),
    "the heads together": ({("heads", 0)}, []),
    "a head": ({("heads", 0), ("head", TENANT)}, [("tenant", "head", SIZE - 1)]),
    "the root log's head": ({("heads", 0), ("head", 0)}, [("root", "head", 5)]),
    "a head that could be read before": ({("head", TENANT)}, [("tenant", "database", None)]),
    "the commitments": ({("committed_heads", 0)}, [("root", "database", None)]),
    "what a service folds at its start": ({("governing", TENANT)}, [("tenant", "replay", None)]),
    "several at once": (
        {("tile", TENANT), ("committed_heads", 0)},
        [("tenant", "tiles", 0), ("root", "database", None)],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_read_is_a_finding_where_it_belongs(holdings: Holdings, name: str) -> None:
    changed, others = changing(holdings)
    changed.faults, expected = FAULTS[name]
    assert findings(check_holdings(others, replay=True)) == expected


def test_store_that_is_gone_is_no_finding(holdings: Holdings) -> None:
    changed, others = changing(holdings)
    changed.gone = True
    with pytest.raises(UnavailableError, match="cannot be read"):
        check_holdings(others)


def test_progress_counts_every_entry_once(grown: World, holdings: Holdings) -> None:
    steps = list[int]()
    check_holdings(holdings, progress=steps.append)
    assert sum(steps) == SIZE + grown.root.committed.head.size
