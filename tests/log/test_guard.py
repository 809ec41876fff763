# SPDX-License-Identifier: Apache-2.0
"""The rollback guard: it goes forward only, nothing is released before it has it, and nothing is signed behind it."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.errors import (
    ConfigurationError,
    ConflictError,
    DamagedError,
    LedgerError,
    RollbackError,
    UnavailableError,
)
from ledger.log.events.logs import ReleasePublished
from ledger.log.fold import LogsState
from ledger.log.guard import Guard
from ledger.log.rotation import rotate_key
from ledger.log.store import INSTANCE, ROOT_LOG, Head
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, WorkingCopy
from ledger.settings import Settings
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.note import SigningKey
from tests.ledgers import Room
from tests.log.stores import AroundStore, FailingStore
from tests.log.tampering import head
from tests.log.world import DAY, NOON, TENANT, World
from tests.tables import alter

KEY = SigningKey("localhost/root", Ed25519PrivateKey.generate())
VKEY = KEY.vkey.format()


def note(size: int, root: int = 0) -> str:
    return Checkpoint("localhost/root", size, bytes([root]) * 32).sign(KEY)


def guard_of(world: World) -> Guard:
    assert world.ledger.guard is not None
    return world.ledger.guard


def released_size(world: World) -> int:
    released = guard_of(world).read()
    assert released is not None
    return released.checkpoint.size


def commit(world: World, *call_ids: str) -> int:
    """Report, and let the root log commit to it; the root log's size then."""
    world.report(*call_ids)
    world.commit_heads()
    return world.root.committed.head.size


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(tmp_path / "state" / "guards", VKEY)


# The file


def test_file_is_named_by_the_first_key_and_holds_the_note_as_published(guard: Guard) -> None:
    guard.initialise(note(3))
    assert guard.path.name == f"{sha256(VKEY.encode()).hexdigest()[:16]}.checkpoint"
    assert guard.path.read_text() == note(3)
    assert guard.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError):
        guard.initialise(note(4))
    assert guard.path.read_text() == note(3)


@given(st.lists(st.integers(1, 20), min_size=1))
def test_guard_is_the_largest_size_it_was_ever_given(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    guard = Guard(tmp_path_factory.mktemp("guard"), VKEY)
    for size in sizes:
        guard.advance(note(size))
    assert guard.path.read_text() == note(max(sizes))


def test_guard_shared_by_many_goes_forward_only(guard: Guard) -> None:
    """Whoever reads while others write sees whole notes of ever larger sizes."""
    guard.initialise(note(1))
    seen = []

    def advance(size: int) -> None:
        Guard(guard.path.parent, VKEY).advance(note(size))
        released = guard.read()
        assert released is not None
        seen.append((size, released.checkpoint.size))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(advance, [size * 7 % 101 + 1 for size in range(101)]))
    assert all(found >= size for size, found in seen)
    assert guard.path.read_text() == note(101)
    assert {path.suffix for path in guard.path.parent.iterdir()} == {".checkpoint", ".lock"}


def test_two_roots_of_one_size_are_two_copies_being_served(guard: Guard) -> None:
    guard.initialise(note(3))
    guard.advance(note(3))
    with pytest.raises(RollbackError, match="two copies"):
        guard.advance(note(3, root=1))
    assert guard.path.read_text() == note(3)


def test_replaced_file_is_kept_as_evidence(guard: Guard) -> None:
    assert guard.replace(note(9)) is None
    kept = [guard.replace(note(size)) for size in (5, 4)]
    assert [path.read_text() for path in kept if path is not None] == [note(9), note(5)]
    assert guard.path.read_text() == note(4)


@pytest.mark.parametrize("content", [b"", b"\xff", b"no note", note(3).encode()[:-20], b"x" * 100_000])
def test_file_without_a_checkpoint_is_refused(guard: Guard, content: bytes) -> None:
    guard.initialise(note(3))
    guard.path.write_bytes(content)
    for attempt in (guard.read, guard.require, lambda: guard.advance(note(4))):
        with pytest.raises(ConfigurationError, match="holds no checkpoint"):
            attempt()
    assert guard.path.read_bytes() == content


