# SPDX-License-Identifier: Apache-2.0
"""Configuration: one frozen value, made at the edge and passed in. Nothing reads the environment later."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path
    """Directory with the database, the keystore, the master key and the socket."""

    master_key: str | None = field(default=None, repr=False)
    """Base64 of the master key; None reads it from `data/master.key`."""

    host: str = "127.0.0.1"
    port: int = 8000

    root_interval: float = 10.0
    """Seconds between commitments of changed heads to the root log."""

    max_queued: int = 20_000
    """Events that may wait for a transaction. Beyond that, callers get 503 and nothing is taken."""

    key_headers: tuple[str, ...] = ("X-API-Key", "X-Agent-Token")
    """Headers that may carry a credential besides Authorization. Add a vendor's names to stay compatible."""

    cors_origins: tuple[str, ...] = ()
    """Web origins that may call the API from a browser."""

    access_log: bool = False
    """Log a line per request; paths without read tokens, never a query or a body."""

    @property
    def database(self) -> Path:
        return self.data / "ledger.db"

    @property
    def keystore(self) -> Path:
        return self.data / "keystore.db"

    @property
    def master_key_file(self) -> Path:
        return self.data / "master.key"

    @property
    def socket(self) -> Path:
        return self.data / "serve.sock"

    @property
    def verifier(self) -> Path:
        return self.data / "ledger-verify.pyz"
