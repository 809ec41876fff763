# SPDX-License-Identifier: Apache-2.0
"""The self-check against every kind of tampering with the tables: it names what is wrong and the first place.

The ledger is checked as a service that runs on sees it, and as `ledger check` sees it afterwards, in one process and in
two. All must name the same place, also where no service could start.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from ledger_verify import verify_receipt

from ledger.deployment import open_holdings
from ledger.log.check import Crew, check_holdings
from ledger.log.entry import read_envelope
from ledger.log.errors import DamagedError, LedgerError
from ledger.settings import Settings
from tests.ledgers import Room
from tests.log.tampering import (
    BESIDE_ROWS,
    CREATED,
    MANIFEST,
    REFUSALS,
    ROOT_ROWS,
    SIZE,
    TENANT_ROWS,
    Tamper,
    edit,
    flip_tile,
    grow,
)
from tests.log.world import World, findings
from tests.running import run_ledger
from tests.tables import TENANT, Tables, alter, opened

Finding = tuple[str, str, int | None]
Looks = Callable[[], list[Finding]]


@pytest.fixture(scope="module")
def grown(made_ledger: Settings, module_room: Room) -> Settings:
    place = module_room.copy(made_ledger)
    with World(place) as world:
        grow(world)
        assert world.problems() == []
    return place


@pytest.fixture
def place(grown: Settings, room: Room) -> Settings:
    return room.copy(grown)


@pytest.fixture(scope="session")
def two() -> Iterator[Crew]:
    """Two processes, which share even a small log."""
    with Crew(2, stretch=256) as crew:
        yield crew


@pytest.fixture
def everywhere(place: Settings, two: Crew) -> Callable[[], list[Finding]]:
    """What a check finds that opens the ledger itself, whoever does the work."""

    def look() -> list[Finding]:
        with closing(open_holdings(place)) as holdings:
            alone, shared = (findings(check_holdings(holdings, replay=True, crew=crew)) for crew in (None, two))
        assert alone == shared
        return alone

    return look


def rows(table: dict[str, Any]) -> list[Any]:
    return [pytest.param(*row, REFUSALS.get(name), id=name) for name, row in table.items()]


def test_untampered_ledger_passes(place: Settings) -> None:
    with World(place) as world:
        assert world.problems() == [] and world.size == SIZE
        # Genesis, the tenant's log, the verifier, then: heads, heads and day, heads and day, heads.
        kinds = [read_envelope(leaf).type for leaf in world.leaves(world.root)][3:]
        heads, day = "heads.committed", "day.closed"
        assert kinds == [heads, heads, day, heads, day, heads]


@pytest.mark.parametrize(("change", "check", "index", "refusal"), rows(TENANT_ROWS))
def test_tampering_with_the_tenants_log_is_named(
    place: Settings, everywhere: Looks, change: Tamper, check: str, index: int, refusal: str | None
) -> None:
    with World(place) as running:
        alter(place, change)
        found = running.problems()
    if change is TENANT_ROWS["head: larger"][0]:
        # To a process that runs on, a larger head is what another process wrote.
        assert found == []
    else:
        assert found == [("tenant", check, SIZE - 1 if check == "head" else index)]
    assert everywhere() == [("tenant", check, index)]
    if refusal is None:
        with World(place, read_only=True) as opened_after:
            assert opened_after.problems() == [("tenant", check, index)]
    else:
        with pytest.raises(LedgerError, match=refusal):
            World(place, read_only=True)


@pytest.mark.parametrize(("change", "check", "index", "refusal"), rows(ROOT_ROWS))
def test_tampering_with_the_root_log_is_named(
    place: Settings, everywhere: Looks, change: Tamper, check: str, index: int | None, refusal: str | None
) -> None:
    with World(place) as running:
        alter(place, change)
        assert running.problems() == [("root", check, index)]
    assert everywhere() == [("root", check, index)]


@pytest.mark.parametrize(("change", "expected"), [pytest.param(*row, id=name) for name, row in BESIDE_ROWS.items()])
def test_tampering_beside_the_logs_is_named(
    place: Settings, everywhere: Looks, change: Tamper, expected: list[Finding]
) -> None:
    alter(place, change)
    assert everywhere() == expected


def test_all_logs_are_looked_at_whatever_is_wrong_with_them(place: Settings, everywhere: Looks) -> None:
    """Neither log can be loaded, and still each has its first wrong place named."""
    alter(place, TENANT_ROWS["leaf: governing, not JSON"][0])
    alter(place, ROOT_ROWS["leaf: not JSON"][0])
    alter(place, TENANT_ROWS["row deleted"][0])
    assert everywhere() == [("tenant", "entries", CREATED), ("root", "entries", 4)]


@pytest.mark.parametrize("name", ["leaf: another verdict", "leaf: governing, revokes another key", "head: root"])
def test_command_names_the_place_and_exits_1(place: Settings, name: str) -> None:
    change, check, index = TENANT_ROWS[name]
    alter(place, change)
    checked = run_ledger("check", "--replay", data=place)
    assert checked.returncode == 1 and "Traceback" not in checked.stderr
    first, second = checked.stdout.splitlines()[:2]
    assert f"{check} at index {index}:" in first and second.startswith("ok    localhost/root")


# What may be gone


def alter_keys(place: Settings, statement: str) -> None:
    with closing(sqlite3.connect(place.keystore, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount > 0


def test_lost_data_key_is_a_mismatch_while_receipts_withhold(place: Settings) -> None:
    """No entry says that a key was destroyed on purpose, so its loss is one."""
    with World(place) as world:
        before = world.receipt(77, disclose=True)
        alter_keys(place, "delete from data_keys")
    with World(place) as world:
        assert world.problems() == [("tenant", "disclosures", 2)]
        assert len(verify_receipt(before, world.keys).disclosures) == 3
        assert verify_receipt(world.receipt(77, disclose=True), world.keys).disclosures == []


LABEL = 2
"""Of the owner's key: the first sealed field of the log."""


