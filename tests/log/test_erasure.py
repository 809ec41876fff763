# SPDX-License-Identifier: Apache-2.0
"""Erasing: what is named goes for ever, everything else stays, and the log says what went."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify.receipt import verify_receipt

from ledger.log import erasure as module
from ledger.log.entry import read_envelope
from ledger.log.erased import Erased, recorded_erasures
from ledger.log.errors import ConflictError, DamagedError, InvalidRequestError, NotFoundError, UnavailableError
from ledger.log.events.logs import DisclosureErased
from ledger.log.keystore import Keystore
from ledger.log.receipts import disclosures_of
from ledger.log.sealed import decrypt, read_disclosure
from ledger.log.store import Resealed, Row, Sealed, Store
from tests.log.faults import AFTER, BEFORE, COMMIT, Faults
from tests.log.stores import AroundStore
from tests.log.world import DAY, NOON, TENANT, World, event

POINTERS = ["/data/principal", "/data/reason", "/data/tool_args/amount", "/data/tool_args/recipient"]


def call(call_id: str, subject: str | None) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "tool_args": {"amount": 98.7, "recipient": "GB123"},
        "reason": "because",
        "principal": "x",
    }
    return event(call_id, payload=payload | {"data_subject": subject})


def shown(world: World) -> dict[int, set[str]]:
    """What of each entry can still be disclosed."""
    found = {}
    for index in range(world.size):
        pointers = {read_disclosure(text).pointer for text in disclosures_of(world.ledger, world.log, index)}
        if pointers:
            found[index] = pointers
    return found


def ids(world: World, *indexes: int) -> list[bytes]:
    return [world.ledger.store.rows(TENANT, index, index + 1)[0].event_id for index in indexes]


def erasures(world: World) -> list[DisclosureErased]:
    return [event for _, event in recorded_erasures(world.ledger.store, TENANT)]


def keys_of(world: World) -> Keystore:
    return world.ledger.keystore


# By what is chosen


def test_data_subject_is_erased_on_all_days_and_nobody_else(world: World) -> None:
    for day in range(3):
        world.clock.now = NOON + day * DAY
        world.append(*world.drafts(call(f"a{day}", "ada"), call(f"b{day}", "bob"), call(f"n{day}", None)))
    before, leaves = shown(world), world.leaves()
    receipts = [world.fresh_receipt(index) for index in range(world.size)]
    state = world.log.committed.state.parts
    erased = world.erase(subject="ada", grounds="subject_request", legal_basis="GDPR Art. 17(1)(b)")
    of_ada = [index for index, leaf in enumerate(leaves) if b'"call_id":"a' in leaf]
    assert erased.entries == len(of_ada) == 3
    assert shown(world) == {index: fields for index, fields in before.items() if index not in of_ada}
    assert world.leaves()[:-1] == leaves and world.log.committed.state.parts == state
    [record] = erasures(world)
    assert record.ranges == [(index, index + 1) for index in of_ada]
    assert (record.grounds, record.legal_basis, record.pointers) == (
        "subject_request", "GDPR Art. 17(1)(b)", msgspec.UNSET
    )  # fmt: skip
    for receipt in receipts:
        assert verify_receipt(receipt, world.keys)
    assert world.problems() == []
    assert world.erase(subject="ada").entries == 0 and len(erasures(world)) == 1


def test_calls_of_old_days_are_erased_and_labels_of_keys_are_not(world: World) -> None:
    for day in range(4):
        world.clock.now = NOON + day * DAY
        world.append(*world.drafts(call(f"a{day}", "ada"), call(f"n{day}", None)))
        world.create_key(f"of day {day}")
    before = shown(world)
    days = {index: int(read_envelope(leaf).recordedat[8:10]) - 1 for index, leaf in enumerate(world.leaves())}
    calls = {index for index, leaf in enumerate(world.leaves()) if b"call.reported" in leaf}
    assert world.erase(older_than_days=2).entries == 2
    assert shown(world) == {index: fields for index, fields in before.items() if index not in calls or days[index] >= 1}
    assert world.problems() == []
    world.clock.now += 100 * DAY
    assert world.erase(older_than_days=1).entries == 6
    assert shown(world) == {index: fields for index, fields in before.items() if index not in calls}
    assert world.problems() == []


def test_fields_of_single_events_are_erased_and_nothing_beside_them(world: World) -> None:
    world.append(*world.drafts(*(call(f"c{i}", "ada") for i in range(5))))
    before = shown(world)
    first = min(before.keys() - {min(before)}, default=0)
    chosen = ids(world, first + 1, first + 3)
    erased = world.erase(event_ids=chosen, pointers=["/data/reason", "/data/tool_args/amount"])
    assert erased.entries == 2
    assert shown(world) == before | {
        index: {"/data/principal", "/data/tool_args/recipient"} for index in (first + 1, first + 3)
    }
    assert world.problems() == []
    # What is left of them goes, too, and with it the last of their blobs.
    world.erase(event_ids=chosen)
    assert shown(world) == {i: fields for i, fields in before.items() if i not in (first + 1, first + 3)}
    assert world.problems() == []
    assert [event.pointers for event in erasures(world)] == [["/data/reason", "/data/tool_args/amount"], msgspec.UNSET]


SUBJECTS = st.sampled_from(["ada", "bob", None])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("report"), st.lists(SUBJECTS, min_size=1, max_size=4)),
        st.tuples(st.just("day"), st.integers(1, 3)),
        st.tuples(st.just("subject"), st.sampled_from(["ada", "bob"])),
        st.tuples(st.just("age"), st.integers(1, 3)),
        st.tuples(st.just("events"), st.lists(st.integers(0, 30), min_size=1, max_size=3, unique=True)),
        st.tuples(
            st.just("fields"),
            st.tuples(st.integers(0, 30), st.lists(st.sampled_from(POINTERS), min_size=1, unique=True)),
        ),
    ),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=25)
def test_after_any_history_there_is_what_nobody_named(open_world: Callable[..., World], steps: Any) -> None:
    with open_world() as world:
        left, subject_of, day_of = shown(world), dict[int, str | None](), dict[int, int]()

        def gone(index: int, fields: set[str]) -> None:
            left[index] = left.get(index, set()) - fields
            if not left[index]:
                del left[index]

        for number, (kind, value) in enumerate(steps):
            calls = sorted(subject_of)
            if kind == "report":
                appended = world.append(*world.drafts(*(call(f"{number}/{i}", who) for i, who in enumerate(value))))
                for item, who in zip(appended.items, value, strict=True):
                    left[item.leaf_index] = set(POINTERS)
                    subject_of[item.leaf_index], day_of[item.leaf_index] = who, world.clock.now // DAY
            elif kind == "day":
                world.clock.now += value * DAY
            elif kind == "subject":
                world.erase(subject=value)
                for index in calls:
                    if subject_of[index] == value:
                        gone(index, set(POINTERS))
            elif kind == "age":
                world.erase(older_than_days=value)
                for index in calls:
                    if day_of[index] < world.clock.now // DAY - value:
                        gone(index, set(POINTERS))
            elif calls:
                places, pointers = (value, POINTERS) if kind == "events" else ([value[0]], value[1])
                named = {calls[place % len(calls)] for place in places}
                world.erase(event_ids=ids(world, *named), pointers=[] if kind == "events" else pointers)
                for index in named:
                    gone(index, set(pointers))
        assert shown(world) == left
        assert world.problems() == []
        assert world.ledger.keystore.retired() == []


def test_long_list_of_ranges_is_split_over_several_entries(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.log.erasure.MAX_RANGES", 3)
    monkeypatch.setattr("ledger.log.erasure.SPAN", 7)
    world.append(*world.drafts(*(call(f"c{i}", "ada" if i % 2 else None) for i in range(16))))
    erased = world.erase(subject="ada")
    assert erased.entries == 8 and len(erased.recorded) == 3
    assert [len(event.ranges) for event in erasures(world)] == [3, 3, 2]
    assert world.problems() == []


# What cannot be erased


def test_what_is_not_there_is_refused_and_nothing_is_written(world: World) -> None:
    world.append(*world.drafts(call("c", "ada")))
    size, before = world.size, shown(world)
    with pytest.raises(NotFoundError):
        world.erase(event_ids=[bytes(16)])
    with pytest.raises(InvalidRequestError, match="has no sealed field"):
        world.erase(event_ids=ids(world, size - 1), pointers=["/data/result"])
    assert world.erase(subject="nobody").entries == 0
    assert world.erase(older_than_days=3).entries == 0
    assert (world.size, shown(world), world.ledger.keystore.retired()) == (size, before, [])


def test_only_one_erasure_at_a_time(world: World) -> None:
    world.append(*world.drafts(call("c", "ada")))
    with world.ledger.store.only_one("erasure"), pytest.raises(ConflictError, match="under way"):
        world.erase(subject="ada")
    assert world.erase(subject="ada").entries == 1


# For ever


def opened(copy: list[Row], keystore: Keystore, origin: str) -> set[int]:
    """The entries of a copy whose blob some key that is still there opens."""
    keys = [stored.open() for stored in keystore.all()]

    def opens(blob: bytes) -> bool:
        for key in keys:
            try:
                return bool(decrypt(blob, key, origin.encode()))
            except DamagedError:
                pass
        return False

    return {row.leaf_index for row in copy if row.sealed is not None and opens(row.sealed)}


def test_copy_from_before_opens_nothing_of_it_with_all_that_is_kept_after(world: World) -> None:
    world.append(*world.drafts(call("a", "ada"), call("b", "bob"), call("n", None)))
    of_ada, of_bob, of_nobody = range(world.size - 3, world.size)
    copy = world.ledger.store.rows(TENANT, 0, world.size)
    assert opened(copy, keys_of(world), world.log.origin) >= {of_ada, of_bob, of_nobody}
    [key_id] = keys_of(world).in_bucket(TENANT, world.log.digest(b"subject\x00ada"))
    assert key_id in world.settings.keystore.read_bytes()
    world.erase(subject="ada")
    world.erase(event_ids=ids(world, of_nobody), pointers=["/data/reason"])
    left = opened(copy, keys_of(world), world.log.origin)
    assert of_bob in left and left.isdisjoint({of_ada, of_nobody})
    # Neither does the file of the keys hold it any more.
    assert key_id not in world.settings.keystore.read_bytes()
    assert keys_of(world).find(key_id) is None


def test_repetition_of_an_erased_call_is_refused(world: World) -> None:
    world.append(*world.drafts(call("c", "ada")))
    world.erase(subject="ada")
    with pytest.raises(ConflictError):
        world.append(*world.drafts(call("c", "ada")))
    assert world.ledger.store.rows(TENANT, world.size - 2, world.size - 1)[0].request is None


def test_later_calls_of_the_subject_are_sealed_under_another_key(world: World) -> None:
    world.append(*world.drafts(call("before", "ada")))
    world.erase(subject="ada")
    index = world.append(*world.drafts(call("after", "ada"))).items[0].leaf_index
    assert shown(world)[index] == set(POINTERS)
    assert world.erase(subject="ada").entries == 1
    assert index not in shown(world) and world.problems() == []


# Beside others who write


def test_call_that_was_committed_meanwhile_is_erased_too(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_world() as world:
        world.append(*world.drafts(call("first", "ada")))
        prepared = world.drafts(call("second", "ada"))
        retire = world.ledger.keystore.retire

        def retire_late(key_ids: Any, size: int) -> None:
            # In the erasing thread; the loop runs in this one, and takes the call before the record.
            retire(key_ids, size)
            submitted = world.ledger.sequencer.submit(world.log, lambda moment: prepared)
            asyncio.run_coroutine_threadsafe(submitted, world.loop).result()

        monkeypatch.setattr(world.ledger.keystore, "retire", retire_late)
        erased = world.erase(subject="ada")
        assert erased.entries == 2 and len(erased.recorded) == 2
        assert [fields for index, fields in shown(world).items() if index >= world.size - 4] == []
        assert world.problems() == []


def test_call_that_was_sealed_before_and_comes_after_is_sent_away(world: World) -> None:
    seen = world.log.committed.state.governing
    world.append(*world.drafts(call("first", "ada")))
    drafts = world.drafts(call("late", "ada"), call("other", "bob"))
    world.erase(subject="ada")
    size = world.size

    def decide(moment: Any) -> Any:
        world.ledger.require_keys(moment, seen, drafts)
        return drafts

    [refusal] = world.together(decide)
    assert isinstance(refusal, UnavailableError) and world.size == size
    again = world.drafts(call("late", "ada"), call("other", "bob"))
    world.append(*again)
    assert world.problems() == []


class Meanwhile(AroundStore):
    """Something is done the next time that one of its methods has been asked, before the answer comes."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.method, self.do = "", lambda: None

    def after(self, method: str, do: Callable[[], object]) -> None:
        self.method, self.do = method, do

    def rows(self, *arguments: int) -> list[Row]:
        found = self.store.rows(*arguments)
        self._asked("rows")
        return found

    def sealed(self, *arguments: int) -> Sealed | None:
        found = self.store.sealed(*arguments)
        self._asked("sealed")
        return found

    def _asked(self, method: str) -> None:
        if method == self.method:
            self.method = ""
            self.do()


