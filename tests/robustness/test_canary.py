# SPDX-License-Identifier: Apache-2.0
"""Secrets and sealed values, marked so that they can be found again, are sent down every path of a service.

Afterwards no file of the data directory, no line of the service's log and no export that withholds values may hold a
mark, in any common spelling: as it is, in base64 and base64url at each of the three alignments, in hexadecimal, or with
its characters escaped as JSON may have them.
"""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands.outcomes import done
from tests.ledgers import Ledger, Room
from tests.robustness.outside import listed
from tests.running import Service, event, run_ledger, run_verifier
from tests.tables import dump, opened


def spellings(mark: bytes) -> Iterator[tuple[str, bytes]]:
    """Every form of a mark that is looked for, with its name."""
    yield "raw", mark
    yield "hex", mark.hex().encode()
    yield "HEX", mark.hex().upper().encode()
    for shift in range(3):
        # The characters that depend on neighbours are cut off: what is left is in every text that holds the mark.
        text = base64.b64encode(b"\x00" * shift + mark)
        cut = text[(shift * 8 + 5) // 6 : (shift + len(mark)) * 8 // 6]
        yield f"base64/{shift}", cut
        yield f"base64url/{shift}", cut.replace(b"+", b"-").replace(b"/", b"_")
    if not mark.isascii():
        return
    yield "JSON", "".join(f"\\u{byte:04x}" for byte in mark).encode()
    yield "JSON upper", "".join(f"\\u{byte:04X}" for byte in mark).encode()
    yield "UTF-16", mark.decode().encode("utf-16-le")


def found(marks: dict[str, bytes], content: bytes) -> list[str]:
    """Names of the marks that a content holds, with their spelling."""
    return [f"{name} as {how}" for name, mark in marks.items() for how, text in spellings(mark) if text in content]


@dataclass
class Marks:
    """The marks and what they mark. Values are plain letters, so that no path may refuse them for their form."""

    values: dict[str, bytes] = field(default_factory=dict)

    def new(self, what: str) -> str:
        mark = "Canary" + "".join(
            secrets.choice("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(30)
        )
        self.values[what] = mark.encode()
        return mark

    def add(self, what: str, secret: str) -> str:
        """A secret of the service's own making: of a key, the random part."""
        self.values[what] = re.sub("^lk_[a-z]+_", "", secret).encode()
        return secret


def _payload(marks: Marks, path: str) -> dict[str, Any]:
    return {
        "tool_args": {"text": marks.new(f"argument {path}"), "deep": [{"er": marks.new(f"nested argument {path}")}]},
        "principal": {"user_id": marks.new(f"principal {path}")},
        "reason": marks.new(f"reason {path}"),
        "result": {"said": marks.new(f"result {path}")},
        "data_subject": marks.new(f"data subject {path}"),
    }


def _walk_the_api(service: Service, marks: Marks, owner: httpx.Client) -> None:
    """Reports, duplicates, conflicts, refusals and reads, each with marks of its own."""
    made = owner.post("/api/v1/keys", json={"env": "all", "label": marks.new("label"), "role": "agent"}).json()
    key = marks.add("agent's key", made["key"])
    with service.client(key, verify=False) as agent:
        post = [event("first", payload=_payload(marks, "posted"))]
        post.append(event("whole", payload={"tool_args": {marks.new("argument's name"): 1, "not plain!": 2}}))
        for status in (200, 200):
            assert agent.post("/api/v1/events?receipts=full", json={"events": post}).status_code == status
        conflict = [event("first", payload=_payload(marks, "conflict"))]
        assert agent.post("/api/v1/events", json={"events": conflict}).status_code == 409
        for name, wrong in (
            ("verdict", {"verdict": marks.new("wrong verdict")}),
            ("unknown member", {marks.new("unknown member"): 1}),
            ("unprintable", {"tool_name": marks.new("unprintable name") + "\n"}),
            ("long", {"agent_id": marks.new("long agent_id") * 20}),
        ):
            refusal = agent.post("/api/v1/events", json={"events": [event(f"wrong-{name}", **wrong)]})
            assert refusal.status_code == 422, (name, refusal.text)
        twice = f'{{"events": [{{"{marks.new("member twice")}": 1}}], "events": "{marks.new("value twice")}"}}'
        assert agent.post("/api/v1/events", content=twice.encode()).status_code == 422
        cut = json.dumps({"events": [event("cut", payload=_payload(marks, "cut"))]})[:-3]
        assert agent.post("/api/v1/events", content=cut.encode()).status_code == 400
        assert agent.get("/api/v1/events", params={"disclose": "all"}).status_code == 403
    for status, wanted in (
        (200, {"search": marks.new("search")}),
        (200, {"disclose": "all"}),
        (422, {"since": marks.new("since")}),
        (422, {"cursor": marks.new("cursor")}),
    ):
        assert owner.get("/api/v1/events", params=wanted).status_code == status, wanted
    assert owner.post("/api/v1/events/search", json={"search": marks.new("search body")}).status_code == 200
    for _, event_id, _ in list(listed(owner)):
        receipt = owner.get(f"/api/v1/receipts/{event_id}", params={"disclose": "all"}).raise_for_status()
        assert owner.post("/api/v1/receipts/verify", content=receipt.content).json()["verified"]
    owner.post("/api/v1/receipts/verify", content=marks.new("no receipt").encode())
    owner.post("/api/v1/transparency/roots/verify", content=marks.new("no day").encode())
    assert owner.post("/api/v1/transparency/verify").json()["ok"]
    assert owner.post("/api/v1/transparency/roots", json={"date": marks.new("date")}).status_code == 422


def _use_keys(service: Service, marks: Marks, owner: httpx.Client) -> None:
    """Keys that hold, keys that are none, expired or revoked, in each header and in a body."""
    revoked = owner.post("/api/v1/keys", json={"env": "staging", "label": "soon gone"}).json()
    marks.add("revoked key", revoked["key"])
    assert owner.delete(f"/api/v1/keys/{revoked['id']}").status_code == 204
    for secret in (revoked["key"], "lk_all_" + marks.new("unknown key")):
        assert owner.post("/api/v1/keys/validate", json={"key": secret}).json() == {"valid": False}
        for header in ("X-API-Key", "X-Agent-Token"):
            answer = httpx.get(f"{service.url}/api/v1/events", verify=False, headers={header: secret})
            assert answer.status_code == 401
    headers = {"Idempotency-Key": marks.new("idempotency key")}
    once, again = (
        owner.post("/api/v1/keys", json={"env": "staging", "label": "once"}, headers=headers) for _ in range(2)
    )
    marks.add("key made once", once.json()["key"])
    assert (once.status_code, again.status_code, again.json()["key"]) == (201, 200, None)
    refusal = owner.post("/api/v1/keys", json={"env": marks.new("wrong env"), "label": marks.new("refused label")})
    assert refusal.status_code == 422
    listed_keys = done(run_ledger("keys", "list", data=service.settings))
    assert once.json()["id"] in listed_keys
    assert marks.values["key made once"].decode() not in listed_keys


def _read_tiles(service: Service, marks: Marks, owner: httpx.Client) -> None:
    """Tiles by a read token in the path; then damage, so that one of these requests fails inside."""
    made = owner.post("/api/v1/keys", json={"env": "all", "label": "reader", "role": "auditor"}).json()
    token = marks.add("read token", made["key"])
    log_id = owner.get("/api/v1/transparency/head").json()["origin"].rsplit("/", 1)[1]
    for number in range(2):
        batch = [event(f"filler-{number}-{place}", payload={"principal": None}) for place in range(150)]
        assert owner.post("/api/v1/events", json={"events": batch}).status_code == 200

    def get(path: str) -> int:
        with service.client("", verify=False) as anybody:
            return anybody.get(f"/log/{log_id}/t/{path}").status_code

    assert get(f"{token}/checkpoint") == 200
    assert get(f"{token}/tile/0/000") == 200
    assert get(f"{token}/tile/0/777") == 404
    assert get(f"lk_all_{marks.new('unknown token')}/checkpoint") == 401
    # A restart empties the cache of tiles; then a tile that must exist does not.
    service.terminate()
    with opened(service.settings) as tables:
        kept = tables.ask("select * from tiles")
        tables.change(f"delete from tiles where {tables.tile(0)}")
        service.start()
        assert get(f"{token}/tile/0/000") == 500
        for row in kept:
            tables.change(f"insert into tiles values ({', '.join('?' * len(row))})", *row)


@dataclass(frozen=True)
class Walk:
    """What is left of a service that was walked through and killed."""

    service: Service
    marks: Marks
    export: Path


@pytest.fixture(scope="module")
def walk(template_ledger: Ledger, module_room: Room, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    source, keys = template_ledger
    folder = tmp_path_factory.mktemp("canary")
    place = module_room.copy(source)
    marks = Marks()
    marks.add("owner's key", keys["owner_key"])
    marks.values["master key"] = base64.b64decode(place.master_key_file.read_bytes())
    service = Service(place, keys, "--access-log", "--root-interval", "0.1")
    try:
        with service.client(verify=False) as owner:
            _walk_the_api(service, marks, owner)
            _use_keys(service, marks, owner)
            _read_tiles(service, marks, owner)
        done(run_ledger("root", "close", data=place))
        done(run_ledger("export", "--out", str(folder / "export"), data=place))
        assert "ok " in done(run_ledger("check", "--replay", data=place))
    finally:
        # Killed, so that the journals stay where they are.
        service.kill()
    return Walk(service, marks, folder / "export")


def test_canary_in_no_file_of_the_ledger(walk: Walk) -> None:
    names = {path.name for path in walk.service.data.iterdir()}
    in_a_file = {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert names & in_a_file == (set() if walk.service.settings.shared else in_a_file)
    assert {"keystore.db", "serve.lock"} <= names
    for path in walk.service.data.rglob("*"):
        # The master key's own file is the one place where that key is; the socket is no file.
        if path.is_file() and path.name != "master.key":
            assert found(walk.marks.values, path.read_bytes()) == [], path.name
    others = {name: mark for name, mark in walk.marks.values.items() if name != "master key"}
    assert found(others, (walk.service.data / "master.key").read_bytes()) == []


def test_canary_in_no_dump_of_the_tables(walk: Walk) -> None:
    """What somebody reads who has the database and not the keystore."""
    rows = dump(walk.service.settings)
    assert b'"call_id":"first"' in rows and b"$sealed" in rows
    assert found(walk.marks.values, rows) == []


def test_canary_in_no_line_of_the_log(walk: Walk) -> None:
    log = walk.service.log_path.read_bytes()
    assert b'"event": "request"' in log and b'"status": 422' in log
    assert b"request_failed" in log and b'"status": 500' in log, "the damaged tile was to make a request fail inside"
    assert found(walk.marks.values, log) == []


def test_canary_in_no_withheld_export(walk: Walk) -> None:
    trust = ("--key", walk.service.keys["log_vkey"], "--root-key", walk.service.keys["root_vkey"])
    verified = run_verifier("export", str(walk.export), *trust)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    for path in walk.export.iterdir():
        assert found(walk.marks.values, path.read_bytes()) == [], path.name


def test_canary_is_shown_to_who_may_see_it(walk: Walk, tmp_path: Path) -> None:
    """The marks did arrive: an export that discloses has every sealed one of what was taken."""
    out = tmp_path / "disclosed"
    done(run_ledger("export", "--out", str(out), "--disclose", "all", data=walk.service.settings))
    disclosures = b"".join(
        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        for line in (out / "disclosures.jsonl").read_bytes().splitlines()
        for text in json.loads(line)["disclosures"]
    )
    for what in ("argument posted", "nested argument posted", "principal posted", "reason posted", "result posted"):
        assert walk.marks.values[what] in disclosures, what
    assert walk.marks.values["label"] in disclosures
    assert walk.marks.values["argument's name"] in disclosures
    for what in ("argument conflict", "reason cut", "data subject posted", "wrong verdict", "refused label"):
        assert walk.marks.values[what] not in disclosures, what


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
def test_canary_would_be_found(before: bytes) -> None:
    """The search itself: a mark is found in every spelling and wherever it stands."""
    marks = {"it": b"CanaryWithSome>>>???Bits"}
    text = before + marks["it"] + b"afterwards"
    for content in (
        text,
        text.hex().encode(),
        base64.b64encode(text),
        base64.urlsafe_b64encode(text),
        "".join(f"\\u{byte:04x}" for byte in text).encode(),
    ):
        assert found(marks, b"noise" + content + b"noise"), content
    assert found(marks, base64.b64encode(b"Canary and other things")) == []
