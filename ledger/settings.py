# SPDX-License-Identifier: Apache-2.0
"""Configuration: one frozen value, made at the edge and passed in. Nothing reads the environment later."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path
    """Directory with the database, the keystore, the master key and the socket."""

    database_url: str | None = field(default=None, repr=False)
    """PostgreSQL database of the log; None keeps it in `data/ledger.db`."""

    keystore_url: str | None = field(default=None, repr=False)
    """PostgreSQL database of the data keys, another one than the log's; None keeps them in `data/keystore.db`."""

    exports: Path | None = None
    """Directory of exports until they are fetched; shared storage when several hosts serve. None is `data/exports`."""

    master_key: str | None = field(default=None, repr=False)
    """Base64 of the master key; None reads it from a file."""

    master_key_path: Path | None = None
    """File of the master key; None is `data/master.key`."""

    guard: Path | None = None
    """Directory of the rollback guard (log/guard.py), outside of data directory, database and their backups; shared
    storage when several hosts serve one database. None is for reading only.
    """

    host: str = "127.0.0.1"
    port: int = 8000

    root_interval: float = 10.0
    """Seconds between commitments of changed heads to the root log."""

    max_queued: int = 20_000
    """Events that may wait for a transaction. Beyond that, callers get 503 and nothing is taken."""

    rate: float = 0.0
    """Requests, and events in them, that a key may send per second to each process; 0 is no limit."""

    burst: int = 0
    """How many of them may come at once after a pause; 0 is as many as in ten seconds."""

    stranger_rate: float = 20.0
    """Requests without a live key per second from one address, ten times as many at once; 0 is no limit."""

    max_connections: int = 4096
    """Open connections. Whoever comes beyond that is told so with a 503; the operator's socket is always open."""

    max_streams: int = 256
    """Event streams that are open at once. Whoever comes beyond that is told so with a 503."""

    heartbeat: float = 15.0
    """Seconds after which an event stream that is silent says that it is there."""

    request_timeout: float = 20.0
    """Seconds a client may take to send the head of a request, and to get on with a body or with an answer."""

    idle_timeout: float = 75.0
    """Seconds a connection is kept between requests."""

    key_headers: tuple[str, ...] = ("X-API-Key", "X-Agent-Token")
    """Headers that may carry a credential besides Authorization. Add a vendor's names to stay compatible."""

    agent_headers: tuple[str, ...] = ("X-Agent-Id",)
    """Headers that name the agent for whom somebody acts."""

    tenant_headers: tuple[str, ...] = ("X-Tenant-Id",)
    """Headers that name the tenant, which must be the credential's."""

    login_attempts: int = 10
    """Attempts to log in from one address in five minutes; 0 is no limit."""

    password_memory: int = 64 << 10
    """KiB of memory that one guess at a password costs (argon2id)."""

    password_passes: int = 3
    """Passes over it."""

    tally_interval: float = 10.0
    """Seconds between entries that say how often somebody was refused; without an entry for each nobody fills a log."""

    proxies: tuple[str, ...] = ()
    """Addresses or networks of the proxies before the service: what they say of their callers' addresses is believed.
    """

    cors_origins: tuple[str, ...] = ()
    """Web origins that may call the API from a browser."""

    access_log: bool = False
    """Log a line per request; paths without read tokens, never a query or a body."""

    @property
    def shared(self) -> bool:
        """Whether several processes may serve this ledger."""
        return self.database_url is not None

    @property
    def where(self) -> str:
        """The ledger's place, to be shown: of a URL neither user nor password."""
        return str(self.data) if self.database_url is None else _without_secrets(self.database_url)

    @property
    def database(self) -> Path:
        return self.data / "ledger.db"

    @property
    def keystore(self) -> Path:
        return self.data / "keystore.db"

    @property
    def elsewhere(self) -> str | None:
        """What to say when the data directory has data keys and no ledger: that one is elsewhere."""
        if self.shared or self.database.exists() or not self.keystore.exists():
            return None
        return (
            f"no ledger in {self.data}, only the keys of one: name its database with --database-url, or restore it "
            "from a backup"
        )

    @property
    def master_key_file(self) -> Path:
        return self.master_key_path or self.data / "master.key"

    @property
    def spool(self) -> Path:
        return self.exports or self.data / "exports"

    @property
    def socket(self) -> Path:
        return self.data / "serve.sock"

    @property
    def verifier(self) -> Path:
        return self.data / "ledger-verify.pyz"


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        # As of brackets that enclose no address. What is wrong with it says who tries to connect.
        return "PostgreSQL"
    host = parts.netloc.rpartition("@")[2]
    return f"PostgreSQL {host}{parts.path}" if parts.scheme else "PostgreSQL"
