# SPDX-License-Identifier: Apache-2.0
"""Copies of a ledger: equal to the byte whatever holds them, whole or not there, and never of a damaged source."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.commands.places import fill
from ledger.deployment import TENANT_PARTS, open_store
from ledger.log.check import check_ledger
from ledger.log.copying import CHUNK, Contents, copy_ledger, read_contents
from ledger.log.days import day_document
from ledger.log.errors import ConfigurationError, ConflictError, DamagedError, LedgerError, UnavailableError
from ledger.log.ledger import Ledger
from ledger.log.receipts import receipt
from ledger.log.rotation import rotate_key
from ledger.log.store import INSTANCE, ROOT_LOG, UNFINISHED, Batch, Build, Head, Known, Secret, Store
from ledger.log.store.sqlite import SqliteStore
from ledger.log.submission import Part
from ledger.settings import Settings
from tests.ledgers import STORES, Room
from tests.log.stores import AroundStore
from tests.log.tampering import SIZE, TENANT_ROWS, Tamper, changed, column, delete, flip_tile, grow, unhook
from tests.log.world import TENANT, World
from tests.postgres import Postgres
from tests.tables import Tables, alter, opened

ANY = pytest.mark.any_store(why="how it is copied does not depend on where it comes from")


def ignore(_: int) -> None:
    """Nobody looks at the progress."""


class Place:
    """Somewhere to copy to, of one kind; it can be opened again and again."""

    def __init__(self, kind: str, folder: Path, postgres: Postgres) -> None:
        url = postgres.create_database(secrets.token_hex(4)) if kind == "postgres" else None
        self.settings = Settings(folder, database_url=url)

    def open(self) -> Store:
        return open_store(self.settings, read_only=True)

    def take(self, source: Store, expected: Contents | None = None) -> Contents:
        return fill(source, self.settings, "copying", expected)


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres) -> Callable[[str], Place]:
    return lambda kind: Place(kind, tmp_path / secrets.token_hex(4), postgres)


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as world:
        grow(world)
        world.ledger.store.put_note("remark", "fine")
        yield world


@pytest.fixture
def damaged(grown: World, room: Room) -> Settings:
    """The same ledger once more, to be damaged."""
    return room.copy_beside(grown.settings)


def ledger_on(store: Store, world: World) -> Ledger:
    """A ledger on a copy, with the keys of the original."""
    return Ledger(store, world.ledger.keystore, world.ledger.vault, TENANT_PARTS, world.clock, read_only=True)


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


@pytest.mark.parametrize("kind", STORES)
def test_copy_is_the_ledger_to_the_byte(grown: World, place: Callable[[str], Place], kind: str) -> None:
    """From each kind of store to each: leaves, heads, receipts and days are the same, and all checks pass."""
    here, source = place(kind), grown.ledger.store
    assert here.take(source) == read_contents(source, ignore)
    with closing(here.open()) as copy:
        ledger = ledger_on(copy, grown)
        assert [report.problem for report in check_ledger(ledger, replay=True)] == [None, None]
        assert evidence(ledger, range(0, SIZE, 37)) == evidence(grown.ledger, range(0, SIZE, 37))
        assert copy.heads() == source.heads()
        assert copy.note("remark") == "fine"


@ANY
def test_each_copy_has_a_name_of_its_own(grown: World, place: Callable[[str], Place]) -> None:
    """Of several copies only one may sign, so they must be told apart."""
    names = [grown.ledger.store.identity()]
    for kind in (*STORES, *STORES):
        here = place(kind)
        here.take(grown.ledger.store)
        with closing(here.open()) as copy:
            names.append(copy.identity())
            assert not copy.note(UNFINISHED)
    assert len(set(names)) == len(names)


@ANY
@pytest.mark.parametrize("size", [3, 255, 256, 257, CHUNK - 1, CHUNK, CHUNK + 1])
def test_log_of_any_size_is_copied(open_world: Callable[..., World], place: Callable[[str], Place], size: int) -> None:
    with open_world() as world:
        world.fill(size)
        here = place("sqlite")
        contents = here.take(world.ledger.store)
        assert [log.size for log in contents.logs] == [size, world.root.committed.head.size]
        with closing(here.open()) as copy:
            assert [report.problem for report in check_ledger(ledger_on(copy, world))] == [None, None]


@settings(max_examples=10)
@given(bursts=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_copy_of_a_ledger_in_use_is_a_prefix_of_it(
    open_world: Callable[..., World], tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, bursts: list[int]
) -> None:
    """Entries, commitments, days and a new signing key come while it is copied, after the heads were read."""
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
                    world.run(rotate_key(world.ledger, world.root, Part(world.log, lambda moment: [])))
                return self.store.rows(log_number, start, stop)

        here = Place("sqlite", tmp_path_factory.mktemp("busy"), postgres)
        here.take(Busy(world.ledger.store))
        with closing(here.open()) as copy:
            assert copy.heads() == before
            assert copy.leaves(TENANT, 0, 999) == world.leaves()[: before[TENANT].size]
            assert copy.days() == []
            assert max(head.root_index for head in copy.committed_heads(0, 999)) < before[ROOT_LOG].size
            assert [report.problem for report in check_ledger(ledger_on(copy, world), replay=True)] == [None, None]
        assert world.problems() == []


@ANY
def test_secrets_of_a_copy_are_those_that_its_heads_need(
    open_world: Callable[..., World], place: Callable[[str], Place]
) -> None:
    """A key is replaced just while the heads are read: it is copied with its announcement, or neither is."""
    with open_world() as world:
        moments = ["heads", "secrets"]

        class Rotating(AroundStore):
            def secrets(self) -> list[Secret]:
                return self._rotated("secrets")

            def heads(self) -> object:
                return self._rotated("heads")

            def _rotated(self, moment: str) -> object:
                found = getattr(self.store, moment)()
                if moment in moments:
                    moments.remove(moment)
                    world.run(rotate_key(world.ledger, world.log, Part(world.log, lambda moment: [])))
                return found

        here = place("sqlite")
        here.take(Rotating(world.ledger.store))
        assert not moments
        with closing(here.open()) as copy:
            assert copy.heads() == world.ledger.store.heads()
            assert [report.problem for report in check_ledger(ledger_on(copy, world))] == [None, None]


@ANY
def test_root_log_with_many_lines_is_copied_in_groups(
    grown: World, place: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same contents, however few lines are taken at once."""
    contents = read_contents(grown.ledger.store, ignore)
    monkeypatch.setattr("ledger.log.copying.MAX_LINES", 1)
    assert place("sqlite").take(grown.ledger.store) == contents


