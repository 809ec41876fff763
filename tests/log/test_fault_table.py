# SPDX-License-Identifier: Apache-2.0
"""The whole fault table: whatever the ledger does, every single call that it makes of store, keystore and guard is made
to fail, at once and after it took effect.

For each deed the table has the calls that it makes. What a failure means follows from where the transaction was: before
its commit nothing has happened; a commit that reports a failure has happened or not, which only the store knows (fatal:
the log is loaded again); after its commit it has happened, whatever fails then. In every case the caller is told to ask
again, the ledger goes on without being opened anew, and asking again leaves the deed done exactly once.

After every case the self-check runs with replay, the receipts given are verified with `ledger_verify`, and all heads
ever released are held against the leaves: never two roots for one size.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from ledger_verify import verify_receipt
from ledger_verify.checkpoint import parse_checkpoint
from structlog.testing import capture_logs

from ledger.log.check import Holdings, check_holdings
from ledger.log.errors import ConflictError, UnavailableError
from ledger.log.receipts import fresh_receipt
from ledger.log.rotation import rotate_key
from ledger.log.store import ROOT_LOG, Store
from ledger.log.submission import Appended, Part
from tests.history import History
from tests.log.faults import AFTER, BEFORE, COMMIT, Faults
from tests.log.world import DAY, TENANT, World, event, findings, revoke

MOST_CALLS = 80


@dataclass
class Case:
    """One harmed deed, in a world in which many were harmed before. `number` makes its names its own."""

    world: World
    number: int
    receipts: list[bytes] = field(default_factory=list)
    key: str = ""


def report(case: Case) -> None:
    world, payload = case.world, {"principal": {"user_id": f"user-{case.number}"}, "reason": "a reason"}
    calls = (event(f"call-{case.number}-{name}", payload=payload) for name in "ab")
    committed, items = world.append(*world.drafts(*calls))
    written = [item for item in items if item.leaf is not None]
    assert len(written) in (0, 2), "a submission is written whole or not at all"
    case.receipts += [fresh_receipt(world.log, committed, it.leaf_index, it.leaf or b"").text() for it in written]


def create_key(case: Case) -> None:
    case.key = case.world.create_key(f"key {case.number}")


def revoke_key(case: Case) -> None:
    [outcome] = case.world.together(revoke(case.key))
    if not isinstance(outcome, Appended | ConflictError):
        raise outcome


def rotate(case: Case) -> None:
    world = case.world
    world.run(rotate_key(world.ledger, world.log, Part(world.log, lambda moment: [])))


def commit_heads(case: Case) -> None:
    case.world.commit_heads()


def next_day(case: Case) -> None:
    case.world.wake_at(case.world.clock.now + DAY)


def close_day(case: Case) -> None:
    case.world.close_day()


def committed_report(case: Case) -> None:
    report(case)
    commit_heads(case)


def fetch_receipt(case: Case) -> None:
    case.receipts.append(case.world.receipt(case.world.size - 1, disclose=True))


class Deed(NamedTuple):
    """`leaf` is what is in the one leaf that it adds to log `log`. `calls` must be just those that it makes."""

    do: Callable[[Case], None]
    calls: set[str]
    leaf: str | None = None
    log: int = TENANT
    prepare: Callable[[Case], None] = lambda case: None
    once: bool = True
    """Whether doing it again changes nothing."""


APPEND = {"store.append: begin", "store.append: locked", "store.append: built", COMMIT}
RELEASE = APPEND | {"guard.require_holder", "store.identity", "guard.read", "guard.advance"}
SHARED = {"store.logs"}
"""What is asked where another process may have made a log."""
HEADS = {"store.committed_sizes", "store.heads"}

DEEDS = {
    "report": Deed(report, APPEND | {"keys.of_bucket", "keys.insert"}, '-a","'),
    "report again": Deed(report, APPEND, prepare=report),
    "create a key": Deed(
        create_key,
        APPEND | {"keys.of_bucket", "keys.insert"},
        '"type":"key.created"',
        prepare=next_day,
        once=False,
    ),
    "revoke a key": Deed(revoke_key, APPEND, '"type":"key.revoked"', prepare=create_key),
    "commit heads": Deed(
        commit_heads, RELEASE | HEADS | {"store.rows"}, '"type":"heads.committed"', ROOT_LOG, prepare=report
    ),
    "close a day": Deed(
        close_day,
        RELEASE | HEADS | {"store.rows", "store.day", "store.days", "store.leaves"},
        '"type":"day.closed"',
        ROOT_LOG,
        prepare=next_day,
    ),
    "rotate a key": Deed(rotate, RELEASE, '"type":"signing_key.rotated"', ROOT_LOG, once=False),
    "fetch a receipt": Deed(
        fetch_receipt,
        {"store.leaves", "store.covering_head", "store.days", "store.committed_heads", "store.sealed", "keys.of_id"},
        prepare=committed_report,
    ),
}


class Record:
    """What somebody outside has kept: every receipt, and every head of both logs."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._logs = {log.number: (log, History(log.origin)) for log in (world.log, world.root)}

    def count(self, deed: Deed) -> int:
        """How often the deed was done, as the store has it."""
        size = self._store.head(deed.log).size
        leaves = self._store.leaves(deed.log, 0, size)
        return 0 if deed.leaf is None else sum(deed.leaf.encode() in leaf for leaf in leaves)

    def check(self, *worlds: World, receipts: list[bytes]) -> None:
        """Everything fits together, whatever just happened."""
        ledger = self._world.ledger
        holdings = Holdings(self._store, ledger.keystore, ledger.vault, ledger.parts)
        assert findings(check_holdings(holdings)) == []
        # Where the guard could not take it, the root log is known here as of before, and the stored one is newer.
        assert self._world.problems() == [] or not self.agrees()
        for number, (log, history) in self._logs.items():
            history.read(self._store.leaves(number, history.size, self._store.head(number).size))
            for world in (self._world, *worlds):
                known = world.log if log.number == TENANT else world.root
                history.keep(parse_checkpoint(known.committed.head.checkpoint))
        while receipts:
            receipt = verify_receipt(receipts.pop(), self._world.keys)
            self._logs[TENANT][1].keep(receipt.checkpoint)
            if receipt.root is not None:
                self._logs[ROOT_LOG][1].keep(receipt.root.checkpoint)
        for _, history in self._logs.values():
            assert history.forks() == []
            assert {call_id for call_id, times in history.calls.items() if times != 1} == set()

    def agrees(self) -> bool:
        """Whether the process holds what the store has."""
        return all(log.committed.head == self._store.head(number) for number, (log, _) in self._logs.items())


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def world(open_world: Callable[..., World], faults: Faults) -> Iterator[World]:
    with open_world(wrap=faults.around_store) as opened:
        faults.around_rest(opened)
        opened.close_day()
        yield opened


