# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a command is given, it answers: one of four exit codes, and never an accident of its own."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify.cli import main

from .log_places import SIGNER, any_entries, any_log, write_log
from .test_consistency import answer_bytes, note
from .test_equivocation import fork_at, proof
from .test_policy import cosign_log, policy
from .test_proof import our_proof, tlog_proof
from .textbook import file_bytes
from .world import World

KEY = ["--key", SIGNER.vkey]
TOKENS = [b"null", b"{}", b"[]", b'""', b"-1", b"1e9", b"\xff", b"\n\n"]


def run(arguments: list[str]) -> tuple[int, str]:
    """The command in this process, so that thousands of files can be tried."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as left:
            code = int(left.code or 0)
    return code, out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """A good file of each kind."""
    folder = tmp_path_factory.mktemp("hostile")
    write_log(folder / "log", cosign_log(any_log(300), {0, 1}))
    for name, content in {
        "proof": our_proof(world, 9),
        "plain": tlog_proof(SIGNER, any_entries(70), 2, any_entries(70)[2]),
        "answer": answer_bytes(5, 70),
        "old": note(5),
        "new": note(70),
        "fork": file_bytes(proof(5, 70, fork_at(2))),
        "policy": policy("group g 2 w0 w1 w2", "quorum g"),
        "day": file_bytes(world.day()),
        "receipt": file_bytes(world.receipt(9)),
    }.items():
        (folder / name).write_bytes(content)
    assert run(["pin", "add", str(folder / "old"), "--pin", str(folder / "pins"), *KEY])[0] == 0
    assert run(["log", str(folder / "log"), "--state", str(folder / "state"), *KEY])[0] == 0
    return folder


def _arguments(folder: Path, kind: str, bad: str) -> list[str]:
    files = {name: str(folder / name) for name in ("answer", "old", "new", "pins", "log")}
    files[kind] = bad
    pins = ["--pin", files["pins"]]
    return {
        "proof": ["proof", bad],
        "plain": ["proof", bad, *KEY],
        "answer": ["consistency", bad, "--old", files["old"], "--new", files["new"], *KEY],
        "new": ["consistency", files["answer"], "--old", files["old"], "--new", bad, *KEY],
        "fork": ["equivocation", bad, *KEY],
        "policy": ["log", files["log"], "--policy", bad],
        "state": ["log", files["log"], "--state", bad, *KEY],
        "pins": ["pin", "check", files["new"], "--proof", files["answer"], *pins],
        "day": ["pin", "check", bad, *pins],
        "receipt": ["pin", "check", bad, "--proof", files["answer"], *pins],
        "old": ["pin", "check", bad, "--proof", files["answer"], *pins, "--json"],
    }[kind]


def _damage(data: st.DataObject, raw: bytes) -> bytes:
    changes: dict[str, Callable[[int, int], bytes]] = {
        "flip": lambda a, b: raw[:a] + bytes([raw[a] ^ 1 << b % 8]) + raw[a + 1 :],
        "cut": lambda a, b: raw[:a],
        "drop": lambda a, b: raw[: min(a, b)] + raw[max(a, b) :],
        "repeat": lambda a, b: raw[: max(a, b)] + raw[min(a, b) :],
        "nest": lambda a, b: raw[:a] + b"[" * b + raw[a:],
        "digits": lambda a, b: raw[:a] + b"9" * (b % 5000) + raw[a:],
        "token": lambda a, b: (
            raw[:a] + [b"null", b"{}", b"[]", b'""', b"-1", b"1e9", b"\xff", b"\n\n"][b % 8] + raw[a:]
        ),
    }
    places = st.integers(0, len(raw) - 1)
    return changes[data.draw(st.sampled_from(sorted(changes)))](data.draw(places), data.draw(places))


@pytest.mark.parametrize(
    "kind", ["proof", "plain", "answer", "new", "fork", "policy", "state", "pins", "day", "receipt", "old"]
)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_file_is_answered(folder: Path, kind: str, data: st.DataObject) -> None:
    bad = folder / "bad"
    bad.write_bytes(_damage(data, (folder / kind).read_bytes()))
    code, said = run(_arguments(folder, kind, str(bad)))
    assert code in (0, 1, 2, 3) and "please report this" not in said
    assert all(line.isprintable() for line in said.split("\n")), said


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"{}", b"{}\n", b"[]\n", b"null\n", b"\x00" * 99, b"[" * 99_999, b'{"checkpoint":' * 200, b"9" * 9999],
)
@pytest.mark.parametrize("kind", ["proof", "answer", "new", "fork", "policy", "state", "pins", "day"])
def test_junk_is_answered(folder: Path, kind: str, raw: bytes) -> None:
    bad = folder / "junk"
    bad.write_bytes(raw)
    code, said = run(_arguments(folder, kind, str(bad)))
    assert code in (1, 2) and "please report this" not in said
