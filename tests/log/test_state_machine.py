# SPDX-License-Identifier: Apache-2.0
"""Random lives of a ledger, with crashes, checked from the outside after every step.

The model is a dictionary of what was acknowledged. After each step the whole self-check passes, what was acknowledged
is there, and the tree that every earlier receipt was made under is a prefix of the present one.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledger_verify import verify_day_file, verify_receipt
from ledger_verify.merkle import verify_consistency

from ledger.log.errors import ConflictError, InvalidRequestError, UnavailableError
from ledger.log.submission import Appended
from ledger.log.working_copy import Log
from ledger.tlog.checkpoint import read_checkpoint
from tests.log.stores import FailingStore
from tests.log.world import DAY, HOUR, World, event, live_keys, revoke

CALLS = st.sampled_from([f"call-{i}" for i in range(12)])
VERDICTS = st.sampled_from(["allow", "deny"])


class Life(RuleBasedStateMachine):
    open_world: ClassVar[Callable[..., World]]
    keys = Bundle("keys")

    @initialize()
    def begin(self) -> None:
        self.world = type(self).open_world(wrap=FailingStore)
        self.calls: dict[str, tuple[int, str]] = {}
        self.live: set[str] = set(live_keys(self.world))
        self.heads: dict[str, set[tuple[int, bytes]]] = {"tenant": set(), "root": set()}
        self.receipts: list[bytes] = []
        self.days: dict[str, bytes] = {}

    @rule(calls=st.lists(st.tuples(CALLS, VERDICTS), min_size=1, max_size=4))
    def report(self, calls: list[tuple[str, str]]) -> None:
        """New calls, repeated ones, and ones that were reported otherwise before: those refuse the whole report."""
        said = dict(self.verdicts())
        conflict = any(said.setdefault(call, verdict) != verdict for call, verdict in calls)
        drafts = self.world.drafts(*(event(call, verdict=verdict) for call, verdict in calls))
        if conflict:
            with pytest.raises(ConflictError):
                self.world.append(*drafts)
            return
        for (call, verdict), item in zip(calls, self.world.append(*drafts).items, strict=True):
            assert item.duplicate == (call in self.calls)
            assert self.calls.setdefault(call, (item.leaf_index, verdict))[0] == item.leaf_index
            self.keep(self.world.fresh_receipt(item.leaf_index))

    def verdicts(self) -> dict[str, str]:
        return {call: verdict for call, (_, verdict) in self.calls.items()}

    @rule(target=keys, hours=st.none() | st.integers(1, 30))
    def create_key(self, hours: int | None) -> str:
        expires_at = None if hours is None else self.world.clock() + hours * HOUR
        key = self.world.create_key(expires_at=expires_at)
        self.live.add(key)
        return key

    @rule(key=keys, twice=st.booleans())
    def revoke_key(self, key: str, twice: bool) -> None:
        outcomes = self.world.together(*[revoke(key)] * (1 + twice))
        refused = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
        assert len(refused) == twice + (key not in self.live)
        assert len(refused) + sum(isinstance(outcome, Appended) for outcome in outcomes) == 1 + twice
        self.live.discard(key)

    @rule()
    def commit_heads(self) -> None:
        self.world.commit_heads()
        assert self.world.commit_heads() is None
        if self.calls:
            index = max(index for index, _ in self.calls.values())
            receipt = self.world.receipt(index, disclose=True)
            assert verify_receipt(receipt, self.world.keys).signed.tier == "tamper-evident"
            self.keep(receipt)

    @rule(days=st.integers(0, 2))
    def close_day(self, days: int) -> None:
        today = self.world.close_day()
        assert self.days.setdefault(today.date, today.text()) == today.text()
        verify_day_file(today.text(), self.world.keys)
        self.sleep(days)

    @rule(days=st.integers(1, 3))
    def sleep(self, days: int) -> None:
        """Some days later; those that were missed are closed."""
        self.world.wake_at(self.world.clock() + days * DAY)
        for date in self.world.close_past_days():
            assert date not in self.days
            self.days[date] = self.world.close_day(date).text()
        with pytest.raises((InvalidRequestError, ConflictError)):
            self.world.close_day("2026-02-28")

    @rule()
    def crash(self) -> None:
        self.world = self.world.reopened()

    @rule(calls=st.lists(CALLS, min_size=1, max_size=3, unique=True), way=st.sampled_from(FailingStore.WAYS))
    def crash_while_reporting(self, calls: list[str], way: str) -> None:
        """The callers never hear of it: their calls are in the log, once, or not at all."""
        store = self.world.ledger.store
        assert isinstance(store, FailingStore)
        store.faults = [way]
        new = [call for call in calls if call not in self.calls]
        with pytest.raises(UnavailableError):
            self.world.report(*new or calls[:1], verdict="allow" if new else self.calls[calls[0]][1])
        self.world = self.world.reopened()
        size = self.world.size
        for call, item in zip(new, self.world.report(*new).items if new else [], strict=True):
            assert item.duplicate == (way == "unknown, persisted")
            self.calls[call] = item.leaf_index, "allow"
        assert self.world.size == size + (0 if way == "unknown, persisted" else len(new))

    def keep(self, receipt: bytes) -> None:
        self.receipts.append(receipt)

    @invariant()
    def the_self_check_finds_nothing(self) -> None:
        assert self.world.problems(replay=True) == []

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        leaves = self.world.leaves()
        for call, (index, verdict) in self.calls.items():
            assert (
                f'"call_id":"{call}"'.encode() in leaves[index] and f'"verdict":"{verdict}"'.encode() in leaves[index]
            )
        assert sum(b'"type":"call.reported"' in leaf for leaf in leaves) == len(self.calls)
        assert [day.date for day in self.world.ledger.store.days()] == sorted(self.days)

    @invariant()
    def every_earlier_head_is_a_prefix(self) -> None:
        for name, log in (("tenant", self.world.log), ("root", self.world.root)):
            for size, root in self.heads[name]:
                self.assert_prefix(log, size, root)
            self.heads[name].add((log.committed.head.size, log.committed.head.root))

    def assert_prefix(self, log: Log, size: int, root: bytes) -> None:
        committed = log.committed
        path = log.tree.consistency_path(committed.edge, size, committed.head.size)
        verify_consistency(size, committed.head.size, path, root, committed.head.root)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        keys = self.world.keys
        for receipt in self.receipts[-6:]:
            checkpoint = verify_receipt(receipt, keys).checkpoint
            self.assert_prefix(self.world.log, checkpoint.tree_size, checkpoint.root_hash)
        for date, text in self.days.items():
            assert self.world.close_day(date).text() == text
        dates = sorted(self.days)
        for before, date in pairwise(dates):
            day = verify_day_file(self.days[date], keys)
            assert day.previous_checkpoint is not None
            stored = self.world.ledger.store.day(before)
            assert stored is not None and day.previous_checkpoint.tree_size == read_checkpoint(stored.checkpoint).size
        self.world.close()


def test_any_life_of_a_ledger_is_sound(open_world: Any, store_kind: str) -> None:
    Life.open_world = staticmethod(open_world)
    # On a server a life takes three times as long, and the stores differ in nothing that is asked here.
    lives = 25 if store_kind == "sqlite" else 10
    run_state_machine_as_test(Life, settings=settings(max_examples=lives, stateful_step_count=20, deadline=None))
