# SPDX-License-Identifier: Apache-2.0
"""One writing process per data directory, held by the operating system so that a killed process leaves no lock
behind.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from ledger.log.errors import ConfigurationError


class InUseError(ConfigurationError):
    """Another process writes to this data directory."""


class DirectoryLock:
    """An exclusive lock on `DIR/serve.lock`, from construction until `release`. Raises InUseError."""

    def __init__(self, directory: Path) -> None:
        try:
            self._descriptor = os.open(directory / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{directory} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise InUseError(f"another process serves {directory}; stop it first, or use another --data") from None

    def release(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
