# SPDX-License-Identifier: Apache-2.0
"""What a request may be, byte by byte: all else is refused in the one form of errors, and nothing lands in the log."""

import json
from collections.abc import Iterator

import pytest

from ledger.web.connections import MAX_FIELDS, MAX_HEAD_BYTES, MAX_URL_BYTES
from ledger.web.front import MAX_BODY_BYTES
from tests.running import Service, event
from tests.web.asking import API, locations, problem_of
from tests.web.wire import LEFT_OVER, MEBIBYTE, Wire, ask, complaints, process_of, request

EVENTS = f"{API}/events"

pytestmark = pytest.mark.any_store(why="a request is refused before a store is asked")


@pytest.fixture(autouse=True)
def quiet(service: Service) -> Iterator[None]:
    """No refusal is worth a line in the log, much less a traceback."""
    yield
    assert complaints(service) == []


def only(answers):
    [answer] = answers
    return answer


# ------------------------------------------------------------------------------------------------------------- targets

TARGETS = {
    "escape of nothing": b"%",
    "escape of one digit": b"%4",
    "escape of letters": b"%zz",
    "escaped NUL": b"%00",
    "NUL after text": b"x%00y",
    "not UTF-8": b"%ff",
    "surrogate": b"%ed%a0%80",
    "overlong": b"%c0%80",
    "cut sequence": b"%c3",
    "raw UTF-8": b"\xc3\xa9",
    "raw bytes": b"\xff\xfe",
    "raw NUL": b"\0",
}


PLACES = [b"/%b", b"/api/v1/events/%b", b"/api/v1/receipts/%b", b"/root/%b", b"/log/%b/checkpoint", b"/docs/assets/%b"]
PLACES += [b"/api/v1/events?agent_id=%b", b"/api/v1/events?search=%b", b"/api/v1/events?cursor=%b", b"/health?%b=1"]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("place", PLACES)
def test_target_that_is_no_text_is_refused(service, key, name, place):
    answer = only(ask(service, request(target=place % TARGETS[name], authorization=key)))
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("text", ["%41", "%c3%a9", "%F0%9F%98%80", "%0a", "%7f", "%25", "%2f..%2f"])
def test_target_that_is_text_is_read(service, key, text):
    with Wire(service) as wire:
        wire.send(request(target=f"{EVENTS}?agent_id={text}", authorization=key))
        assert wire.answer().status == 200
        wire.send(request(target=f"{EVENTS}/{text}?agent_id=a", authorization=key))
        assert wire.answer().status == 404


def test_url_may_have_so_many_bytes_and_none_more(service):
    target = b"/health?" + b"x" * (MAX_URL_BYTES - 8)
    with Wire(service) as wire:
        wire.send(request(target=target))
        assert wire.answer().status == 200
        wire.send(request(target=target + b"x"))
        answer = only(wire.answers())
    assert (answer.status, answer.code) == (414, "VALIDATION_ERROR")
    assert len(answer.body) < 1000


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000, "-1", "1e3", "%2b1", "1_0", "٣"])
@pytest.mark.parametrize(
    "place", ["/events?limit=", "/transparency/inclusion?leaf_index=", "/transparency/consistency?from=1&to="]
)
def test_number_in_a_query_has_digits_and_an_end(service, key, place, number):
    target = (API + place + number).encode().replace("٣".encode(), b"%D9%A3")
    with Wire(service) as wire:
        wire.send(request(target=target, authorization=key))
        assert wire.answer().status in (400, 404, 422)


# -------------------------------------------------------------------------------------------------------------- methods


@pytest.mark.parametrize("target", [EVENTS, "/health", f"{API}/receipts/verify", "/root/checkpoint", "/docs"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "M-SEARCH", "PURGE"])
def test_other_method_is_named_as_such(service, method, target):
    answer = only(ask(service, request(method, target, connection="close")))
    assert (answer.status, answer.code) == (405, "VALIDATION_ERROR")
    assert answer.headers["allow"]


def test_head_has_no_body_and_the_next_request_is_answered(service):
    with Wire(service) as wire:
        for target, status in (("/health", 200), (EVENTS, 405), ("/nothing", 404)):
            wire.send(request("HEAD", target))
            assert wire.answer(bodiless=True).status == status
        wire.send(request())
        assert wire.answer().status == 200


