# SPDX-License-Identifier: Apache-2.0
"""Signing keys are replaced in one transaction over both logs, and old evidence keeps its key."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.deployment import TENANT_PARTS
from ledger.log.check import check_ledger
from ledger.log.errors import ConflictError, ForbiddenError
from ledger.log.fold import LogsState
from ledger.log.ledger import Ledger
from ledger.log.receipts import fresh_receipt
from ledger.log.roots import RootLog
from ledger.log.rotation import is_endorsed, rotate_key
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tlog.checkpoint import open_checkpoint
from ledger.tlog.errors import SignatureError
from ledger.tlog.note import parse_vkey
from tests.vectors.make import Clock, example_event, new_ledger, report


def nobody(log: Log) -> Part:
    """A caller's part that is always allowed."""
    return Part(log, lambda moment: [])


async def one_receipt(ledger: Ledger, log: Log, call_id: str) -> str:
    [index] = await report(ledger, log, example_event(call_id, {}))
    [leaf] = ledger.store.leaves(log.number, index, index + 1)
    return fresh_receipt(log, log.committed, index, leaf).checkpoint


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path, Clock())


@pytest.mark.parametrize("number", [0, 1], ids=["root log", "tenant log"])
def test_rotated_key_signs_the_head_that_announces_it(ledger: Ledger, number: int) -> None:
    async def story() -> None:
        ledger.sequencer.start()
        log, tenant = ledger.log(number), ledger.log(1)
        old = log.signer.vkey
        before = log.committed.head.checkpoint
        event, _ = await rotate_key(ledger, log, nobody(tenant))
        assert is_endorsed(event)
        new = parse_vkey(event.vkey)
        assert log.signer.vkey == new != old
        assert open_checkpoint(before, [old]).origin == log.origin
        assert open_checkpoint(log.committed.head.checkpoint, [new]).size == log.committed.head.size
        with pytest.raises(SignatureError):
            open_checkpoint(log.committed.head.checkpoint, [old])
        assert ledger.root.committed.state[LogsState].current_vkey(log.origin) == event.vkey
        open_checkpoint(await one_receipt(ledger, tenant, "after"), [tenant.signer.vkey])
        await RootLog(ledger).close_day()
        assert [found.problem for found in check_ledger(ledger, replay=True)] == [None, None]
        await ledger.sequencer.stop()
        again = Ledger(ledger.store, ledger.keystore, ledger.vault, TENANT_PARTS, ledger.clock)
        assert again.log(number).signer.vkey == new
        ledger.close()

    asyncio.run(story())


def test_rotation_by_two_at_once_lets_one_through(ledger: Ledger) -> None:
    async def story() -> None:
        ledger.sequencer.start()
        log = ledger.log(1)
        size = log.committed.head.size
        results = await asyncio.gather(
            *(rotate_key(ledger, log, nobody(log)) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, ConflictError) for result in results) == 4
        assert log.committed.head.size == size + 1
        assert [found.problem for found in check_ledger(ledger)] == [None, None]
        await ledger.sequencer.stop()
        ledger.close()

    asyncio.run(story())


def test_refused_part_leaves_nothing_in_the_other_log(ledger: Ledger) -> None:
    async def story() -> None:
        ledger.sequencer.start()
        log = ledger.log(1)
        heads = ledger.store.heads()

        def refuse(moment: Moment) -> list[Draft]:
            raise ForbiddenError("no longer")

        for target in (log, ledger.root):
            with pytest.raises(ForbiddenError):
                await rotate_key(ledger, target, Part(log, refuse))
        assert ledger.store.heads() == heads
        assert (log.signer.vkey.format(), ledger.root.signer.vkey.format()) == (
            ledger.root.committed.state[LogsState].current_vkey(log.origin),
            ledger.root.committed.state[LogsState].current_vkey(ledger.root.origin),
        )
        await ledger.sequencer.stop()
        ledger.close()

    asyncio.run(story())


def test_endorsement_by_another_key_is_none(ledger: Ledger) -> None:
    async def story() -> None:
        ledger.sequencer.start()
        log = ledger.log(1)
        event, _ = await rotate_key(ledger, log, nobody(log))
        other, _ = await rotate_key(ledger, log, nobody(log))
        assert is_endorsed(event)
        assert not is_endorsed(replace(event, endorsement=other.endorsement))
        assert not is_endorsed(replace(event, vkey=other.vkey))
        assert not is_endorsed(replace(event, previous_vkey="x"))
        assert not is_endorsed(replace(event, endorsement="!"))
        await ledger.sequencer.stop()
        ledger.close()

    asyncio.run(story())
