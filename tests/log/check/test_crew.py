# SPDX-License-Identifier: Apache-2.0
"""However a log is cut up and whoever walks the pieces, the same is found."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
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
from tests.running import eventually

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


def test_pieces_come_in_order_and_no_more_than_are_asked_for(grown: World, holdings: Holdings) -> None:
    asked = list[int]()

    def pieces() -> Iterator[Stretch]:
        for piece in stretches(SIZE):
            asked.append(piece.start)
            yield replace(piece, origin=grown.log.origin)

    walk = Crew().walk(holdings, pieces(), SIZE)
    seen = [next(walk) for _ in range(3)]
    assert [piece.start for piece, _ in seen] == asked == [0, 256, 512]
    assert all(walked.problem is None for _, walked in seen)


@pytest.mark.parametrize("size", [SIZE + 1, 1 << 39, 1 << 62])
def test_size_that_a_head_claims_costs_nothing(holdings: Holdings, size: int) -> None:
    changed, others = changing(holdings)
    changed.sizes = {TENANT: size}
    assert findings(check_holdings(others))[0] == ("tenant", "entries", SIZE)


class Dying:
    """Opens nothing, and ends the process that tries to."""

    def __call__(self) -> Holdings:
        os._exit(1)


def test_process_that_ends_is_told_from_a_finding(holdings: Holdings) -> None:
    with Crew(2, 256) as crew, pytest.raises(UnavailableError, match="has ended"):
        list(crew.walk(replace(holdings, reopen=Dying()), iter(stretches(SIZE)), SIZE))


def test_small_ledger_is_not_worth_a_process(grown: World, holdings: Holdings) -> None:
    assert SIZE <= STRETCH
    with Crew(2) as crew:
        assert findings(check_holdings(replace(holdings, reopen=Dying()), crew=crew)) == []


KILLED = """
import os, signal, sys
from multiprocessing import active_children
from ledger.deployment import open_holdings
from ledger.log.check import Crew, check_holdings
from ledger.settings import Settings
from pathlib import Path

if __name__ == "__main__":
    def die(done: int) -> None:
        print(*(child.pid for child in active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    holdings = open_holdings(Settings(data=Path(sys.argv[1]), database_url=sys.argv[2] or None))
    with Crew(2, 256) as crew:
        check_holdings(holdings, crew=crew, progress=die)
"""


def test_helping_processes_end_with_the_one_that_is_killed(grown: World, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    place = grown.settings
    command = [sys.executable, str(script), str(place.data), place.database_url or ""]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path.cwd())
    helpers = [int(pid) for pid in killed.stdout.split()]
    assert killed.returncode == -signal.SIGKILL and len(helpers) == 2, killed.stderr
    assert eventually(lambda: not any(map(runs, helpers)), "the end of the helpers")


def runs(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that nobody has asked for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
