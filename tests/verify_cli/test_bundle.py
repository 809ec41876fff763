# SPDX-License-Identifier: Apache-2.0
"""The single-file verifier: the same bytes from everywhere, and it runs where nothing is installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import ledger_verify
import pytest
from ledger_verify.bundle import SHEBANG, bundle

from .textbook import file_bytes
from .world import World

PACKAGE = Path(ledger_verify.__file__).parent
MINORS = range(9, 16)


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "ledger-verify.pyz"
    command = [sys.executable, "-m", "ledger_verify.bundle", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    return path


@pytest.fixture(scope="module")
def pythons() -> dict[int, str]:
    """Each python3.N of at least 3.9 that starts, by N."""
    found = {}
    roots = [Path.home() / ".pyenv" / "versions", Path("/opt/pyenv/versions")]
    for minor in MINORS:
        candidates = [shutil.which(f"python3.{minor}")]
        candidates += [str(path) for root in roots for path in root.glob(f"3.{minor}.*/bin/python3")]
        for candidate in filter(None, candidates):
            probe = [candidate, "-I", "-S", "-c", "import sys; print(sys.version_info[1])"]
            done = subprocess.run(probe, capture_output=True, text=True, timeout=60)
            if done.stdout.strip() == str(minor):
                found[minor] = candidate
                break
    print("tried with:", found, "; missing:", [f"python3.{m}" for m in MINORS if m not in found])
    return found


@pytest.fixture(scope="module")
def receipt(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("receipt") / "receipt.json"
    path.write_bytes(file_bytes(world.receipt(9)))
    return path


def test_two_runs_give_the_same_bytes(pyz: Path) -> None:
    assert pyz.read_bytes() == bundle() == bundle()


def test_every_python_gives_the_same_bytes(pyz: Path, pythons: dict[int, str], tmp_path: Path) -> None:
    assert pythons
    for minor, python in pythons.items():
        out = tmp_path / f"{minor}.pyz"
        environment = {"PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1", "TZ": f"UTC-{minor}"}
        command = [python, "-m", "ledger_verify.bundle", str(out)]
        subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment, umask=minor % 8)
        assert out.read_bytes() == pyz.read_bytes(), python


def test_every_python_runs_it_isolated(
    pyz: Path, pythons: dict[int, str], receipt: Path, world: World, tmp_path: Path
) -> None:
    """-I ignores the environment, -S the installed packages; nothing may be written beside the file."""
    bad = tmp_path / "bad.json"
    bad.write_bytes(receipt.read_bytes().replace(b"agent-7", b"agent-8"))
    keys = ["--key", world.log.signer.vkey, "--root-key", world.root.signer.vkey]
    for python in pythons.values():
        for file, code, word in ((receipt, 0, "OK  "), (bad, 1, "FAIL ")):
            command = [python, "-I", "-S", str(pyz), "receipt", *keys, str(file)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={}, cwd=tmp_path)
            assert (done.returncode, done.stdout[: len(word)]) == (code, word), (python, done)
    assert sorted(path.name for path in pyz.parent.iterdir()) == [pyz.name]


def test_it_runs_as_a_program(pyz: Path, receipt: Path, world: World) -> None:
    assert os.access(pyz, os.X_OK) and pyz.read_bytes().startswith(SHEBANG)
    done = subprocess.run(
        [str(pyz), "receipt", str(receipt), "--key", world.log.signer.vkey], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.startswith("OK  ")


def test_it_holds_the_package_and_nothing_else(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert set(names) == {"__main__.py"} | {f"ledger_verify/{path.name}" for path in PACKAGE.glob("*.py")}
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0) and info.compress_type == zipfile.ZIP_STORED
            if info.filename != "__main__.py":
                assert archive.read(info) == (PACKAGE.parent / info.filename).read_bytes()


def test_usage_and_unwritable_targets(tmp_path: Path) -> None:
    for arguments in ([], ["--help"], ["a", "b"], [str(tmp_path)], [str(tmp_path / "no" / "x")]):
        command = [sys.executable, "-m", "ledger_verify.bundle", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
