# SPDX-License-Identifier: Apache-2.0
"""A service whose data directory was copied and whose copies went on: who pinned what one showed catches the other."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledgers import Ledger, Room
from tests.running import Service, event, run_verifier
from tests.web.asking import API, report

pytestmark = pytest.mark.only_on("sqlite", "the copies are told apart by what they serve, whatever they lie on")


@pytest.fixture
def copies(fresh_ledger: Ledger, room: Room) -> Iterator[tuple[Service, Service, str]]:
    """Two services with the same keys and the same 300 events, and then others; and the path of the log on both."""
    place, keys = fresh_ledger
    with Service(place, keys) as one:
        with one.client() as client:
            report(client, *(event(f"shared-{n}") for n in range(300)))
            origin = client.get(f"{API}/transparency/head").json()["origin"]
        token = one.create_key(role="auditor", env="all")["key"]
        one.terminate()
        path = f"/log/{origin.rsplit('/', 1)[1]}/t/{token}/"
        with Service(room.copy(place), keys) as other:
            one.start()
            for service, name in ((one, "left"), (other, "right")):
                with service.client() as client:
                    report(client, *(event(f"{name}-{n}") for n in range(5)))
            yield one, other, path


def verify(*arguments: str, code: int) -> "subprocess.CompletedProcess[str]":
    done = run_verifier(*arguments)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done


def test_fork_is_caught_and_proved_to_a_stranger(copies: tuple[Service, Service, str], tmp_path: Path) -> None:
    one, other, path = copies
    key = ["--key", one.keys["log_vkey"]]
    book, fork, state = (str(tmp_path / name) for name in ("book", "fork.json", "state"))
    verify("log", one.url + path, *key, "--state", state, code=0)
    verify("pin", "add", one.url + path, "--pin", book, *key, code=0)
    verify("pin", "check", one.url + path, "--pin", book, code=0)

    # Of one size: the two heads alone are the proof. Then of different sizes: the larger tree proves it of itself.
    for number in range(2):
        done = verify("pin", "check", other.url + path, "--pin", book, "--proof-out", fork, code=1)
        assert fork in done.stdout and path.split("/t/")[1] not in done.stdout
        stranger = tmp_path / f"stranger-{number}"
        stranger.mkdir()
        (stranger / "proof.json").write_bytes(Path(fork).read_bytes())
        verify("equivocation", str(stranger / "proof.json"), *key, code=0)
        verify("equivocation", str(stranger / "proof.json"), "--key", one.keys["root_vkey"], code=1)
        document = json.loads(Path(fork).read_bytes())
        assert (document["consistency_path"] == []) == (number == 0)
        with other.client() as client:
            report(client, *(event(f"more-{n}") for n in range(300)))

    # Both copies hold together each for itself; only memory tells.
    verify("log", other.url + path, *key, code=0)
    verify("log", other.url + path, *key, "--state", state, code=1)
    verify("pin", "check", one.url + path, "--pin", book, code=0)
