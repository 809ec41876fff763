# SPDX-License-Identifier: Apache-2.0
"""What every store must do."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.errors import ConflictError, UnavailableError
from ledger.log.store import (
    INSTANCE,
    Batch,
    CommittedHead,
    Day,
    Head,
    Known,
    LogRecord,
    Resealed,
    Row,
    Sealed,
    Secret,
    Store,
)
from ledger.tlog.edge import FullTile
from tests.log.store.rows import NOW, ROOT, TENANT, add, contents, event_id, head, make, row

# Writing


def test_appended_rows_are_read_back_as_they_were(store: Store) -> None:
    full = row(
        1,
        key_id="k",
        agent_id="a",
        tool_name="t",
        verdict="allow",
        mode="enforce",
        env="production",
        dedup=b"d" * 16,
        request=b"r" * 16,
        data_key=b"x" * 16,
        leaf=bytes(range(256)) * 200,
        sealed=b"\x00" * 100_000,
        governing=True,
    )
    add(store, full, row(2))
    assert store.rows(1, 0, 10) == [row(0, governing=True), full, row(2)]
    assert store.leaves(1, 0, 10) == [b"leaf 0", full.leaf, b"leaf 2"]
    assert store.head(1) == head(3, 1)
    assert store.heads() == {0: head(1), 1: head(3, 1)}


def unknown(keys: list[bytes], known: Mapping[bytes, Known], size: int) -> list[Row]:
    """Rows for the keys that nobody has used."""
    left = [key for key in keys if key not in known]
    return [row(size + place, dedup=key, request=b"r") for place, key in enumerate(left)]


def test_append_sees_the_head_and_the_known_keys(store: Store) -> None:
    add(store, *(row(i, dedup=bytes([i]) * 16, request=b"r%d" % i) for i in range(1, 6)))
    keys = [bytes([i]) * 16 for i in (2, 5, 9)]
    seen: list[Any] = []

    def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
        seen.append((dict(heads), dict(known)))
        rows = unknown(keys, known, heads[1].size)
        return [Batch(1, head(6 + len(rows)), rows, [])]

    store.append([1, 0], keys, build)
    assert seen[-1] == (
        {0: head(1), 1: head(6)},
        {keys[0]: Known(2, event_id(2), b"r2"), keys[1]: Known(5, event_id(5), b"r5")},
    )
    assert [row.dedup for row in store.rows(1, 6, 10)] == [keys[2]]


def test_append_in_steps_pauses_before_the_commit_or_not_at_all(store: Store) -> None:
    before = contents(store)

    def append() -> Iterator[None]:
        return store.append_in_steps([1], [], lambda heads, known: [Batch(1, head(2), [row(1)], [])])

    steps = append()
    assert contents(store) == before
    if store.shared:
        assert list(steps) == []
    else:
        next(steps)
        assert contents(store) == before
        steps.close()  # type: ignore[attr-defined]
        assert contents(store) == before
        steps = append()
        next(steps)
        with ThreadPoolExecutor(1) as another:
            assert another.submit(list, steps).result() == []
    assert store.head(1) == head(2)


def test_what_lies_beside_entries_is_found_by_its_key_and_changed(store: Store) -> None:
    add(
        store,
        *(row(i, data_key=key, sealed=b"blob", request=b"r") for i, key in enumerate([b"k", b"m", b"k", b"n"], 1)),
    )
    assert [found.leaf_index for found in store.under_keys(1, [b"k", b"n", b"absent"], 0, 9)] == [1, 3, 4]
    assert [found.leaf_index for found in store.under_keys(1, [b"k", b"n"], 2, 4)] == [3]
    assert store.under_keys(0, [b"k"], 0, 9) == store.under_keys(1, [], 0, 9) == []
    before = store.rows(1, 0, 9)
    store.reseal(
        1,
        [
            Resealed(1, b"k", None, None, True),
            Resealed(2, b"not its key", None, None, True),
            Resealed(3, b"k", b"new", b"other", False),
        ],
    )
    changed = {
        1: before[1]._replace(data_key=None, sealed=None, request=None),
        3: before[3]._replace(data_key=b"new", sealed=b"other"),
    }
    assert store.rows(1, 0, 9) == [changed.get(found.leaf_index, found) for found in before]


def test_only_one_does_a_work_at_a_time(store: Store) -> None:
    with (
        store.only_one("this"),
        store.only_one("that"),
        pytest.raises(ConflictError, match="another this is under way"),
        store.only_one("this"),
    ):
        raise AssertionError("let in")
    with pytest.raises(KeyError), store.only_one("this"):
        raise KeyError
    with store.only_one("this"):
        pass


def test_any_number_of_dedup_keys_can_be_looked_up(store: Store) -> None:
    keys = [i.to_bytes(16, "big") for i in range(3000)]
    add(store, *(row(i, dedup=keys[i], request=b"r") for i in range(1, 2000)))
    found: dict[bytes, Known] = {}

    def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
        found.update(known)
        rows = unknown(keys, known, heads[1].size)
        return [Batch(1, head(2000 + len(rows)), rows, [])]

    store.append([1], keys, build)
    assert {key: known.leaf_index for key, known in found.items()} == {keys[i]: i for i in range(1, 2000)}
    assert store.head(1).size == 3001


@pytest.mark.parametrize("error", [ConflictError("no"), KeyError("bug"), KeyboardInterrupt()])
def test_exception_in_build_passes_on_and_leaves_nothing(store: Store, error: BaseException) -> None:
    before = contents(store)

    def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
        raise error

    with pytest.raises(type(error)) as caught:
        store.append([1], [], build)
    assert caught.value is error
    assert contents(store) == before
    add(store, row(1))
    assert store.head(1).size == 2


def test_batches_are_written_whole_or_not_at_all(store: Store) -> None:
    """The second batch breaks a rule of the store; the first goes with it, side rows and tiles too."""
    before = contents(store)
    good = Batch(
        0, head(2), [row(1)], [FullTile(0, 0, bytes(16352))], [Secret("a", b"box"), Day("2026-03-01", 1, "note")]
    )
    for bad in (
        Batch(1, head(2), [row(0)], []),
        Batch(1, head(3), [row(1, dedup=b"d" * 16), row(2, dedup=b"d" * 16)], []),
        Batch(1, head(2), [row(1)], [], [Secret("b", b"box"), Secret("b", b"box")]),
        Batch(1, head(2), [row(1)], [], [Day("2026-03-01", 2, "note")]),
        Batch(1, head(2), [row(1)], [], [LogRecord(2, "abc", "localhost/log/other", None)]),
        Batch(1, head(2), [row(1)], [], [LogRecord(2, "def", "localhost/log/abc", None)]),
        Batch(1, head(2), [row(1)], [], [LogRecord(2, "def", "localhost/log/def", "a-tenant")]),
    ):
        with pytest.raises(ConflictError):
            store.append([0, 1], [], lambda heads, known, bad=bad: [good, bad])  # type: ignore[misc]
        assert contents(store) == before


def test_dedup_key_is_unique_over_time_and_absent_ones_are_not(store: Store) -> None:
    add(store, row(1, dedup=b"d" * 16), row(2), row(3))
    with pytest.raises(ConflictError):
        add(store, row(4, dedup=b"d" * 16))
    add(store, row(4, dedup=b"e" * 16), row(5))
    assert len(store.leaves(1, 0, 10)) == 6


def test_log_that_was_not_named_is_made_once(store: Store) -> None:
    record = LogRecord(2, "def", "localhost/log/def", None)
    batch = Batch(2, head(1), [row(0)], [], [record])
    store.append([], [], lambda heads, known: [batch])
    assert store.logs() == [ROOT, TENANT, record] and store.head(2) == head(1)
    with pytest.raises(ConflictError):
        store.append([], [], lambda heads, known: [batch])


def test_every_transaction_builds_on_the_one_before(store: Store) -> None:
    """Many threads at once: each sees the head that the one before it left."""

    def one(_: int) -> None:
        def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
            size = heads[1].size
            return [Batch(1, head(size + 1), [row(size)], [])]

        store.append([1], [], build)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(64)))
    assert store.head(1).size == 65
    assert [r.leaf_index for r in store.rows(1, 0, 100)] == list(range(65))


def test_reader_sees_committed_data_only(store: Store) -> None:
    building, looked = threading.Event(), threading.Event()
    seen: list[Any] = []

    def look() -> None:
        assert building.wait(10)
        seen.append(contents(store))
        looked.set()

    def build(heads: Mapping[int, Head], known: Mapping[bytes, Known]) -> list[Batch]:
        building.set()
        assert looked.wait(10)
        return [Batch(1, head(2), [row(1)], [], [Secret("a", b"box")])]

    before = contents(store)
    reader = threading.Thread(target=look)
    reader.start()
    store.append([1], [], build)
    reader.join()
    assert seen == [before]
    assert store.head(1).size == 2 and store.secret("a") == b"box"


def test_everything_is_there_when_the_store_is_opened_again(kind: Any, store: Store) -> None:
    add(store, row(1), side=(Secret("a", b"box"), Day("2026-03-01", 1, "note")), tiles=(FullTile(0, 0, bytes(16352)),))
    store.put_note("check", "fine")
    again = kind.again()
    assert contents(again) == contents(store) and again.note("check") == "fine"
    again.close()


def test_read_only_store_reads_and_refuses_to_write(kind: Any, store: Store) -> None:
    add(store, row(1))
    reader = kind.again(read_only=True)
    assert contents(reader) == contents(store)
    for write in (lambda: add(reader, row(2)), lambda: reader.put_note("a", "b")):
        with pytest.raises(UnavailableError, match="reading only"):
            write()
    add(store, row(2))
    assert reader.head(1).size == 3, "what is written beside it is seen"
    reader.close()


# Reading


def test_ranges_are_half_open_and_end_where_the_log_does(store: Store) -> None:
    add(store, *(row(i) for i in range(1, 10)))
    add(store, *(row(i) for i in range(1, 4)), log=0)
    for start, stop, wanted in [(0, 3, [0, 1, 2]), (5, 99, [5, 6, 7, 8, 9]), (10, 20, []), (4, 4, []), (9, 10, [9])]:
        assert store.leaves(1, start, stop) == [b"leaf %d" % i for i in wanted]
        assert [r.leaf_index for r in store.rows(1, start, stop)] == wanted
    assert len(store.leaves(0, 0, 99)) == 4


def test_governing_entries_come_in_order_from_any_index(store: Store) -> None:
    add(store, *(row(i, governing=i % 3 == 0) for i in range(1, 3000)))
    add(store, *(row(i, governing=True) for i in range(1, 5)), log=0)
    for start in (0, 1, 3, 1500, 2998, 2999, 9999):
        wanted = [i for i in range(0, 3000, 3) if i >= start]
        assert list(store.governing(1, start)) == [(i, b"leaf %d" % i) for i in wanted]
    assert [index for index, _ in store.governing(0, 0)] == [0, 1, 2, 3, 4]


@settings(max_examples=20)
@given(st.integers(1, 70))
def test_entry_is_found_by_its_id_at_any_size(kind: Any, size: int) -> None:
    store = kind.new()
    make(store)
    if size > 1:
        add(store, *(row(i) for i in range(1, size)))
    assert [store.find(1, event_id(i)) for i in range(size)] == store.rows(1, 0, size)
    for unknown in (bytes(16), event_id(size), b"\xff" * 16):
        assert store.find(1, unknown) is None
    store.close()


def test_sealed_fields_are_read_with_their_key(store: Store) -> None:
    add(store, row(1, sealed=b"blob", data_key=b"key"), row(2))
    assert store.sealed(1, 1) == Sealed(b"blob", b"key")
    assert [store.sealed(1, index) for index in (0, 2, 99)] == [None] * 3


def test_calls_are_counted_by_agent_and_day_within_their_log(store: Store) -> None:
    day = 86_400_000
    rows = [
        row(index, agent_id=agent, type=kind, recorded_at=NOW // day * day + after)
        for index, (agent, kind, after) in enumerate(
            [
                ("a", "call.reported", 0),
                ("b", "call.reported", 1),
                ("a", "call.reported", day - 1),
                ("a", "agent.manifest_reported", day - 1),
                ("a", "call.reported", day),
                ("b", "call.decided", day),
            ],
            start=1,
        )
    ]
    add(store, *rows)
    kinds, first = ("call.reported", "call.decided"), NOW // day
    assert sorted(store.count_calls(1, kinds, 1, 100)) == [
        ("a", first, 2), ("a", first + 1, 1), ("b", first, 1), ("b", first + 1, 1),
    ]  # fmt: skip
    assert sorted(store.count_calls(1, kinds, 2, 4)) == [("a", first, 1), ("b", first, 1)]
    assert store.count_calls(0, kinds, 1, 100) == store.count_calls(1, (), 0, 100) == []


def test_known_keys_are_found_without_writing(store: Store) -> None:
    add(store, row(1, dedup=b"d" * 16, request=b"r"), row(2))
    assert store.known(1, [b"d" * 16, b"e" * 16]) == {b"d" * 16: Known(1, event_id(1), b"r")}
    assert store.known(1, []) == {}


def test_tiles_and_their_roots_are_read_by_place(store: Store) -> None:
    tiles = [FullTile(0, n, bytes([n]) * 16320 + bytes([100 + n]) * 32) for n in range(3)]
    tiles.append(FullTile(1, 0, b"\x09" * 16352))
    add(store, row(1), tiles=tuple(tiles))
    assert [store.tile(1, tile.level, tile.number) for tile in tiles] == [tile.hashes for tile in tiles]
    assert store.tile_roots(1, 0, 0, 3) == [bytes([100 + n]) * 32 for n in range(3)]
    assert store.tile_roots(1, 0, 1, 2) == [bytes([101]) * 32]
    assert store.tile_roots(1, 0, 2, 9) == [bytes([102]) * 32]
    assert store.tile_roots(1, 1, 0, 1) == [b"\x09" * 32]
    assert [store.tile(*place) for place in ((1, 0, 3), (1, 1, 1), (1, 2, 0), (0, 0, 0), (2, 0, 0))] == [None] * 5


def committed(root_index: int, position: int, log: int, size: int) -> CommittedHead:
    return CommittedHead(root_index, position, log, size, f"note {size}\n", b"line %d\n" % size)


def test_committed_heads_are_found_by_entry_and_by_what_they_cover(store: Store) -> None:
    heads = [committed(1, 0, 1, 3), committed(1, 1, 0, 9), committed(2, 0, 1, 7), committed(4, 0, 1, 7)]
    assert store.committed_sizes() == {} and store.covering_head(1, 0) is None
    add(store, row(1), log=0, side=tuple(heads))
    assert store.committed_sizes() == {1: 7, 0: 9}
    assert store.committed_heads(1) == heads[:2]
    assert store.committed_heads(3) == []
    assert [store.committed_heads(*between) for between in ((0, 9), (1, 3), (2, 4), (3, 4), (1, 1))] == [
        heads,
        heads[:3],
        heads[2:3],
        [],
        [],
    ]
    assert [store.covering_head(1, index) for index in (0, 2, 3, 6, 7)] == [
        heads[0],
        heads[0],
        heads[2],
        heads[2],
        None,
    ]


def test_days_are_listed_by_date(store: Store) -> None:
    days = [Day("2026-03-02", 5, "two"), Day("2026-03-01", 3, "one"), Day("2027-01-01", 9, "three")]
    add(store, row(1), log=0, side=tuple(days))
    assert store.days() == [days[1], days[0], days[2]]
    assert store.day("2026-03-02") == days[0] and store.day("2026-03-03") is None


def test_notes_are_replaced_and_secrets_are_not(store: Store) -> None:
    assert store.note("check") is None and store.secret("a") is None
    for text in ("one", "two"):
        store.put_note("check", text)
        assert store.note("check") == text
    add(store, row(1), side=(Secret("a", b"box"),))
    with pytest.raises(ConflictError):
        add(store, row(2), side=(Secret("a", b"other"),))
    assert store.secret("a") == b"box"


def test_all_secrets_and_all_notes_are_listed(store: Store) -> None:
    assert (store.secrets(), store.notes()) == ([], {})
    secrets = [Secret("a", b"one"), Secret("b/1", b"\x00two"), Secret("ü", b"three")]
    add(store, row(1), side=tuple(reversed(secrets)))
    for name, text in {"y": "two", "x": "one", "z": ""}.items():
        store.put_note(name, text)
    assert sorted(store.secrets(), key=lambda secret: secret.name) == secrets
    assert store.notes() == {"x": "one", "y": "two", "z": ""}


def test_identity_is_that_of_the_data(kind: Any, store: Store) -> None:
    """Whoever opens the same data sees the same one; a copy is given another."""
    before, again = store.identity(), kind.again()
    assert again.identity() == before
    add(store, row(1))
    assert again.identity() == before
    store.put_note(INSTANCE, "a copy")
    assert again.identity() == store.identity() != before
    again.close()