def test_crash_while_writing_leaves_the_old_file(guard: Guard) -> None:
    """What a killed process left of a new file is overwritten by the next one."""
    guard.initialise(note(3))
    guard.path.with_suffix(".new").write_bytes(note(4).encode()[:40])
    released = guard.read()
    assert released is not None and released.note == note(3)
    guard.advance(note(5))
    assert guard.path.read_text() == note(5)


def test_guard_that_cannot_be_written_says_so(guard: Guard) -> None:
    guard.initialise(note(3))
    guard.path.with_suffix(".new").mkdir()
    with pytest.raises(UnavailableError, match="cannot be written"):
        guard.advance(note(4))
    assert guard.path.read_text() == note(3)


# Which copy signs


def test_first_database_is_taken_and_another_refused(guard: Guard) -> None:
    assert not guard.check_holder("one")
    guard.require_holder("one")
    assert guard.check_holder("one")
    guard.require_holder("one")
    for check in (guard.check_holder, guard.require_holder):
        with pytest.raises(RollbackError, match="only one may sign"):
            check("two")
    assert not guard.was_replaced("one") and not guard.was_replaced("two")
    guard.name_holder("two")
    guard.require_holder("two")
    with pytest.raises(RollbackError):
        guard.require_holder("one")
    assert guard.was_replaced("one") and not guard.was_replaced("two")
    guard.name_holder("one")
    assert guard.was_replaced("two") and not guard.was_replaced("one")


def test_of_many_databases_at_once_one_is_taken(guard: Guard) -> None:
    def take(number: int) -> bool:
        try:
            Guard(guard.path.parent, VKEY).require_holder(f"database-{number}")
        except RollbackError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(take, range(24))).count(True) == 1


def test_copy_that_has_everything_waits_for_a_word(world: World) -> None:
    """As after `ledger copy`: it has the same history and another identity."""
    size = commit(world, "a")
    world.ledger.store.put_note(INSTANCE, "another copy")
    identity = world.ledger.store.identity()
    world.report("b")
    with pytest.raises(RollbackError):
        world.commit_heads()
    world.close()
    with pytest.raises(RollbackError, match="another copy of this ledger signed last"):
        World(world.settings, world.clock)
    guard_of(world).name_holder(identity)
    with World(world.settings, world.clock) as again:
        assert commit(again, "c") == size + 1


# Before a release


def test_nothing_of_the_root_log_is_shown_before_the_guard_has_it(world: World) -> None:
    before = world.root.committed
    stuck = guard_of(world).path.with_suffix(".new")
    stuck.mkdir()
    world.report("a")
    with pytest.raises(UnavailableError, match="rollback guard"):
        world.commit_heads()
    assert world.root.committed == before
    assert world.ledger.store.head(ROOT_LOG).size == before.head.size + 1, "committed, not released"
    assert released_size(world) == before.head.size
    world.report("b")
    with pytest.raises(UnavailableError):
        world.commit_heads()
    stuck.rmdir()
    world.commit_heads()
    assert released_size(world) == world.root.committed.head.size == before.head.size + 2
    assert world.problems() == []


def test_tenants_are_written_while_the_guard_cannot_be(world: World) -> None:
    """A batch that touches both: the tenant's submission is done, the root log's is told to ask again."""
    guard_of(world).path.with_suffix(".new").mkdir()
    guard = Part(world.log, lambda moment: [])
    with pytest.raises(UnavailableError):
        world.run(rotate_key(world.ledger, world.root, guard))
    size = world.report("a").committed.head.size
    assert size == world.ledger.store.head(TENANT).size


def test_what_was_committed_and_not_shown_is_released_at_the_next_start(world: World) -> None:
    stuck = guard_of(world).path.with_suffix(".new")
    stuck.mkdir()
    world.report("a")
    with pytest.raises(UnavailableError):
        world.commit_heads()
    world.abandon()
    with pytest.raises(UnavailableError, match="rollback guard"):
        World(world.settings, world.clock)
    stuck.rmdir()
    with World(world.settings, world.clock) as again:
        assert released_size(again) == again.root.committed.head.size == world.root.committed.head.size + 1