def test_who_reads_meanwhile_takes_nothing_for_lost(open_world: Callable[..., World]) -> None:
    """A call beside the one that is erased is sealed anew, between two steps of whoever looks at it."""
    with open_world(wrap=Meanwhile) as world:
        world.append(*world.drafts(*(call(f"c{i}", "ada") for i in range(3))))
        store, (first, second, third) = world.ledger.store, range(world.size - 3, world.size)
        store.after("rows", lambda: world.erase(event_ids=ids(world, first), pointers=["/data/reason"]))
        assert world.problems() == [] and store.method == ""
        store.after("sealed", lambda: world.erase(event_ids=ids(world, second)))
        assert len(disclosures_of(world.ledger, world.log, third)) == len(POINTERS) and store.method == ""
        store.after("sealed", lambda: world.erase(event_ids=ids(world, third)))
        assert disclosures_of(world.ledger, world.log, third) == []
        assert world.problems() == []


# Crashes


def test_erasure_that_was_cut_short_is_finished_by_the_next_start(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut after each step in turn: it happened whole, or not at all."""

    class Killed(BaseException):
        pass

    def steps(world: World) -> Iterator[tuple[Any, str]]:
        yield world.ledger.keystore, "retire"
        yield module, "_record"
        yield world.ledger.store, "reseal"
        yield world.ledger.keystore, "destroy"

    for number in range(4):
        for after in (False, True):
            with open_world() as world, monkeypatch.context() as patch:
                world.append(*world.drafts(call("a", "ada"), call("b", "bob"), call("n", None)))
                index = world.size - 1
                before = shown(world)
                owner, name = list(steps(world))[number]
                real = getattr(owner, name)

                def cut(*arguments: Any, real: Any = real, after: bool = after) -> Any:
                    if after:
                        real(*arguments)
                    raise Killed

                patch.setattr(owner, name, cut)
                with pytest.raises(Killed):
                    world.erase(event_ids=ids(world, index), pointers=["/data/reason"])
                patch.undo()
                recorded = bool(erasures(world))
                assert recorded == (number > 1 or (number == 1 and after))
                again = world.reopened()
                with again:
                    module.finish_all(again.ledger)
                    wanted = before | ({index: set(POINTERS) - {"/data/reason"}} if recorded else {})
                    assert shown(again) == wanted
                    assert again.problems() == []
                    again.append(*again.drafts(call("more", "ada"), call("still more", None)))
                    assert again.problems() == []
                    if not recorded:
                        assert again.erase(event_ids=ids(again, index)).entries == 1
                        assert again.problems() == []


@pytest.mark.parametrize("way", [BEFORE, AFTER])
def test_every_call_of_an_erasure_may_fail(open_world: Callable[..., World], way: str) -> None:
    """Of store and keystore, one after the other. Nothing is half done in between, and asking again does it."""
    faults = Faults()
    with open_world(wrap=faults.around_store) as world:
        faults.around_rest(world)
        failed = set[str]()
        for at in range(60):
            world.append(*world.drafts(call(f"a{at}", "ada"), call(f"b{at}", "bob")))
            before, (first, second) = shown(world), (world.size - 2, world.size - 1)
            after = before | {first: set(POINTERS) - {"/data/reason"}}
            chosen = ids(world, first)
            faults.fail(at, way)
            try:
                world.erase(event_ids=chosen, pointers=["/data/reason"])
            except UnavailableError:
                failed.add(faults.failed or "")
            beyond = faults.failed is None
            faults.mend()
            assert shown(world) in (before, after)
            world.erase(event_ids=chosen, pointers=["/data/reason"])
            assert shown(world) == after and world.problems() == []
            if beyond:
                break
        assert beyond and second in after
        assert {"keys.retire", "keys.destroy", "keys.insert", "store.reseal", "store.under_keys", COMMIT} <= failed


# What a check finds


def test_values_that_vanish_without_a_record_are_found(world: World) -> None:
    world.append(*world.drafts(call("a", "ada"), call("b", "ada")))
    first = world.size - 2
    world.erase(event_ids=ids(world, first))
    row = world.ledger.store.rows(TENANT, first + 1, first + 2)[0]
    assert row.data_key is not None
    world.ledger.store.reseal(TENANT, [Resealed(first + 1, row.data_key, None, None, False)])
    assert world.problems() == [("tenant", "disclosures", first + 1)]


def test_erasure_that_is_not_finished_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.append(*world.drafts(call("a", "ada")))
    with monkeypatch.context() as patch:
        patch.setattr(world.ledger.keystore, "destroy", lambda key_ids: None)
        world.erase(subject="ada")
    assert [check for _, check, _ in world.problems()] == ["data_keys"]
    world.erase(subject="nobody")
    assert world.problems() == []


# The sum of erasures


RANGES = st.lists(st.integers(0, 40), min_size=2, max_size=12, unique=True).map(
    lambda bounds: [tuple(pair) for pair in zip(*[iter(sorted(bounds))] * 2, strict=False)]
)
EVENTS = st.lists(
    st.builds(
        lambda ranges, pointers: DisclosureErased(
            ranges=ranges, grounds="other", actor="operator", pointers=pointers or msgspec.UNSET
        ),
        RANGES,
        st.lists(st.sampled_from(POINTERS), max_size=2, unique=True),
    ),
    max_size=4,
)


@given(EVENTS, st.integers(0, 40), st.integers(0, 40))
def test_fields_are_those_that_any_erasure_names(events: list[DisclosureErased], start: int, stop: int) -> None:
    whole = Erased.by(events)
    part = whole.within(start, stop)
    for index in range(42):
        for pointer in POINTERS:
            named = any(
                from_ <= index < to and (event.pointers is msgspec.UNSET or pointer in event.pointers)
                for event in events
                for from_, to in event.ranges
            )
            assert (pointer in whole.fields(index)) == named
            if start <= index < stop:
                assert (pointer in part.fields(index)) == named