def test_options_is_answered(service):
    with Wire(service) as wire:
        wire.send(request("OPTIONS", EVENTS))
        answer = wire.answer()
    assert answer.status == 204
    assert "POST" in answer.headers["allow"]


def test_connect_is_for_proxies(service):
    answer = only(ask(service, b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


# -------------------------------------------------------------------------------------------------------------- headers


def test_headers_may_be_any_bytes(service, key):
    odd = b"\xff\xfe\x80"
    fields = dict.fromkeys(
        ("accept", "content_type", "origin", "cookie", "x_request_id", "traceparent", "user_agent"), odd
    )
    with Wire(service) as wire:
        wire.send(request(target=EVENTS, authorization=key, **fields))
        assert wire.answer().status == 200
        wire.send(request(target=EVENTS, authorization=b"Bearer " + odd))
        assert wire.answer().status == 401
        wire.send(request(target=EVENTS, x_api_key=odd))
        assert wire.answer().status == 401
        wire.send(request(target=EVENTS, authorization=key, x_tenant_id=odd))
        assert wire.answer().status == 403
        body = b'{"env":"all","label":"odd"}'
        wire.send(request("POST", f"{API}/keys", body, authorization=key, idempotency_key=odd))
        assert wire.answer().status == 201


def test_so_many_header_fields_and_none_more(service):
    fields = {f"x-{number}": "" for number in range(MAX_FIELDS - 1)}
    with Wire(service) as wire:
        wire.send(request(**fields))
        assert wire.answer().status == 200
        wire.send(request(**fields, more="x"))
        answer = only(wire.answers())
    assert (answer.status, answer.code) == (431, "VALIDATION_ERROR")


def test_so_many_bytes_of_headers_and_none_more(service):
    room = MAX_HEAD_BYTES - len("hostledger.testlong")
    with Wire(service) as wire:
        wire.send(request(long="x" * room))
        assert wire.answer().status == 200
        wire.send(request(long="x" * (room + 1)))
        answer = only(wire.answers())
    assert (answer.status, answer.code) == (431, "VALIDATION_ERROR")


@pytest.mark.parametrize("endless", [b"x", b"x-a: b\r\n", b"\r\n x"])
def test_head_without_end_is_cut_and_holds_nothing(service, endless):
    piece = endless * (65536 // len(endless))
    before = process_of(service).memory_info().rss
    wires = [Wire(service) for _ in range(20)]
    for wire in wires:
        wire.send(b"GET /health HTTP/1.1\r\nx: ")
        assert wire.send_until_refused(piece, 100 * MEBIBYTE) < 80 * MEBIBYTE
        wire.close()
    assert process_of(service).memory_info().rss - before < LEFT_OVER


def test_trailer_is_no_header(service, key):
    body = b"2\r\n{}\r\n0\r\nAuthorization: " + key.encode() + b"\r\nContent-Encoding: gzip\r\n\r\n"
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, transfer_encoding="chunked") + body)
        assert wire.answer().status == 401
        wire.send(request())
        assert wire.answer().status == 200


@pytest.mark.parametrize("fields", [{"content_length": "0" * 6000 + "2"}, {"content_length": str(1 << 63)}])
def test_length_that_is_no_length(service, key, fields):
    answer = only(ask(service, request("POST", EVENTS, authorization=key, **fields)))
    assert (answer.status, answer.code) == (413, "VALIDATION_ERROR")


# --------------------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("path", [EVENTS, f"{API}/events/search", f"{API}/receipts/verify"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "x"])
def test_compressed_body_is_refused_unread(service, key, path, encoding):
    answer = only(ask(service, request("POST", path, b"\x1f\x8b", authorization=key, content_encoding=encoding)))
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_ENCODING")


@pytest.mark.parametrize("encoding", ["gzip, chunked", "identity", "chunked, chunked"])
def test_other_transfer_encoding_is_refused(service, key, encoding):
    answer = only(ask(service, request("POST", EVENTS, authorization=key, transfer_encoding=encoding)))
    assert (answer.status, answer.code) in ((415, "UNSUPPORTED_ENCODING"), (400, "VALIDATION_ERROR"))


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_body_as_it_is_may_be_called_so(service, key, encoding):
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, b"{}", authorization=key, content_encoding=encoding))
        assert wire.answer().status == 422


