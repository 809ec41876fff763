# SPDX-License-Identifier: Apache-2.0
"""What runs by the clock: it is tried again after a failure, and ends quietly with the service."""

import asyncio

import pytest
from structlog.testing import capture_logs

from ledger.jobs import schedule
from ledger.log.errors import UnavailableError


class Roots:
    """Counts its calls; the first fails, the second never ends by itself."""

    def __init__(self) -> None:
        self.calls = 0
        self.hanging = asyncio.Event()

    async def commit_heads(self, apart: int) -> None:
        self.calls += 1
        if self.calls == 1:
            raise UnavailableError("the database cannot be reached", cause="nobody listens at db:5432")
        self.hanging.set()
        await asyncio.Event().wait()

    async def close_past_days(self) -> list[str]:
        return []


async def nothing() -> None:
    pass


def test_job_fails_runs_again_and_ends_with_the_service(caplog: pytest.LogCaptureFixture) -> None:
    async def live() -> int:
        roots = Roots()
        scheduler = schedule(roots, 0.05, nothing, nothing, 0.05)  # type: ignore[arg-type]
        scheduler.start()
        async with asyncio.timeout(20):
            await roots.hanging.wait()
        scheduler.shutdown(wait=False)
        for _ in range(5):
            await asyncio.sleep(0)
        return roots.calls

    with capture_logs() as logs:
        assert asyncio.run(live()) == 2
    assert [line["event"] for line in logs] == ["job_failed", "job_ended_early"]
    assert logs[0]["error"] == "the database cannot be reached: nobody listens at db:5432"
    assert not [record for record in caplog.records if record.exc_info]
