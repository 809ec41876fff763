# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run from end to end with tiny numbers, and say what they promise. No speed is asserted."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench import ingest, signatures, verify
from tests.bench.__main__ import BENCHMARKS, main
from tests.bench.figures import TARGETS, Figure, Outcome, table
from tests.bench.processes import Server
from tests.postgres import short_folder

TINY = ("--runs", "1", "--seconds", "0.2", "--warmup", "0.05", "--connections", "4", "--batch-connections", "2")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no flag says is made less of, too."""
    monkeypatch.setattr(ingest, "ROWS", 256)
    monkeypatch.setattr(ingest, "COMMITS", 10)
    monkeypatch.setattr(verify, "RECEIPTS", 100)
    monkeypatch.setattr(signatures, "SIGNATURES", 100)
    monkeypatch.setattr(signatures, "WIDTH", 9)


def run(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    file = tmp_path / "out.json"
    assert main([*arguments, *TINY, "--json", str(file), "--folder", str(tmp_path)]) == 0
    told: dict[str, Any] = json.loads(file.read_bytes())
    return told


EXPECTED = {
    "ingest": ({"echo/rate", "null/rate", "service/cost", "one-row commit/median"}, {"a", "a-null", "c"}),
    "batch": ({"echo/rate", "null/rate", "service/rate", "bulk load/rate"}, {"d", "d-null"}),
    "memory": ({"memory at 200/memory", "memory at 300/memory", "service/rate"}, {"f"}),
    "restart": ({"start, empty/seconds", "start, 300 entries/seconds"}, {"g"}),
    "check": ({"check/rate", "check/memory"}, {"h", "h-two"}),
    "disk": ({"written/bytes", "at rest/bytes", "service/rate"}, {"i-rest", "i-written"}),
    "verify": (
        {"receipts by two/rate", "command, two/rate", "signatures, tables/rate", "cold, pyz/seconds", "export/seconds"},
        {"j", "j-limit", "k", "l", "m", "n", "o"},
    ),
    "proof": ({"echo/rate", "proof at 300/rate", "proof at 600/rate"}, {"e", "e-larger"}),
}  # fmt: skip
SMALL = ("--rows", "1000", "--first-entries", "200", "--entries", "300")
LARGER = {"proof": ("--larger", "600")}


def test_every_benchmark_is_tried_here() -> None:
    assert set(EXPECTED) == set(BENCHMARKS)


@pytest.mark.parametrize("name", EXPECTED)
def test_benchmark_on_sqlite_tells_all_it_promises(tmp_path: Path, name: str) -> None:
    told = run(tmp_path, name, *SMALL, *LARGER.get(name, ()))
    series, figures = EXPECTED[name]
    assert told["benchmark"] == name and told["settings"]["store"] == "sqlite"
    assert told["settings"]["event_bytes"] == 526 and told["settings"]["runs"] == 1
    assert {"cores", "cpu", "kernel", "python", "disk", "packages"} <= set(told["machine"])
    assert series <= set(told["measured"])
    for measured in told["measured"].values():
        assert measured["min"] <= measured["median"] <= measured["max"] and measured["runs"]
    assert {figure["figure"] for figure in told["figures"]} == figures
    # Memory and starting time are differences, and with so few entries those are noise.
    assert all(figure["value"] > 0 for figure in told["figures"] if figure["figure"] not in ("f", "g"))


def test_ingest_without_a_disk_beside_a_peer(tmp_path: Path) -> None:
    with Server("echo", "tests.bench.servers", "echo") as peer:
        told = run(tmp_path, "ingest", "--store", "null", "--peer", peer.url, "--peer-path", "/add")
    assert {"echo/rate", "null/rate", "peer/rate"} <= set(told["measured"])
    assert "service/rate" not in told["measured"]


@pytest.mark.parametrize("name", ["proof", "check"])
def test_what_needs_a_ledger_is_not_measured_without_a_disk(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        run(tmp_path, name, "--store", "null")
    assert refused.value.code == 2


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that whoever runs PostgreSQL can reach."""
    folder = short_folder()
    yield folder
    shutil.rmtree(folder)


def test_ingest_on_postgres_also_measures_two_processes(open_folder: Path) -> None:
    told = run(open_folder, "ingest", "--store", "postgres")
    assert {figure["figure"] for figure in told["figures"]} == {"a", "a-null", "b", "c"}


def test_large_logs_on_postgres_are_kept_and_used_again(open_folder: Path) -> None:
    first = run(open_folder, "check", "--store", "postgres", *SMALL)
    again = run(open_folder, "proof", "--store", "postgres", *SMALL)
    assert first["measured"]["check/rate"]["median"] > 0 and again["measured"]["proof at 300/rate"]["median"] > 0
    assert {path.name for path in open_folder.iterdir()} >= {"postgres", "postgres-300"}


def test_load_that_fails_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ingest", "--store", "null", "--peer", "http://127.0.0.1:1", *TINY, "--folder", str(tmp_path)]
    assert main(arguments) == 1
    assert "bench:" in capsys.readouterr().err


def test_figures_are_ratios_of_medians_with_their_bounds() -> None:
    outcome = Outcome()
    for value in (10.0, 30.0, 20.0):
        outcome.add("service/rate", "requests/s", value)
        outcome.add("echo/rate", "requests/s", value * 4)
    outcome.ratio("a", "service/rate", "echo/rate", "sqlite")
    outcome.ratio("b", "two/rate", "service/rate", "sqlite")
    told = outcome.told()
    assert told["measured"]["service/rate"] == {
        "unit": "requests/s", "median": 20, "min": 10, "max": 30, "runs": [10, 30, 20],
    }  # fmt: skip
    [figure] = told["figures"]
    assert (figure["value"], figure["reaches_floor"], figure["reaches_aim"]) == (0.25, True, False)
    assert "0.250" in table(outcome)


@pytest.mark.parametrize("name", TARGETS)
def test_target_is_met_on_its_better_side(name: str) -> None:
    bounds = [*TARGETS[name].floor.items(), *TARGETS[name].aim.items()]
    for store, bound in ((store, bound) for store, bound in bounds if bound is not None):
        better = bound * 1.1 if TARGETS[name].more_is_better else bound * 0.9
        assert Figure(name, better, store).reaches(bound) and Figure(name, bound, store).reaches(bound)
        assert not Figure(name, bound * 2 - better, store).reaches(bound)
