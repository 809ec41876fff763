# SPDX-License-Identifier: Apache-2.0
"""The outsider of the crash tests is worth what he finds: a ledger that does break its promises is caught."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.settings import Settings
from tests.robustness.following import Outsider
from tests.robustness.outside import report
from tests.running import Service, event, run_ledger
from tests.tables import alter

CHANCE = random.Random(0)


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "data", guard=tmp_path / "data" / "guard")


@pytest.fixture
def service(place: Settings) -> Iterator[Service]:
    keys = json.loads(run_ledger("init", "--json", data=place).stdout)
    with Service(place, keys, "--root-interval", "0.05") as running:
        yield running


def tell(service: Service, key: str, outsider: Outsider, *call_ids: str) -> None:
    with service.client(key) as client:
        outsider.acknowledge(report(client, [event(call_id) for call_id in call_ids]))
        outsider.see(client.get("/root/checkpoint").text)


def test_ledger_that_keeps_its_word(service: Service) -> None:
    key, outsider = service.create_key()["key"], Outsider(service.keys)
    for number in range(0, 600, 50):
        tell(service, key, outsider, *(f"call-{number + place}" for place in range(50)))
        if number % 200 == 0:
            assert outsider.check(service, CHANCE).problems == []
    tell(service, key, outsider, "call-7")
    found = outsider.check(service, CHANCE)
    assert found.problems == [] and (found.acknowledged, found.lost, found.duplicates, found.forks) == (601, 0, 0, 0)
    assert outsider.check(service, CHANCE) == found


def test_ledger_that_goes_back(service: Service, place: Settings, tmp_path: Path) -> None:
    """Data and guard of an hour ago: what was acknowledged since is lost, and the same sizes get other roots."""
    key, outsider = service.create_key()["key"], Outsider(service.keys)
    tell(service, key, outsider, "before")
    service.terminate()
    shutil.copytree(place.data, tmp_path / "copy")
    service.start()
    tell(service, key, outsider, "lost")
    assert outsider.check(service, CHANCE).problems == []
    service.kill()
    shutil.rmtree(place.data)
    (tmp_path / "copy").rename(place.data)
    service.start()
    tell(service, key, outsider, *(f"other-{number}" for number in range(20)))
    tell(service, key, outsider, "more")
    found = outsider.check(service, CHANCE)
    assert found.problems
    # Another that begins to look now has the receipts of both histories to compare.
    fresh = Outsider(service.keys)
    fresh.acknowledge([one for one, _ in outsider._acknowledged])
    found = fresh.check(service, CHANCE)
    assert (found.lost, found.duplicates) == (1, 0) and found.forks >= 1


def test_ledger_that_forgets_what_was_reported(service: Service, place: Settings) -> None:
    key, outsider = service.create_key()["key"], Outsider(service.keys)
    tell(service, key, outsider, "once", "twice")
    service.terminate()
    alter(place, lambda tables: tables.change("update entries set dedup = null where dedup is not null"))
    service.start()
    tell(service, key, outsider, "twice")
    found = outsider.check(service, CHANCE)
    assert (found.lost, found.duplicates, found.forks) == (0, 1, 0)


def test_ledger_that_shows_an_older_state(service: Service) -> None:
    """A head that somebody was given, and that the service does not have."""
    key, outsider = service.create_key()["key"], Outsider(service.keys)
    other = Outsider(service.keys)
    tell(service, key, outsider, "one")
    assert outsider.check(service, CHANCE).problems == []
    with service.client() as client:
        note = client.get("/api/v1/transparency/checkpoint").text
    size = note.split("\n")[1]
    other.see(note.replace(f"\n{size}\n", f"\n{int(size) + 5}\n"))
    [problem] = other.check(service, CHANCE).problems[:1]
    assert "that was given" in problem