def test_guard_follows_every_kind_of_root_entry(world: World) -> None:
    """Commitments, days, and keys; after a change of the root key the guard is under the new one."""
    sizes = [commit(world, "a")]
    world.close_day()
    sizes.append(world.root.committed.head.size)
    world.run(rotate_key(world.ledger, world.root, Part(world.log, lambda moment: [])))
    sizes.append(world.root.committed.head.size)
    assert sizes == sorted(set(sizes)) and released_size(world) == sizes[-1]
    assert guard_of(world).path.read_text() == world.root.committed.head.checkpoint
    with world.reopened() as again:
        assert again.root.committed.head == world.root.committed.head
        assert commit(again, "b") == released_size(again)


def test_guard_deleted_under_a_running_service_is_written_anew(world: World) -> None:
    """The process knows what it released; whoever starts afterwards without the file could not."""
    guard_of(world).path.unlink()
    assert commit(world, "a") == released_size(world)


# At start


def other_copy(world: World, room: Room) -> Settings:
    """A copy of the data as they are now, whose guard is the original's."""
    return replace(room.copy_beside(world.settings), guard=world.settings.guard)


def test_older_database_is_refused_and_stays_readable(world: World, room: Room) -> None:
    old_size = commit(world, "a")
    old = other_copy(world, room)
    new_size = commit(world, "b", "c")
    world.close()
    before = guard_of(world).path.read_bytes()
    with pytest.raises(RollbackError) as refusal:
        World(old, world.clock)
    for words in (f"has {old_size} entries", f"of {new_size} was released", "newest copy", "`ledger init`"):
        assert words in refusal.value.message
    with World(old, world.clock, read_only=True) as readable:
        assert readable.problems() == []
        with pytest.raises(RollbackError, match="behind"):
            readable.ledger.compare_with_guard()
    assert guard_of(world).path.read_bytes() == before
    with World(world.settings, world.clock) as newest:
        assert newest.root.committed.head.size == new_size


def test_database_ahead_of_the_guard_is_served(world: World) -> None:
    """As after a crash between commit and release, or with a guard restored from somewhere."""
    note_then = guard_of(world).path.read_text()
    size = commit(world, "a")
    world.close()
    guard_of(world).path.write_text(note_then)
    with World(world.settings, world.clock) as again:
        assert released_size(again) == size


@pytest.mark.parametrize("entries", [1, 3])
def test_database_with_another_history_is_refused(world: World, room: Room, entries: int) -> None:
    """Two copies, each with a guard of its own, went different ways; neither is signed under the other's guard."""
    fork = room.copy_beside(world.settings)
    commit(world, "a")
    with World(fork, world.clock) as other:
        for number in range(entries):
            commit(other, f"b-{number}")
    world.close()
    shutil.copy(guard_of(world).path, fork.data / "guard")
    with pytest.raises(RollbackError, match="another history"):
        World(fork, world.clock)


def test_guard_under_a_key_that_the_database_does_not_know_is_refused(world: World, room: Room) -> None:
    """The root key was changed after the copy, and the copy went on by itself to the same size."""
    fork = room.copy_beside(world.settings)
    commit(world, "a")
    world.run(rotate_key(world.ledger, world.root, Part(world.log, lambda moment: [])))
    commit(world, "b")
    world.close()
    with World(fork, world.clock) as other:
        while other.root.committed.head.size < world.root.committed.head.size:
            commit(other, f"c-{other.size}")
    shutil.copy(guard_of(world).path, fork.data / "guard")
    with pytest.raises(RollbackError, match="does not open with its keys"):
        World(fork, world.clock)


def test_guard_of_another_ledger_is_refused(world: World) -> None:
    other = SigningKey("elsewhere/root", Ed25519PrivateKey.generate())
    world.close()
    guard_of(world).path.write_text(Checkpoint("elsewhere/root", 3, bytes(32)).sign(other))
    with pytest.raises(RollbackError, match="another ledger: 'elsewhere/root'"):
        World(world.settings)


def test_missing_guard_is_refused_for_writing_only(world: World) -> None:
    world.close()
    guard_of(world).path.unlink()
    with pytest.raises(ConfigurationError, match="no rollback guard") as refusal:
        World(world.settings)
    assert "ledger guard confirm" in refusal.value.message
    assert not guard_of(world).path.exists()
    with World(world.settings, read_only=True) as readable:
        assert readable.problems() == []
        assert readable.ledger.compare_with_guard() is None


