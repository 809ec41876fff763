# SPDX-License-Identifier: Apache-2.0
"""Whatever a user gets wrong is answered by one line and an exit code, never by a traceback.

Each row of the two tables is a command line, run as a process in a folder with the things that `_furnish` makes.
"""

import base64
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.commands.outcomes import WAIT_SECONDS, misused, refused
from tests.ledgers import Ledger
from tests.running import environment

pytestmark = pytest.mark.only_on("sqlite", why="what is wrong is in the data directory; test_wrong_database.py")

NOBODY = "http://127.0.0.1:1"
"""A port that no service may have."""

# What cannot be done: the command line, and words of the answer.
REFUSED = {
    "check --data missing": "no ledger",
    "serve --data missing --port 0": "run `ledger init --data missing` first",
    "root close --data empty": "run `ledger init --data empty` first",
    "check --data junk": "junk/ledger.db",
    "keys list --data hollow": "hollow/ledger.db",
    "check --data cut": "cut/ledger.db",
    "check --data foreign": "foreign/ledger.db has format 7",
    "check --data folder": "folder/ledger.db",
    "serve --data rekeyed --port 0": "the master key is not the one",
    "check --data garbled": "garbled/master.key does not hold 32 bytes",
    "check --data keyless": "no master key: keyless/master.key is missing",
    "check --data shown": "run chmod 600 shown/master.key",
    "keys list --data stored": "stored/keystore.db cannot be opened",
    "serve --data good --guard good/guard --port 0 --host 203.0.113.7": "cannot listen on 203.0.113.7",
    "serve --data spare --guard spare/guard --port 0 --host \udcff": "cannot listen on",
    "serve --data spare --guard elsewhere --port 0": "there is no rollback guard elsewhere/",
    "serve --data spare --guard one.jsonl/guard --port 0": "cannot be read: Not a directory",
    "export --data good --out one.jsonl/out": "Not a directory",
    "import noise --key k --url " + NOBODY: "line 1: ",
    "import cut.gz --key k --url " + NOBODY: "cut.gz is a damaged gzip file",
    "import bad.gz --key k --url " + NOBODY: "bad.gz is a damaged gzip file",
    "import one.jsonl --key kü --url " + NOBODY: "the address or the key cannot be used",
    "import one.jsonl --key k --url http://localhost:port": "the address or the key cannot be used",
}

# What is no proper command line.
MISUSED = {
    "": "Commands:",
    "recheck": "No such command",
    "check --deep": "No such option",
    "check --data one.jsonl": "is a file",
    "import missing.jsonl --key k": "does not exist",
    "export --data good --out out --to 0": "is not in the range",
    "serve --data good --port -1": "is not in the range",
    "keys revoke": "Missing argument",
}


def _furnish(folder: Path, template: Path) -> None:
    """Ledgers with one thing wrong each, and files that are no imports."""
    for name in (
        "good",
        "spare",
        "junk",
        "hollow",
        "cut",
        "foreign",
        "folder",
        "rekeyed",
        "garbled",
        "keyless",
        "shown",
        "stored",
    ):
        shutil.copytree(template, folder / name)
    (folder / "empty").mkdir()
    (folder / "junk" / "ledger.db").write_bytes(os.urandom(50_000))
    (folder / "hollow" / "ledger.db").write_bytes(b"")
    database = folder / "cut" / "ledger.db"
    database.write_bytes(database.read_bytes()[: database.stat().st_size // 2])
    database = folder / "foreign" / "ledger.db"
    content = bytearray(database.read_bytes())
    content[60:64] = (7).to_bytes(4, "big")  # user_version (sqlite.org/fileformat2.html, 1.3.14)
    database.write_bytes(content)
    (folder / "folder" / "ledger.db").unlink()
    (folder / "folder" / "ledger.db").mkdir()
    (folder / "rekeyed" / "master.key").write_bytes(base64.b64encode(os.urandom(32)))
    (folder / "garbled" / "master.key").write_bytes(b"\xff\x00" * 40)
    (folder / "keyless" / "master.key").unlink()
    (folder / "shown" / "master.key").chmod(0o644)
    (folder / "stored" / "keystore.db").write_bytes(os.urandom(5_000))
    (folder / "one.jsonl").write_text('{"call_id": "a"}\n')
    (folder / "noise").write_bytes(b"\x00" + os.urandom(50_000))
    packed = gzip.compress(os.urandom(5_000))
    (folder / "cut.gz").write_bytes(packed[:2_000])
    (folder / "bad.gz").write_bytes(packed[:10] + bytes(byte ^ 0xFF for byte in packed[10:200]) + packed[200:])


Outcomes = dict[str, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def outcomes(template_ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """All command lines of both tables, run a few at a time."""
    folder = tmp_path_factory.mktemp("yard")
    _furnish(folder, template_ledger[0].data)

    def run(line: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "ledger", *line.split()]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment(), timeout=WAIT_SECONDS, cwd=folder
        )

    lines = [*REFUSED, *MISUSED]
    with ThreadPoolExecutor(3) as pool:
        yield dict(zip(lines, pool.map(run, lines), strict=True))


@pytest.mark.parametrize("line", REFUSED, ids=ascii)
def test_what_cannot_be_done_is_refused(outcomes: Outcomes, line: str) -> None:
    refused(outcomes[line], REFUSED[line])


@pytest.mark.parametrize("line", MISUSED, ids=ascii)
def test_what_is_no_command_line_is_usage(outcomes: Outcomes, line: str) -> None:
    misused(outcomes[line], MISUSED[line])
