# SPDX-License-Identifier: Apache-2.0
"""Receipts, exports and days under a policy, or under the pins of a book, instead of keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ledger_verify.cli import main

from .exports import read_manifest, sign_manifest
from .textbook import Signer, Witness, b64, file_bytes, mth
from .world import World

WITNESSES = [Witness("north.example", b"north"), Witness("south.example", b"south")]


class Result(NamedTuple):
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process."""

    def command(*arguments: str | Path) -> Result:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Result(code, *capsys.readouterr())

    return command


@pytest.fixture
def files(world: World, tmp_path: Path) -> Path:
    (tmp_path / "receipt.json").write_bytes(file_bytes(world.receipt(6)))
    (tmp_path / "rootless.json").write_bytes(file_bytes(world.receipt(6, root=False, day=False)))
    (tmp_path / "day.json").write_bytes(file_bytes(world.day()))
    world.export(tmp_path / "export", 4, 20)
    return tmp_path


def evidence(files: Path) -> list[tuple[str, Path]]:
    return [("receipt", files / "receipt.json"), ("export", files / "export"), ("root", files / "day.json")]


def policy(files: Path, *lines: str) -> Path:
    path = files / "trust.policy"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def cosign(files: Path, world: World, *witnesses: Witness) -> None:
    """Put cosignatures under the root log's checkpoint in each file: the newest of the evidence, and the day's own."""

    def more(note: str) -> str:
        text = note.split("\n\n")[0] + "\n"
        return note + "".join(witness.cosign(text, 1_767_139_200) for witness in witnesses)

    receipt = json.loads((files / "receipt.json").read_bytes())
    receipt["root"]["checkpoint"] = more(receipt["root"]["checkpoint"])
    (files / "receipt.json").write_bytes(file_bytes(receipt))
    manifest = read_manifest(files / "export")
    manifest["root"]["checkpoint"] = more(manifest["root"]["checkpoint"])
    sign_manifest(files / "export", world.log, manifest)
    day = json.loads((files / "day.json").read_bytes())
    day["checkpoint"] = more(day["checkpoint"])
    (files / "day.json").write_bytes(file_bytes(day))


NAMED = [f"witness w{number} {witness.vkey}" for number, witness in enumerate(WITNESSES)]


def test_policy_names_the_root_log(run: Run, files: Path, world: World) -> None:
    trust = policy(files, f"log {world.root.signer.vkey}", "quorum none")
    for command, path in evidence(files):
        result = run(command, "--policy", trust, path)
        assert (result.code, "tamper-evident" in result.stdout) == (0, True), result


def test_quorum_must_have_cosigned_the_root_log(run: Run, files: Path, world: World) -> None:
    log = f"log {world.root.signer.vkey}"
    both = policy(files, log, *NAMED, "group both all w0 w1", "quorum both")
    for cosigners, code in (((), 1), (WITNESSES[:1], 1), (WITNESSES, 0)):
        cosign(files, world, *cosigners)
        for command, path in evidence(files):
            result = run(command, "--policy", both, path, "--json")
            assert result.code == code, (command, cosigners, result)
            [found] = json.loads(result.stdout)["results"]
            if code == 0:
                assert found["tier"] == "equivocation-evident"
                assert [one["witness"] for one in found["cosigned_by"]] == ["w0", "w1"]
            else:
                assert "the quorum of witnesses" in found["reason"]
        # Each case begins with files that nobody cosigned.
        world.export(files / "export", 4, 20)
        (files / "receipt.json").write_bytes(file_bytes(world.receipt(6)))
        (files / "day.json").write_bytes(file_bytes(world.day()))


def test_receipt_without_root_stands_on_its_own_checkpoint(run: Run, files: Path, world: World) -> None:
    trust = policy(files, f"log {world.log.signer.vkey}", NAMED[0], "quorum w0")
    assert "the quorum of witnesses" in run("receipt", "--policy", trust, files / "rootless.json").stdout
    receipt = json.loads((files / "rootless.json").read_bytes())
    receipt["checkpoint"] += WITNESSES[0].cosign(world.log.body(world.log_size), 1_767_139_200)
    (files / "rootless.json").write_bytes(file_bytes(receipt))
    result = run("receipt", "--policy", trust, files / "rootless.json")
    assert result.code == 0 and "equivocation-evident" in result.stdout


def test_policy_of_other_logs_says_nothing_good(run: Run, files: Path) -> None:
    """Whoever gives a policy wants that one: it is no "self-consistent only"."""
    trust = policy(files, f"log {Signer('elsewhere.example', b'x').vkey}", "quorum none")
    for command, path in evidence(files):
        result = run(command, "--policy", trust, path)
        assert result.code == 1 and "neither the policy nor a pin names a log" in result.stdout, result


def pinned(files: Path, signer: Signer, size: int, root_hash: bytes) -> Path:
    body = f"{signer.name}\n{size}\n{b64(root_hash)}\n"
    pin: dict[str, Any] = {"checkpoint": signer.sign(body), "day": None, "vkey": signer.vkey}
    path = files / "ledger.pins"
    path.write_bytes(file_bytes({"format": "ledger-pins/v1", "pins": [pin]}))
    return path


def test_pin_of_the_root_log_is_trusted(run: Run, files: Path, world: World) -> None:
    for size in (1, world.day_entry + 1, len(world.root.entries), 10**6):
        book = pinned(files, world.root.signer, size, mth(world.root.hashes[:size]))
        for command, path in evidence(files):
            result = run(command, "--pin", book, path)
            assert (result.code, "tamper-evident" in result.stdout) == (0, True), (size, command, result)


def test_pin_of_the_log_is_trusted_for_the_log(run: Run, files: Path, world: World) -> None:
    book = pinned(files, world.log.signer, 3, mth(world.log.hashes[:3]))
    for command, path in evidence(files)[:2]:
        result = run(command, "--pin", book, path)
        assert (result.code, "tamper-detecting" in result.stdout) == (0, True), result
    assert run("root", "--pin", book, files / "day.json").code == 1


def test_no_tree_may_be_another_than_the_pinned_one(run: Run, files: Path, world: World) -> None:
    """Of the very size that stands in the evidence; the keys given beside the book do not help."""
    keys = ("--key", world.log.signer.vkey, "--root-key", world.root.signer.vkey)
    for signer, size in ((world.root.signer, len(world.root.entries)), (world.log.signer, world.log_size)):
        book = pinned(files, signer, size, bytes(32))
        for command, path in evidence(files)[:2]:
            for trust in ((), keys):
                result = run(command, "--pin", book, *trust, path)
                assert result.code == 1 and f"is pinned with another tree of {size}" in result.stdout, result
                assert "pin check" in result.stdout
    book = pinned(files, world.root.signer, world.day_entry + 1, bytes(32))
    for command, path in evidence(files):
        assert run(command, "--pin", book, path).code == 1, command


def test_signed_by_another_key_than_the_pinned_one(run: Run, files: Path, world: World) -> None:
    thief = Signer(world.root.origin, b"thief")
    book = pinned(files, thief, 1, bytes(32))
    for command, path in evidence(files):
        result = run(command, "--pin", book, path)
        assert result.code == 1 and "none of the given keys signed" in result.stdout, result


def test_book_that_cannot_be_used(run: Run, files: Path) -> None:
    (files / "ledger.pins").write_bytes(b"{}\n")
    for book in (files / "ledger.pins", files / "missing.pins"):
        for command, path in evidence(files):
            result = run(command, "--pin", book, path)
            assert result.code == 2 and "pin book" in result.stderr, result
            assert "Traceback" not in result.stderr
