# SPDX-License-Identifier: Apache-2.0
"""Making an export for somebody: write it, put it on record, and only then let it be fetched.

The entry `evidence.exported` comes before anybody has the export, so there may be a record of one that nobody ever
fetched, and never an export without a record. What is erased while an export is made is not in it: an erasure removes
what lies here and shows something, and one that was recorded before the export's own entry makes it start over.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from ledger.log.disclosing import Disclosing
from ledger.log.errors import ConflictError, LedgerError, RateLimitedError, UnavailableError
from ledger.log.events.logs import EvidenceExported
from ledger.log.export import Exported, NotCommittedError, erasures_of, write_export
from ledger.log.export_archive import ARCHIVE, pack
from ledger.log.export_spool import ExportedFile, ExportStatus, Format, Spool, Spooled
from ledger.log.export_views import require_viewable, write_view
from ledger.log.ledger import Ledger
from ledger.log.working_copy import Draft, Log, Moment

TRIES = 3
MAX_WAITING = 32

_log = structlog.get_logger("ledger.exporting")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to export, and for whom."""

    exported: range
    disclosing: Disclosing
    format: Format
    actor: str
    allowed: Callable[[Moment], None]
    """Asked under the lock, before the export is put on record."""


class Exports:
    """The exports of this process. `commit_heads` brings the newest heads into the root log."""

    def __init__(
        self, ledger: Ledger, spool: Spool, verifier: Path, commit_heads: Callable[[], Awaitable[object]]
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._verifier = verifier
        self._commit_heads = commit_heads
        self._one_at_a_time = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()

    async def start(self, log: Log, order: Order) -> ExportStatus:
        """Begin an export, and say where it stands. Raises RateLimitedError when too many are waiting,
        InvalidRequestError for a range that is too long for its view.
        """
        require_viewable(order.format, order.exported)
        if len(self._running) >= MAX_WAITING:
            raise RateLimitedError(f"{MAX_WAITING} exports are waiting; fetch those first", 10_000_000_000)
        export_id = secrets.token_hex(16)
        status = ExportStatus(
            export_id=export_id,
            status="running",
            start=order.exported.start,
            stop=order.exported.stop,
            disclose=list(order.disclosing.rules),
            format=order.format,
        )
        spooled, held = await asyncio.to_thread(self._begin, log, status)
        self._keep(self._make(log, order, spooled, status, held))
        return status

    def _begin(self, log: Log, status: ExportStatus) -> tuple[Spooled, int]:
        spooled = self._spool.create(log.record.log_id, status.export_id)
        held = spooled.hold()
        spooled.write_status(status)
        return spooled, held

    def find(self, log: Log, export_id: str) -> Spooled:
        """Raises NotFoundError for what cannot be an export's id."""
        return self._spool.find(log.record.log_id, export_id)

    async def sweep(self) -> None:
        """Remove what nobody has to fetch any more."""
        await asyncio.to_thread(self._spool.sweep)

    async def stop(self) -> None:
        """End what is running, as failed."""
        self._stopping.set()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _keep(self, making: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(making)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _make(self, log: Log, order: Order, spooled: Spooled, status: ExportStatus, held: int) -> None:
        try:
            async with self._one_at_a_time:
                exported, index = await self._on_record(log, order, spooled, status)
                ready = await asyncio.to_thread(_finish, order, spooled, exported, status, index)
        except LedgerError as error:
            ready = msgspec.structs.replace(status, status="failed", reason=error.message)
        except OSError as error:
            # Also where an erasure took the folder away.
            reason = f"it could not be written: {error.strerror}"
            ready = msgspec.structs.replace(status, status="failed", reason=reason)
        except Exception:
            _log.exception("export_failed", export_id=status.export_id)
            ready = msgspec.structs.replace(
                status, status="failed", reason="an internal error; the service's log has it"
            )
        try:
            # An erasure may have taken the place away.
            with suppress(OSError):
                await asyncio.to_thread(_conclude, spooled, ready)
        finally:
            os.close(held)

    async def _on_record(self, log: Log, order: Order, spooled: Spooled, status: ExportStatus) -> tuple[Exported, int]:
        for _ in range(TRIES):
            exported = await self._written(log, order, spooled, status)
            index = await self._record(log, order, status, exported)
            # What was erased before that entry is known by now; what comes later removes what lies here.
            known = await asyncio.to_thread(erasures_of, self._ledger, log, order.exported, index)
            if known == exported.erasures:
                return exported, index
        raise ConflictError("the log changed each time that it was exported; try again")

    async def _written(self, log: Log, order: Order, spooled: Spooled, status: ExportStatus) -> Exported:
        for _ in range(TRIES):
            # What other processes wrote and committed: proofs are made from memory, and must know as much as the store.
            await self._ledger.refresh(self._ledger.root)
            await self._ledger.refresh(log)
            try:
                return await asyncio.to_thread(self._write, log, order, spooled, status)
            except NotCommittedError as error:
                missing = error
                await self._commit_heads()
        raise missing

    def _write(self, log: Log, order: Order, spooled: Spooled, status: ExportStatus) -> Exported:
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            if self._stopping.is_set():
                raise UnavailableError("the service stops")
            spooled.write_status(msgspec.structs.replace(status, done=done))

        if not spooled.folder.is_dir():
            raise ConflictError("something was erased meanwhile; ask again")
        spooled.discard()
        return write_export(
            self._ledger,
            log,
            order.exported,
            spooled.export,
            disclosing=order.disclosing,
            verifier=self._verifier,
            progress=progress,
        )

    async def _record(self, log: Log, order: Order, status: ExportStatus, exported: Exported) -> int:
        event = EvidenceExported(
            export_id=status.export_id,
            start=order.exported.start,
            stop=order.exported.stop,
            disclose=status.disclose,
            manifest=exported.sha256,
            actor=order.actor,
        )

        def decide(moment: Moment) -> list[Draft]:
            order.allowed(moment)
            return [Draft(event, subject=status.export_id)]

        appended = await self._ledger.sequencer.submit(log, decide)
        return appended.items[0].leaf_index


def _conclude(spooled: Spooled, status: ExportStatus) -> None:
    if status.status == "failed":
        # What was written by then may show something, and nobody will fetch it.
        spooled.clear()
    spooled.write_status(status)


def _finish(order: Order, spooled: Spooled, exported: Exported, status: ExportStatus, index: int) -> ExportStatus:
    """Pack what is on record by now."""
    files = [spooled.folder / ARCHIVE]
    pack(spooled.export, files[0])
    if order.format != "tar":
        files.append(spooled.folder / f"view.{order.format}")
        write_view(spooled.export, order.format, exported, status.export_id, files[1])
    spooled.discard()
    return msgspec.structs.replace(
        status,
        status="ready",
        done=len(order.exported),
        leaf_index=index,
        manifest=exported.sha256,
        fields=exported.manifest.fields,
        files=[ExportedFile.of(path) for path in files],
    )
