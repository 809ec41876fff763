# SPDX-License-Identifier: Apache-2.0
"""Two processes on one store: each follows what the other commits, and what it decides, it decides on all of it.

Both are worlds on the same files here; that they take turns is the store's lock, as it is between real processes.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.log import catching_up
from ledger.log.errors import DamagedError, UnauthorizedError
from ledger.log.keys import create_signing_key
from ledger.log.rotation import rotate_key
from ledger.log.store import ROOT_LOG, Head
from ledger.settings import Settings
from ledger.tenant.state import TenantState
from ledger.tlog.checkpoint import Checkpoint
from tests.ledgers import Room
from tests.log.test_rotation import nobody
from tests.log.world import World, report_as, revoke

CALL = {"agent_id": "a", "tool_name": "t", "verdict": "allow", "mode": "enforce"}

Pair = tuple[World, World]


@pytest.fixture
def pair(made_ledger: Settings, module_room: Room) -> Iterator[Pair]:
    place = module_room.copy(made_ledger)
    with World(place) as one, World(place) as other:
        yield one, other


def follow(world: World) -> None:
    """Let a world look at the store, as its process does a few times a second."""
    for log in (world.root, world.log):
        world.ledger.sequencer.reload(log)


def same(one: World, other: World) -> bool:
    here, there = one.log.committed, other.log.committed
    proofs = [
        [world.log.tree.inclusion_path(world.log.committed.edge, index, here.head.size) for world in (one, other)]
        for index in range(0, here.head.size, 7)
    ]
    return (here.head, here.state, here.edge.rows) == (there.head, there.state, there.edge.rows) and all(
        ours == theirs for ours, theirs in proofs
    )


@pytest.mark.parametrize("step", [3, catching_up.MAX_STEP])
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=6))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whoever_looks_has_what_the_other_committed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, step: int, turns: list[tuple[bool, int]]
) -> None:
    """By the leaves in between, or by loading the edge anew where those are many."""
    monkeypatch.setattr(catching_up, "MAX_STEP", step)
    one, other = pair
    for turn, (first, count) in enumerate(turns):
        writer, reader = (one, other) if first else (other, one)
        writer.report(*(f"{writer.size}-{turn}-{place}" for place in range(count)))
        follow(reader)
        assert same(one, other)


def test_full_tiles_are_found_by_who_only_followed(pair: Pair) -> None:
    one, other = pair
    one.fill(300)
    follow(other)
    one.fill(1100)
    follow(other)
    assert same(one, other)
    assert other.problems() == []


def test_writer_sees_a_revocation_at_once_however_old_its_knowledge_is(pair: Pair) -> None:
    one, other = pair
    key_id = one.create_key()
    follow(other)
    one.together(revoke(key_id))
    assert not other.log.committed.state[TenantState].keys[key_id].revoked
    [refused] = other.together(report_as(key_id, other.drafts({"call_id": "late", **CALL})))
    assert isinstance(refused, UnauthorizedError)
    assert other.log.committed.state[TenantState].keys[key_id].revoked


def test_key_that_another_process_replaced_signs_here_too(pair: Pair) -> None:
    one, other = pair
    one.run(rotate_key(one.ledger, one.log, nobody(one.log)))
    other.report("after")
    assert other.log.signer.vkey == one.log.signer.vkey
    follow(one)
    assert same(one, other)
    assert one.problems() == []


def test_head_that_our_key_did_not_sign_is_not_built_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    before = other.log.committed
    one.report("a")
    head = one.log.committed.head
    forged = Checkpoint(one.log.origin, head.size, head.root).sign(
        create_signing_key(one.log.origin, one.ledger.vault)[0]
    )
    monkeypatch.setattr(
        type(other.ledger.store),
        "head",
        lambda store, number: Head(head.size, head.root, forged, head.last_governing, head.last_id),
    )
    with pytest.raises(DamagedError, match="does not open"):
        other.ledger.sequencer.reload(other.log)
    assert other.log.committed is before


@pytest.mark.parametrize("change", ["leaf", "missing"])
def test_leaves_that_are_not_those_of_the_head_are_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    one, other = pair
    before = other.log.committed
    one.report("a", "b")
    leaves = one.ledger.store.leaves(one.log.number, before.head.size, one.size)
    false = [b"{}", *leaves[1:]] if change == "leaf" else leaves[1:]
    monkeypatch.setattr(type(other.ledger.store), "leaves", lambda *arguments: false)
    with pytest.raises(DamagedError, match="does not extend"):
        other.ledger.sequencer.reload(other.log)
    assert other.log.committed is before


def test_root_log_is_committed_to_once_in_an_interval_by_however_many(pair: Pair) -> None:
    one, other = pair
    one.report("a")
    assert one.run(one.roots.commit_heads(apart=5000)) is not None
    one.report("b")
    assert other.run(other.roots.commit_heads(apart=5000)) is None
    other.clock.now += 5000
    assert other.run(other.roots.commit_heads(apart=5000)) is not None
    assert one.ledger.store.head(ROOT_LOG).size == other.root.committed.head.size
