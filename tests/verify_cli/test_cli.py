# SPDX-License-Identifier: Apache-2.0
"""The command as users and scripts meet it: exit codes, the two streams, JSON, and hostile names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_verify import __version__
from ledger_verify.commands import COMMANDS

from .conftest import Run
from .textbook import Signer, file_bytes
from .world import Log, World, genesis


@pytest.fixture(scope="module")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of each kind."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "good.json").write_bytes(file_bytes(world.receipt(9)))
    (folder / "plain.json").write_bytes(file_bytes(world.receipt(9, root=False, day=False, disclose=False)))
    (folder / "bad.json").write_bytes(file_bytes(world.receipt(9) | {"leaf_index": 10}))
    (folder / "day.json").write_bytes(file_bytes(world.day()))
    world.export(folder / "export", 4, 20)
    world.export(folder / "bad-export", 4, 20)
    (folder / "bad-export" / "entries.jsonl").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def key(world: World) -> list[str]:
    return ["--key", world.log.signer.vkey]


@pytest.fixture(scope="module")
def root_key(world: World) -> list[str]:
    return ["--root-key", world.root.signer.vkey]


def test_exit_codes_of_one_file(run: Run, files: Path, key: list[str], root_key: list[str]) -> None:
    other = ["--key", Signer("localhost/x", b"x").vkey]
    rows = [
        (0, "receipt", "good.json", key + root_key),
        (0, "receipt", "good.json", root_key),
        (0, "receipt", "plain.json", key),
        (1, "receipt", "good.json", other),
        (1, "receipt", "plain.json", other),
        (1, "receipt", "bad.json", key + root_key),
        (1, "receipt", "bad.json", []),
        (1, "receipt", "day.json", root_key),
        (2, "receipt", "missing.json", key),
        (2, "receipt", "export", key),
        (3, "receipt", "good.json", []),
        (3, "receipt", "plain.json", root_key),
        (0, "root", "day.json", root_key),
        (3, "root", "day.json", key),
        (3, "root", "day.json", []),
        (1, "root", "day.json", ["--root-key", other[1]]),
        (1, "root", "good.json", root_key),
        (2, "root", "missing.json", root_key),
        (0, "export", "export", key),
        (0, "export", "export", root_key),
        (3, "export", "export", []),
        (1, "export", "export", other),
        (1, "export", "bad-export", key),
        (2, "export", "missing", key),
        (2, "export", "good.json", key),
    ]
    for code, command, name, options in rows:
        done = run(command, files / name, *options)
        assert done.returncode == code, (command, name, options, done)
        assert ("OK " in done.stdout) == (code == 0)
        assert ("FAIL " in done.stdout) == (code == 1)
        assert "Traceback" not in done.stderr


def test_exit_code_of_several_files_is_that_of_the_worst(run: Run, files: Path, key: list[str], world: World) -> None:
    good, bad, missing = files / "good.json", files / "bad.json", files / "missing.json"
    plain = files / "plain.json"
    root = ["--root-key", world.root.signer.vkey]
    assert run("receipt", good, plain, *key).returncode == 0
    assert run("receipt", good, missing, bad, *key).returncode == 1
    assert run("receipt", good, missing, plain, *root).returncode == 2
    assert run("receipt", good, plain, *root).returncode == 3


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["receipt"],
        ["receipt", "x", "--key"],
        ["receipt", "x", "--keys", "y"],
        ["receipt", "x", "--ke", "y"],
        ["receipt", "x", "--key", "not a key"],
        ["receipt", "x", "--root-key", "a+00000000+AAAA"],
        ["root", "a", "b"],
        ["export"],
        ["receipt", "x", "--key", "\x1b]0;owned\x07"],
    ],
)
def test_wrong_usage(arguments: list[str], run: Run) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert "usage: ledger-verify" in done.stderr and "\x1b" not in done.stderr and "Traceback" not in done.stderr


def test_the_same_key_twice_is_one_key(run: Run, files: Path, key: list[str]) -> None:
    assert run("receipt", files / "good.json", *key, *key).returncode == 0


def test_lines_for_people(run: Run, files: Path, key: list[str], root_key: list[str], world: World) -> None:
    good, plain, bad = files / "good.json", files / "plain.json", files / "bad.json"
    done = run("receipt", good, plain, bad, *key, *root_key)
    first, second, third, summary = done.stdout.splitlines()
    assert first.startswith(f"OK  {good}  tamper-evident  call.reported #9 of {world.log.origin}")
    assert "closed by day 2026-11-22" in first and "3 fields disclosed, 0 withheld" in first
    assert second.startswith(f"OK  {plain}  tamper-detecting  call.reported #9 of {world.log.origin}")
    assert "0 fields disclosed, 3 withheld" in second
    assert third.startswith(f"FAIL {bad}  step 4: ")
    assert summary == "3 files: 2 verified, 1 not verified"
    assert done.stderr == ""


def test_self_consistent_is_never_called_ok(run: Run, files: Path) -> None:
    done = run("receipt", files / "good.json")
    assert done.stdout.startswith("SELF ") and "self-consistent only" in done.stdout and "OK" not in done.stdout
    assert "anybody could have made this" in done.stderr


def test_json(run: Run, files: Path, key: list[str], root_key: list[str], world: World) -> None:
    done = run("receipt", files / "good.json", files / "plain.json", *key, *root_key, "--json")
    answer = json.loads(done.stdout)
    assert (answer["format"], answer["verdict"], answer["tier"]) == ("ledger-verify/v1", "verified", "tamper-detecting")
    good, plain = answer["results"]
    assert good["file"] == str(files / "good.json")
    assert (good["verdict"], good["tier"], good["signed_by"]) == ("verified", "tamper-evident", ["key", "root-key"])
    assert (good["type"], good["leaf_index"], good["tree_size"]) == ("call.reported", 9, world.log_size)
    assert good["checked"] == ["entry", "inclusion", "disclosures", "root", "daily_root"]
    assert good["fields"]["/data/tool_args/amount"] == {"state": "disclosed", "value": "1.50"}
    assert plain["fields"]["/data/tool_args/amount"] == {"state": "withheld"}
    assert plain["root"] is None and plain["date"] is None and plain["notes"] == []


def test_json_of_each_verdict(run: Run, files: Path, key: list[str]) -> None:
    rows = [
        ("verified", "tamper-detecting", files / "plain.json", key),
        ("not-verified", None, files / "bad.json", key),
        ("cannot-tell", None, files / "missing.json", key),
        ("self-consistent", None, files / "plain.json", []),
    ]
    for verdict, tier, file, options in rows:
        answer = json.loads(run("receipt", file, *options, "--json").stdout)
        assert (answer["verdict"], answer["tier"]) == (verdict, tier)
        assert [(r["verdict"], r["tier"]) for r in answer["results"]] == [(verdict, tier)]
        assert ("reason" in answer["results"][0]) == (verdict in ("not-verified", "cannot-tell"))
        assert ("origin" in answer["results"][0]) == (verdict in ("verified", "self-consistent"))


def test_json_of_day_and_export(run: Run, files: Path, root_key: list[str]) -> None:
    [day] = json.loads(run("root", files / "day.json", *root_key, "--json").stdout)["results"]
    assert (day["date"], day["heads_count"], day["tier"]) == ("2026-11-22", 2, "tamper-evident")
    [export] = json.loads(run("export", files / "export", *root_key, "--json").stdout)["results"]
    assert (export["from"], export["to"]) == (4, 20)
    assert export["fields"] == {"disclosed": 48, "withheld": 0, "erased": 0} and export["erasures"] == []
    assert export["governing"] == {"entries": 3, "last": 2}
    assert export["disclose"] == ["* *"] and [known["since"] for known in export["keys"]] == [1]
    assert export["types"] == {"call.reported v1": 16} and "completeness" in export["checked"]


def test_unknown_event_type_is_said(run: Run, tmp_path: Path) -> None:
    log = Log(Signer("localhost/log/one", b"one"))
    genesis(log, "tenant")
    log.append("call.\u202edecided", {})
    (tmp_path / "x").write_bytes(file_bytes(log.receipt(1)))
    done = run("receipt", tmp_path / "x", "--key", log.signer.vkey)
    assert done.returncode == 0
    assert "unknown event type: fields not checked" in done.stdout and "\u202e" not in done.stdout
    answer = json.loads(run("receipt", tmp_path / "x", "--key", log.signer.vkey, "--json").stdout)
    assert answer["results"][0]["notes"] == ["unknown event type: fields not checked"]


def test_hostile_file_names_are_escaped(files: Path, key: list[str], tmp_path: Path) -> None:
    name = tmp_path.joinpath("a\x1b[2J\n\u202eOK").as_posix().encode() + b"\xff.json"
    with open(name, "wb") as file:
        file.write((files / "plain.json").read_bytes())
    for extra in ([], ["--json"]):
        command = [sys.executable, "-m", "ledger_verify", "receipt", name, *key, *extra]
        for environment in ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, dict(os.environ)):
            done = subprocess.run(command, capture_output=True, timeout=60, env=environment)
            assert done.returncode == 0, done
            assert b"\x1b" not in done.stdout and b"\xff" not in done.stdout and "\u202e".encode() not in done.stdout
            assert extra or done.stdout.count(b"\n") == 1


def test_help_names_examples_and_exit_codes(run: Run) -> None:
    for command in COMMANDS:
        done = run(*command.name.split(), "--help")
        assert done.returncode == 0 and "examples:" in done.stdout and "exit codes:" in done.stdout
        assert f"ledger-verify {command.name} --" in done.stdout
        assert command.examples in run("--help").stdout


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"ledger-verify {__version__}\n"


def test_answer_that_cannot_be_delivered_is_no_success(files: Path, key: list[str]) -> None:
    command = [sys.executable, "-m", "ledger_verify", "receipt", str(files / "plain.json"), *key]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_large_and_special_files_cannot_be_told(run: Run, tmp_path: Path, key: list[str]) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(16_000_001)
    assert run("receipt", tmp_path / "sparse", *key).returncode == 2
    assert run("receipt", "/dev/zero", *key).returncode == 2
    assert run("receipt", "/dev/null", *key).returncode == 1


def test_a_thousand_files(run: Run, files: Path, key: list[str]) -> None:
    done = run("receipt", *[files / "good.json"] * 1000, *key)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "1000 files: 1000 verified"
