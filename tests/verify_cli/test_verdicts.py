# SPDX-License-Identifier: Apache-2.0
"""The JSON of each command has the members of its page, and a failure quotes nothing of the evidence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import REPOSITORY
from .every_call import every_call
from .test_hostile_files import run
from .world import World

PAGE = (REPOSITORY / "spec" / "verdicts.md").read_text(encoding="utf-8")
ROWS = {
    command: set(re.findall(r"`(\w+)`", members))
    for command, members in re.findall(r"^\| `([a-z ]+)` \| ((?:`\w+`(?:, )?)+) \|$", PAGE, re.MULTILINE)
}


@pytest.fixture(scope="module")
def commands(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return every_call(world, tmp_path_factory.mktemp("verdicts"))


def test_page_names_every_command(commands: dict[str, list[str]]) -> None:
    assert list(ROWS) == [*commands][:-1]


def test_members_are_those_of_the_page(commands: dict[str, list[str]]) -> None:
    for command, members in ROWS.items():
        code, said = run([*commands[command], "--json"])
        assert code == 0, (command, said)
        answer = json.loads(said)
        assert set(answer) == {"format", "verdict", "tier", "results"} and answer["format"] == "ledger-verify/v1"
        [result] = answer["results"]
        assert set(result) == members | {"file", "verdict", "tier"}, command


def test_failure_has_a_reason_and_a_fork_its_heads(commands: dict[str, list[str]], tmp_path: Path) -> None:
    code, said = run([*commands["fork"], "--json"])
    [result] = json.loads(said)["results"]
    assert code == 1 and set(result) == {"file", "verdict", "tier", "reason", "equivocation"}
    assert set(result["equivocation"]) == {"older", "newer", "proof"} and result["equivocation"]["proof"] is None
    assert set(result["equivocation"]["older"]) == {"origin", "tree_size", "root_hash"}
    (tmp_path / "junk").write_bytes(b"junk")
    for command in ("receipt", "root", "proof", "equivocation"):
        code, said = run([command, str(tmp_path / "junk"), "--json"])
        [result] = json.loads(said)["results"]
        assert code == 1 and set(result) == {"file", "verdict", "tier", "reason"}


def test_explain_has_the_members_of_the_fitting_command(commands: dict[str, list[str]]) -> None:
    kinds = {"root": "day document", "proof": "tlog-proof", "equivocation": "proof of equivocation"}
    for command in ("receipt", "export", "root", "proof", "log", "equivocation"):
        code, said = run(["explain", *commands[command][1:], "--json"])
        [result] = json.loads(said)["results"]
        assert code == 0 and result["recognised"] == kinds.get(command, command)
        assert set(result) == ROWS[command] | {"file", "verdict", "tier", "recognised", "explanation"}, command
        assert list(result["explanation"]) == ["checked", "meaning", "not_checked", "next"]
    place, key = commands["pin add"][2], commands["log"][2:]
    [result] = json.loads(run(["explain", place, *key, "--json"])[1])["results"]
    assert set(result) == ROWS["consistency"] - {"previous"} | {"file", "verdict", "tier", "recognised", "explanation"}
