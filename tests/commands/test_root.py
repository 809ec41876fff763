# SPDX-License-Identifier: Apache-2.0
"""`ledger root close`: one document a day, the same bytes whenever and however it is asked for."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.commands.outcomes import done, refused, run_together
from tests.ledgers import Ledger
from tests.running import Service, run_ledger, run_verifier


def test_root_close_is_the_same_again(service: Service, tmp_path: Path) -> None:
    first = done(run_ledger("root", "close", data=service.settings))
    document = json.loads(first)
    again, named = run_together(("root", "close"), ("root", "close", "--date", document["date"]), data=service.settings)
    assert done(again) == done(named) == first
    with service.client("", verify=False) as client:
        assert client.get(f"/api/v1/transparency/roots/{document['date']}").text == first
    (tmp_path / "day.json").write_text(first)
    verified = run_verifier("root", str(tmp_path / "day.json"), "--root-key", service.keys["root_vkey"])
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_root_close_without_a_service(fresh_ledger: Ledger, tmp_path: Path) -> None:
    place, keys = fresh_ledger
    first = done(run_ledger("root", "close", data=place))
    assert done(run_ledger("root", "close", data=place)) == first
    (tmp_path / "day.json").write_text(first)
    verified = run_verifier("root", str(tmp_path / "day.json"), "--root-key", keys["root_vkey"])
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert first.endswith("}\n") and first.count("\n") == 1


def test_root_close_date_that_cannot_be(service: Service) -> None:
    """A date after today has not begun, one before the ledger's first day says nothing, and both are refused.

    Closing an ancient date would make the next close write a day for every one since.
    """
    today = datetime.now(UTC).date()
    days = (str(today + timedelta(days=2)), str(date.min), "2026-02-30")
    for result in run_together(*(("root", "close", "--date", day) for day in days), data=service.settings):
        refused(result, "422", "date")