# While it is served


def test_two_copies_served_under_one_guard_do_not_both_go_on(world: World, room: Room) -> None:
    """The second to sign for the root log finds that it is behind, signs nothing, and stops altogether."""
    with World(other_copy(world, room), world.clock) as second:
        size = commit(world, "a")
        second.report("b")
        with pytest.raises(RollbackError):
            second.commit_heads()
        assert second.ledger.store.head(ROOT_LOG).size == size - 1
        with pytest.raises(RollbackError, match="nothing is signed") as told:
            second.report("c")
        assert second.ledger.sequencer.halted == told.value.message
        assert str(world.settings.data) not in told.value.message, "callers need not know where things are"
        assert commit(world, "d") == released_size(world) == size + 1


def test_database_rolled_back_under_a_running_service_is_not_signed(world: World) -> None:
    """The tables are overwritten with yesterday's while the service has them open."""
    old = world.ledger.store.head(ROOT_LOG)
    commit(world, "a")
    released = released_size(world)
    alter(world.settings, head("size", old.size, ROOT_LOG))
    alter(world.settings, head("root", old.root, ROOT_LOG))
    alter(world.settings, head("checkpoint", old.checkpoint, ROOT_LOG))
    world.report("b")
    with pytest.raises(LedgerError, match=r"does not extend|behind"):
        world.commit_heads()
    assert released_size(world) == released


def test_head_that_the_log_did_not_sign_never_gets_to_the_guard(world: World) -> None:
    """Somebody who can write to the database adds to the root log under a key of theirs."""
    before = guard_of(world).path.read_bytes()
    copy = WorkingCopy(world.root, NOON, {})
    copy.add(copy.plan(lambda moment: [Draft(ReleasePublished(version="7", sha256="00" * 32))]), KEY)
    batch = copy.finish()
    world.ledger.store.append([ROOT_LOG], [], lambda heads, known: [batch])
    world.report("a")
    with pytest.raises(DamagedError):
        world.commit_heads()
    assert guard_of(world).path.read_bytes() == before


def test_fault_of_the_store_leaves_the_guard_behind_or_equal(open_world: Callable[..., World]) -> None:
    """Whatever breaks, what the guard has is in the store."""
    for way in FailingStore.WAYS:
        with open_world(wrap=FailingStore) as world:
            assert isinstance(world.ledger.store, FailingStore)
            world.report("a")
            world.ledger.store.faults = [way]
            with pytest.raises(UnavailableError):
                world.commit_heads()
            assert released_size(world) <= world.ledger.store.head(ROOT_LOG).size
            world.commit_heads()
            assert released_size(world) == world.ledger.store.head(ROOT_LOG).size
            assert world.problems() == []


# The other things that are looked at when a log is loaded


def test_clock_behind_the_newest_entry_is_a_warning(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids go on upwards whatever the clock says."""
    world.report("a")
    world.clock.now = NOON - DAY
    with world.reopened() as again:
        # Where it goes depends on whether a command was run in this process before.
        assert "clock_is_behind" in "".join(capsys.readouterr())
        again.report("b")
        assert again.problems() == []


def test_log_loaded_while_another_process_commits_is_sound(world: World) -> None:
    """The head is read, then the other commits, and the root log has more of the log than was read."""

    class Overtaken(AroundStore):
        def head(self, log_number: int) -> Head:
            head = self.store.head(log_number)
            if log_number == TENANT and world.size == head.size:
                commit(world, "the other's")
            return head

    size = world.size
    with World(world.settings, world.clock, wrap=Overtaken) as loaded:
        assert (loaded.size, world.size) == (size, size + 1)
        loaded.report("its own")
        assert loaded.size == size + 2 and loaded.problems() == []


def test_vkeys_of_a_rotated_root_log_start_with_the_name_of_the_guard(world: World) -> None:
    world.run(rotate_key(world.ledger, world.root, Part(world.log, lambda moment: [])))
    keys = world.root.committed.state[LogsState].vkeys[world.root.origin]
    assert len(keys) == 2
    guards = world.settings.data / "guard"
    assert Guard.of(world.root, guards).path == Guard(guards, keys[0][1]).path
    assert os.path.exists(Guard.of(world.root, guards).path)
