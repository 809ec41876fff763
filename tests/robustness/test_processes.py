# SPDX-License-Identifier: Apache-2.0
"""Clients that race, hang up, dawdle or talk nonsense; and a second process on the same directory."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.commands.outcomes import WAIT_SECONDS, checked_sizes, done, refused
from tests.robustness.outside import listed
from tests.running import Service, event, eventually, run_ledger


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    secret: str = service.create_key(label="one of many")["key"]
    return secret


@contextmanager
def _connection(service: Service) -> Iterator[socket.socket]:
    address = httpx.URL(service.url)
    assert address.port is not None
    with socket.create_connection((address.host, address.port), WAIT_SECONDS) as connection:
        yield connection


def _request(key: str, body: bytes, length: int | None = None) -> bytes:
    """A report as bytes on the wire; `length` is what it claims to have."""
    return (
        f"POST /api/v1/events HTTP/1.1\r\nHost: ledger\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    ).encode() + body


def _body(*call_ids: str) -> bytes:
    return json.dumps({"events": [event(call_id) for call_id in call_ids]}).encode()


def _reset(connection: socket.socket) -> None:
    """Let go of a connection with a reset, as a process does that crashes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    response = b""
    while b"\r\n\r\n" not in response:
        received = connection.recv(65536)
        assert received, response
        response += received
    head, _, body = response.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


@pytest.mark.only_on("sqlite", why="several processes may serve a database: test_several.py")
def test_serve_second_process(service: Service) -> None:
    size = service.size()
    refused(run_ledger("serve", "--port", "0", data=service.settings), "another process serves")
    assert (service.data / "serve.sock").is_socket()
    assert service.size() == size


def test_same_call_by_fifty_clients(service: Service, key: str) -> None:
    """Whoever comes first, there is one entry, and every answer names it."""
    before, clients = service.size(), 50
    barrier = threading.Barrier(clients)

    def client(_: int) -> httpx.Response:
        with service.client(key, verify=False) as client:
            barrier.wait(WAIT_SECONDS)
            return client.post("/api/v1/events", json={"events": [event("everybody's")]})

    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(client, range(clients)))
    assert {answer.status_code for answer in answers} == {200}
    items = [answer.json()["items"][0] for answer in answers]
    assert len({(item["event_id"], item["leaf_index"]) for item in items}) == 1
    assert [item["duplicate"] for item in items].count(False) == 1
    assert service.size() == before + 1


def test_same_call_with_other_content_by_many_clients(service: Service, key: str) -> None:
    """Of twenty different contents for one call_id one is taken; the others learn where it is."""
    before, clients = service.size(), 20
    barrier = threading.Barrier(clients)

    def client(number: int) -> httpx.Response:
        with service.client(key, verify=False) as client:
            barrier.wait(WAIT_SECONDS)
            return client.post("/api/v1/events", json={"events": [event("contested", tool_name=f"tool-{number}")]})

    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(client, range(clients)))
    [taken] = [answer.json()["items"][0] for answer in answers if answer.status_code == 200]
    conflicts = [answer.json() for answer in answers if answer.status_code == 409]
    assert len(conflicts) == clients - 1
    # One that was decided in the same transaction may not know the index yet, but never names another.
    assert {conflict["event_id"] for conflict in conflicts if "event_id" in conflict} <= {taken["event_id"]}
    assert service.size() == before + 1


def test_client_gone_before_its_answer(service: Service, key: str) -> None:
    """Whether or not the request arrived before its sender was gone, sent again it is in the log once."""
    names = [f"unheard-{number}" for number in range(20)]
    for name in names:
        with _connection(service) as connection:
            connection.sendall(_request(key, _body(name)))
            _reset(connection)
    with service.client(key, verify=False) as client:
        answers = [client.post("/api/v1/events", content=_body(name)) for name in names]
        assert {answer.status_code for answer in answers} == {200}
        found = [call_id for call_id, _, _ in listed(client) if call_id.startswith("unheard-")]
    assert sorted(found) == sorted(names)


def test_client_gone_in_its_body(service: Service, key: str) -> None:
    """Half a body is nothing, though what came of it would be JSON."""
    before = service.size()
    for end in (_reset, socket.socket.close):
        with _connection(service) as connection:
            connection.sendall(_request(key, _body("half"), length=100_000))
            end(connection)
    with service.client(key, verify=False) as client:
        assert client.post("/api/v1/events", content=_body("whole")).status_code == 200
        assert not [call_id for call_id, _, _ in listed(client) if call_id == "half"]
    assert service.size() == before + 1


def test_slow_client_holds_up_nobody(service: Service, key: str) -> None:
    request = _request(key, _body("slow"))
    with _connection(service) as connection:
        for position in range(0, len(request), 40):
            connection.sendall(request[position : position + 40])
            with service.client(key, verify=False) as client:
                name = f"quick-{position}"
                assert client.post("/api/v1/events", content=_body(name)).json()["items"][0]["call_id"] == name
        status, answer = _answer(connection)
    assert (status, answer["accepted"]) == (200, 1)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 64 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # a TLS client
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/events HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/events HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000,
    ],
    ids=["nul", "tls", "version", "negative", "smuggled", "endless"],
)
def test_garbage_on_the_socket(service: Service, key: str, garbage: bytes) -> None:
    """The connection ends with a 4xx or without an answer, and the service goes on."""
    with _connection(service) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while received := connection.recv(65536):
                answer += received
        except ConnectionResetError:
            pass
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert service.process.poll() is None
    assert service.size() > 0


def test_many_idle_connections(service: Service, key: str) -> None:
    """Hundreds of connections that are kept open and used once each, while others are served."""
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(_connection(service)) for _ in range(300)]
        for number, connection in enumerate(connections[::10]):
            connection.sendall(_request(key, _body(f"idle-{number}")))
        assert {_answer(connection)[0] for connection in connections[::10]} == {200}
        with service.client(key, verify=False) as client:
            assert client.post("/api/v1/events", content=_body("beside the idle")).status_code == 200


def test_afterwards_all_is_well(service: Service) -> None:
    """Last in this file: after all of the above the log checks out, beside the service and after it."""
    size = service.size()
    assert checked_sizes(done(run_ledger("check", "--replay", data=service.settings)))[0] == size
    assert service.terminate() == 0
    eventually(lambda: not service.settings.socket.exists(), "the socket to go")
    assert checked_sizes(done(run_ledger("check", data=service.settings)))[0] == size
    assert "Traceback" not in service.log_path.read_text()