@pytest.mark.parametrize(
    ("statement", "beside"),
    [
        ("update data_keys set sealed = zeroblob(length(sealed))", True),
        ("update data_keys set log_number = 7", True),
        ("update data_keys set log_number = 0", False),
        ("update data_keys set key_id = randomblob(16)", False),
    ],
)
def test_damaged_data_key_is_no_erasure(place: Settings, everywhere: Looks, statement: str, beside: bool) -> None:
    alter_keys(place, statement)
    expected = [("tenant", "disclosures", LABEL), *([("keystore", "data_keys", None)] if beside else [])]
    assert everywhere() == expected
    with World(place) as world:
        assert world.problems() == expected


def test_dedup_key_that_is_gone_is_named(place: Settings) -> None:
    """A service without it would take the call a second time."""
    alter(place, lambda db: db.change("update entries set dedup = null, request = null"))
    with World(place) as world:
        assert world.problems() == [("tenant", "columns", MANIFEST)]


def test_damaged_index_is_named(place: Settings) -> None:
    def unhook(db: Tables) -> None:
        db.change("pragma writable_schema = on")
        db.change("update sqlite_schema set sql = replace(sql, '= 1', '= 0') where name = 'entries_governing'")

    if place.shared:
        # Made without a lock it fails over what is there, and stays, as something that no question may use.
        with opened(place) as tables, pytest.raises(psycopg.errors.UniqueViolation):
            tables.change("create unique index concurrently once on entries (log_number)")
    else:
        alter(place, unhook)
    with World(place) as world:
        assert [(log, check) for log, check, _ in world.problems(replay=False)][-1] == ("root", "database")


# What is not signed over


@pytest.mark.parametrize("byte", [0, -1])
def test_changed_tile_root_is_never_signed_over(place: Settings, byte: int) -> None:
    """A service that starts on a changed tile would sign a head that does not extend the last one. It refuses to."""
    alter(place, flip_tile("root", 1, byte))
    with pytest.raises(DamagedError, match="does not have the root of its head"):
        World(place)


def test_changed_leaf_at_the_edge_is_never_signed_over(place: Settings) -> None:
    change, _, _ = TENANT_ROWS["leaf: the same at the edge"]
    alter(place, change)
    with pytest.raises(DamagedError, match="does not have the root of its head"):
        World(place)


def test_changed_leaf_of_another_process_is_not_signed_over(place: Settings) -> None:
    """What was written beside a running service is hashed before it goes on from there."""
    with World(place) as world:
        before = world.log.committed
        with World(place) as other:
            [item] = other.report("the other's").items
        head = world.ledger.store.head(TENANT)
        alter(place, edit(b"send_money", b"lend_money", item.leaf_index))
        for _ in range(2):
            with pytest.raises(DamagedError):
                world.report("one more")
        assert world.ledger.store.head(TENANT) == head
        assert world.log.committed == before
