# SPDX-License-Identifier: Apache-2.0
"""What the routes work with, put together by `ledger/app.py` and handed to every handler as `service`."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.log.ledger import Ledger
from ledger.log.roots import RootLog
from ledger.web.access import Access


@dataclass(frozen=True, slots=True)
class Service:
    ledger: Ledger
    access: Access
    roots: RootLog
    verifier: Path
    ready: Callable[[], str | None]
    started: float = field(default_factory=time.monotonic)
