# SPDX-License-Identifier: Apache-2.0
"""A ledger in this process, driven step by step, with a clock that only moves when it is told to.

`World` is the real thing from the store to the root log. Each method runs the event loop until what was asked for is
done; what is submitted in one call is one batch.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

import pytest
from ledger_verify import TrustedKeys, trusted_keys

from ledger.deployment import TENANT_PARTS, open_ledger, open_store
from ledger.log.check import Report, check_ledger
from ledger.log.days import DayDocument
from ledger.log.entry import IdSource, format_uuid, parse_time
from ledger.log.erasure import Erasure, Result, erase
from ledger.log.events.tenants import TenantCreated
from ledger.log.fold import LogsState
from ledger.log.guard import Guard
from ledger.log.keystore import Keystore
from ledger.log.ledger import Release, data_key, initialise
from ledger.log.receipts import fresh_receipt, receipt
from ledger.log.report import Reporter, dedup_keys, draft_report, read_report
from ledger.log.roots import RootLog
from ledger.log.store import ROOT_LOG, CommittedHead, Store
from ledger.log.store.keys import SqliteKeys
from ledger.log.store.postgres import PostgresStore
from ledger.log.store.sqlite import SqliteStore
from ledger.log.submission import Appended
from ledger.log.vault import Vault, create_master_key
from ledger.log.working_copy import Decide, Draft, Log, Moment
from ledger.settings import Settings
from ledger.tenant.keys import draft_key, require_live, revoke_key
from ledger.tenant.secrets import Secrets
from ledger.tenant.state import TenantState

NOON = parse_time("2026-03-01T12:00:00.000Z")
HOUR = 3_600_000
DAY = 24 * HOUR
TENANT = 1

Given = TypeVar("Given")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def make_ledger(settings: Settings) -> None:
    """A new ledger, made at noon of 2026-03-01, with an owner's key."""
    settings.data.mkdir(exist_ok=True)
    vault = Vault(create_master_key(settings.master_key_file))
    url = settings.database_url
    store = SqliteStore.initialise(settings.database) if url is None else PostgresStore.initialise(url)
    keystore = Keystore(SqliteKeys.initialise(settings.keystore), vault)
    settings.verifier.write_bytes(b"not a verifier")
    tenant_id = format_uuid(IdSource(0).next(NOON))

    def first_drafts(log: Log) -> list[Draft]:
        key = data_key(keystore, log, None, NOON)
        owner = draft_key(
            Secrets(None, vault), log, key, NOON, role="owner", env="all", label="the owner", actor="operator"
        )
        return [Draft(TenantCreated(tenant_id=tenant_id, actor="operator"), subject=tenant_id), owner.draft]

    release = Release("0.1.0", "00" * 32)
    root_vkey, _ = initialise(
        store, keystore, vault, "localhost", Clock(), TENANT_PARTS, tenant_id, first_drafts, release
    )
    assert settings.guard is not None
    Guard(settings.guard, root_vkey).initialise(store.head(ROOT_LOG).checkpoint)
    store.close()
    keystore.close()


def unchanged(store: Store) -> Store:
    return store


