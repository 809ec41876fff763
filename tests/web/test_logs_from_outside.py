# SPDX-License-Identifier: Apache-2.0
"""A running service's logs, read over HTTP and derived again by the verifier as a program of its own."""

import json
from pathlib import Path

import httpx
import pytest

from tests.running import Service, event, run_verifier
from tests.web.asking import API, report

pytestmark = pytest.mark.any_store("what is served is the same on each, says test_tiles")


@pytest.fixture(scope="module")
def log_path(owner: httpx.Client) -> str:
    """The path of the tenant's log, which has grown past one full tile and a bit."""
    report(owner, *(event(f"outside-{n}") for n in range(300)))
    origin: str = owner.get(f"{API}/transparency/head").json()["origin"]
    return "/log/" + origin.rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def token(service: Service) -> str:
    token: str = service.create_key(role="auditor", env="all")["key"]
    return token


def verified(*arguments: str, code: int = 0) -> dict[str, object]:
    done = run_verifier(*arguments, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    result: dict[str, object] = json.loads(done.stdout)["results"][0]
    return result


def test_tenant_s_log_with_a_read_token(
    service: Service, owner: httpx.Client, log_path: str, token: str, tmp_path: Path
) -> None:
    place = f"{service.url}{log_path}/t/{token}/"
    arguments = ("log", place, "--key", service.keys["log_vkey"], "--state", str(tmp_path / "state"))
    first = verified(*arguments, "--entries", "ledger")
    assert (first["from"], first["tree_size"], first["entries"]) == (0, service.size(), "ledger")
    assert token not in json.dumps(first)
    report(owner, *(event(f"later-{n}") for n in range(300)))
    second = verified(*arguments)
    assert (second["from"], second["tree_size"]) == (first["tree_size"], service.size())
    assert "extends_state" in second["checked"]


def test_root_log_without_a_credential(service: Service) -> None:
    result = verified("log", f"{service.url}/root/", "--root-key", service.keys["root_vkey"])
    assert (result["tier"], result["entries"]) == ("tamper-evident", "ledger")


def test_who_may_not_read_cannot_tell(service: Service, log_path: str) -> None:
    for path in (log_path, f"{log_path}/t/lk_all_wrong"):
        result = verified("log", service.url + path, "--key", service.keys["log_vkey"], code=2)
        assert "read token" in str(result["reason"])


def test_tlog_proof_as_it_comes(service: Service, owner: httpx.Client, tmp_path: Path) -> None:
    [item] = report(owner, event("as-proof"))["items"]
    answer = owner.get(f"{API}/receipts/{item['event_id']}", headers={"accept": "text/plain"}).raise_for_status()
    (tmp_path / "event.tlog-proof").write_bytes(answer.content)
    result = verified("proof", str(tmp_path / "event.tlog-proof"), "--key", service.keys["log_vkey"])
    assert (result["leaf_index"], result["entries"], result["type"]) == (item["leaf_index"], "ledger", "call.reported")


def test_consistency_between_two_heads_as_they_come(service: Service, owner: httpx.Client, tmp_path: Path) -> None:
    """Every file is what one GET answered."""
    report(owner, event("consistent-1"))
    old = owner.get(f"{API}/transparency/head")
    report(owner, *(event(f"consistent-2-{n}") for n in range(5)))
    new = owner.get(f"{API}/transparency/checkpoint")
    sizes = {"from": old.json()["tree_size"], "to": old.json()["tree_size"] + 5}
    answer = owner.get(f"{API}/transparency/consistency", params=sizes)
    for name, response in (("old", old), ("new", new), ("answer", answer)):
        (tmp_path / name).write_bytes(response.raise_for_status().content)
    files = str(tmp_path / "answer"), "--old", str(tmp_path / "old"), "--new", str(tmp_path / "new")
    result = verified("consistency", *files, "--key", service.keys["log_vkey"])
    assert result["tree_size"] == sizes["to"]
