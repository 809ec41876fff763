# SPDX-License-Identifier: Apache-2.0
"""One run of a benchmark: its options, the servers it starts, and how they take turns under the same load."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import TrustedKeys

from tests.bench import servers
from tests.bench.building import fill
from tests.bench.figures import Outcome
from tests.bench.ledgers import BenchLedger, PostgresLedger, SqliteLedger, serve
from tests.bench.load import Load, LoadError, Measured, run_load
from tests.bench.processes import Server, Usage, total_usage
from tests.postgres import PostgresServer

POST_PATH = "/api/v1/events?receipts=full"


@dataclass(frozen=True)
class Options:
    """What the command line says; see `__main__` for each."""

    store: str = "sqlite"
    runs: int = 5
    seconds: float = 3.0
    warmup: float = 0.5
    connections: int = 64
    batch_connections: int = 8
    entries: int = 1_000_000
    first_entries: int = 10_000
    larger: int = 0
    rows: int = 131_072
    folder: Path | None = None
    peer: str | None = None
    peer_path: str = "/"
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class Contender:
    """Something to put under load. `servers` are empty for a peer, whose processes are not ours to look at."""

    name: str
    targets: tuple[str, ...]
    path: str
    headers: dict[str, str]
    servers: tuple[Server, ...] = ()
    log_size: Callable[[], int] | None = None
    """Entries of its tenant's log; None where the answers are not ours, and have no receipts to verify."""

    @property
    def usage(self) -> Usage:
        return total_usage([server.process.pid for server in self.servers])


