# SPDX-License-Identifier: Apache-2.0
"""Who may write to a ledger. Apart from what opens one, since a command beside a service only asks who has it."""

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.log.errors import ConfigurationError
from ledger.log.lock import DirectoryLock
from ledger.settings import Settings


@contextmanager
def sole_writer(settings: Settings) -> Iterator[None]:
    """Hold a data directory for writing. Raises ConfigurationError when there is no ledger in it, InUseError when
    another process has it.

    In PostgreSQL several processes may write; what they do is put in order there.
    """
    if settings.shared:
        yield
        return
    if not settings.database.exists():
        missing = f"no ledger in {settings.data}: run `ledger init --data {settings.data}` first"
        raise ConfigurationError(settings.elsewhere or missing)
    with DirectoryLock(settings.data):
        yield
