# SPDX-License-Identifier: Apache-2.0
"""The load: a process that keeps N connections busy, one request at a time on each, and measures.

    python -m tests.bench.load < spec.json > measured.json

Sockets and epoll without anything between, so that it is never the limit: what it takes of a core is among its
results. Of an answer it reads the status and the Content-Length; the first answer of a run is kept whole, for whoever
wants to see that something sensible was measured. Any status but 200, and any connection that closes, ends the run.
"""

import base64
import json
import resource
import select
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.bodies import get_requests, post_requests

RECEIVE_BYTES = 1 << 18
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Load:
    """What to send, and how. With `requests` the run ends after so many, else after `seconds`."""

    targets: Sequence[str]
    """`host:port` of each server; connections are dealt out to them in turn."""
    connections: int = 64
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/"
    run: str = ""
    """Name of the run, part of every call_id."""
    batch: int = 1
    """Events a POST."""
    paths: Sequence[str] = ()
    """What to GET, instead of posting events."""
    warmup: float = 0.5
    seconds: float = 3.0
    requests: int | None = None


@dataclass(frozen=True)
class Measured:
    """One run. Latencies are milliseconds; `cpu` is what the load itself took of a core.

    `requests`, `seconds` and `rate` are of the measured window, `answered`, `received` (bytes) and `lasted` of the
    warm-up too.
    """

    requests: int
    answered: int
    received: int
    seconds: float
    lasted: float
    rate: float
    p50: float
    p99: float
    longest: float
    cpu: float
    answer_bytes: int
    sample: bytes


class LoadError(Exception):
    """The run measured nothing: an answer was not 200, or a connection was lost."""


class Connection:
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("head", "missing", "out", "received", "sent_at", "socket")

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = b""
        self.missing = -1
        """Bytes of the body that are still to come, -1 before the head is complete."""
        self.out = memoryview(b"")
        self.sent_at = 0.0
        self.received = 0

    def exchange(self, request: bytes) -> bytes:
        """Send and wait for the body of the answer; not under load. Raises LoadError."""
        self.socket.sendall(request)
        received = b""
        while not self.receive(chunk := self.socket.recv(RECEIVE_BYTES)):
            received += chunk
        return (received + chunk).partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        self.socket.close()

    def receive(self, data: bytes) -> bool:
        """Take in what arrived; True when the answer is complete. Raises LoadError."""
        self.received += len(data)
        if not data:
            raise LoadError("the server closed a connection")
        if self.missing < 0:
            if self.head:
                data = self.head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.head = data
                return False
            self.head = b""
            if data[9:12] != b"200":
                raise LoadError(f"an answer is not 200: {(data + self._rest()).decode('latin-1')}")
            self.missing = _length(data[:end]) - (len(data) - end - 4)
        else:
            self.missing -= len(data)
        if self.missing > 0:
            return False
        if self.missing < 0:
            raise LoadError("an answer is longer than its Content-Length")
        self.missing = -1
        return True

    def _rest(self) -> bytes:
        """What else arrives soon, of an answer that ends the run: mostly the reason."""
        self.socket.settimeout(1)
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except OSError:
            return b""

    def send(self, request: bytes) -> bool:
        """Begin a request; True when the socket took all of it."""
        self.sent_at = time.perf_counter()
        self.out = memoryview(request)
        return self.flush()

    def flush(self) -> bool:
        try:
            while self.out:
                self.out = self.out[self.socket.send(self.out) :]
        except BlockingIOError:
            return False
        return True


def _length(head: bytes) -> int:
    """The Content-Length of an answer. Raises LoadError when it has none."""
    head = head.lower()
    start = head.find(b"content-length:")
    if start < 0:
        raise LoadError("an answer has no Content-Length")
    return int(head[start + 15 :].split(b"\r\n", 1)[0])


def drive(load: Load) -> Measured:
    """Run the load in this process. Raises LoadError."""
    connections: list[Connection] = []
    try:
        for number in range(load.connections):
            connections.append(Connection(load.targets[number % len(load.targets)]))
        return _drive(load, connections)
    except OSError as error:
        raise LoadError(f"a connection failed: {error}") from error
    finally:
        for connection in connections:
            connection.close()


def _drive(load: Load, connections: list[Connection]) -> Measured:
    requests = _requests(load)
    sample = connections[0].exchange(next(requests))
    poll = select.epoll()
    by_number = {connection.socket.fileno(): connection for connection in connections}
    latencies = array("d")
    before = _cpu()
    started = time.perf_counter()
    first = started + (load.warmup if load.requests is None else 0)
    last = first + load.seconds if load.requests is None else float("inf")
    left = -1 if load.requests is None else load.requests - 1
    for number, connection in by_number.items():
        connection.socket.setblocking(False)
        poll.register(number, select.EPOLLIN)
    busy = 0
    for number, connection in by_number.items():
        if left != 0:
            left -= 1
            busy += 1
            if not connection.send(next(requests)):
                poll.modify(number, select.EPOLLIN | select.EPOLLOUT)
    now, answered = started, 1
    while busy:
        ready = poll.poll(PATIENCE_SECONDS)
        if not ready:
            raise LoadError(f"no answer for {PATIENCE_SECONDS} s")
        for number, mask in ready:
            connection = by_number[number]
            if mask & select.EPOLLOUT and connection.flush():
                poll.modify(number, select.EPOLLIN)
            if not mask & ~select.EPOLLOUT:
                continue
            data = connection.socket.recv(RECEIVE_BYTES)
            if not connection.receive(data):
                continue
            answered += 1
            now = time.perf_counter()
            if first <= now < last:
                latencies.append(now - connection.sent_at)
            if now < last and left != 0:
                left -= 1
                if not connection.send(next(requests)):
                    poll.modify(number, select.EPOLLIN | select.EPOLLOUT)
            else:
                busy -= 1
    poll.close()
    lasted = now - started
    seconds = load.seconds if load.requests is None else lasted
    received = sum(connection.received for connection in connections)
    return _measured(latencies, answered, received, seconds, lasted, (_cpu() - before) / lasted, sample)


def _measured(
    latencies: "array[float]",
    answered: int,
    received: int,
    seconds: float,
    lasted: float,
    cpu: float,
    sample: bytes,
) -> Measured:
    if not latencies:
        raise LoadError("not one request was answered within the run")
    ordered = sorted(latencies)
    return Measured(
        requests=len(ordered),
        answered=answered,
        received=received,
        seconds=seconds,
        lasted=lasted,
        rate=len(ordered) / seconds,
        p50=ordered[len(ordered) // 2] * 1000,
        p99=ordered[len(ordered) * 99 // 100] * 1000,
        longest=ordered[-1] * 1000,
        cpu=cpu,
        answer_bytes=len(sample),
        sample=sample,
    )


def _requests(load: Load) -> Iterator[bytes]:
    if load.paths:
        return get_requests(load.targets[0], list(load.paths), load.headers)
    return post_requests(load.targets[0], load.path, load.headers, load.run, load.batch)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run_load(load: Load) -> Measured:
    """Run the load in a process of its own. Raises LoadError."""
    limit = 3 * PATIENCE_SECONDS + load.warmup + load.seconds + (load.requests or 0) / 10
    command = [sys.executable, "-m", "tests.bench.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True, timeout=limit)
    if done.returncode != 0:
        raise LoadError(done.stderr.strip() or f"the load ended with {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout)
    return Measured(**told | {"sample": base64.b64decode(told["sample"])})


def main() -> int:
    try:
        measured = drive(Load(**json.load(sys.stdin)))
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(asdict(measured) | {"sample": base64.b64encode(measured.sample).decode()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
