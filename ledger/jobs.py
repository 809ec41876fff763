# SPDX-License-Identifier: Apache-2.0
"""What runs by the clock: commitments to the root log, and the closing of days. A failure is logged and tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from ledger.log.errors import LedgerError
from ledger.log.roots import RootLog

SWEEP_SECONDS = 3600

_log = structlog.get_logger("ledger.jobs")


def schedule(
    roots: RootLog,
    root_interval: float,
    sweep: Callable[[], Awaitable[None]],
    flush: Callable[[], Awaitable[None]],
    flush_interval: float,
) -> AsyncIOScheduler:
    """A scheduler with all jobs, not started. Missed days are closed at start and a second after each midnight
    (UTC); `sweep` removes exports that nobody has to fetch any more, `flush` writes what was counted.
    """
    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    # Of several processes on one database, each with this job, one commits in an interval. What is left of it is for
    # clocks and commits that are late; half of it would let two take turns whose clocks are half an interval apart.
    commit = partial(roots.commit_heads, apart=round(root_interval * 750))
    scheduler.add_job(_guarded("commit_heads", commit), "interval", seconds=root_interval)
    scheduler.add_job(_guarded("close_past_days", roots.close_past_days), "cron", hour=0, minute=0, second=1)
    scheduler.add_job(_guarded("close_past_days", roots.close_past_days))
    scheduler.add_job(_guarded("sweep_exports", sweep), "interval", seconds=SWEEP_SECONDS)
    scheduler.add_job(_guarded("flush_tallies", flush), "interval", seconds=flush_interval)
    return scheduler


def _guarded(name: str, job: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        try:
            await job()
        except asyncio.CancelledError:
            # The service stops. What the job has queued by then is still written.
            _log.info("job_ended_early", job=name)
        except LedgerError as error:
            _log.warning("job_failed", job=name, error=error.for_operator)
        except Exception:
            _log.exception("job_failed", job=name)

    return run
