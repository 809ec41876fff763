# SPDX-License-Identifier: Apache-2.0
"""`ledger init`: a new ledger with private files, or nothing at all."""

import base64
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.outcomes import WAIT_SECONDS, checked_sizes, digests, done, refused, run_together
from tests.running import Service, environment, eventually, run_ledger

_UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_VKEY_END = r"\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_for_people(tmp_path: Path) -> None:
    result = run_ledger("init", "--origin", "ledger.example.com", data=tmp_path / "data")
    assert re.fullmatch(
        rf"tenant     {_UUID7}\n"
        r"owner key  lk_all_[A-Za-z0-9_-]{43}\n"
        rf"log vkey   ledger\.example\.com/log/[0-9a-f]{{16}}{_VKEY_END}\n"
        rf"root vkey  ledger\.example\.com/root{_VKEY_END}\n",
        done(result),
    )
    assert "shown this once" in result.stderr
    assert f"Next: ledger serve --data {tmp_path / 'data'}" in result.stderr


def test_init_json(tmp_path: Path) -> None:
    result = run_ledger("init", "--json", "--origin", "ledger.example.com:8443/eu", data=tmp_path / "data")
    made = json.loads(done(result))
    assert result.stderr == ""
    assert set(made) == {"tenant_id", "owner_key", "log_vkey", "root_vkey"}
    assert re.fullmatch(_UUID7, made["tenant_id"])
    assert made["root_vkey"].startswith("ledger.example.com:8443/eu/root+")
    assert checked_sizes(done(run_ledger("check", "--replay", data=tmp_path / "data"))) == [3, 3]


def test_init_makes_private_files(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    guard = tmp_path / "state" / "guard"
    done(run_ledger("init", data=data, LEDGER_GUARD=str(guard)))
    assert _mode(data) == _mode(guard) == 0o700
    assert {path.suffix: _mode(path) for path in guard.iterdir()} == {".checkpoint": 0o600, ".lock": 0o600}
    files = {path.name: _mode(path) for path in data.iterdir()}
    assert files.pop("ledger-verify.pyz") & 0o022 == 0
    assert files == dict.fromkeys(("ledger.db", "keystore.db", "master.key", "serve.lock"), 0o600)


def test_serve_makes_private_files(service: Service) -> None:
    names = {path.name: path for path in service.data.iterdir() if path.name not in ("ledger-verify.pyz", "guard")}
    files = {name: _mode(path) for name, path in names.items()}
    assert set(files.values()) == {0o600}
    assert {"serve.sock", "ledger.db-wal", "ledger.db-shm"} <= set(files)


def test_init_twice_changes_nothing(fresh_ledger: tuple[Path, dict[str, str]]) -> None:
    data, _ = fresh_ledger
    before = digests(data)
    refused(run_ledger("init", "--origin", "other.example.com", data=data), "already", "nothing was changed")
    assert digests(data) == before


def test_init_bad_origin(tmp_path: Path) -> None:
    origins = ("", "https://ledger.example.com", "ünicode.example", "a\nb")
    for result in run_together(*(("init", "--origin", origin) for origin in origins), data=tmp_path / "data"):
        refused(result, "not a host name")
    assert not (tmp_path / "data").exists()


def test_init_master_key_of_environment(tmp_path: Path) -> None:
    data, key = tmp_path / "data", base64.b64encode(os.urandom(32)).decode()
    done(run_ledger("init", data=data, LEDGER_MASTER_KEY=key))
    assert not (data / "master.key").exists()
    refused(run_ledger("check", data=data), "no master key", "LEDGER_MASTER_KEY")
    assert done(run_ledger("check", data=data, LEDGER_MASTER_KEY=key))


def test_init_master_key_malformed_leaves_no_ledger(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused(run_ledger("init", data=data, LEDGER_MASTER_KEY="c2hvcnQ="), "LEDGER_MASTER_KEY", "32 bytes")
    assert not (data / "ledger.db").exists()
    assert done(run_ledger("init", data=data))


def test_init_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(run_ledger("init", data=tmp_path / "file" / "data"), "Not a directory")


@pytest.mark.parametrize("obstacle", ["keystore.db", "ledger.new"])
def test_init_failed_half_way_leaves_no_ledger(tmp_path: Path, obstacle: str) -> None:
    """A directory stands where a file is to be made; when it is gone, init starts over."""
    data = tmp_path / "data"
    (data / obstacle).mkdir(parents=True)
    refused(run_ledger("init", data=data))
    assert not (data / "ledger.db").exists()
    (data / obstacle).rmdir()
    done(run_ledger("init", data=data))
    assert checked_sizes(done(run_ledger("check", data=data))) == [3, 3]


def test_init_killed_half_way(tmp_path: Path) -> None:
    """Killed as soon as one file after another appears: there is a whole ledger or none, and init can be run again."""
    data = tmp_path / "data"
    for name in ("master.key", "keystore.db", "ledger.new"):
        process = subprocess.Popen(
            [sys.executable, "-m", "ledger", "init", "--data", str(data)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda name=name, process=process: (data / name).exists() or process.poll() is not None, name)
        process.kill()
        process.wait(WAIT_SECONDS)
    if not (data / "ledger.db").exists():
        done(run_ledger("init", data=data))
    assert checked_sizes(done(run_ledger("check", "--replay", data=data))) == [3, 3]
    assert not [path for path in data.iterdir() if path.name.startswith("ledger.new")]


def test_init_twice_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ledger", "init", "--json", "--data", str(tmp_path / "data")]
    both = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=WAIT_SECONDS) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert all("Traceback" not in errors for _, errors in outputs)
    assert checked_sizes(done(run_ledger("check", data=tmp_path / "data"))) == [3, 3]