def harmed(deed: Deed, case: Case, faults: Faults, record: Record, at: int, way: str) -> str | None:
    """One row: do the deed with its call number `at` failing. Gives that call, None when there are fewer."""
    before = record.count(deed)
    faults.fail(at, way)
    with capture_logs() as logs:
        try:
            deed.do(case)
        except UnavailableError as error:
            assert error.retry_after >= 1
            told = True
        else:
            told = False
    # Who fails while it is decided is refused, and the transaction goes on without him.
    refused = "store.append: built" in faults.calls[at + 1 :]
    failed, committed = faults.failed, faults.happened(COMMIT) and not refused
    faults.mend()
    row = f"{failed} failed {way}, at {at}"
    assert told == (failed is not None), row
    assert not any("exc_info" in line for line in logs), (row, logs)
    fatal = [line for line in logs if line["event"] == "commit_outcome_unknown"]
    assert bool(fatal) == (failed == COMMIT), row
    assert record.count(deed) - before == int(committed and deed.leaf is not None), row
    return failed


@pytest.mark.parametrize("name", DEEDS)
def test_every_call_that_fails(name: str, world: World, faults: Faults) -> None:
    deed, record, hit, number = DEEDS[name], Record(world, world.ledger.store.store), set[str](), 0  # type: ignore[attr-defined]
    for way in (BEFORE, AFTER):
        for at in range(MOST_CALLS):
            case = Case(world, number)
            number += 1
            deed.prepare(case)
            before = record.count(deed)
            failed = harmed(deed, case, faults, record, at, way)
            record.check(receipts=case.receipts)
            deed.do(case)
            times = record.count(deed) - before
            assert times == int(deed.leaf is not None) or (not deed.once and times in (1, 2)), (failed, way)
            record.check(receipts=case.receipts)
            assert record.agrees(), (failed, way)
            if failed is None:
                break
            hit.add(failed)
        else:
            raise AssertionError(f"more than {MOST_CALLS} calls")
    assert hit - SHARED == deed.calls


def follow(*worlds: World) -> None:
    """Let processes see what others wrote, as they do a few times a second."""
    for world in worlds:
        for log in (world.root, world.log):
            world.run(world.ledger.refresh(log))


BESIDE = ["report", "revoke a key", "commit heads", "close a day"]
CATCH_UP = {"store.head", "store.leaves", "store.governing", "guard.read", "guard.advance"}
"""What is asked besides when another process has written meanwhile."""


@pytest.mark.only_on("postgres", why="a data directory is written by one process")
@pytest.mark.parametrize("name", BESIDE)
def test_every_call_that_fails_beside_another_process(name: str, world: World, faults: Faults) -> None:
    """The same where another process has grown both logs just before, which must be caught up with under the lock."""
    deed, record, hit, number = DEEDS[name], Record(world, world.ledger.store.store), set[str](), 0  # type: ignore[attr-defined]
    with ExitStack() as stack:
        other = stack.enter_context(World(world.settings, world.clock))
        for way in (BEFORE, AFTER):
            for at in range(MOST_CALLS):
                case = Case(world, number)
                number += 1
                other.create_key(f"beside {number}")
                other.commit_heads()
                deed.prepare(case)
                other.report(f"beside-{number}")
                failed = harmed(deed, case, faults, record, at, way)
                follow(world, other)
                record.check(other, receipts=case.receipts)
                deed.do(case)
                follow(world, other)
                record.check(other, receipts=case.receipts)
                if failed is None:
                    break
                hit.add(failed)
    assert deed.calls <= hit | {"keys.of_bucket"} and hit <= deed.calls | CATCH_UP | SHARED
