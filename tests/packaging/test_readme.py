# SPDX-License-Identifier: Apache-2.0
"""What the README tells its reader to type is typed here, and does what it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers import Ledger
from tests.running import Service, environment, run_ledger
from tests.running import variables as place_variables

ROOT = Path(__file__).parents[2]


def _blocks() -> list[str]:
    """The indented blocks of the README, unindented."""
    lines = (ROOT / "README.md").read_text().splitlines()
    groups = groupby(lines, lambda line: line.startswith("    "))
    return ["\n".join(line[4:] for line in block) for indented, block in groups if indented]


def _block(start: str) -> str:
    [found] = [block for block in _blocks() if block.startswith(start)]
    return found


def _words(command: str) -> set[str]:
    """A command line without its flags and without extras in brackets."""
    words = (re.sub(r"\[.*\]", "", word) for word in shlex.split(command))
    return {word for word in words if not word.startswith("-")}


def test_first_commands_are_those_of_the_checks() -> None:
    """A reader's first two lines are run on a bare machine by every change."""
    run = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    lines = [_words(line) for line in run.splitlines() if line.startswith(("pip ", "ledger ", "pytest"))]
    commands = [command for line in _block("pip install").splitlines() for command in line.split("&&")]
    assert len(commands) == 4
    for command in commands:
        assert any(_words(command) <= line for line in lines), command


@pytest.fixture(scope="module")
def folder(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would stand: `ledger-verify.pyz` and the data directory at hand."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copy(service.data / "ledger-verify.pyz", folder)
    return folder


def _type(service: Service, folder: Path, commands: str, **variables: str) -> str:
    """Give commands to a shell, with the service's own address for that of the README."""
    commands = commands.replace("http://127.0.0.1:8000", service.url)
    vkeys = {"LOG_VKEY": service.keys["log_vkey"], "ROOT_VKEY": service.keys["root_vkey"]}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = environment(PATH=path, **place_variables(service.settings), **vkeys, **variables)
    result = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, cwd=folder, env=settings)
    assert result.returncode == 0, (commands, result.stdout, result.stderr)
    return result.stdout


def test_commands_of_the_tour(service: Service, folder: Path) -> None:
    """Report with curl, make a key, close a day, export, check, and verify all of it as the README says."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    key = service.create_key()["key"]
    report, fetch = (block.replace("curl ", "curl -sS ", 1) for block in _blocks() if block.startswith("curl "))
    answer = json.loads(_type(service, folder, report, KEY=key))
    assert answer["accepted"] == 1
    assert answer["items"][0]["call_id"] == "c-1"
    [receipt] = answer["receipts"]
    _type(service, folder, fetch, KEY=key, EVENT_ID=answer["items"][0]["event_id"])
    assert json.loads((folder / "receipt.json").read_bytes())["entry"] == receipt["entry"]
    output = _type(service, folder, _block("ledger keys create"))
    assert output.startswith("lk_production_")
    assert output.count("ok ") == 2
    blocks = [block for block in _blocks() if block.startswith(("python3 ledger-verify.pyz", "echo '{"))]
    verified = "".join(_type(service, folder, block) for block in blocks)
    assert verified.count("OK  ") == "\n".join(blocks).count("ledger-verify.pyz ")


def test_commands_that_let_people_in(fresh_ledger: Ledger, folder: Path) -> None:
    """The first member by the owner key, a token for a script, an invitation, an agent's credential, the roles."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    with Service(*fresh_ledger) as service:
        commands = _block("BASE=").replace("curl ", "curl -sS ")
        output = _type(service, folder, commands, KEY=service.keys["owner_key"])
    first, invited, credential, roles = _objects(output)
    assert (first["email"], first["role"], first["status"]) == ("ada@example.com", "owner", "active")
    assert (invited["role"], invited["status"], bool(invited["invitation"])) == ("auditor", "invited", True)
    assert credential["agent_id"] == "payments-agent" and credential["secret"].startswith("la_production_")
    assert {role["role"] for role in roles["items"]} > {"owner", "auditor", "agent", "operator"}


def _objects(text: str) -> list[dict[str, Any]]:
    """JSON objects that follow each other with nothing between."""
    found, decoder = [], json.JSONDecoder()
    while text:
        value, stop = decoder.raw_decode(text)
        found.append(value)
        text = text[stop:].lstrip()
    return found


def test_commands_of_the_start() -> None:
    """`init` and `serve` as the README has them are known with exactly those flags."""
    commands = [line.split("#")[0].split() for line in _block("ledger init").splitlines()]
    assert [words[:2] for words in commands] == [["ledger", "init"], ["ledger", "serve"]]
    for words in commands:
        helped = run_ledger(*words[1:], "--help")
        assert helped.returncode == 0, helped.stderr


def test_what_is_where_exists() -> None:
    text = (ROOT / "README.md").read_text()
    paths = re.findall(r"^\| (`.*`) \|", text, re.MULTILINE)
    assert len(paths) >= 6
    for path in re.findall(r"`([^`]+)`", " ".join(paths)):
        assert (ROOT / path).is_dir(), path
