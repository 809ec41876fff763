# SPDX-License-Identifier: Apache-2.0
"""A hot route answers the same however its request comes: whole, which needs no ASGI, or in one of the ways that do."""

import json
import re

import pytest

from tests.ledgers import Ledger
from tests.running import Service, event
from tests.web.asking import API, NO_SUCH_EVENT, verified_inline
from tests.web.test_front import VARYING
from tests.web.wire import Answer, Wire, request

EVENTS = f"{API}/events"
FULL = f"{EVENTS}?receipts=full"


def body(*events: dict[str, object]) -> bytes:
    return json.dumps({"events": list(events)}).encode()


# Method, target and body; `{0}` is the id of the event that was reported before.
CASES = {
    "report": ("POST", FULL, body(event("new"))),
    "report again": ("POST", EVENTS, body(event("a"))),
    "report again, escaped": ("POST", EVENTS.replace("events", "%65vents"), body(event("a"))),
    "conflict": ("POST", EVENTS, body(event("a", verdict="deny"))),
    "not JSON": ("POST", EVENTS, b"{"),
    "wrong query": ("POST", f"{EVENTS}?receipts=x", body(event("a"))),
    "receipt": ("GET", f"{API}/receipts/{{0}}?disclose=all", b""),
    "receipt with a body": ("GET", f"{API}/receipts/{{0}}", b"{}"),
    "inclusion": ("GET", f"{API}/transparency/inclusion/{{0}}", b""),
    "nothing": ("GET", f"{API}/receipts/{NO_SUCH_EVENT}", b""),
}
FIELDS = {"X-Request-ID": "asked-here", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "Accept": "application/json"}


def chunked(data: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n"


def ask(service: Service, way: str, method: str, target: str, data: bytes, **more: str) -> Answer:
    fields = {"Authorization": f"Bearer {service.keys['owner_key']}", **FIELDS, **more}
    with Wire(service) as wire:
        whole = request(method, target, data, **fields)
        head = whole[: len(whole) - len(data)]
        match way:
            case "whole":
                wire.send(whole)
            case "piece by piece":
                for at in range(0, len(whole), 61):
                    wire.send(whole[at : at + 61])
            case "twice":
                wire.send(whole)
                wire.answer()
                wire.send(whole)
            case "chunked":
                wire.send(request(method, target, **fields, Transfer_Encoding="chunked") + chunked(data))
            case "expecting":
                wire.send(head[:-2] + b"Expect: 100-continue\r\n\r\n")
                assert wire.answer().status == 100
                wire.send(data)
            case "behind another":
                wire.send(request() + whole)
                assert wire.answer().status == 200
            case "before another":
                wire.send(whole + request())
                answer = wire.answer()
                assert wire.answer().status == 200
                return answer
            case "last":
                wire.send(head[:-2] + b"Connection: close\r\n\r\n" + data)
                answers = wire.answers()
                assert [answer.headers.get("connection") for answer in answers] == ["close"]
                return answers[0]._replace(headers={k: v for k, v in answers[0].headers.items() if k != "connection"})
        return wire.answer()


@pytest.fixture(scope="module")
def reported(service: Service) -> str:
    [item] = json.loads(ask(service, "whole", "POST", EVENTS, body(event("a"))).body)["items"]
    event_id: str = item["event_id"]
    return event_id


WAYS = ("piece by piece", "twice", "chunked", "expecting", "behind another", "before another", "last")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_way_of_a_request_does_not_show_in_its_answer(service: Service, reported: str, case: str, way: str) -> None:
    method, target, data = CASES[case]
    target = target.format(reported)
    usual, other = (ask(service, each, method, target, data) for each in ("whole", way))
    assert usual.status == other.status < 500
    assert usual.headers.keys() == other.headers.keys()
    assert usual.headers["x-request-id"] == "asked-here"
    assert usual.headers["x-trace-id"] == "ab" * 16
    alike = [
        {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
        for answer in (usual, other)
    ]
    assert alike[0] == alike[1]
    if case != "report":
        assert _settled(usual) == _settled(other)


def _settled(answer: Answer) -> str:
    """An answer without what goes on meanwhile: sizes, paths, and what the root log has by now."""
    text = VARYING.sub("*", answer.body.decode().replace("\\n", "\n"))
    text = re.sub(r',"root":.*', "", text)
    return re.sub(r'"\*"(,"\*")+', '"*"', re.sub(r"\d+", "0", text))


@pytest.mark.parametrize("origin", ["https://shown.example", "https://other.example"])
def test_web_page_may_read_what_it_is_allowed_to(fresh_ledger: Ledger, origin: str) -> None:
    place, keys = fresh_ledger
    with Service(place, keys, "--cors-origin", "https://shown.example") as service:
        ways = [ask(service, way, "POST", EVENTS, body(event("a")), Origin=origin) for way in ("whole", "chunked")]
    wanted = origin if "shown" in origin else None
    assert [answer.headers.get("access-control-allow-origin") for answer in ways] == [wanted, wanted]


def test_fresh_receipt_in_an_answer_verifies(service: Service) -> None:
    answer = json.loads(ask(service, "whole", "POST", FULL, body(event("b"), event("c"))).body)
    for receipt in answer["receipts"]:
        assert verified_inline(service, receipt).signed.tier
