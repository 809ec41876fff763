# SPDX-License-Identifier: Apache-2.0
"""Copies of a ledger: equal to the byte whatever holds them, whole or not there, and never of a damaged source."""

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.commands.places import fill
from ledger.log.check import check_ledger
from ledger.log.copying import CHUNK, Contents, copy_ledger, read_contents
from ledger.log.days import day_document
from ledger.log.errors import ConfigurationError, ConflictError, DamagedError, LedgerError, UnavailableError
from ledger.log.ledger import Ledger
from ledger.log.receipts import receipt
from ledger.log.store import INSTANCE, ROOT_LOG, UNFINISHED, Store
from ledger.log.store.postgres import PostgresStore
from ledger.log.store.sqlite import SqliteStore
from ledger.settings import Settings
from tests.log.stores import AroundStore
from tests.log.tampering import SIZE, TENANT_ROWS, Tamper, alter, changed, flip, grow, tile
from tests.log.world import PARTS, TENANT, World
from tests.postgres import Postgres

KINDS = ("sqlite", "postgres")


def ignore(_: int) -> None:
    """Nobody looks at the progress."""


class Place:
    """Somewhere to copy to, of one kind; it can be opened again and again."""

    def __init__(self, kind: str, folder: Path, postgres: Postgres) -> None:
        self.settings = Settings(folder)
        if kind == "postgres":
            self.settings = Settings(folder, database_url=postgres.create_database(secrets.token_hex(4)))

    def open(self) -> Store:
        if self.settings.database_url is None:
            return SqliteStore(self.settings.database, read_only=True)
        return PostgresStore(self.settings.database_url, read_only=True)

    def take(self, source: Store, expected: Contents | None = None) -> Contents:
        return fill(source, self.settings, "copying", expected)


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres) -> Callable[[str], Place]:
    return lambda kind: Place(kind, tmp_path / secrets.token_hex(4), postgres)


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as world:
        grow(world)
        world.ledger.store.put_note("check/1", "fine")
        yield world


@pytest.fixture
def damaged(grown: World, copied: Callable[[Path], Path]) -> Path:
    """A copy of the data directory, to be damaged."""
    grown.run(grown.roots.commit_heads())
    return copied(grown.folder)


def ledger_on(store: Store, world: World) -> Ledger:
    """A ledger on a copy, with the keys of the original."""
    return Ledger(store, world.ledger.keystore, world.ledger.vault, PARTS, world.clock, read_only=True)


def evidence(ledger: Ledger, indexes: range) -> list[bytes]:
    """Receipts with their proofs up to the root log, and day documents."""
    log = ledger.log(TENANT)
    receipts = [
        receipt(ledger, log, index, leaf, disclose=True).text()
        for index in indexes
        for leaf in ledger.store.leaves(TENANT, index, index + 1)
    ]
    return receipts + [day_document(ledger, day).text() for day in ledger.store.days()]


# What a copy is


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_copy_of_a_copy_is_the_ledger_to_the_byte(
    grown: World, place: Callable[[str], Place], first: str, second: str
) -> None:
    """From SQLite to each kind and from there to each: leaves, heads, receipts and days are the same."""
    wanted = evidence(grown.ledger, range(0, SIZE, 37))
    contents = read_contents(grown.ledger.store, ignore)
    source: Store = grown.ledger.store
    for kind in (first, second):
        here = place(kind)
        assert here.take(source) == contents
        source = here.open()
        ledger = ledger_on(source, grown)
        assert [report.problem for report in check_ledger(ledger, replay=True)] == [None, None]
        assert evidence(ledger, range(0, SIZE, 37)) == wanted
        assert source.heads() == grown.ledger.store.heads()
        assert source.note("check/1") == "fine"
    source.close()


