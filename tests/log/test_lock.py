# SPDX-License-Identifier: Apache-2.0
"""One writer per data directory, whatever becomes of the process that was it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.log.errors import ConfigurationError
from ledger.log.lock import DirectoryLock, InUseError

HOLD = """
import pathlib, sys
from ledger.log.lock import DirectoryLock
lock = DirectoryLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_second_lock_is_refused_and_names_the_directory(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        for _ in range(2):
            with pytest.raises(InUseError, match=f"another process serves {tmp_path}"):
                DirectoryLock(tmp_path)
    DirectoryLock(tmp_path).release()


def test_other_directory_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with DirectoryLock(tmp_path), DirectoryLock(tmp_path / "other"):
        assert (tmp_path / "other" / "serve.lock").exists()


@pytest.mark.parametrize("killed", [False, True])
def test_lock_ends_with_the_process_also_when_it_is_killed(tmp_path: Path, killed: bool) -> None:
    process = hold(tmp_path)
    with pytest.raises(InUseError):
        DirectoryLock(tmp_path)
    if killed:
        process.kill()
    process.communicate(timeout=30)
    DirectoryLock(tmp_path).release()


def test_lock_is_not_inherited_by_a_child_process(tmp_path: Path) -> None:
    """A child that outlives its parent must not keep the directory locked."""
    lock = DirectoryLock(tmp_path)
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    lock.release()
    DirectoryLock(tmp_path).release()
    child.communicate(timeout=30)


def test_lock_file_is_private_and_may_stay(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        assert (tmp_path / "serve.lock").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "serve.lock").exists()
    with DirectoryLock(tmp_path):
        assert (tmp_path / "serve.lock").read_bytes() == b""


def test_directory_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written") as caught:
        DirectoryLock(tmp_path / "missing")
    assert not isinstance(caught.value, InUseError)
