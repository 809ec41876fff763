# SPDX-License-Identifier: Apache-2.0
"""Two services on one database: one log, whichever of them is asked.

The two have directories and rollback guards in common, as two processes of one host have; the last test has them apart,
as on two hosts.
"""

import base64
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from ledger_verify.checkpoint import parse_checkpoint
from ledger_verify.merkle import verify_consistency
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import trusted_keys

from tests.commands.outcomes import checked_sizes, done
from tests.ledgers import Ledger, Room
from tests.robustness.outside import Acknowledged, listed, report
from tests.running import Service, event, eventually, run_ledger, run_verifier
from tests.tables import TENANT, opened

pytestmark = pytest.mark.only_on("postgres", why="a data directory is served by one process")

ROOT_INTERVAL = 0.5
FRESH_SECONDS = 1.0
"""How old knowledge may be that a read is answered from."""


class Pair(NamedTuple):
    first: Service
    second: Service

    @property
    def trust(self) -> tuple[str, ...]:
        return ("--key", self.first.keys["log_vkey"], "--root-key", self.first.keys["root_vkey"])


@pytest.fixture(scope="module")
def pair(template_ledger: Ledger, module_room: Room) -> Iterator[Pair]:
    source, keys = template_ledger
    place, flags = module_room.copy(source), ("--root-interval", str(ROOT_INTERVAL))
    with (
        Service(place, keys, *flags) as first,
        Service(place, keys, *flags, log_name="second.stderr") as second,
    ):
        yield Pair(first, second)


