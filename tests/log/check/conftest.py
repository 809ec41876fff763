# SPDX-License-Identifier: Apache-2.0
"""A ledger to look at, and holdings in which something is other than it was written."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ledger.deployment import open_holdings
from ledger.log.check import Holdings
from ledger.log.errors import UnavailableError
from ledger.log.store import Head, Row, Secret, Store
from tests.log.stores import AroundStore
from tests.log.world import DAY, NOON, World, event, revoke

SIZE = 1100
"""Four full tiles, and some entries behind them."""


class ChangedStore(AroundStore):
    """A store that gives some rows otherwise than they are, some not at all, and some secrets."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.changes: Mapping[tuple[int, int], Mapping[str, Any]] = {}
        self.missing: Collection[tuple[int, int]] = ()
        self.unreadable: Collection[tuple[int, int]] = ()
        self.vault: Callable[[list[Secret]], list[Secret]] | None = None
        self.gone = False
        self.faults: Collection[tuple[str, int]] = ()
        """Questions that cannot be answered, by method and number of the log."""
        self.sizes: Mapping[int, int] = {}
        """Sizes that heads claim."""

    def _ask(self, method: str, log_number: int) -> None:
        if (method, log_number) in self.faults:
            raise UnavailableError(f"{method} of log {log_number} cannot be read")

    def heads(self) -> Any:
        self._ask("heads", 0)
        return {number: self._claimed(number, head) for number, head in self.store.heads().items()}

    def _claimed(self, log_number: int, head: Head) -> Head:
        return replace(head, size=self.sizes.get(log_number, head.size))

    def head(self, log_number: int) -> Any:
        self._ask("head", log_number)
        return self._claimed(log_number, self.store.head(log_number))

    def tile(self, log_number: int, level: int, number: int) -> bytes | None:
        self._ask("tile", log_number)
        return self.store.tile(log_number, level, number)

    def committed_heads(self, root_index: int, stop: int | None = None) -> Any:
        self._ask("committed_heads", 0)
        return self.store.committed_heads(root_index, stop)

    def governing(self, log_number: int, start: int) -> Any:
        self._ask("governing", log_number)
        return self.store.governing(log_number, start)

    def rows(self, log_number: int, start: int, stop: int) -> list[Row]:
        if self.gone or any((log_number, index) in self.unreadable for index in range(start, stop)):
            raise UnavailableError("the store cannot be read")
        return [
            row._replace(**self.changes.get((log_number, row.leaf_index), {}))
            for row in self.store.rows(log_number, start, stop)
            if (log_number, row.leaf_index) not in self.missing
        ]

    def logs(self) -> Any:
        if self.gone:
            raise UnavailableError("the store cannot be read")
        return self.store.logs()

    def secrets(self) -> list[Secret]:
        secrets = self.store.secrets()
        return secrets if self.vault is None else self.vault(secrets)

    def secret(self, name: str) -> bytes | None:
        return next((secret.box for secret in self.secrets() if secret.name == name), None)


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    """A ledger of two days with keys, a manifest, calls with and without sealed fields, commitments."""
    world = open_world()
    world.together(revoke(world.create_key()))
    drafts = world.drafts(
        event("a"), agent_manifest={"agent_id": "payments-agent", "policy_version": "7", "contracts": []}
    )
    world.append(*drafts)
    world.report("bare", payload={})
    world.fill(600)
    world.report("whole", payload={"tool_args": {"a b": 1}, "reason": "because", "result": [1, 2]})
    world.create_key("another agent")
    world.fill(700)
    world.close_day()
    world.wake_at(NOON + DAY)
    world.fill(SIZE)
    world.commit_heads()
    yield world
    world.close()


@pytest.fixture(scope="module")
def holdings(grown: World) -> Holdings:
    """What the ledger keeps; without the help of other processes."""
    opened = open_holdings(grown.settings)
    opened.close()
    return replace(opened, store=grown.ledger.store, keystore=grown.ledger.keystore, reopen=None)


def changing(holdings: Holdings) -> tuple[ChangedStore, Holdings]:
    """The same holdings with a store that may change what it gives."""
    store = ChangedStore(holdings.store)
    return store, replace(holdings, store=store)
