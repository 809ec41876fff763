# SPDX-License-Identifier: Apache-2.0
"""What is sent: an event of exactly 526 bytes with four arguments to seal, alone or in batches, each with a call_id of
its own.

The bytes around the call_id never change, so a request is put together from three pieces and costs the load process
next to nothing. Used by that process too: nothing is imported here but the standard library.
"""

from collections.abc import Iterator
from itertools import count

EVENT_BYTES = 526
ID_BYTES = 24
BATCH = 100

_HEAD = b'{"call_id":"'
_TAIL = (
    b'","agent_id":"payments-agent","tool_name":"send_money","verdict":"allow","mode":"enforce",'
    b'"timestamp":"2026-03-01T12:00:00Z","payload":{"tool_args":{"amount":1249.95,"recipient":"GB29NWBK60161331926819",'
    b'"reference":"invoice 2026-0417","note":"%b"}}}'
)
_NOTE = (
    b"Second of three instalments for the spring order, goods received on 27 February and found complete. Approved by "
    b"the owner of the budget; the remainder is due within thirty days of the last delivery, less two per cent when it "
    b"is paid early. Questions go to accounts."
)
# The note fills the event up to its length.
_TAIL = _TAIL % _NOTE[: EVENT_BYTES - len(_HEAD) - ID_BYTES - len(_TAIL) + 2]


def event_text(call_id: bytes) -> bytes:
    """One event as JSON; `call_id` has 24 plain characters."""
    assert len(call_id) == ID_BYTES
    return _HEAD + call_id + _TAIL


def report_body(call_ids: list[bytes]) -> bytes:
    """The body of `POST /events` with these events."""
    return b'{"events":[' + b",".join([event_text(call_id) for call_id in call_ids]) + b"]}"


def call_ids(run: str) -> Iterator[bytes]:
    """The call_ids of one run, which no other run has as long as its name differs. `run` has at most 12 characters."""
    prefix = run.ljust(ID_BYTES - 12, "-").encode()
    assert len(prefix) == ID_BYTES - 12, "a run's name has at most 12 characters"
    return (prefix + b"%012d" % number for number in count())


def post_requests(host: str, path: str, headers: dict[str, str], run: str, batch: int) -> Iterator[bytes]:
    """Endless requests that report `batch` events each."""
    ids = call_ids(run)
    length = len(report_body([b"-" * ID_BYTES] * batch))
    begin = _request_head("POST", host, path, {"content-type": "application/json", **headers}, length)
    begin, end = begin + b'{"events":[' + _HEAD, _TAIL + b"]}"
    if batch == 1:
        return (begin + call_id + end for call_id in ids)
    between = _TAIL + b"," + _HEAD
    return (begin + between.join([next(ids) for _ in range(batch)]) + end for _ in count())


def get_requests(host: str, paths: list[str], headers: dict[str, str]) -> Iterator[bytes]:
    """Endless requests for these paths, one after the other, round and round."""
    texts = [_request_head("GET", host, path, headers) for path in paths]
    return (texts[number % len(texts)] for number in count())


def _request_head(method: str, host: str, path: str, headers: dict[str, str], length: int | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()