class Session:
    """Owns a folder and every process that it starts; all end with it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.outcome = Outcome()
        self._stack = ExitStack()
        self._turn = 0

    def __enter__(self) -> "Session":
        self._stack.__enter__()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir=self.options.folder)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    # What is measured

    @cached_property
    def postgres(self) -> PostgresServer:
        """A server of the run's own, every commit synced. Its files lie in the folder that was named, if one was: then
        what is kept there is found again.
        """
        kept = self.options.folder
        server = PostgresServer(None if kept is None else kept.resolve() / "postgres", fsync=True)
        self._stack.callback(server.close)
        return server

    def new_database(self, name: str) -> str:
        """An empty database in that server, which goes with the session. One of that name was left by a run that was
        killed.
        """
        self.postgres.drop_database(name)
        self._stack.callback(self.postgres.drop_database, name)
        return self.postgres.create_database(name)

    def new_ledger(self, name: str = "ledger") -> BenchLedger:
        """A ledger that goes with the session."""
        data = self.folder / name
        if self.options.store == "sqlite":
            return SqliteLedger(data)
        return PostgresLedger(self.postgres, self.new_database(f"bench_{name}"), data)

    def built_ledger(self, entries: int) -> BenchLedger:
        """A ledger with so many entries, from the cache where it is there."""
        data = (self.options.folder or self.folder).resolve() / f"{self.options.store}-{entries}"
        ledger: BenchLedger
        if self.options.store == "sqlite":
            ledger = SqliteLedger(data)
        else:
            name = f"built_{entries}"
            if not data.exists():
                self.postgres.drop_database(name)
                self.postgres.create_database(name)
            ledger = PostgresLedger(self.postgres, self.postgres.url(name), data)
        seconds = fill(ledger.settings, entries, self.options.say)
        self.outcome.remarks.append(f"{entries:,} entries were ready after {seconds:.1f} s")
        return ledger

    def service(self, ledger: BenchLedger, name: str = "service") -> Contender:
        server = self.start(serve(ledger, name))
        headers = {"authorization": f"Bearer {ledger.keys['owner_key']}"}
        return Contender(name, (server.target,), POST_PATH, headers, (server,), ledger.log_size)

    def null(self) -> Contender:
        data = self.folder / "null"
        data.mkdir()
        server = self.start(Server("null", "tests.bench.servers", "null", "--data", str(data)))
        headers = {"authorization": f"Bearer {servers.read_keys(data)['owner_key']}"}
        size = partial(_size_over_http, server.target, headers)
        return Contender("null", (server.target,), POST_PATH, headers, (server,), size)

    def echo(self) -> Contender:
        server = self.start(Server("echo", "tests.bench.servers", "echo"))
        return Contender("echo", (server.target,), "/", {}, (server,))

    def peers(self) -> list[Contender]:
        """The other server, where one was named."""
        if self.options.peer is None:
            return []
        url = urlsplit(self.options.peer)
        target = f"{url.hostname}:{url.port or 80}"
        return [Contender("peer", (target,), self.options.peer_path, {})]

    def start(self, server: Server) -> Server:
        self._stack.callback(server.stop)
        return server

    def stop_at_end(self, close: Callable[[], Any]) -> None:
        self._stack.callback(close)

    # Measuring

    def take_turns(
        self,
        contenders: Sequence[Contender],
        *,
        connections: int,
        batch: int = 1,
        also: Sequence[Callable[[], None]] = (),
    ) -> None:
        """Post to each in turn, again and again, after a first round that does not count. `also` takes turns with
        them.
        """
        for turn in range(self.options.runs + 1):
            for contender in contenders:
                self.post(contender, connections=connections, batch=batch, counts=turn > 0)
            for other in also:
                if turn > 0:
                    other()

    def post(self, contender: Contender, *, connections: int, batch: int = 1, counts: bool = True) -> Measured:
        """Post events to a contender for a while."""
        self._turn += 1
        load = Load(
            targets=contender.targets,
            connections=connections,
            headers=contender.headers,
            path=contender.path,
            run=f"{contender.name[:7]}{self._turn:05}",
            batch=batch,
            warmup=self.options.warmup,
            seconds=self.options.seconds,
        )
        before = contender.log_size() if contender.log_size else 0
        measured = self.run(contender, load, batch=batch, label=_label(contender.name, connections), counts=counts)
        if contender.log_size:
            check_answer(measured.sample, batch)
            if (grown := contender.log_size() - before) != measured.answered * batch:
                raise RuntimeError(f"{measured.answered * batch} events were answered, the log has {grown} more")
        return measured

    def run(self, contender: Contender, load: Load, *, label: str, batch: int = 1, counts: bool = True) -> Measured:
        """Put a contender under load and note what came of it."""
        before = contender.usage.cpu_seconds
        try:
            measured = run_load(load)
        except LoadError as error:
            raise LoadError(f"{label}: {error}") from error
        used = contender.usage
        if counts:
            add, events = self.outcome.add, measured.answered * batch
            add(f"{label}/rate", "requests/s" if batch == 1 else "events/s", measured.rate * batch)
            add(f"{label}/p50", "ms", measured.p50)
            add(f"{label}/p99", "ms", measured.p99)
            add(f"{label}/load cores", "cores", measured.cpu)
            if contender.servers:
                seconds = used.cpu_seconds - before
                add(f"{label}/cores", "cores", seconds / measured.lasted)
                # Of all figures the one that minds neighbours on the machine least.
                add(f"{label}/cost", "us", seconds / events * 1e6)
                add(f"{label}/memory", "MB", used.resident / 1e6)
        return measured


def _label(name: str, connections: int) -> str:
    return f"{name}, one connection" if connections == 1 else name


def _size_over_http(target: str, headers: dict[str, str]) -> int:
    with httpx.Client(base_url=f"http://{target}", headers=headers, verify=False) as client:
        size: int = client.get("/api/v1/transparency/head").raise_for_status().json()["tree_size"]
    return size


def check_answer(body: bytes, batch: int) -> None:
    """What was measured is what was meant: every event accepted, with a receipt that verifies."""
    answer = msgspec.json.decode(body, type=_Answer)
    if answer.accepted != batch or len(answer.receipts) != batch:
        raise RuntimeError(f"{answer.accepted} events were accepted with {len(answer.receipts)} receipts, want {batch}")
    verify_receipt(bytes(answer.receipts[-1]) + b"\n", TrustedKeys())


class _Answer(msgspec.Struct):
    accepted: int
    receipts: list[msgspec.Raw]
