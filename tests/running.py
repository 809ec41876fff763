# SPDX-License-Identifier: Apache-2.0
"""A ledger as its users meet it: commands as processes, a service on a free port, HTTP from outside."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from ledger.settings import Settings
from tests.forked import Forked, run_forked

START_SECONDS = 30

CHEAP_LOGINS = (
    "--password-memory", "64", "--password-passes", "1", "--login-attempts", "0", "--tally-interval", "3600",
)  # fmt: skip
"""Flags of a service where people log in all the time: a guess at a password costs little, and any number is taken.
What was refused is no entry before the service ends, so that the size of a log says what a request wrote.
"""

Place = Settings | Path
"""Where a ledger is: a data directory alone, or one that goes with a database."""

_Result = TypeVar("_Result")


# Where the guards of ledgers lie that a test makes and never copies; gone when the tests are.
_STATE = tempfile.TemporaryDirectory(prefix="ledger-state-")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without any setting of a ledger, and with a state directory of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    return kept | {"XDG_STATE_HOME": _STATE.name} | extra


def guarded(data: Path) -> dict[str, str]:
    """The setting by which a copied ledger has its guard copied with it, and each copy one of its own."""
    return {"LEDGER_GUARD": str(data / "guard")}


def settings_of(place: Place) -> Settings:
    return Settings(place, guard=place / "guard") if isinstance(place, Path) else place


def variables(place: Place) -> dict[str, str]:
    """The environment variables that tell a command where its ledger is."""
    settings = settings_of(place)
    told = {
        "LEDGER_DATA": settings.data,
        "LEDGER_GUARD": settings.guard,
        "LEDGER_DATABASE_URL": settings.database_url,
        "LEDGER_KEYSTORE_URL": settings.keystore_url,
        "LEDGER_MASTER_KEY_FILE": settings.master_key_path,
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def run_ledger(*arguments: str, data: Place | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the result has exit code, stdout and stderr."""
    told = environment(**(extra if data is None else variables(data) | extra))
    return run_forked("ledger", arguments, told, 120)


def run_verifier(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ledger-verify as a separate program."""
    command = [sys.executable, "-m", "ledger_verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Service:
    """`ledger serve` as a process. `keys` is what `ledger init` printed."""

    def __init__(self, place: Place, keys: dict[str, str], *flags: str, log_name: str | None = None) -> None:
        self.settings = settings_of(place)
        self.keys = keys
        self.log_path = self.data.with_name(log_name or f"{self.data.name}.stderr")
        self._flags = flags
        self.start()

    @property
    def data(self) -> Path:
        return self.settings.data

    def start(self) -> None:
        self._log = self.log_path.open("ab")
        begin = self._log.tell()
        told = environment(**variables(self.settings))
        self.process = Forked("ledger", ["serve", "--port", "0", *self._flags], told, 1, self._log.fileno())
        self.url = self._read_url(begin)

    def _read_url(self, begin: int) -> str:
        """The address that the service prints once it listens."""
        with self.log_path.open() as log:
            log.seek(begin)
            line = ""
            while self.process.poll() is None:
                line += log.readline()
                if line.endswith("\n") and " on http" in line:
                    return line.rsplit(" on ", 1)[1].strip()
                # What is waited for needs the processor more than this does.
                time.sleep(0.005)
            raise AssertionError(f"the service ended with {self.process.returncode}: {line}{log.read()}")

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """A client with the owner's key, or another one; `key=""` sends none."""
        secret = self.keys["owner_key"] if key is None else key
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        # Without TLS there is nothing to verify, and making the context for it is what takes the time.
        settings = {"timeout": 60, "verify": False} | options
        return httpx.Client(base_url=self.url, headers=headers, **settings)

    def create_key(self, **wanted: Any) -> dict[str, Any]:
        body = {"env": "production", "label": "a test", "role": "agent"} | wanted
        with self.client() as client:
            created: dict[str, Any] = client.post("/api/v1/keys", json=body).raise_for_status().json()
        return created

    def size(self) -> int:
        """Entries in the tenant's log."""
        with self.client() as client:
            size: int = client.get("/api/v1/transparency/head").raise_for_status().json()["tree_size"]
        return size

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> int:
        self.process.kill()
        return self._wait()

    def _wait(self) -> int:
        code = self.process.wait(START_SECONDS)
        self._log.close()
        return code

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.terminate()


def eventually(probe: Callable[[], _Result | None], what: str = "it", seconds: float = 20) -> _Result:
    """The first result of `probe` that is not None or False; it is asked again until then, for a bounded time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := probe():
            return result
        time.sleep(0.005)
    raise AssertionError(f"waited {seconds} s for {what}")


def event(call_id: str, **changes: Any) -> dict[str, Any]:
    """An event body as an agent reports it. `payload` among the changes replaces members of the payload."""
    payload = {"tool_args": {"amount": 98.7, "recipient": "GB123"}, "principal": {"user_id": "ada"}}
    body = {
        "call_id": call_id,
        "agent_id": "payments-agent",
        "tool_name": "send_money",
        "verdict": "allow",
        "mode": "enforce",
        "timestamp": "2026-03-01T12:00:00Z",
        "payload": payload | changes.pop("payload", {}),
    }
    return body | changes


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())
