# SPDX-License-Identifier: Apache-2.0
"""The load counts right, sends what it should, and takes nothing but a 200."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.bench.bodies import EVENT_BYTES, ID_BYTES, call_ids, event_text, get_requests, post_requests
from tests.bench.load import Load, LoadError, drive, run_load


class _Handler(BaseHTTPRequestHandler):
    """Answers a POST with what `answers` says, after noting its body."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self._answer(self.server.statuses.get(len(self.server.bodies), 200), b"y" * self.server.answer_bytes)

    def do_GET(self) -> None:
        self.server.bodies.append(self.path.encode())
        self._answer(200, b"y")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.statuses: dict[int, int] = {}
        self.answer_bytes = 10

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The load hangs up as soon as it has seen enough."""

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_event_has_its_length_and_four_arguments() -> None:
    text = event_text(b"x" * ID_BYTES)
    assert len(text) == EVENT_BYTES == 526
    assert len(json.loads(text)["payload"]["tool_args"]) == 4


@pytest.mark.parametrize("batch", [1, 3])
def test_requests_hold_as_many_events_as_asked_for_each_once(batch: int) -> None:
    requests = post_requests("h:1", "/p?q=1", {"a": "b"}, "run", batch)
    seen = []
    for _ in range(5):
        head, _, body = next(requests).partition(b"\r\n\r\n")
        assert head.startswith(b"POST /p?q=1 HTTP/1.1\r\nHost: h:1\r\n") and b"a: b" in head
        assert f"Content-Length: {len(body)}".encode() in head
        events = json.loads(body)["events"]
        assert len(events) == batch
        seen += [event["call_id"] for event in events]
    ids = call_ids("run")
    assert seen == [next(ids).decode() for _ in range(5 * batch)]
    assert len(set(seen)) == 5 * batch


def test_get_requests_go_round() -> None:
    requests = get_requests("h:1", ["/a", "/b"], {})
    assert [next(requests).split()[1] for _ in range(3)] == [b"/a", b"/b", b"/a"]


@pytest.mark.parametrize("connections", [1, 7])
def test_load_counts_every_request_once(server: _Server, connections: int) -> None:
    measured = drive(Load([server.target], connections=connections, requests=50, run="r"))
    # The first request goes before the clock starts.
    assert measured.answered == len(server.bodies) == 50 and measured.requests == 49
    assert len({json.loads(body)["events"][0]["call_id"] for body in server.bodies}) == 50
    assert 0 < measured.p50 <= measured.p99 <= measured.longest
    assert measured.rate == measured.requests / measured.seconds
    assert measured.sample == b"y" * 10


def test_load_of_some_seconds_counts_the_window_only(server: _Server) -> None:
    measured = drive(Load([server.target], connections=2, warmup=0.1, seconds=0.2, run="r"))
    assert measured.answered == len(server.bodies)
    assert 0 < measured.requests < measured.answered
    assert measured.seconds == 0.2 and measured.lasted >= 0.3


def test_load_reads_answers_and_sends_bodies_of_many_pieces(server: _Server) -> None:
    server.answer_bytes = 3_000_000
    measured = drive(Load([server.target], connections=3, requests=6, batch=2000, run="r"))
    assert measured.answered == 6 and measured.answer_bytes == 3_000_000
    assert 6 * 3_000_000 < measured.received < 6 * 3_001_000
    assert all(len(json.loads(body)["events"]) == 2000 for body in server.bodies)


def test_load_is_dealt_out_to_all_targets(server: _Server) -> None:
    with _Server() as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        drive(Load([server.target, other.target], connections=4, requests=40, run="r"))
        other.shutdown()
        thread.join()
    assert server.bodies and other.bodies and len(server.bodies) + len(other.bodies) == 40


@pytest.mark.parametrize("status", [201, 404, 409, 503])
@pytest.mark.parametrize("number", [1, 20])
def test_any_answer_but_200_fails_the_run(server: _Server, status: int, number: int) -> None:
    server.statuses[number] = status
    with pytest.raises(LoadError, match=f"not 200: HTTP/1.1 {status}"):
        drive(Load([server.target], connections=2, requests=50, run="r"))


def test_a_server_that_is_not_there_fails_the_run() -> None:
    with _Server() as gone:
        target = gone.target
    with pytest.raises(LoadError, match="connection failed"):
        drive(Load([target], connections=1, requests=1, run="r"))


def test_load_of_its_own_process_tells_the_same(server: _Server) -> None:
    measured = run_load(Load([server.target], connections=2, requests=20, paths=["/a", "/b"]))
    assert measured.answered == 20 and sorted(set(server.bodies)) == [b"/a", b"/b"]
    assert measured.sample == b"y"
    server.statuses[21] = 500
    with pytest.raises(LoadError, match="not 200"):
        run_load(Load([server.target], connections=2, requests=20, run="r"))