def test_too_long_a_body_is_refused_before_it_is_sent(service, key):
    for path in (EVENTS, f"{API}/keys", f"{API}/receipts/verify"):
        answer = only(ask(service, request("POST", path, authorization=key, content_length=str(MAX_BODY_BYTES + 1))))
        assert (answer.status, answer.code) == (413, "VALIDATION_ERROR")


def test_refusal_reaches_a_client_that_sends_all_of_its_body_first(service, key):
    """Closing at once would reset the connection, and the answer would be lost."""
    body = b" " * (MAX_BODY_BYTES + MEBIBYTE)
    answer = only(ask(service, request("POST", EVENTS, body, authorization=key)))
    assert answer.status == 413


def test_longest_body_is_taken(service, key):
    text = json.dumps({"events": [event("longest")]}).encode()
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, text + b" " * (MAX_BODY_BYTES - len(text)), authorization=key))
        assert wire.answer().status == 200


@pytest.mark.parametrize("path", [EVENTS, f"{API}/events/search"])
def test_too_long_a_body_in_chunks_is_refused(service, key, path):
    chunk = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
    with Wire(service) as wire:
        wire.send(request("POST", path, authorization=key, transfer_encoding="chunked"))
        wire.send_until_refused(chunk, MAX_BODY_BYTES + 2 * MEBIBYTE)
        assert wire.answer().status == 413


def test_body_without_end_is_cut(service, key):
    """Also when it has been answered already: here at once, since nobody asks without a key."""
    chunk = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
    for authorization in (key, ""):
        with Wire(service) as wire:
            wire.send(request("POST", EVENTS, authorization=authorization, transfer_encoding="chunked"))
            assert wire.send_until_refused(chunk, 500 * MEBIBYTE) < 100 * MEBIBYTE


@pytest.mark.parametrize("endless", [b"1;" + b"x" * 65536, b"1\r\nx\r\n0\r\n" + b"x: y\r\n" * 10000])
def test_what_surrounds_a_body_has_an_end(service, key, endless):
    """Extensions of chunks, and trailers."""
    with Wire(service) as wire:
        wire.send(request("POST", EVENTS, authorization=key, transfer_encoding="chunked") + endless)
        assert wire.send_until_refused(b"x" * 65536, 200 * MEBIBYTE) < 100 * MEBIBYTE


NESTED = [b"[" * 1_000_000, b'{"a":' * 200_000, b"[" * 100_000 + b"]" * 100_000, b"[[[[" * 20 + b"1" + b"]]]]" * 20]
READERS = ["/events", "/events/search", "/keys", "/keys/validate", "/signing-keys/rotate", "/transparency/roots"]
READERS += ["/receipts/verify", "/transparency/roots/verify"]


@pytest.mark.parametrize("nested", NESTED, ids=["arrays", "objects", "closed", "few"])
@pytest.mark.parametrize("path", READERS)
def test_nesting_is_refused_whoever_reads_it(service, path, nested):
    with service.client() as client:
        answer = client.post(API + path, content=nested)
    if path.endswith("/verify"):
        assert (answer.status_code, answer.json()["verified"]) == (200, False)
    else:
        assert answer.status_code in (400, 422)


@pytest.mark.parametrize("name", ["types", "agent_id", "tool_name", "verdict", "mode", "env", "search"])
def test_filter_holds_no_nul_in_a_body_either(service, name):
    """No entry has one, and not every store can be asked for one."""
    with service.client() as client:
        answer = client.post(f"{EVENTS}/search", json={name: ["\0"] if name == "types" else "a\0\n"})
    assert locations(problem_of(answer, 422))[0][:2] == ["body", name]


def test_nesting_within_a_sealed_value(service):
    for depth, status in ((100, 200), (101, 422), (5000, 400)):
        body = json.dumps({"events": [event(f"nested-{depth}", payload={"tool_args": {"a": "@"}})]})
        text = body.replace('"@"', "[" * (depth - 1) + "]" * (depth - 1))
        with service.client() as client:
            assert client.post(EVENTS, content=text).status_code == status, depth