@dataclass
class Load:
    """Clients of both services. Lists are appended to by all threads."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: list[httpx.HTTPError] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run_client(self, service: Service, key: str, batches: Iterator[Sequence[str]]) -> None:
        with service.client(key) as client:
            for call_ids in batches:
                if self.stop.is_set():
                    return
                try:
                    self.acknowledged += report(client, [event(call_id) for call_id in call_ids])
                except httpx.HTTPError as error:
                    self.refused.append(error)


@contextmanager
def running(load: Load, *clients: tuple[Service, str, Iterator[Sequence[str]]]) -> Iterator[None]:
    """Run clients until their batches end, or the block does."""
    threads = [threading.Thread(target=load.run_client, args=client) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


def endless(name: str) -> Iterator[Sequence[str]]:
    return ([f"{name}-{number}"] for number in count())


def indexes(service: Service, log: int = TENANT) -> list[int]:
    with opened(service.settings) as tables:
        rows = tables.ask(f"select leaf_index from entries where {tables.entries(log)} order by leaf_index")
    return [index for (index,) in rows]


def assert_one_history(pair: Pair, receipts: list[Acknowledged]) -> None:
    """Every receipt verifies, there is one head of a size, and each head is a prefix of the next."""
    keys = trusted_keys([pair.first.keys["log_vkey"]], [pair.first.keys["root_vkey"]])
    heads: dict[int, bytes] = {}
    for one in receipts:
        checkpoint = verify_receipt(one.receipt, keys).checkpoint
        assert heads.setdefault(checkpoint.tree_size, checkpoint.root_hash) == checkpoint.root_hash
    with pair.first.client() as first, pair.second.client() as second:
        for client in (first, second):
            present = parse_checkpoint(client.get("/api/v1/transparency/checkpoint").raise_for_status().text)
            assert heads.setdefault(present.tree_size, present.root_hash) == present.root_hash
        for number, ((size, root), (next_size, next_root)) in enumerate(pairwise(sorted(heads.items()))):
            query = {"from": size, "to": next_size}
            answer = (first, second)[number % 2].get("/api/v1/transparency/consistency", params=query)
            path = [base64.b64decode(text) for text in answer.raise_for_status().json()["consistency_path"]]
            verify_consistency(size, next_size, path, root, next_root)


def test_load_through_both_is_one_log(pair: Pair) -> None:
    """Six clients report what nobody else does; two report the same calls at the same time, one to each service."""
    key, load, before = pair.first.create_key()["key"], Load(), pair.first.size()
    own = [[[f"own-{c}-{b}-{place}" for place in range(1 + b % 4)] for b in range(25)] for c in range(6)]
    same = [[f"same-{b}-{place}" for place in range(3)] for b in range(25)]
    clients = [(pair[number % 2], key, iter(batches)) for number, batches in enumerate(own)]
    clients += [(service, key, iter(same)) for service in pair]
    threads = [threading.Thread(target=load.run_client, args=client) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load.refused == []
    sent = {call_id for batches in (*own, same) for batch in batches for call_id in batch}
    assert Counter(one.call_id for one in load.acknowledged) == Counter(
        {call_id: 2 if call_id.startswith("same") else 1 for call_id in sent}
    )
    for service in pair:
        eventually(lambda service=service: service.size() == before + len(sent), "both to hear of everything")
        with service.client() as client:
            found = list(listed(client))
        assert {place for place in found if place[0] in sent} == {tuple(one[:3]) for one in load.acknowledged}
        assert len([1 for call_id, _, _ in found if call_id in sent]) == len(sent), "a call_id is there twice"
    assert indexes(pair.first) == list(range(before + len(sent)))
    assert_one_history(pair, load.acknowledged[:: max(1, len(load.acknowledged) // 150)])


def test_entry_taken_by_one_is_shown_by_the_other_at_once(pair: Pair) -> None:
    key = pair.first.create_key()["key"]
    taken = []
    with pair.first.client(key) as first, pair.second.client(key) as second:
        for number in range(20):
            taker, asked = (first, second) if number % 2 else (second, first)
            [one] = report(taker, [event(f"shown-{number}")])
            answer = asked.get(f"/api/v1/receipts/{one.event_id}")
            assert answer.status_code == 200, answer.text
            taken.append(one._replace(receipt=answer.content))
            assert report(asked, [event(f"shown-{number}")])[0][:3] == one[:3]
            proof = asked.get(f"/api/v1/transparency/inclusion/{one.event_id}")
            assert proof.status_code == 200, proof.text
    assert_one_history(pair, taken)


def test_key_made_by_one_is_known_to_the_other_at_once(pair: Pair) -> None:
    for number in range(4):
        key = pair[number % 2].create_key()["key"]
        with pair[1 - number % 2].client(key) as other:
            assert report(other, [event(f"new-key-{number}")])
            assert other.get("/api/v1/events").status_code == 200


def test_key_revoked_through_one_is_refused_by_the_other(pair: Pair) -> None:
    """By whoever writes at once, since that is decided under the lock; by readers when they have heard of it."""
    for number in range(4):
        revoker, other = pair[number % 2], pair[1 - number % 2]
        created = revoker.create_key()
        with revoker.client() as owner, other.client(created["key"]) as agent:
            assert report(agent, [event(f"before-{number}")])
            assert owner.delete(f"/api/v1/keys/{created['id']}").status_code == 204
            revoked = time.monotonic()
            written = agent.post("/api/v1/events", json={"events": [event(f"after-{number}")]})
            assert written.status_code == 401, written.text
            last_read = revoked
            while (asked := time.monotonic()) < revoked + 10 * FRESH_SECONDS:
                if agent.get("/api/v1/events").status_code == 401:
                    break
                last_read = asked
            else:
                pytest.fail("the key is still good for reading")
            assert last_read - revoked < FRESH_SECONDS


def test_root_log_grows_as_if_there_were_one(pair: Pair) -> None:
    """Both commit heads by the clock; while both take events there is still one commitment an interval."""
    key, load = pair.first.create_key()["key"], Load()

    def committed() -> list[int]:
        with opened(pair.first.settings) as tables:
            rows = tables.ask("select recorded_at from entries where type = 'heads.committed' order by leaf_index")
        return [at for (at,) in rows]

    with running(load, *((service, key, endless(f"steady-{number}")) for number, service in enumerate(pair))):
        before = len(committed())
        # The first two may belong to what was written before.
        eventually(lambda: len(committed()) >= before + 8, "eight commitments")
    times = committed()[before + 2 : before + 8]
    assert load.refused == []
    assert (times[-1] - times[0]) / (len(times) - 1) > 800 * ROOT_INTERVAL, times
    assert indexes(pair.first, log=0) == list(range(len(indexes(pair.first, log=0))))


def test_commands_beside_both(pair: Pair, tmp_path: Path) -> None:
    """Given where the ledger is by flags, while both are reported to."""
    place, load = pair.first.settings, Load()
    assert place.database_url is not None
    where = ("--data", str(place.data), "--database-url", place.database_url, "--guard", str(place.guard))
    key = pair.first.create_key()["key"]
    with running(load, *((service, key, endless(f"beside-{number}")) for number, service in enumerate(pair))):
        made = done(run_ledger("keys", "create", "--env", "production", "--label", "by command", *where)).strip()
        for number, service in enumerate(pair):
            with service.client(made) as client:
                assert report(client, [event(f"by-command-{number}")])
        day = done(run_ledger("root", "close", *where))
        (tmp_path / "day.json").write_text(day)
        sizes = checked_sizes(done(run_ledger("check", "--replay", *where)))
        done(run_ledger("export", "--out", str(tmp_path / "evidence"), *where))
    assert load.refused == []
    assert sizes[0] <= len(indexes(pair.first)) and load.acknowledged
    for words in (
        ("root", str(tmp_path / "day.json"), *pair.trust[2:]),
        ("export", str(tmp_path / "evidence"), *pair.trust),
    ):
        verified = run_verifier(*words)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    for service in pair:
        with service.client("") as client:
            date = day.partition('"date":"')[2][:10]
            assert client.get(f"/api/v1/transparency/roots/{date}").text == day


def test_export_is_fetched_from_either(pair: Pair, tmp_path: Path) -> None:
    """Asked of one while both are reported to, it is found, fetched and forgotten through the other."""
    key, load = pair.first.create_key()["key"], Load()
    path = "/api/v1/audit/exports"
    with (
        running(load, *((service, key, endless(f"exported-{number}")) for number, service in enumerate(pair))),
        pair.first.client() as first,
        pair.second.client() as second,
    ):
        eventually(lambda: len(load.acknowledged) > 40, "the load to begin")
        status = first.post(path, json={"disclose": "all"}).raise_for_status().json()
        found = f"{path}/{status['export_id']}"
        eventually(lambda: second.get(found).json()["status"] == "ready", "the export")
        (tmp_path / "export.tar").write_bytes(second.get(f"{found}/export.tar").raise_for_status().content)
        assert second.delete(found).status_code == 204
        assert first.get(found).status_code == 404
    assert load.refused == []
    verified = run_verifier("export", str(tmp_path / "export.tar"), *pair.trust)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"entries 0 to {status['to'] - 1}" in verified.stdout and " 0 withheld" in verified.stdout


def test_one_killed_in_the_middle_holds_up_nobody(pair: Pair) -> None:
    """The server rolls back what the dead process had begun, and its locks are gone."""
    key, load, lost = pair.first.create_key()["key"], Load(), Load()
    with running(load, (pair.first, key, endless("survivor"))):
        with running(lost, *((pair.second, key, endless(f"victim-{number}")) for number in range(4))):
            eventually(lambda: len(lost.acknowledged) > 20, "the load to begin")
            pair.second.kill()
            size = len(load.acknowledged)
            eventually(lambda: len(load.acknowledged) > size + 20, "the other to go on", seconds=5)
        pair.second.start()
    assert load.refused == []
    present = indexes(pair.first)
    assert present == list(range(len(present)))
    assert_one_history(pair, [*load.acknowledged[::10], *lost.acknowledged[::10]])
    with pair.second.client() as client:
        found = {one[0]: one for one in listed(client)}
    assert all(found[one.call_id] == one[:3] for one in (*load.acknowledged, *lost.acknowledged))


def test_two_hosts(room: Room) -> None:
    """Nothing in common but the databases, the master key and the guard's directory, as on shared storage."""
    place = replace(room.new(), keystore_url=room.new().database_url)
    keys = httpx.Response(200, text=done(run_ledger("init", "--json", data=place))).json()
    other = replace(place, data=place.data.with_name("another-host"), master_key_path=place.master_key_file)
    other.data.mkdir(mode=0o700)
    with Service(place, keys) as first, Service(other, keys) as second:
        key = first.create_key()["key"]
        for number, (taker, asked) in enumerate([(first, second), (second, first)]):
            with taker.client(key) as client, asked.client() as owner:
                [one] = report(client, [event(f"host-{number}", payload={"reason": f"why {number}"})])
                answer = owner.get(f"/api/v1/receipts/{one.event_id}", params={"disclose": "all"})
                shown = verify_receipt(answer.content, trusted_keys([keys["log_vkey"]], [])).disclosures
                assert f'"why {number}"' in {disclosure.value for disclosure in shown}
    assert checked_sizes(done(run_ledger("check", "--replay", data=other)))[0] == 6
