# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, or that turns read-only: typed refusals, nothing half-written, and on it goes afterwards.

The disk is a small tmpfs, so these tests need the right to mount one. A database server has disks of its own: of
PostgreSQL it is told to refuse writes, which is what it does when one of them is full.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ledger_verify.bundle import bundle

from tests.commands.outcomes import checked_sizes, done, refused
from tests.ledgers import Ledger
from tests.running import Service, event, eventually, run_ledger
from tests.tables import refusing_writes

Mount = Callable[[str], Path]
DISK_BYTES = 4 << 20


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small disk at a new folder, and takes it away in the end."""
    folder = tmp_path / "disk"

    def make(options: str) -> Path:
        folder.mkdir()
        if os.geteuid() != 0:
            pytest.skip("only root can mount a small disk")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
        return folder

    yield make
    if os.path.ismount(folder):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(mount: Mount) -> Path:
    return mount(f"size={DISK_BYTES}")


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


ON_OUR_DISK = pytest.mark.only_on("sqlite", why="the database is a file on the disk that is filled")


def _serve(disk: Path, template: Ledger, *flags: str) -> Service:
    """A service on a copy of the template; its log is on the same disk."""
    return Service(Path(shutil.copytree(template[0].data, disk / "data")), template[1], *flags)


@contextmanager
def _no_write_succeeds(service: Service) -> Iterator[None]:
    if service.settings.shared:
        with refusing_writes(service.settings):
            yield
        return
    unlimited = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
    yield
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, unlimited)


def _fill(disk: Path) -> Path:
    """Take all that is left of the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    assert shutil.disk_usage(disk).free == 0
    return ballast


def _report(client: httpx.Client, name: str, count: int = 20) -> httpx.Response:
    text = "x" * 500
    events = [event(f"{name}-{place}", payload={"tool_args": {"text": text}}) for place in range(count)]
    return client.post("/api/v1/events", json={"events": events})


def _assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "LEDGER_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1


def _check_all_there(service: Service, acknowledged: list[dict[str, Any]]) -> None:
    with service.client(verify=False) as client:
        for item in acknowledged:
            found = client.get(f"/api/v1/events/{item['event_id']}").raise_for_status().json()
            assert (found["leaf_index"], found["data"]["call_id"]) == (item["leaf_index"], item["call_id"])


@ON_OUR_DISK
def test_disk_full_under_a_running_service(disk: Path, template_ledger: Ledger) -> None:
    """Batches until one does not fit; then 503s, while reads go on; then space, and the same service writes again."""
    service = _serve(disk, template_ledger, "--access-log", "--root-interval", "0.1")
    acknowledged: list[dict[str, Any]] = []
    try:
        key = service.create_key()["key"]
        with service.client(key, verify=False) as client:
            assert _report(client, "before").status_code == 200
            ballast = _fill(disk)
            refusals = 0
            for number in range(200):
                answer = _report(client, f"full-{number}")
                if answer.status_code == 200:
                    acknowledged += answer.json()["items"]
                else:
                    _assert_unavailable(answer)
                    refusals += 1
                    if refusals == 5:
                        break
            assert refusals == 5, "the disk never became full"
            size = service.size()
            for _ in range(3):
                _assert_unavailable(_report(client, f"full-{number}"))
            assert service.size() == size
            assert service.process.poll() is None
            _check_all_there(service, acknowledged)
            ballast.unlink()
            answer = _report(client, f"full-{number}")
            assert answer.status_code == 200, answer.text
            assert answer.json()["accepted"] == 20
            acknowledged += answer.json()["items"]
            assert service.size() == size + 20
        _check_all_there(service, acknowledged)
        with service.client(verify=False) as owner:
            last = f"/api/v1/receipts/{acknowledged[-1]['event_id']}"
            eventually(lambda: owner.get(last).json()["root"] is not None, "the root log to go on as well")
        assert service.terminate() == 0
        assert checked_sizes(done(run_ledger("check", "--replay", data=service.settings)))[0] == size + 20
    finally:
        service.kill()


