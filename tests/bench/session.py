# SPDX-License-Identifier: Apache-2.0
"""One run of a benchmark: its options, the servers it starts, and how they take turns under the same load."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import TrustedKeys

from tests.bench import servers
from tests.bench.figures import Outcome
from tests.bench.ledgers import BenchLedger, SqliteLedger
from tests.bench.load import Load, Measured, run_load
from tests.bench.processes import Server, Usage, total_usage

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
    receipts: bool = False
    """Whether its answers are ours, with receipts that can be verified."""

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

    def ledger(self, name: str = "ledger") -> BenchLedger:
        """A new ledger on the store that was asked for."""
        return self.ledger_at(self.folder / name)

    def ledger_at(self, data: Path) -> BenchLedger:
        if self.options.store == "sqlite":
            return SqliteLedger(data)
        raise ValueError(f"no ledger is kept on {self.options.store}")

    def service(self, ledger: BenchLedger, name: str = "service") -> Contender:
        return self._ours(name, self.start(ledger.serve(name)), ledger.keys["owner_key"])

    def null(self) -> Contender:
        data = self.folder / "null"
        data.mkdir()
        server = self.start(Server("null", "tests.bench.servers", "null", "--data", str(data)))
        return self._ours("null", server, servers.read_keys(data)["owner_key"])

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

    @staticmethod
    def _ours(name: str, server: Server, key: str) -> Contender:
        headers = {"authorization": f"Bearer {key}"}
        return Contender(name, (server.target,), POST_PATH, headers, (server,), receipts=True)

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
        answered = dict.fromkeys((contender.name for contender in contenders), 0)
        sizes = {contender.name: log_size(contender) for contender in contenders if contender.receipts}
        for turn in range(self.options.runs + 1):
            for contender in contenders:
                measured = self.post(contender, connections=connections, batch=batch, counts=turn > 0)
                answered[contender.name] += measured.answered * batch
            for other in also:
                if turn > 0:
                    other()
        for contender in contenders:
            if contender.receipts and log_size(contender) - sizes[contender.name] != answered[contender.name]:
                raise RuntimeError(f"{contender.name} answered {answered[contender.name]} events, its log has others")

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
        measured = self.run(contender, load, batch=batch, label=_label(contender.name, connections), counts=counts)
        if contender.receipts:
            check_answer(measured.sample, batch)
        return measured

    def run(self, contender: Contender, load: Load, *, label: str, batch: int = 1, counts: bool = True) -> Measured:
        """Put a contender under load and note what came of it."""
        before = contender.usage.cpu_seconds
        measured = run_load(load)
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


def log_size(contender: Contender) -> int:
    """Entries of the tenant's log."""
    client = httpx.Client(base_url=f"http://{contender.targets[0]}", headers=contender.headers, verify=False)
    with client:
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