def test_each_copy_has_a_name_of_its_own(grown: World, place: Callable[[str], Place]) -> None:
    """Of several copies only one may sign, so they must be told apart."""
    names = [grown.ledger.store.identity()]
    for kind in (*KINDS, *KINDS):
        here = place(kind)
        here.take(grown.ledger.store)
        store = here.open()
        names.append(store.identity())
        assert not store.note(UNFINISHED)
        store.close()
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("size", [3, 255, 256, 257, CHUNK - 1, CHUNK, CHUNK + 1])
def test_log_of_any_size_is_copied(open_world: Callable[..., World], place: Callable[[str], Place], size: int) -> None:
    with open_world() as world:
        world.fill(size)
        here = place("sqlite")
        contents = here.take(world.ledger.store)
        assert [log.size for log in contents.logs] == [size, world.root.committed.head.size]
        store = here.open()
        assert [report.problem for report in check_ledger(ledger_on(store, world))] == [None, None]
        store.close()


@settings(max_examples=10)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_copy_of_a_ledger_in_use_is_a_prefix_of_it(
    open_world: Callable[..., World], tmp_path_factory: pytest.TempPathFactory, bursts: list[int]
) -> None:
    """Entries, commitments and a new signing key come while it is copied, after the heads were read."""
    with open_world() as world:
        world.fill(20)
        world.commit_heads()
        before = world.ledger.store.heads()
        coming = list(bursts)

        class Busy(AroundStore):
            def rows(self, log_number: int, start: int, stop: int) -> object:
                if coming:
                    world.fill(world.size + coming.pop())
                    world.commit_heads()
                    world.close_day()
                return self.store.rows(log_number, start, stop)

        here = Place("sqlite", tmp_path_factory.mktemp("busy"), None)  # type: ignore[arg-type]
        here.take(Busy(world.ledger.store))
        store = here.open()
        assert store.heads() == before
        assert store.leaves(TENANT, 0, 999) == world.leaves()[: before[TENANT].size]
        assert store.days() == [] and max(h.root_index for h in store.committed_heads(0, 999)) < before[ROOT_LOG].size
        assert [report.problem for report in check_ledger(ledger_on(store, world), replay=True)] == [None, None]
        store.close()
        assert world.problems() == []