# What is refused


def no_root_log(db: Tables) -> None:
    unhook(db)
    for table in ("heads", "logs"):
        changed(db, f"delete from {table} where log_number = 0")


def wrong_signature(db: Tables) -> None:
    [[checkpoint]] = db.ask("select checkpoint from heads where log_number = 1")
    digit = "B" if checkpoint[-10] == "A" else "A"
    changed(db, "update heads set checkpoint = ? where log_number = 1", checkpoint[:-10] + digit + checkpoint[-9:])


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
    "an entry is gone": (delete(300), "entry 300 "),
    "the last entry is gone": (delete(SIZE - 1), f"entry {SIZE - 1} "),
    "a tile's interior": (flip_tile("hashes", 1, 9000), "tile 0/1"),
    "a tile's root": (flip_tile("root", 0), "tile 0/0"),
    "the head of another key": (wrong_signature, "the head of localhost/log/"),
    "no root log": (no_root_log, "there is no root log"),
    "a log that nobody announced": (
        lambda db: changed(db, "update logs set origin = 'elsewhere/log/1' where log_number = 1"),
        "the root log knows no log",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_source_is_refused_with_the_place(damaged: Settings, place: Callable[[str], Place], name: str) -> None:
    change, words = DAMAGES[name]
    alter(damaged, change)
    here = place("sqlite")
    with closing(open_store(damaged, read_only=True)) as source, pytest.raises(DamagedError, match=words):
        here.take(source)
    assert [path.name for path in here.settings.data.iterdir()] == ["serve.lock"], "nothing half-done is left"


def value(table: str, column: str, new: object, where: str) -> Tamper:
    return lambda db: changed(db, f"update {table} set {column} = ? where {where}", new)


UNSIGNED: dict[str, Tamper] = {
    "sealed values": column("sealed", b"other", 10),
    "dedup key": column("dedup", b"0" * 16, 10),
    "a line": value("committed_heads", "line", b"x", "root_index = (select min(root_index) from committed_heads)"),
    "a day": value("days", "checkpoint", "x", "date = '2026-03-01'"),
    "a box": value("vault", "box", b"x", "name = 'pepper/1'"),
    "a box is gone": lambda db: changed(db, "delete from vault where name = 'pepper/0'"),
    "a note": value("notes", "text", "bad", "name = 'remark'"),
}


@ANY
@pytest.mark.parametrize("name", UNSIGNED)
def test_backup_that_is_not_what_it_was_is_refused(
    grown: World, damaged: Settings, place: Callable[[str], Place], name: str
) -> None:
    """What no signature covers is covered by the digests that a backup was made with."""
    contents = read_contents(grown.ledger.store, ignore)
    alter(damaged, UNSIGNED[name])
    here, words = place("sqlite"), "is not what was written into this backup"
    with closing(open_store(damaged, read_only=True)) as source, pytest.raises(DamagedError, match=words):
        here.take(source, contents)
    assert not here.settings.database.exists()


class Forgetful(AroundStore):
    """Writes something else than what it is given."""

    def append(self, log_numbers: Sequence[int], dedup_keys: Sequence[bytes], build: Build) -> None:
        def altered(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
            return [
                replace(batch, rows=[row._replace(sealed=None) if row.leaf_index == 77 else row for row in batch.rows])
                for batch in build(heads, known)
            ]

        self.store.append(log_numbers, dedup_keys, altered)


@ANY
def test_copy_that_does_not_read_as_it_was_written_is_refused(grown: World, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SqliteStore.initialise(path)) as target:
        with pytest.raises(DamagedError, match="does not read as it was written"):
            copy_ledger(grown.ledger.store, Forgetful(target), lambda: SqliteStore(path, read_only=True), ignore)
        with pytest.raises(ConfigurationError, match="cut short"):
            ledger_on(target, grown)


@ANY
@pytest.mark.parametrize("kind", STORES)
def test_place_with_a_ledger_in_it_is_left_alone(grown: World, place: Callable[[str], Place], kind: str) -> None:
    here = place(kind)
    contents = here.take(grown.ledger.store)
    with closing(here.open()) as copy:
        identity = copy.identity()
        with pytest.raises(ConflictError, match="already"):
            here.take(grown.ledger.store)
        assert (copy.identity(), read_contents(copy, ignore)) == (identity, contents)


@ANY
@pytest.mark.parametrize("kind", STORES)
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
    # What a database is left with is said, too.
    words = "the source is gone" if kind == "sqlite" else "the source is gone.*drop it"
    with pytest.raises(LedgerError, match=words):
        here.take(Ending(grown.ledger.store))
    if kind == "sqlite":
        assert not here.settings.database.exists()
        here.take(grown.ledger.store)
        return
    with pytest.raises(LedgerError), closing(here.open()) as copy:
        ledger_on(copy, grown)
    if chunks:
        with pytest.raises(ConfigurationError, match="cut short"):
            here.take(grown.ledger.store)


@ANY
def test_copy_that_was_cut_short_is_not_copied(grown: World, place: Callable[[str], Place]) -> None:
    here = place("sqlite")
    here.take(grown.ledger.store)
    with opened(here.settings) as tables:
        assert tables.change("update notes set text = '1' where name = ?", UNFINISHED) == 1
        assert len(tables.ask("select text from notes where name = ?", INSTANCE)) == 1
    with closing(here.open()) as source, pytest.raises(ConfigurationError, match="cut short"):
        place("sqlite").take(source)
