# SPDX-License-Identifier: Apache-2.0
"""The fault table: how a transaction breaks, what callers are told, and that nothing is half-done afterwards.

A row is a way to fail and an action. After each the self-check passes, the process agrees with the store, and asking
again gives exactly one entry.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from ledger_verify import verify_day_file, verify_receipt

from ledger.log.errors import ConflictError, NotFoundError, UnavailableError
from ledger.log.report import dedup_keys
from ledger.log.rotation import rotate_key
from ledger.log.submission import Appended, Part
from ledger.tlog.checkpoint import open_checkpoint
from ledger.tlog.errors import SignatureError
from tests.log.stores import FailingStore
from tests.log.world import DAY, NOON, TENANT, World, event, live_keys, revoke

WAYS = pytest.mark.parametrize("way", FailingStore.WAYS)


@pytest.fixture
def failing(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world(wrap=FailingStore) as world:
        yield world
        assert world.abandoned or agrees(world)


def store_of(world: World) -> FailingStore:
    assert isinstance(world.ledger.store, FailingStore)
    return world.ledger.store


def agrees(world: World) -> bool:
    """What this process holds is what the store says, and all of it is sound."""
    store = store_of(world).store
    same = all(log.committed.head == store.head(log.number) for log in (world.log, world.root))
    return same and world.problems() == []


def calls_in(world: World, call_id: str) -> int:
    return sum(f'"call_id":"{call_id}"'.encode() in leaf for leaf in world.leaves())


@WAYS
def test_report_that_failed_is_written_once_when_it_is_repeated(failing: World, way: str) -> None:
    size = failing.size
    store_of(failing).faults = [way]
    with pytest.raises(UnavailableError):
        failing.report("a", "b")
    persisted = way == "unknown, persisted"
    assert agrees(failing)
    assert failing.size == size + 2 * persisted
    again = failing.report("a", "b")
    assert [(item.leaf_index, item.duplicate) for item in again.items] == [(size, persisted), (size + 1, persisted)]
    assert (calls_in(failing, "a"), calls_in(failing, "b"), failing.size) == (1, 1, size + 2)
    verify_receipt(failing.fresh_receipt(size), failing.keys)


@WAYS
@pytest.mark.parametrize("then", FailingStore.WAYS)
def test_two_faults_in_a_row_are_survived(failing: World, way: str, then: str) -> None:
    size = failing.size
    store_of(failing).faults = [way, then]
    for _ in range(2):
        with pytest.raises(UnavailableError):
            failing.report("a")
    failing.report("a", "b")
    assert (calls_in(failing, "a"), failing.size) == (1, size + 2)
    assert agrees(failing)


@WAYS
def test_each_caller_of_a_failed_batch_is_told_its_own(failing: World, way: str) -> None:
    """Who was refused on what is committed is refused, whoever's disk failed; the others may try again. So may the
    second who wants to revoke a key: what his refusal rested on was not written.
    """
    key, size = failing.create_key(), failing.size
    store_of(failing).faults = [way]
    got = failing.together(
        lambda _: failing.drafts(event("a")), revoke("nobody"), revoke(key), revoke(key), lambda _: []
    )
    kinds = [type(outcome) for outcome in got]
    persisted = way == "unknown, persisted"
    if way == "before begin":
        assert kinds == [UnavailableError] * 5, "nobody was asked anything"
    else:
        second = ConflictError if persisted else UnavailableError
        assert kinds == [UnavailableError, NotFoundError, UnavailableError, second, UnavailableError]
    assert failing.size == size + 2 * persisted
    assert (key in live_keys(failing)) != persisted
    assert agrees(failing)


@WAYS
def test_command_that_failed_can_be_given_again(failing: World, way: str) -> None:
    key = failing.create_key()
    store_of(failing).faults = [way]
    [failed] = failing.together(revoke(key))
    assert isinstance(failed, UnavailableError)
    [again] = failing.together(revoke(key))
    assert isinstance(again, ConflictError if way == "unknown, persisted" else Appended)
    assert key not in live_keys(failing)
    assert sum(b'"type":"key.revoked"' in leaf for leaf in failing.leaves()) == 1


@WAYS
def test_commitment_that_failed_is_made_once(failing: World, way: str) -> None:
    failing.report("a")
    store_of(failing).faults = [way]
    with pytest.raises(UnavailableError):
        failing.commit_heads()
    assert agrees(failing)
    assert (failing.commit_heads() is None) == (way == "unknown, persisted")
    assert failing.commit_heads() is None
    assert sum(b'"type":"heads.committed"' in leaf for leaf in failing.leaves(failing.root)) == 1
    assert verify_receipt(failing.receipt(3), failing.keys).signed.tier == "tamper-evident"


@WAYS
def test_day_that_failed_is_closed_once(failing: World, way: str) -> None:
    failing.report("a")
    store_of(failing).faults = [way]
    with pytest.raises(UnavailableError):
        failing.close_day()
    assert agrees(failing)
    document = failing.close_day().text()
    assert failing.close_day().text() == document
    assert verify_day_file(document, failing.keys).date == "2026-03-01"
    assert sum(b'"type":"day.closed"' in leaf for leaf in failing.leaves(failing.root)) == 1


@WAYS
def test_days_missed_while_the_store_failed_are_closed_in_order(failing: World, way: str) -> None:
    failing.wake_at(NOON + 3 * DAY)
    store_of(failing).faults = ["", way]
    with pytest.raises(UnavailableError):
        failing.close_past_days()
    failing.close_past_days()
    assert [day.date for day in failing.ledger.store.days()] == ["2026-03-01", "2026-03-02", "2026-03-03"]


@WAYS
@pytest.mark.parametrize("tenant_first", [False, True])
def test_rotation_that_failed_leaves_one_key_in_force(failing: World, way: str, tenant_first: bool) -> None:
    """Whatever the store has then, heads are signed by the key that the root log names, in any order of the batch."""
    old = failing.log.signer
    store_of(failing).faults = [way]

    async def batch() -> list[object]:
        sequencer, drafts = failing.ledger.sequencer, failing.drafts(event("a"))
        report = sequencer.submit(failing.log, lambda _: drafts, dedup_keys=dedup_keys(drafts))
        rotate = rotate_key(failing.ledger, failing.log, Part(failing.log, lambda moment: []))
        waiting = [report, rotate] if tenant_first else [rotate, report]
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(outcome) for outcome in failing.run(batch())} == {UnavailableError}
    assert agrees(failing)
    rotated = failing.vkey(failing.log) != old.vkey.format()
    assert rotated == (way == "unknown, persisted")
    failing.report("b")
    note = failing.log.committed.head.checkpoint
    assert failing.log.signer.vkey.format() == failing.vkey(failing.log)
    assert open_checkpoint(note, [failing.log.signer.vkey]).size == failing.size
    if rotated:
        with pytest.raises(SignatureError):
            open_checkpoint(note, [old.vkey])


@WAYS
def test_reload_that_fails_too_is_made_up_for_later(failing: World, way: str) -> None:
    store_of(failing).faults, store_of(failing).reads_fail = [way], True
    with pytest.raises(UnavailableError):
        failing.report("a")
    store_of(failing).reads_fail = way.startswith("unknown, p")
    if store_of(failing).reads_fail:
        # The head in memory is behind the store's; the next transaction notices, and still cannot read.
        with pytest.raises(UnavailableError):
            failing.report("b")
        store_of(failing).reads_fail = False
    failing.report("a", "b")
    assert (calls_in(failing, "a"), calls_in(failing, "b")) == (1, 1)
    assert agrees(failing)


def refuse_new_data_keys(world: World, refuse: bool) -> None:
    with sqlite3.connect(world.settings.keystore, isolation_level=None) as connection:
        if refuse:
            connection.execute("create trigger refused before insert on data_keys begin select raise(abort, 'no'); end")
        else:
            connection.execute("drop trigger refused")
    connection.close()


def test_entry_is_not_written_before_its_data_key(failing: World) -> None:
    """The keystore fails: the batch fails whole, and its keys are not lost to a later one."""
    size = failing.size
    refuse_new_data_keys(failing, True)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="keystore"):
            failing.report("a", payload={"principal": {"user_id": "bob"}, "reason": "a reason"})
    assert failing.size == size and agrees(failing)
    refuse_new_data_keys(failing, False)
    failing.report("a", payload={"principal": {"user_id": "bob"}, "reason": "a reason"})
    assert failing.size == size + 1
    with failing.reopened() as reopened:
        receipt = verify_receipt(reopened.receipt(size, disclose=True), reopened.keys)
        assert {d.pointer for d in receipt.disclosures} == {"/data/principal", "/data/reason"}
        assert reopened.problems() == []


@WAYS
def test_data_key_of_a_failed_batch_serves_the_next(failing: World, way: str) -> None:
    store_of(failing).faults = [way]
    with pytest.raises(UnavailableError):
        failing.report("a", payload={"reason": "first"})
    size = failing.report("a", "b", payload={"reason": "first"}).items[0].leaf_index
    with sqlite3.connect(failing.settings.keystore) as connection:
        # One for the owner's label, made by init, and this day's for reports that name nobody: the same bucket.
        assert connection.execute("select count(*) from data_keys").fetchone() == (1,)
    connection.close()
    assert len(verify_receipt(failing.receipt(size, disclose=True), failing.keys).disclosures) == 1


def test_crash_after_a_fault_finds_what_the_store_has(failing: World) -> None:
    store_of(failing).faults = ["unknown, persisted"]
    with pytest.raises(UnavailableError):
        failing.report("a")
    head = store_of(failing).store.head(TENANT)
    with failing.reopened() as reopened:
        assert reopened.log.committed.head == head
        assert reopened.report("a").items[0].duplicate
