# SPDX-License-Identifier: Apache-2.0
"""State is a fold: live, folded from zero and in a freshly opened ledger it is the same; refusals change nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.deployment import TENANT_PARTS
from ledger.log.entry import read_envelope
from ledger.log.errors import ConflictError, LedgerError, NotFoundError, UnauthorizedError
from ledger.log.events import Governing, UnknownEventError, catalogue, read_event
from ledger.log.events.logs import DayClosed
from ledger.log.fold import BEFORE_GENESIS, LogsState, State, empty_state, fold
from ledger.log.submission import Appended
from ledger.log.working_copy import Decide
from ledger.tenant.state import TenantState
from tests.log.formats import leaf
from tests.log.world import DAY, HOUR, NOON, TENANT, World, event, live_keys, report_as, revoke
from tests.running import run_ledger

# A step names a key by its number among those made so far, or one that never was.
KEYS = st.integers(0, 4)
STEPS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from([None, 1, 3])),
    st.tuples(st.just("revoke"), KEYS),
    st.tuples(st.just("report"), KEYS),
    st.tuples(st.just("wait"), st.just(HOUR)),
)


def folded(world: World) -> State:
    """The tenant's state from nothing but the leaves."""
    state = empty_state(TENANT_PARTS)
    for index, data in enumerate(world.leaves()):
        state = state.apply(index, read_event(read_envelope(data)))
    return state


