# SPDX-License-Identifier: Apache-2.0
"""`ledger serve`: how it starts, what it refuses, how it stops."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.commands.outcomes import WAIT_SECONDS, checked_sizes, done, misused, post, refused
from tests.ledgers import Ledger, Room
from tests.running import Service, environment, event, eventually, run_ledger, variables


def test_serve_without_ledger(tmp_path: Path) -> None:
    data = tmp_path / "none"
    refused(run_ledger("serve", "--port", "0", data=data), f"run `ledger init --data {data}` first")
    assert not data.exists()


@pytest.mark.only_on("postgres", why="a data directory without a database URL has no other place for a ledger")
def test_serve_database_without_ledger(room: Room) -> None:
    place = room.new()
    refused(run_ledger("serve", "--port", "0", data=place), "run `ledger init` first")
    assert not place.data.exists()


@pytest.mark.only_on("sqlite", why="several processes may serve a database")
def test_serve_twice(service: Service) -> None:
    refused(run_ledger("serve", "--port", "0", data=service.settings), "another process serves", str(service.data))
    assert service.size() >= 3


@pytest.mark.only_on("postgres", why="a data directory is served by one process")
def test_serve_twice_from_one_database(service: Service) -> None:
    """Both answer, each for what the other took, and the second one's end is no concern of the first."""
    key = service.create_key()["key"]
    with Service(service.settings, service.keys, log_name="second.stderr") as second:
        for number, taker in enumerate((service, second, service)):
            [item] = post(taker, key, f"of-two-{number}")
            for asked in (service, second):
                with asked.client(key) as client:
                    assert client.get(f"/api/v1/receipts/{item['event_id']}").status_code == 200
    assert post(service, key, "of-two-1") == [item | {"duplicate": True} for item in post(service, key, "of-two-1")]


def test_serve_port_in_use(fresh_ledger: Ledger) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_ledger("serve", "--port", str(port), data=fresh_ledger[0])
    refused(result, f"cannot listen on 127.0.0.1:{port}", "Address already in use")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stopped_as_soon_as_it_says_so(fresh_ledger: Ledger, number: signal.Signals) -> None:
    """A supervisor may stop a service the moment it has started; the signal must not get lost."""
    service = Service(*fresh_ledger)
    service.process.send_signal(number)
    assert service.process.wait(WAIT_SECONDS) == 0
    assert not service.settings.socket.exists()


class _Request:
    """A report of which the service has the headers and waits for the body."""

    def __init__(self, service: Service, key: str, call_id: str) -> None:
        address = httpx.URL(service.url)
        self._body = json.dumps({"events": [event(call_id)]}).encode()
        self._connection = socket.create_connection((address.host, address.port), WAIT_SECONDS)
        head = (
            f"POST /api/v1/events HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Length: {len(self._body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self._connection.sendall(head.encode())
        assert self._connection.recv(100).startswith(b"HTTP/1.1 100 ")

    def finish(self) -> bytes:
        """Send the body; the whole answer, which ends when the service closes the connection."""
        self._connection.sendall(self._body)
        with self._connection, self._connection.makefile("rb") as answer:
            return answer.read()


def test_serve_answers_what_it_took_before_it_stops(fresh_ledger: Ledger) -> None:
    service = Service(*fresh_ledger)
    key = service.create_key()["key"]
    before = service.size()
    requests = [_Request(service, key, f"late-{number}") for number in range(4)]
    service.process.send_signal(signal.SIGTERM)

    def gone() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", httpx.URL(service.url).port)):
            return False
        return True

    eventually(gone, "the service to take no more connections")
    answers = [request.finish() for request in requests]
    assert service.process.wait(WAIT_SECONDS) == 0
    items = []
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:300]
        items += json.loads(answer.partition(b"\r\n\r\n")[2])["items"]
    assert sorted(item["leaf_index"] for item in items) == list(range(before, before + 4))
    assert checked_sizes(done(run_ledger("check", "--replay", data=service.settings)))[0] == before + 4


def test_serve_after_kill(fresh_ledger: Ledger) -> None:
    """A killed service on SQLite leaves its socket behind; the next one takes it over, and so do the commands."""
    service = Service(*fresh_ledger)
    key = service.create_key()["key"]
    [item] = post(service, key, "before")
    assert service.kill() == -signal.SIGKILL
    assert service.settings.socket.is_socket() == (not service.settings.shared)
    assert "agent" in done(run_ledger("keys", "list", data=service.settings))
    service.start()
    with service:
        assert post(service, key, "before") == [item | {"duplicate": True}]
        assert "agent" in done(run_ledger("keys", "list", data=service.settings))


def test_serve_flags_of_environment(fresh_ledger: Ledger) -> None:
    place, keys = fresh_ledger
    settings = variables(place) | {
        "LEDGER_HOST": "127.0.0.2",
        "LEDGER_PORT": "0",
        "LEDGER_ROOT_INTERVAL": "0.05",
        "LEDGER_MAX_QUEUED": "77",
        "LEDGER_KEY_HEADER": "X-Vendor-Key X-Other-Key",
        "LEDGER_CORS_ORIGIN": "https://console.example.com",
        "LEDGER_ACCESS_LOG": "1",
    }
    command = [sys.executable, "-m", "ledger", "serve"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(**settings))
    try:
        assert process.stderr is not None
        url = process.stderr.readline().rsplit(" on ", 1)[1].strip()
        assert url.startswith("http://127.0.0.2:")
        headers = {"X-Other-Key": keys["owner_key"], "Origin": "https://console.example.com"}
        answer = httpx.get(f"{url}/api/v1/transparency/head", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["access-control-allow-origin"] == "https://console.example.com"
        line = json.loads(process.stderr.readline())
        assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/transparency/head", 200)
    finally:
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0


def test_serve_flag_of_environment_impossible(fresh_ledger: Ledger) -> None:
    misused(run_ledger("serve", data=fresh_ledger[0], LEDGER_ROOT_INTERVAL="never"), "--root-interval")


def test_serve_writes_on_when_nobody_reads_its_log(fresh_ledger: Ledger) -> None:
    """Lines of the log may be lost, as when a pipe breaks; requests may not."""
    place, keys = fresh_ledger
    command = [sys.executable, "-m", "ledger", "serve", "--port", "0", "--access-log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(**variables(place)))
    try:
        assert process.stderr is not None
        url = process.stderr.readline().rsplit(" on ", 1)[1].strip()
        process.stderr.close()
        headers = {"authorization": f"Bearer {keys['owner_key']}"}
        with httpx.Client(base_url=url, headers=headers) as client:
            for number in range(3):
                answer = client.post("/api/v1/events", json={"events": [event(f"unheard-{number}")]})
                assert answer.status_code == 200, answer.text
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
    assert checked_sizes(done(run_ledger("check", data=place)))[0] == 6