def test_root_log_with_many_lines_is_copied_in_groups(
    grown: World, place: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same contents, however few lines are taken at once."""
    contents = read_contents(grown.ledger.store, ignore)
    monkeypatch.setattr("ledger.log.copying.MAX_LINES", 1)
    assert place("sqlite").take(grown.ledger.store) == contents


# What is refused

DAMAGES: dict[str, tuple[Tamper, str]] = {
    **{
        name: (TENANT_ROWS[name][0], words)
        for name, words in {
            "leaf: another verdict": "entry 77 ",
            "leaf: the same at the edge": "the tiles agree up to entry 512",
            "tile: deleted": "entry 256 ",
            "head: root": "its head",
        }.items()
    },
    "an entry is gone": (lambda db: changed(db, "delete from entries where position = ?", 1 << 40 | 300), "entry 300 "),
    "the last entry is gone": (
        lambda db: changed(db, "delete from entries where position = ?", 1 << 40 | SIZE - 1),
        f"entry {SIZE - 1} ",
    ),
    "a tile's interior": (flip("tiles", "hashes", "position", tile(1), 9000), "tile 0/1"),
    "a tile's root": (flip("tiles", "root", "position", tile(0)), "tile 0/0"),
    "the head of another key": (
        lambda db: changed(db, "update heads set checkpoint = replace(checkpoint, '+', '/') where log_number = 1"),
        "the head of localhost/log/",
    ),
    "no root log": (
        lambda db: [changed(db, f"delete from {table} where log_number = 0") for table in ("heads", "logs")],
        "there is no root log",
    ),
    "a log that nobody announced": (
        lambda db: changed(db, "update logs set origin = 'elsewhere/log/1' where log_number = 1"),
        "the root log knows no log",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_source_is_refused_with_the_place(damaged: Path, place: Callable[[str], Place], name: str) -> None:
    change, words = DAMAGES[name]
    alter(damaged / "ledger.db", change)
    source, here = SqliteStore(damaged / "ledger.db", read_only=True), place("sqlite")
    with pytest.raises(DamagedError, match=words):
        here.take(source)
    assert [path.name for path in here.settings.data.iterdir()] == ["serve.lock"], "nothing half-done is left"
    source.close()


@pytest.mark.parametrize(
    "sql",
    [
        "update entries set sealed = zeroblob(length(sealed)) where position = (1 << 40) + 10",
        "update entries set dedup = zeroblob(16) where position = (1 << 40) + 10",
        "update committed_heads set line = x'78' where root_index = (select min(root_index) from committed_heads)",
        "update days set checkpoint = 'x' where date = '2026-03-01'",
        "update vault set box = zeroblob(40) where name = 'pepper/1'",
        "delete from vault where name = 'pepper/0'",
        "update notes set text = 'bad' where name = 'check/1'",
    ],
)
def test_backup_that_is_not_what_it_was_is_refused(
    grown: World, damaged: Path, place: Callable[[str], Place], sql: str
) -> None:
    """What no signature covers is covered by the digests that a backup was made with."""
    contents = read_contents(grown.ledger.store, ignore)
    alter(damaged / "ledger.db", lambda db: changed(db, sql))
    source, here = SqliteStore(damaged / "ledger.db", read_only=True), place("sqlite")
    with pytest.raises(DamagedError, match="is not what was written into this backup"):
        here.take(source, contents)
    assert not here.settings.database.exists()
    source.close()


class Forgetful(AroundStore):
    """Writes something else than what it is given."""

    def append(self, log_numbers, dedup_keys, build):  # type: ignore[no-untyped-def]
        def altered(heads, known):  # type: ignore[no-untyped-def]
            for batch in build(heads, known):
                rows = [row._replace(sealed=None) if row.leaf_index == 77 else row for row in batch.rows]
                yield type(batch)(batch.log_number, batch.head, rows, batch.tiles, batch.side)

        self.store.append(log_numbers, dedup_keys, lambda heads, known: list(altered(heads, known)))


def test_copy_that_does_not_read_as_it_was_written_is_refused(grown: World, tmp_path: Path) -> None:
    target = SqliteStore.initialise(tmp_path / "ledger.db")
    again: Callable[[], Store] = lambda: SqliteStore(tmp_path / "ledger.db", read_only=True)  # noqa: E731
    with pytest.raises(DamagedError, match="does not read as it was written"):
        copy_ledger(grown.ledger.store, Forgetful(target), again, ignore)
    with pytest.raises(ConfigurationError, match="cut short"):
        ledger_on(target, grown)
    target.close()


@pytest.mark.parametrize("kind", KINDS)
def test_place_with_a_ledger_in_it_is_left_alone(grown: World, place: Callable[[str], Place], kind: str) -> None:
    here = place(kind)
    here.take(grown.ledger.store)
    store = here.open()
    identity = store.identity()
    with pytest.raises(ConflictError, match="already"):
        here.take(grown.ledger.store)
    assert store.identity() == identity and read_contents(store, ignore) == read_contents(grown.ledger.store, ignore)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_copy_that_is_cut_short_is_no_ledger(
    grown: World, place: Callable[[str], Place], kind: str, chunks: int
) -> None:
    """Broken off at once, in the tenant's log or before the root log: nothing that opens, and in a file nothing."""
    left = chunks

    class Ending(AroundStore):
        def rows(self, log_number: int, start: int, stop: int) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise UnavailableError("the source is gone")
            return self.store.rows(log_number, start, stop)

    here = place(kind)
    with pytest.raises(UnavailableError, match="the source is gone"):
        here.take(Ending(grown.ledger.store))
    if kind == "sqlite":
        assert not here.settings.database.exists()
        here.take(grown.ledger.store)
        return
    with pytest.raises(LedgerError), closing(here.open()) as store:
        ledger_on(store, grown)
    if chunks:
        with pytest.raises(ConfigurationError, match="cut short"):
            here.take(grown.ledger.store)


def test_copy_that_was_cut_short_is_not_copied(grown: World, tmp_path: Path, place: Callable[[str], Place]) -> None:
    here = place("sqlite")
    here.take(grown.ledger.store)
    with sqlite3.connect(here.settings.database) as db:
        db.execute("update notes set text = '1' where name = ?", (UNFINISHED,))
        assert db.execute("select count(*) from notes where name = ?", (INSTANCE,)).fetchone() == (1,)
    db.close()
    source = here.open()
    with pytest.raises(ConfigurationError, match="cut short"):
        place("sqlite").take(source)
    source.close()
