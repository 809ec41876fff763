# SPDX-License-Identifier: Apache-2.0
"""The single file does all of it on a bare Python, on every version from 3.9 on that this machine has."""

from __future__ import annotations

import glob
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from ledger_verify.bundle import bundle

from .every_call import every_call
from .exports import archive
from .world import World

VERSIONS = [f"3.{minor}" for minor in range(9, 16)]
# Each call in a fresh state of the module would be a start each; what they share is the package alone.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import ledger_verify
from ledger_verify.cli import main
assert ledger_verify.__file__.startswith(sys.argv[1]), ledger_verify.__file__
print(json.dumps([main(call) for call in json.loads(sys.argv[2])]), file=sys.stderr)
"""


@cache
def interpreters() -> dict[str, str]:
    """The Pythons of this machine by version: those on the path, and those of pyenv."""
    found: dict[str, str] = {}
    for candidate in [*(shutil.which(f"python{version}") for version in VERSIONS), *_of_pyenv()]:
        if candidate is not None:
            told = subprocess.run([candidate, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
                                  capture_output=True, text=True)  # fmt: skip
            if told.returncode == 0:
                found.setdefault(told.stdout.strip(), candidate)
    return found


def _of_pyenv() -> list[str]:
    return [
        path for version in VERSIONS for path in glob.glob(str(Path.home() / f".pyenv/versions/{version}*/bin/python3"))
    ]


@cache
def offline() -> list[str]:
    """What makes a program start without a network, where that can be had."""
    unshare = shutil.which("unshare")
    if unshare is not None and subprocess.run([unshare, "-n", "true"], capture_output=True).returncode == 0:
        return [unshare, "-n"]
    return []


def test_run_says_which_versions_were_missing(capsys: pytest.CaptureFixture[str]) -> None:
    found = [version for version in VERSIONS if version in interpreters()]
    missing = [version for version in VERSIONS if version not in interpreters()]
    with capsys.disabled():
        network = "off" if offline() else "left on, since it cannot be taken away here"
        print(f"\nledger-verify.pyz: Python {', '.join(found)}; missing: {missing}; network {network}")
    assert len(missing) < len(VERSIONS), "not even the one that runs the tests was found"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_command_on_a_bare_python(version: str, world: World, tmp_path: Path) -> None:
    if version not in interpreters():
        pytest.skip(f"there is no Python {version} here")
    python = [*offline(), interpreters()[version], "-I", "-S"]
    pyz = tmp_path / "ledger-verify.pyz"
    pyz.write_bytes(bundle())
    folder = tmp_path / "evidence"
    folder.mkdir()
    calls = every_call(world, folder)
    trust = ["--root-key", world.root.signer.vkey]
    packed = str(archive(folder / "export", tmp_path / "export.tar"))
    more = {"export of an archive": ["export", packed, *trust], "explain": ["explain", packed, *trust]}
    wanted = {**dict.fromkeys(calls, 0), "fork": 1, **dict.fromkeys(more, 0)}
    arguments = [str(pyz), json.dumps([*calls.values(), *more.values()])]
    done = subprocess.run([*python, "-c", PROGRAM, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stderr.splitlines()[-1])
    assert dict(zip([*calls, *more], codes, strict=True)) == wanted, done.stdout + done.stderr
    # The file by itself, too.
    done = subprocess.run([*python, str(pyz), *calls["receipt"]], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("OK  "), done.stdout + done.stderr
    assert re.search("Traceback|Warning", done.stderr) is None
