# SPDX-License-Identifier: Apache-2.0
"""Bytes that are no request: refused, and the sender is told what is wrong with them and nothing of what he sent."""

import json
from collections.abc import Iterator
from contextlib import suppress

import httptools
import pytest

from ledger.web.malformed import _WORDS, not_http
from tests.running import Service
from tests.web.asking import API
from tests.web.wire import Wire, ask, complaints, request

pytestmark = pytest.mark.any_store(why="a request is refused before a store is asked")

EVENTS = f"{API}/events"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LINE_END, NO_NUMBER, EXCLUDE = "end with CR LF", "is no number", "exclude each other"

# What is sent, and words of the answer.
NO_REQUESTS = {
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "is it https"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it is HTTP/2"),
    "no method": (b"FOO /health HTTP/1.1\r\nHost: x\r\n\r\n", "no method"),
    "small letters": (b"get /health HTTP/1.1\r\nHost: x\r\n\r\n", "in capitals"),
    "a method of RTSP": (b"DESCRIBE /health HTTP/1.1\r\nHost: x\r\n\r\n", "no method"),
    "no URL": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", "has no URL"),
    "a control character in the URL": (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "a byte that none may have"),
    "another version": (b"GET /health HTTP/9.9\r\n\r\n", "does not end in HTTP/1.1"),
    "another protocol": (b"GET /health HTML/1.1\r\n\r\n", "does not end in HTTP/1.1"),
    "line feeds alone": (b"GET /health HTTP/1.1\nHost: x\n\n", LINE_END),
    "a carriage return in a value": (GET + b"X-A: b\rc\r\n\r\n", LINE_END),
    "a line feed after a value": (GET + b"X-A: b\n\r\n", LINE_END),
    "a blank in a name": (GET + b"X A: b\r\n\r\n", "name of a header field"),
    "no colon": (GET + b"X-A\r\n\r\n", "name of a header field"),
    "a NUL in a value": (GET + b"X-A: b\x00c\r\n\r\n", "control character"),
    "a folded value": (GET + b"X-A: b\r\n folded\r\n\r\n", "second line"),
    "a blank first": (b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n", "blank before the first"),
    "a length below nothing": (POST + b"Content-Length: -1\r\n\r\n", NO_NUMBER),
    "no length": (POST + b"Content-Length:\r\n\r\n", NO_NUMBER),
    "a length beyond all": (POST + b"Content-Length: 18446744073709551616\r\n\r\n", "too large a number"),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", "more than one Content-Length"),
    "both lengths": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", EXCLUDE),
    "both lengths, turned": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", EXCLUDE),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", "named once"),
    "a size of letters": (CHUNKED + b"zz\r\n", "not hexadecimal"),
    "a size beyond all": (CHUNKED + b"f" * 20 + b"\r\n", "size of a chunk is too large"),
    "an extension of nothing": (CHUNKED + b"2;\x01\r\n", "no extension"),
    "a longer chunk": (CHUNKED + b"2\r\nabcd", "longer or shorter"),
    "a line feed after a chunk": (CHUNKED + b"2\r\nab\n", LINE_END),
    "no host": (b"GET /health HTTP/1.1\r\nX-A: b\r\n\r\n", "it has 0 Host headers"),
    "two hosts": (GET + b"Host: y\r\n\r\n", "it has 2 Host headers"),
    "the same host twice": (GET + b"host: x\r\n\r\n", "it has 2 Host headers"),
    "two hosts of an offer": (GET + b"Host: y\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "2 Host headers"),
}


@pytest.fixture(autouse=True)
def quiet(service: Service) -> Iterator[None]:
    """No refusal is worth a line in the log, much less a traceback."""
    yield
    assert complaints(service) == []


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_what_is_no_request_is_refused_and_why_is_said(service, key, name):
    raw, words = NO_REQUESTS[name]
    answer = ask(service, raw.replace(POST, POST + f"Authorization: {key}\r\n".encode()))[-1]
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    detail = json.loads(answer.body)["detail"]
    assert detail.startswith("this is not HTTP/1.1: ") and words in detail


def test_refusals_of_what_is_no_request_are_not_known_by_what_was_sent(service):
    """Neither a name nor a value of the sender's comes back, so that no page and no log shows them."""
    told = {json.loads(ask(service, GET + text + b"\r\n\r\n")[-1].body)["detail"] for text in (b"a b", b"<b>", b'"{')}
    assert len(told) == 1


def test_every_text_that_is_known_is_one_of_the_parser():
    said = set()
    for raw, _ in NO_REQUESTS.values():
        with suppress(httptools.HttpParserUpgrade):
            try:
                httptools.HttpRequestParser(object()).feed_data(raw)
            except httptools.HttpParserError as error:
                said.add(str(error))
    assert [beginning for beginning in _WORDS if not any(text.startswith(beginning) for text in said)] == []


def test_text_that_is_not_known_is_not_repeated():
    assert not_http(httptools.HttpParserError("<script>")).message == "this is not HTTP/1.1"


def test_older_http_needs_no_host(service):
    for line in (b"GET /health HTTP/1.0\r\n", b"GET /health HTTP/1.0\r\nHost: x\r\n"):
        assert [answer.status for answer in ask(service, line + b"\r\n")] == [200]
    assert ask(service, b"GET /health HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n")[-1].status == 400


def test_every_request_of_a_connection_has_a_host_of_its_own(service, key):
    with Wire(service) as wire:
        wire.send(request() * 3)
        assert [wire.answer().status for _ in range(3)] == [200] * 3
        # A trailer is no header, whatever it is called.
        wire.send(request("POST", EVENTS, authorization=key, transfer_encoding="chunked")[:-2])
        wire.send(b"\r\n0\r\nHost: x\r\n\r\n" + request())
        assert [wire.answer().status for _ in range(2)] == [400, 200]
        wire.send(b"GET /health HTTP/1.1\r\n\r\n")
        assert [answer.status for answer in wire.answers()] == [400]
