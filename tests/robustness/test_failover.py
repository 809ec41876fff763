# SPDX-License-Identifier: Apache-2.0
"""After a failover of the database server nothing is signed before an operator has said that it may.

The server is brought up again as a standby is that takes over: it recovers, and begins a new timeline.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands.outcomes import checked_sizes, done, refused
from tests.postgres import PostgresServer
from tests.running import Service, event, eventually, run_ledger


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer(settings={"restore_command": "false"}) as started:
        yield started


def _fail_over(server: PostgresServer) -> None:
    server.stop()
    signal = server.data / "recovery.signal"
    signal.touch()
    owner = server.data.stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    server.start()


def _post(client: httpx.Client, call_id: str) -> httpx.Response:
    return client.post("/api/v1/events", json={"events": [event(call_id)]})


def _items(answer: httpx.Response) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return items


def test_failover_waits_for_a_confirmation(server: PostgresServer, tmp_path: Path) -> None:
    data, where = tmp_path / "data", ("--database-url", server.create_database("ledger"))
    keys = json.loads(done(run_ledger("init", "--json", *where, data=data)))
    with Service(data, keys, *where) as service, service.client() as client:
        before = _items(_post(client, "before"))
        server.restart()
        eventually(lambda: _post(client, "restarted").is_success, "the server after a restart, which is no failover")
        _fail_over(server)
        halted = eventually(lambda: "operator" in (answer := _post(client, "after")).text and answer, "the halt")
        assert halted.status_code == 503
        assert "operator" in client.get("/ready").json()["reason"]
    refused(run_ledger("serve", "--port", "0", *where, data=data), "was failed over", "ledger guard confirm")
    assert run_ledger("guard", "show", *where, data=data).returncode == 1
    done(run_ledger("guard", "confirm", *where, data=data))
    service.start()
    with service, service.client() as client:
        assert _items(_post(client, "before")) == [before[0] | {"duplicate": True}]
        assert not _items(_post(client, "after"))[0]["duplicate"]
    assert checked_sizes(done(run_ledger("check", *where, data=data)))[0] == 6