class Model:
    """What should be true of the keys, in plain dictionaries."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.expires: dict[str, float] = {}
        self.revoked: set[str] = set()

    def key(self, number: int) -> str:
        return self.keys[number] if number < len(self.keys) else "no-such-key"

    def is_live(self, key: str, now: int) -> bool:
        return key in self.expires and key not in self.revoked and now < self.expires[key]


def decide_step(
    world: World, model: Model, kind: str, argument: Any, call_id: str
) -> tuple[Decide, type[Exception] | None]:
    """A decision, and how it must be refused where it must; the model moves on as if it were taken."""
    if kind == "create":
        expires_at = None if argument is None else world.clock() + argument * HOUR
        draft, key_id = world.draft_key(expires_at=expires_at)
        model.keys.append(key_id)
        model.expires[key_id] = float("inf") if expires_at is None else expires_at
        return (lambda moment: [draft]), None
    key = model.key(argument)
    if kind == "report":
        refused = None if model.is_live(key, world.clock()) else UnauthorizedError
        return report_as(key, world.drafts(event(call_id), key_id=key)), refused
    refusal = NotFoundError if key not in model.expires else ConflictError if key in model.revoked else None
    if refusal is None:
        model.revoked.add(key)
    return revoke(key), refusal


@settings(max_examples=30)
@given(st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=8))
def test_live_state_is_the_fold_of_the_log(
    open_world: Callable[..., World], batches: list[list[tuple[str, Any]]]
) -> None:
    """Random histories in random batches: each decision sees all before it, also those of its own batch."""
    model = Model()
    with open_world() as world:
        for number, steps in enumerate(batches):
            decisions: list[Decide] = []
            wanted: list[type[Exception] | None] = []
            for position, (kind, argument) in enumerate(steps):
                if kind == "wait":
                    continue
                decide, refusal = decide_step(world, model, kind, argument, f"{number}-{position}")
                decisions.append(decide)
                wanted.append(refusal)
            size = world.size
            got = world.together(*decisions)
            for outcome, refusal in zip(got, wanted, strict=True):
                assert isinstance(outcome, Appended if refusal is None else refusal)
            assert world.size == size + wanted.count(None)
            assert world.log.committed.state == folded(world)
            world.clock.now += HOUR * sum(kind == "wait" for kind, _ in steps)
            assert {key for key in model.keys if model.is_live(key, world.clock())} == live_keys(world) & set(
                model.keys
            )
        live = world.log.committed.state
        reopened = world.reopened()
        assert reopened.log.committed.state == live == folded(reopened)
        assert reopened.problems() == []
        reopened.close()


def test_another_process_folds_the_same_state(world: World) -> None:
    keys = [world.create_key(f"key {i}", expires_at=world.clock() + HOUR if i % 2 else None) for i in range(4)]
    world.together(*map(revoke, keys[:2]))
    world.commit_heads()
    checked = run_ledger("check", "--replay", data=world.settings)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert [line.split()[:3] for line in checked.stdout.splitlines()] == [
        ["ok", world.log.origin, str(world.size)],
        ["ok", world.root.origin, str(world.root.committed.head.size)],
    ]


def test_two_revocations_of_one_key_in_one_batch_are_one_and_a_conflict(world: World) -> None:
    key = world.create_key()
    first, second = world.together(revoke(key), revoke(key))
    assert isinstance(first, Appended) and isinstance(second, ConflictError)
    assert live_keys(world) & {key} == set()


def test_report_behind_a_revocation_in_the_same_batch_is_refused(world: World) -> None:
    key = world.create_key()
    size = world.size
    before, drafts = world.drafts(event("a"), key_id=key), world.drafts(event("b"), key_id=key)
    got = world.together(report_as(key, before), revoke(key), report_as(key, drafts))
    assert [type(outcome) for outcome in got] == [Appended, Appended, UnauthorizedError]
    assert world.size == size + 2


def test_key_made_in_a_batch_can_act_in_the_same_batch(world: World) -> None:
    draft, key = world.draft_key()
    got = world.together(lambda _: [draft], report_as(key, world.drafts(event("a"), key_id=key)), revoke(key))
    assert [type(outcome) for outcome in got] == [Appended] * 3


def test_refused_command_leaves_log_state_and_store_as_they_were(world: World) -> None:
    committed, leaves = world.log.committed, world.leaves()

    def half(moment: Any) -> Any:
        raise ConflictError("no")

    for outcome in world.together(revoke("nobody"), half, lambda moment: []):
        assert isinstance(outcome, LedgerError) or outcome.items == []  # type: ignore[union-attr]
    assert world.log.committed is committed and world.leaves() == leaves
    assert world.ledger.store.head(TENANT) == committed.head


def test_decision_that_fails_after_its_first_draft_adds_nothing(world: World) -> None:
    """The second draft does not fit; the first, already decided, goes with it."""
    long = world.drafts(event("b", tool_name="x" * 200))[0]
    too_long = type(long)(long.event, data=b'"' + b"x" * 60_000 + b'"')
    size, state = world.size, world.log.committed.state
    draft, _ = world.draft_key()
    [refused, after] = world.together(lambda _: [draft, too_long], lambda _: world.drafts(event("c")))
    assert isinstance(refused, LedgerError) and "60000" in refused.message
    assert isinstance(after, Appended) and after.items[0].leaf_index == size
    assert world.log.committed.state == state and world.problems() == []


# The fold itself


def test_record_and_call_events_change_no_state(world: World) -> None:
    state = world.log.committed.state
    world.report("a", "b")
    assert world.log.committed.state is state or world.log.committed.state == state
    for struct in catalogue().values():
        if not issubclass(struct, Governing):
            assert struct not in (DayClosed,)


def test_fold_stops_at_what_it_does_not_know() -> None:
    state = empty_state(TENANT_PARTS)
    assert state.governing == BEFORE_GENESIS
    for unknown in (leaf(type="key.unheard_of"), leaf(data=b'{"actor":"operator","as_of":2,"key_id":"k","v":2}')):
        with pytest.raises(UnknownEventError):
            fold(state, [(0, unknown)])


def test_parts_read_open_fields_only() -> None:
    """What an erasure takes away is in no state, so it can change none: the label of a key."""
    for part in (TenantState, LogsState):
        assert "label" not in {name for name in part.__dataclass_fields__}


def test_logs_state_knows_every_key_and_the_last_day(world: World) -> None:
    world.wake_at(NOON + DAY)
    world.close_past_days()
    state = world.root.committed.state[LogsState]
    assert state.last_day == "2026-03-01"
    assert state.genesis is not None and state.genesis.max_commit_delay == 60
    assert {origin: len(keys) for origin, keys in state.vkeys.items()} == {world.root.origin: 1, world.log.origin: 1}
    assert state.current_vkey(world.log.origin) == world.log.signer.vkey.format()
