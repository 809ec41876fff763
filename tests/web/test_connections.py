# SPDX-License-Identifier: Apache-2.0
"""Connections of a running service: what is pipelined, how many there may be, and who gets in all the same."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ledger.web.connections import MAX_PIPELINED
from tests.commands.outcomes import WAIT_SECONDS, done
from tests.ledgers import Ledger
from tests.running import Service, environment, event, eventually, run_ledger, variables
from tests.web.asking import API
from tests.web.wire import LEFT_OVER, MEBIBYTE, Wire, ask, complaints, process_of, request

pytestmark = pytest.mark.any_store(why="it is about connections, and no store is asked")

EVENTS = f"{API}/events"


@pytest.fixture(autouse=True)
def quiet(service: Service) -> Iterator[None]:
    """Nothing of this is worth a line in the log, much less a traceback."""
    yield
    assert complaints(service) == []


def test_offer_of_another_protocol_is_passed_over(service, key):
    """As some HTTP clients make it with their first request; its body must not get lost."""
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"}
    with Wire(service) as wire:
        body = json.dumps({"events": [event("upgraded")]}).encode()
        first = request("POST", EVENTS, body, authorization=key, **offer)
        wire.send(first[:-20])
        wire.send(first[-20:] + request())
        answer = wire.answer()
        assert (answer.status, json.loads(answer.body)["accepted"]) == (200, 1)
        assert wire.answer().status == 200
        wire.send(request(connection="upgrade", upgrade="websocket") + request("POST", EVENTS, authorization=key))
        assert [wire.answer().status, wire.answer().status] == [200, 400]


def test_pipelined_requests_are_answered_in_order(service, key):
    targets = ["/health", "/nothing", "/status", f"{API}/events?limit=1"] * 10
    statuses = [200, 404, 200, 200] * 10
    with Wire(service) as wire:
        wire.send(b"".join(request(target=target, authorization=key) for target in targets))
        assert [wire.answer().status for _ in targets] == statuses


def test_refusal_in_a_pipeline_comes_after_the_answers_before_it(service, key):
    with Wire(service) as wire:
        body = json.dumps({"events": [event("before-garbage")]}).encode()
        wire.send(request("POST", f"{EVENTS}?receipts=full", body, authorization=key) + request() + b"garbage\r\n\r\n")
        statuses = [answer.status for answer in wire.answers()]
    assert statuses == [200, 200, 400]


def test_pipeline_has_a_length(service):
    """Those beyond it are not answered, and the client knows which: it sends them again (RFC 9112 §9.3.2)."""
    before = process_of(service).memory_info().rss
    with Wire(service) as wire:
        wire.send_until_refused(request() * 5000, 10 * MEBIBYTE)
        answers = wire.answers()
    assert [answer.status for answer in answers[:-1]] == [200] * (len(answers) - 1)
    assert 1 <= len(answers) - 1 <= MAX_PIPELINED + 1
    assert (answers[-1].status, answers[-1].code) == (503, "LEDGER_UNAVAILABLE")
    assert process_of(service).memory_info().rss - before < LEFT_OVER


def test_body_that_is_cut_off_is_nobody_s_error(service, key):
    begun = [
        request("POST", path, authorization=key, content_length="200") + b'{"e' for path in (EVENTS, f"{EVENTS}/search")
    ]
    for head in begun:
        with Wire(service) as wire:
            wire.send(head)
    with service.client() as client:
        eventually(lambda: 'status="400"' in client.get("/metrics").text)
        assert 'status="500"' not in client.get("/metrics").text


def test_refusals_are_counted(service):
    ask(service, b"garbage\r\n\r\n")
    with service.client() as client:
        assert 'route="refused",status="400"' in client.get("/metrics").text


# --------------------------------------------------------------------------------------------------------------- number


def test_connections_have_a_number_and_the_operator_gets_in(fresh_ledger: Ledger) -> None:
    with Service(*fresh_ledger, "--max-connections", "5", "--request-timeout", "60") as full:
        wires = [Wire(full) for _ in range(5)]
        for wire in wires:
            wire.send(request())
            assert wire.answer().status == 200
        [refused] = ask(full, request())
        assert (refused.status, refused.code) == (503, "LEDGER_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) >= 1
        # Those that are open go on, and the operator's socket is not one of them.
        wires[0].send(request())
        assert wires[0].answer().status == 200
        assert "owner" in done(run_ledger("keys", "list", data=full.settings))
        # Far beyond the limit nobody is told any more.
        surplus = [Wire(full) for _ in range(20)]
        eventually(lambda: sum(c.status == "ESTABLISHED" for c in process_of(full).net_connections("tcp")) <= 10)
        for wire in wires + surplus:
            wire.close()

        def taken() -> bool:
            [answer] = ask(full, request(connection="close"))
            return answer.status == 200

        assert eventually(taken)
        assert complaints(full) == []


def test_connections_are_as_many_as_there_are_files_for(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    command = f"ulimit -n 356; exec {sys.executable} -m ledger serve --port 0 --max-connections 1000"
    settings = environment(**variables(place))
    process = subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE, text=True, env=settings)
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "ledger: 356 files may be open, which is enough for 50 connections\n"
        assert " on http" in process.stderr.readline()
    finally:
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0