class World:
    """An open ledger. `wrap` may put a store of the test's own around the real one."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        wrap: Callable[[Store], Store] = unchanged,
        max_queued: int = 20_000,
        read_only: bool = False,
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._wrap = wrap
        self._left = left
        self.clock = clock or Clock()
        self.ledger = open_ledger(
            replace(settings, max_queued=max_queued),
            read_only=read_only,
            clock=self.clock,
            store=wrap(open_store(settings, read_only=read_only)),
        )
        self.log = self.ledger.log(TENANT)
        self.root = self.ledger.root
        self.roots = RootLog(self.ledger)
        self.loop = asyncio.new_event_loop()
        self._do(self.ledger.sequencer.start)

    def run(self, awaitable: Awaitable[Given]) -> Given:
        return self.loop.run_until_complete(awaitable)

    def _do(self, function: Callable[[], Any]) -> None:
        async def call() -> None:
            function()

        self.run(call())

    def close(self) -> None:
        """As a service ends: what is queued is committed. Nothing is left to do after `abandon`."""
        if self.abandoned:
            return
        self.run(self.ledger.sequencer.stop())
        self.ledger.close()
        self.loop.close()

    @property
    def abandoned(self) -> bool:
        return self.loop.is_closed()

    def __enter__(self) -> "World":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self._left()

    def abandon(self) -> None:
        """As a process ends that is killed: nothing is finished, nothing is closed."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        if self.ledger.store.shared:
            # The kernel closes a process's connections; SQLite's journal stays where it is.
            self.ledger.store.close()

    def reopened(self) -> "World":
        """The ledger as the next process finds it after a crash of this one."""
        self.abandon()
        return World(self.settings, self.clock, wrap=self._wrap)

    # Writing

    def together(self, *decisions: Decide, log: Log | None = None) -> list[Appended | BaseException]:
        """Submit decisions in one batch. Gives for each what was appended, or its refusal."""

        async def submit() -> list[Appended | BaseException]:
            sequencer = self.ledger.sequencer
            futures = [sequencer.submit(log or self.log, decide) for decide in decisions]
            return await asyncio.gather(*futures, return_exceptions=True)

        return self.run(submit())

    def append(self, *drafts: Draft, log: Log | None = None) -> Appended:
        """Append drafts as one submission."""

        async def submit() -> Appended:
            submitted = self.ledger.sequencer.submit(
                log or self.log, lambda moment: drafts, dedup_keys=dedup_keys(drafts), weight=len(drafts)
            )
            return await submitted

        return self.run(submit())

    def drafts(self, *events: dict[str, Any], key_id: str = "a-key", **report: Any) -> list[Draft]:
        """Drafts of reported events, as the service makes them from a request."""
        body = read_report(json.dumps({"events": events, **report}).encode())
        return draft_report(self.ledger, self.log, body, Reporter(key_id=key_id, env="production"), self.clock())

    def report(self, *call_ids: str, **changes: Any) -> Appended:
        return self.append(*self.drafts(*(event(call_id, **changes) for call_id in call_ids)))

    def fill(self, size: int) -> None:
        """Report events until the tenant's log has `size` entries."""
        while self.size < size:
            self.report(*(f"fill-{index}" for index in range(self.size, min(size, self.size + 500))))

    def create_key(self, label: str = "an agent", expires_at: int | None = None) -> str:
        """The id of a new agent's key."""
        draft, key_id = self.draft_key(label, expires_at)
        self.append(draft)
        return key_id

    def draft_key(self, label: str = "an agent", expires_at: int | None = None) -> tuple[Draft, str]:
        sealed_under = self.ledger.data_key(self.log, None, self.clock())
        new = draft_key(
            Secrets(None, self.ledger.vault),
            self.log,
            sealed_under,
            self.clock(),
            role="agent",
            env="production",
            label=label,
            actor="operator",
            expires_at=expires_at,
        )
        return new.draft, new.key_id

    def commit_heads(self) -> int | None:
        return self.run(self.roots.commit_heads())

    def grow_before_heads_are_looked_up(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the log have grown, and its head be committed, when somebody looks for the head that covers an entry."""
        look = self.ledger.store.covering_head

        def grow_first(log_number: int, index: int) -> CommittedHead | None:
            if self.size < size:
                self.fill(size)
                self.commit_heads()
            return look(log_number, index)

        monkeypatch.setattr(self.ledger.store, "covering_head", grow_first)

    def close_day(self, date: str | None = None) -> DayDocument:
        return self.run(self.roots.close_day(date))

    def wake_at(self, now: int) -> None:
        """Let the clock show `now` without a jump: as after a pause of the service."""
        self.clock.now = now
        self.roots = RootLog(self.ledger)

    def close_past_days(self) -> list[str]:
        return self.run(self.roots.close_past_days())

    def erase(self, **wanted: Any) -> Result:
        erasure = Erasure(**({"grounds": "other", "actor": "operator"} | wanted))
        return self.run(erase(self.ledger, self.log, erasure, lambda moment: None))

    # Looking

    @property
    def size(self) -> int:
        return self.log.committed.head.size

    @property
    def keys(self) -> TrustedKeys:
        """What somebody outside trusts: the vkeys of both logs."""
        return trusted_keys([self.vkey(self.log)], [self.vkey(self.root)])

    def vkey(self, log: Log) -> str:
        return self.root.committed.state[LogsState].current_vkey(log.origin)

    def leaves(self, log: Log | None = None) -> list[bytes]:
        log = log or self.log
        return self.ledger.store.leaves(log.number, 0, log.committed.head.size)

    def fresh_receipt(self, index: int) -> bytes:
        return fresh_receipt(self.log, self.log.committed, index, self.leaves()[index]).text()

    def receipt(self, index: int, *, disclose: bool = False) -> bytes:
        [leaf] = self.ledger.store.leaves(TENANT, index, index + 1)
        return receipt(self.ledger, self.log, index, leaf, disclose=disclose).text()

    def problems(self, *, replay: bool = True) -> list[tuple[str, str, int | None]]:
        """What the self-check finds: (log, check, first index)."""
        return findings(check_ledger(self.ledger, replay=replay))


def findings(reports: Sequence[Report]) -> list[tuple[str, str, int | None]]:
    """What is wrong: (log, check, first index)."""
    return [(_name(r.origin), r.check, r.first_index) for r in reports if r.problem is not None]


def _name(origin: str) -> str:
    if origin.endswith("/root"):
        return "root"
    return "tenant" if "/log/" in origin else origin


def event(call_id: str, **changes: Any) -> dict[str, Any]:
    """An event as an agent reports it."""
    body = {
        "call_id": call_id,
        "agent_id": "payments-agent",
        "tool_name": "send_money",
        "verdict": "allow",
        "mode": "enforce",
        "payload": {"tool_args": {"amount": 98.7, "recipient": "GB123"}, "principal": {"user_id": "ada"}},
    }
    return body | changes


def revoke(key_id: str) -> Decide:
    return lambda moment: revoke_key(moment, key_id, "operator")


def report_as(key_id: str, drafts: Sequence[Draft]) -> Decide:
    """Report with a key that must be live under the lock."""

    def decide(moment: Moment) -> Sequence[Draft]:
        require_live(moment.state, key_id, moment.now)
        return drafts

    return decide


def live_keys(world: World) -> set[str]:
    keys = world.log.committed.state[TenantState].keys.values()
    return {key.key_id for key in keys if key.is_live(world.clock())}
