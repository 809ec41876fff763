# SPDX-License-Identifier: Apache-2.0
"""HTTP byte by byte: a connection whose other end does whatever a test wants, and the answers that came back."""

import json
import socket
import time
from types import TracebackType
from typing import Any, NamedTuple

import httpx
import psutil

from tests.running import Service

WAIT_SECONDS = 30
MEBIBYTE = 1 << 20
LEFT_OVER = 30 * MEBIBYTE
"""By how much the memory of a process may differ without any reason."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["x-request-id"]
        code: str = problem["code"]
        return code


def request(method: str = "GET", target: str | bytes = "/health", body: bytes = b"", **fields: str | bytes) -> bytes:
    """A request's bytes. `content_type="…"` among the fields is the header Content-Type."""
    lines = [b" ".join([method.encode(), _bytes(target), b"HTTP/1.1"]), b"Host: ledger.test"]
    lines += [name.replace("_", "-").encode() + b": " + _bytes(value) for name, value in fields.items()]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


class Wire:
    """A connection to a service."""

    def __init__(self, service: Service) -> None:
        address = httpx.URL(service.url)
        self._socket = socket.create_connection((address.host, address.port), WAIT_SECONDS)
        self._read = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_until_refused(self, data: bytes, most: int) -> int:
        """Send `data` again and again, until the other side takes no more or `most` bytes went out; how many did."""
        sent = 0
        try:
            while sent < most:
                self._socket.sendall(data)
                sent += len(data)
        except OSError:
            pass
        return sent

    def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer; `bodiless` when it answers a HEAD."""
        while b"\r\n\r\n" not in self._read:
            self._receive()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        while len(self._read) < length:
            self._receive()
        body, self._read = self._read[:length], self._read[length:]
        return Answer(int(status.split(" ")[1]), headers, body)

    def answers(self) -> list[Answer]:
        """All answers until the service closes the connection."""
        found = []
        while True:
            try:
                found.append(self.answer())
            except EOFError:
                return found

    def seconds_until_closed(self) -> float:
        """How long the service goes on to keep this connection, whatever it says until then."""
        begin = time.monotonic()
        try:
            while self._socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return time.monotonic() - begin

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError as error:
            raise EOFError from error
        if not data:
            assert not self._read, f"cut off within an answer: {self._read[:200]!r}"
            raise EOFError
        self._read += data

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def ask(service: Service, *parts: bytes) -> list[Answer]:
    """All answers to these bytes on a connection of their own, the last of which must end it."""
    with Wire(service) as wire:
        for part in parts:
            wire.send(part)
        return wire.answers()


def process_of(service: Service) -> Any:
    return psutil.Process(service.process.pid)


def is_open(service: Service, port: int) -> bool:
    """Whether the service still has a connection from this port."""
    return any(c.raddr and c.raddr.port == port for c in process_of(service).net_connections("tcp"))


def complaints(service: Service) -> list[str]:
    """Lines that the service wrote since it began to serve and that are no mere information: none, unless something
    failed, or a timed job was late.
    """
    lines = service.log_path.read_text().splitlines()
    late = ("Run time of job", "Execution of")
    return [
        line for line in lines if "serving" not in line and '"level": "info"' not in line and not line.startswith(late)
    ]
