# SPDX-License-Identifier: Apache-2.0
"""Clients that take their time: each is cut off after a bounded one, holds nothing until then, and bothers nobody."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from tests.commands.outcomes import WAIT_SECONDS
from tests.ledgers import Ledger, Room
from tests.running import Service, event, eventually
from tests.web.asking import API
from tests.web.wire import LEFT_OVER, MEBIBYTE, Wire, complaints, is_open, process_of, request

EVENTS = f"{API}/events"
PATIENCE = 1.0
IDLE = 2.0
SLACK = 10.0
"""How much later than promised a busy machine may be."""
LARGE = "/docs/assets/swagger-ui-bundle.js"

pytestmark = pytest.mark.any_store(why="no store is asked while somebody dawdles")


@pytest.fixture(scope="module")
def service(template_ledger: Ledger, module_room: Room) -> Iterator[Service]:
    """A service with little patience."""
    source, keys = template_ledger
    flags = ("--request-timeout", str(PATIENCE), "--idle-timeout", str(IDLE))
    with Service(module_room.copy(source), keys, *flags) as running:
        yield running
        assert complaints(running) == []


def trickle(wire: Wire, data: bytes, pause: float) -> None:
    """Send byte after byte, until the other side takes no more."""
    for byte in data:
        try:
            wire.send(bytes([byte]))
        except OSError:
            return
        time.sleep(pause)


# ---------------------------------------------------------------------------------------------------------------- heads


def test_connection_that_says_nothing_is_closed(service: Service) -> None:
    with Wire(service) as wire:
        assert PATIENCE / 2 < wire.seconds_until_closed() < PATIENCE + SLACK


@pytest.mark.parametrize("begun", [b"G", b"GET /health", b"GET /health HTTP/1.1\r\nHost: x\r\nX: "])
def test_head_that_stops_is_answered_and_cut(service: Service, begun: bytes) -> None:
    with Wire(service) as wire:
        wire.send(begun)
        [answer] = wire.answers()
        assert (answer.status, answer.code) == (408, "TOO_SLOW")
        assert answer.headers["connection"] == "close"


def test_head_that_trickles_is_cut(service: Service) -> None:
    """Each byte is in time, all of them are not."""
    begun = time.monotonic()
    with Wire(service) as wire, ThreadPoolExecutor(1) as pool:
        pool.submit(trickle, wire, b"GET /health HTTP/1.1\r\nX: " + b"x" * 10_000, 0.02)
        [answer] = wire.answers()
        wire.close()
    assert answer.status == 408
    assert time.monotonic() - begun < PATIENCE + SLACK


def test_empty_lines_before_a_request_are_no_request(service: Service) -> None:
    with Wire(service) as wire, ThreadPoolExecutor(1) as pool:
        pool.submit(trickle, wire, b"\r\n" * 5000, 0.02)
        assert wire.seconds_until_closed() < PATIENCE + SLACK
        wire.close()


# --------------------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/search"])
@pytest.mark.parametrize("sent", [b"", b'{"events": [', b" " * MEBIBYTE], ids=["none", "some", "much"])
def test_body_that_stops_is_answered_and_cut(service: Service, key: str, path: str, sent: bytes) -> None:
    with Wire(service) as wire:
        wire.send(request("POST", path, authorization=key, content_length="9000000") + sent)
        [answer] = wire.answers()
    assert (answer.status, answer.code) == (408, "TOO_SLOW")


@pytest.mark.parametrize("piece", [b"x", b"1\r\nx\r\n"], ids=["by length", "in chunks"])
def test_body_that_trickles_is_cut(service: Service, key: str, piece: bytes) -> None:
    framing = {"content_length": "9000000"} if piece == b"x" else {"transfer_encoding": "chunked"}
    with Wire(service) as wire, ThreadPoolExecutor(1) as pool:
        wire.send(request("POST", EVENTS, authorization=key, **framing))
        pool.submit(trickle, wire, piece * 2000, 0.01)
        [answer] = wire.answers()
        wire.close()
    assert (answer.status, answer.code) == (408, "TOO_SLOW")


def test_body_that_nobody_waits_for_is_cut(service: Service) -> None:
    """Without a key the answer comes before the body; the rest need not come, but then the connection ends."""
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, content_length="1000"))
        assert wire.answer().status == 401
        assert wire.seconds_until_closed() < PATIENCE + SLACK


def test_body_in_parts_within_the_time_is_taken(service: Service, key: str) -> None:
    text = json.dumps({"events": [event("in-parts")]}).encode()
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, authorization=key, content_length=str(len(text))))
        for start in range(0, len(text), 100):
            wire.send(text[start : start + 100])
            time.sleep(0.02)
        assert wire.answer().status == 200


def test_long_body_may_take_longer_than_the_patience(service: Service, key: str) -> None:
    """It only has to get on: here at ten times the least rate."""
    text = json.dumps({"events": [event("long")]}).encode()
    text += b" " * (8 * 40_000 - len(text))
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, authorization=key, content_length=str(len(text))))
        begun = time.monotonic()
        for start in range(0, len(text), 8000):
            wire.send(text[start : start + 8000])
            time.sleep(0.05)
        assert wire.answer().status == 200
    assert time.monotonic() - begun > 2 * PATIENCE


# -------------------------------------------------------------------------------------------------------------- answers


def test_connection_is_kept_between_requests(service: Service) -> None:
    with Wire(service) as wire:
        for _ in range(3):
            wire.send(request())
            assert wire.answer().status == 200
            time.sleep(PATIENCE)
        wire.send(request())
        assert wire.answer().status == 200
        assert IDLE / 2 < wire.seconds_until_closed() < IDLE + SLACK


def test_answer_that_nobody_reads_is_dropped(service: Service) -> None:
    """More of them than the sockets hold: what does not fit waits in the service until the connection is cut."""
    before = process_of(service).memory_info().rss
    wires = [Wire(service) for _ in range(4)]
    for wire in wires:
        wire.send(request(target=LARGE) * 30)
    eventually(lambda: not any(is_open(service, wire.port) for wire in wires), "the connections to be cut")
    for wire in wires:
        wire.close()
    assert process_of(service).memory_info().rss - before < LEFT_OVER


def test_answer_that_is_read_slowly_arrives(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(request(target=LARGE))
        time.sleep(PATIENCE / 2)
        assert len(wire.answer().body) > MEBIBYTE
        wire.send(request())
        assert wire.answer().status == 200


# --------------------------------------------------------------------------------------------------------------- others


def test_many_slow_clients_bother_nobody(service: Service, key: str) -> None:
    before = process_of(service).memory_info().rss
    slow = []
    for number, begun in zip(range(300), repeat(request("POST", EVENTS, authorization=key, content_length="100000"))):
        wire = Wire(service)
        wire.send(begun + b" " * 50_000 if number % 2 else begun[:-2])
        slow.append(wire)
    with service.client() as client:
        for number in range(20):
            assert client.post(EVENTS, json={"events": [event(f"meanwhile-{number}")]}).status_code == 200
        assert process_of(service).memory_info().rss - before < LEFT_OVER + 300 * 100_000
        eventually(lambda: not any(is_open(service, wire.port) for wire in slow[::50]), "the connections to be cut")
    for wire in slow:
        wire.close()


def test_service_stops_in_spite_of_slow_clients(fresh_ledger: Ledger) -> None:
    stopping = Service(*fresh_ledger, "--request-timeout", str(PATIENCE))
    key = f"Bearer {stopping.keys['owner_key']}"
    begun = [b"GET /health", request("POST", EVENTS, authorization=key, content_length="9") + b"{", request()]
    wires = [Wire(stopping) for _ in begun]
    for wire, data in zip(wires, begun, strict=True):
        wire.send(data)
    assert wires[2].answer().status == 200
    stopping.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert stopping.process.wait(WAIT_SECONDS) == 0
    assert time.monotonic() - started < PATIENCE + SLACK
    assert complaints(stopping) == []
    for wire in wires:
        wire.close()
