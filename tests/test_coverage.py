# SPDX-License-Identifier: Apache-2.0
"""spec/coverage.csv is whole and true: every row of the seed documents is in it, and what it calls live answers."""

import csv
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from tests.coverage.cases import ORIGIN, Ask, Cases, World
from tests.coverage.rows import STATUSES, rows
from tests.running import CHEAP_LOGINS, Service

GROUPS = sorted(path.stem for path in Path(__file__).with_name("coverage").glob("cases_*.py"))
ROWS = {row.id: row for row in rows()}
CASES = Cases()
for group in GROUPS:
    for name, case in import_module(f"tests.coverage.{group}").CASES.items():
        CASES.show(name)(case)

VENDORS = (
    "--key-header", "X-PhronEdge-Key", "--key-header", "X-AEGIS-API-Key", "--key-header", "X-AEGIS-Agent-Token",
    "--agent-header", "X-Edictum-Agent-Id",
)  # fmt: skip

pytestmark = pytest.mark.any_store("who finds what under which path is the same on every store")


@pytest.fixture(scope="module")
def service(template_ledger, module_room):
    """One service for all rows, which a web page may call, and which knows the headers of other products."""
    source, keys = template_ledger
    flags = ("--root-interval", "0.2", "--stranger-rate", "0", "--cors-origin", ORIGIN, *CHEAP_LOGINS, *VENDORS)
    with Service(module_room.copy(source), keys, *flags) as running:
        yield running


@pytest.fixture(scope="module")
def world(service, template_ledger, module_room):
    source, keys = template_ledger
    with ExitStack() as stack:
        yield World(service, lambda: (module_room.copy(source), keys), stack)


def test_rows_are_those_of_the_seed_documents(shared):
    with (shared / "design" / "seed_operations.csv").open(newline="", encoding="utf-8") as file:
        wanted = [(line["id"], line["method"], line["path"]) for line in csv.DictReader(file)]
    assert [(row.id, row.method, row.path) for row in rows()] == wanted


def test_every_row_is_there_once_and_says_what_became_of_it():
    assert len(ROWS) == len(rows()) == 481
    for row in ROWS.values():
        assert row.status in STATUSES, row
        assert row.note or row.status not in ("moved", "declined"), row
        assert row.note == row.note.strip() and len(row.note) <= 300, row


def test_live_rows_have_a_case_each_and_no_other_row_has():
    assert set(CASES) == {row.id for row in ROWS.values() if row.status == "live"}


@pytest.mark.parametrize("row", sorted(CASES))
def test_live_row_is_answered_as_promised(row, world):
    ask = Ask(ROWS[row], world)
    CASES[row](ask)
    assert ask.asked or not ROWS[row].has_path, "a case asks under the row's own method and path"