@ON_OUR_DISK
def test_disk_full_at_start(disk: Path, template_ledger: Ledger) -> None:
    """A command that cannot write says so, and what was written before is there."""
    service = _serve(disk, template_ledger)
    key = service.create_key()["key"]
    size = service.size()
    service.kill()
    ballast = _fill(disk)
    result = run_ledger("keys", "create", "--env", "production", "--label", "one more", data=service.settings)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("ledger: ")
    assert "Traceback" not in result.stderr
    ballast.unlink()
    service.start()
    with service, service.client(key, verify=False) as client:
        assert service.size() == size
        assert _report(client, "after").status_code == 200


def test_disk_full_for_init(mount: Mount) -> None:
    # Too little for the verifier; then enough for that and the keys, and too little for the database.
    disk = mount("size=64k")
    refused(run_ledger("init", data=disk / "data"), "the verifier cannot be written", "No space left on device")
    _remount(disk, f"size={len(bundle()) + (64 << 10)}")
    refused(run_ledger("init", data=disk / "data"))
    assert not (disk / "data" / "ledger.db").exists()
    _remount(disk, f"size={DISK_BYTES}")
    done(run_ledger("init", data=disk / "data"))
    assert checked_sizes(done(run_ledger("check", data=disk / "data"))) == [3, 3]


def test_every_write_is_refused(fresh_ledger: Ledger) -> None:
    """Writes of the running service fail with an error of its store; reads go on, and so does the service later."""
    with Service(*fresh_ledger, "--root-interval", "0.05") as service:
        key = service.create_key()["key"]
        with service.client(key, verify=False) as client:
            acknowledged = _report(client, "before").json()["items"]
            with _no_write_succeeds(service):
                for number in range(3):
                    _assert_unavailable(_report(client, f"refused-{number}"))
                _check_all_there(service, acknowledged)
                size = service.size()
            acknowledged += _report(client, "refused-0").json()["items"]
        assert service.size() == size + 20
        _check_all_there(service, acknowledged)
    assert checked_sizes(done(run_ledger("check", "--replay", data=service.settings)))[0] == size + 20


@ON_OUR_DISK
def test_disk_read_only_at_start(disk: Path, template_ledger: Ledger) -> None:
    data = Path(shutil.copytree(template_ledger[0].data, disk / "data"))
    _remount(disk, "ro")
    for command in (("serve", "--port", "0"), ("root", "close")):
        refused(run_ledger(*command, data=data), str(data))
    checked = run_ledger("check", data=data)
    assert "Traceback" not in checked.stderr
    _remount(disk, "rw")
    assert checked_sizes(done(run_ledger("check", data=data))) == [3, 3]


def test_keystore_cannot_be_written(fresh_ledger: Ledger) -> None:
    """No entry without the key that opens it: where a new key is needed, the answer is 503."""
    with Service(*fresh_ledger) as service:
        key = service.create_key()["key"]
        # The keystore's journal cannot be made while a folder is in its place.
        (service.data / "keystore.db-journal").mkdir()

        def post(person: str) -> httpx.Response:
            with service.client(key, verify=False) as client:
                payload = {"principal": {"user_id": person}}
                return client.post("/api/v1/events", json={"events": [event(f"of-{person}", payload=payload)]})

        size = service.size()
        for _ in range(2):
            _assert_unavailable(post("grace"))
        assert service.size() == size
        (service.data / "keystore.db-journal").rmdir()
        assert [post(person).status_code for person in ("grace", "ada")] == [200, 200]
        with service.client(verify=False) as owner:
            listed = owner.get("/api/v1/events", params={"type": "call.reported", "disclose": "all"}).json()
        assert [item["data"]["principal"] for item in listed["items"]] == [{"user_id": "ada"}, {"user_id": "grace"}]
    assert checked_sizes(done(run_ledger("check", "--replay", data=service.settings)))[0] == size + 2
