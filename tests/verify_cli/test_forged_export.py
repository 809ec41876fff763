# SPDX-License-Identifier: Apache-2.0
"""Forged exports: one decision flipped and everything made anew around it, with keys that a forger has or has stolen.

Nothing in such a file is at odds with itself, and the forger's key lies in it as the log's own. What refuses it is the
key that the reader has from somewhere else; without one the answer is that anybody could have made this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from ledger_verify.cli import main

from .exports import Way, archive, read_manifest, sign_manifest, write_export
from .test_key_history import Turned
from .textbook import Signer, b64, b64_list, file_bytes, inclusion, leaf
from .world import Log, World, build_world, commit_heads, genesis, head_line, root_member

START, END, FLIPPED = 4, 20, 9
ANYBODY = "self-consistent only: no given key applies, so anybody could have made this. Give --key or --root-key"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Ask:
    """The command about an export, with some of the honest keys."""

    def __init__(self, capsys: pytest.CaptureFixture[str], log: Iterable[str], root: str) -> None:
        self._capsys = capsys
        self.log = [option for vkey in log for option in ("--key", vkey)]
        self.root = ["--root-key", root]
        self.trusts = {"log": self.log, "root": self.root, "both": [*self.log, *self.root]}

    def __call__(self, path: Path, trust: Iterable[str] = ()) -> Answer:
        code = main(["export", *trust, str(path)])
        return Answer(code, *self._capsys.readouterr())

    def refused(self, path: Path, trust: str) -> str:
        """The reason, which is for stdout; whoever forged has no say in what is printed besides."""
        code, out, err = self(path, self.trusts[trust])
        assert (code, err) == (1, ""), (trust, out)
        assert out.startswith(f"FAIL {path}  ") and out.count("\n") == 1
        return out.removeprefix(f"FAIL {path}  ").rstrip("\n")


@pytest.fixture(scope="module")
def honest() -> World:
    """The call at FLIPPED was denied."""
    return build_world(verdicts={FLIPPED: "deny"})


@pytest.fixture(scope="module")
def forged() -> World:
    """Under the same names, with the forger's keys, the call was allowed."""
    return build_world(owner=b"forger's ")


@pytest.fixture
def ask(honest: World, capsys: pytest.CaptureFixture[str]) -> Ask:
    return Ask(capsys, honest.keys["log"], honest.keys["root"][0])


def named(signer: Signer) -> str:
    return f"{signer.name}+{signer.key_id.hex()}"


def test_everything_forged_and_signed_with_the_forgers_key(
    honest: World, forged: World, ask: Ask, tmp_path: Path
) -> None:
    """A decision flipped, and leaf hashes, tree, checkpoint, heads, root log, days, history of keys, manifest and
    signatures made anew.
    """
    true = honest.export(tmp_path / "true", START, END)
    folder = forged.export(tmp_path / "forged", START, END)
    entries = [(path / "entries.jsonl").read_bytes().splitlines() for path in (true, folder)]
    assert [i for i, (one, other) in enumerate(zip(*entries, strict=True), START) if one != other] == [FLIPPED]
    assert forged.log.signer.vkey in (folder / "keys.jsonl").read_text()
    assert honest.log.signer.vkey not in "".join(path.read_text() for path in folder.iterdir())
    for path in (folder, archive(folder, tmp_path / "forged.tar")):
        for trust, step, mine, theirs in (
            ("log", "step 5", honest.log, forged.log),
            ("both", "step 5", honest.log, forged.log),
            ("root", "step 7", honest.root, forged.root),
        ):
            assert ask.refused(path, trust) == (
                f"step 6, as in a receipt: {step}: none of the given keys signed the note: "
                f'got "{named(theirs.signer)}", want "{named(mine.signer)}"'
            )
        code, out, err = ask(path)
        assert (code, err) == (3, ANYBODY + "\n")
        assert out.startswith(f"SELF {path}  self-consistent only  entries 4 to 19 of {honest.log.origin}")
        assert "OK " not in out and "tamper" not in out and "verified" not in out and "2026" not in out
    for trust in ask.trusts.values():
        assert ask(true, trust).code == 0


def test_a_key_beside_the_evidence_counts_for_nothing(forged: World, ask: Ask, tmp_path: Path) -> None:
    """No file of an export is asked for trust, and none can be added."""
    folder = forged.export(tmp_path / "forged", START, END)
    for name in ("log.pub", "keys.json", "trust.policy", "root.vkey"):
        (folder / name).write_text(f"{forged.log.signer.vkey}\n{forged.root.signer.vkey}\n")
        for trust in ((), ask.log, ask.root):
            code, out, _ = ask(folder, trust)
            assert code == 1 and f'does not belong to an export: got "{name}"' in out
        (folder / name).unlink()


@pytest.mark.parametrize("which", ["log", "root"])
def test_a_signature_under_the_id_of_the_honest_key(
    which: str, honest: World, forged: World, ask: Ask, tmp_path: Path
) -> None:
    """Four bytes of ID can be met by trying; the signature under them cannot."""

    class Ground(Signer):
        @property
        def key_id(self) -> bytes:
            return {honest.log.origin: honest.log, honest.root.origin: honest.root}[self.name].signer.key_id

    world = build_world(owner=b"forger's ")
    log = getattr(world, which)
    log.signer = Ground(log.origin, log.signer.seed)
    folder = world.export(tmp_path / "forged", START, END)
    own = getattr(honest, which).signer
    assert f"the signature by {named(own)} is wrong" in ask.refused(folder, which)
    assert "The text was changed after signing" in ask.refused(folder, which)


def test_the_honest_signature_left_below_what_was_forged(
    honest: World, forged: World, ask: Ask, tmp_path: Path
) -> None:
    """Both keys sign, the forger's for the file and the honest one for another tree."""
    folder = forged.export(tmp_path / "forged", START, END)
    manifest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
    honest_line = honest.log.checkpoint(honest.log_size).splitlines(keepends=True)[-1]
    for checkpoint in (
        manifest["checkpoint"] + honest_line,
        forged.log.body(forged.log_size) + "\n" + honest_line + forged.log.signer.line(forged.log.body()),
    ):
        sign_manifest(folder, forged.log, manifest | {"checkpoint": checkpoint})
        assert f"step 5: the signature by {named(honest.log.signer)} is wrong" in ask.refused(folder, "log")
        assert "step 7: none of the given keys signed" in ask.refused(folder, "root")
        assert ask(folder).code == 3


# ------------------------------------------------------------------------------------------------------ half of it true


def half(folder: Path, log: Log, size: int, root: dict[str, object], keys: list[bytes]) -> Path:
    return write_export(folder, log, range(START, END), Way(size, root, keys))


def test_a_forged_log_below_the_honest_root_log(honest: World, forged: World, ask: Ask, tmp_path: Path) -> None:
    """The root log commits to the true head. Neither its own line nor another way up leads from the forged one."""
    keys = honest.root.key_lines(honest.log.origin)
    folder = half(tmp_path / "head", forged.log, forged.log_size, honest.root_member(), keys)
    for trust in ("root", "both", "log"):
        want = "step 5: none of the given keys signed the note" if trust != "root" else "step 7: heads_path: "
        assert want in ask.refused(folder, trust)
    assert ask(folder).code == 1, "it does not even agree with itself"
    # A heads tree and an entry of the forger's own, said to stand where the honest root log has another.
    member = forged.root_member() | {"checkpoint": honest.root.checkpoint()}
    folder = half(tmp_path / "entry", forged.log, forged.log_size, member, keys)
    said = ask.refused(folder, "root")
    assert "step 7: entry_path: " in said and "got " in said and "want " in said
    assert ask(folder).code == 1


def test_a_stolen_log_key_and_a_forged_root_log(honest: World, ask: Ask, tmp_path: Path) -> None:
    """Whoever has the log's key can show anybody another log; for that there is a root log. Without its key given, no
    more is said than what the log's key is worth.
    """
    thief = build_world(owner=b"forger's ")
    stolen = honest.log.signer
    log = Log(stolen, list(thief.log.entries), thief.log.disclosures, governing=thief.log.governing)
    log.entries[0] = honest.log.entries[0]
    root = Log(thief.root.signer)
    genesis(root, "root")
    root.govern("log.created", {"origin": log.origin, "vkey": stolen.vkey}, log.origin)
    size = len(log.entries)
    lines = commit_heads(root, [(log, size)])
    member = root_member(root, 2, lines, head_line(log, size))
    folder = half(tmp_path / "stolen", log, size, member, root.key_lines(log.origin))
    for trust in ("root", "both"):
        said = ask.refused(folder, trust)
        assert f'step 7: none of the given keys signed the note: got "{named(root.signer)}"' in said
        assert f'want "{named(honest.root.signer)}"' in said
    code, out, err = ask(folder, ask.log)
    assert (code, err) == (0, "") and "  tamper-detecting  " in out and "tamper-evident" not in out
    assert ask(folder).code == 3


# ---------------------------------------------------------------------------------------------------- histories of keys


class Extended(Turned):
    """The log whose key was changed twice, and a rotation to the forger's key after that, which the root log has."""

    def __init__(self, rotation: dict[str, object], root: Signer | None = None) -> None:
        super().__init__()
        if root is not None:  # a root log of the forger's own, with the same entries under his key
            self.root.signer = root
        self.root.govern("signing_key.rotated", rotation, self.log.origin)
        self.log.signer = FORGER
        self.log.call({"amount": '"forged"'})
        size = len(self.log.entries)
        self.heads.append((len(self.root.entries), size, commit_heads(self.root, [(self.log, size)])))
        self.signers.append(FORGER)


HONEST = Turned()
FIRST, SECOND, THIRD = HONEST.signers
FORGER = Signer(HONEST.log.origin, b"forger")


def rotation(previous: Signer, endorser: Signer | None) -> dict[str, object]:
    """From the one key to the forger's, endorsed by the holder of another, or by nobody."""
    statement = f"decision-ledger key rotation v1\n{previous.vkey}\n{FORGER.vkey}\n"
    signature = bytes(64) if endorser is None else endorser.private.sign(statement.encode())
    return Turned.rotation(previous, FORGER) | {"endorsement": b64(signature)}


@pytest.fixture
def ask_turned(capsys: pytest.CaptureFixture[str]) -> Ask:
    return Ask(capsys, [THIRD.vkey], HONEST.root.signer.vkey)


ROTATIONS: dict[str, tuple[dict[str, object], str]] = {
    "nobody": (rotation(THIRD, None), "the previous key did not endorse the new one"),
    "the forger's key": (rotation(THIRD, FORGER), "the previous key did not endorse the new one"),
    "a stolen retired key": (rotation(THIRD, FIRST), "the previous key did not endorse the new one"),
    "a stolen retired key, as the one before": (rotation(FIRST, FIRST), "the key before is another one"),
}


@pytest.mark.parametrize(("made", "why"), ROTATIONS.values(), ids=ROTATIONS)
def test_a_rotation_to_the_forgers_key_endorsed_by(
    made: dict[str, object], why: str, ask_turned: Ask, tmp_path: Path
) -> None:
    """Refused even where the root log admitted it, so that its own key has signed, and without any key as well."""
    folder = Extended(made).export(tmp_path / "admitted", 3, manifest_by=3)
    said = ask_turned.refused(folder, "root")
    assert said.startswith("step 8: entry 7: ") and why in said
    assert "step 5: none of the given keys signed the note" in ask_turned.refused(folder, "log")
    assert "step 5: none of the given keys signed the note" in ask_turned.refused(folder, "both")
    code, out, err = ask_turned(folder)
    assert (code, err) == (1, "") and why in out
    # In a root log of the forger's own it is the root log that is refused.
    folder = Extended(made, Signer("localhost/root", b"forger's root")).export(tmp_path / "forged", 3, manifest_by=3)
    assert "step 7: none of the given keys signed the note" in ask_turned.refused(folder, "root")
    assert ask_turned(folder).code == 1


@pytest.mark.parametrize(("made", "why"), ROTATIONS.values(), ids=ROTATIONS)
def test_a_rotation_that_the_root_log_does_not_have(
    made: dict[str, object], why: str, ask_turned: Ask, tmp_path: Path
) -> None:
    """The export is the honest one but for a line more of keys.jsonl and the forger's signature of the manifest."""
    turned = Turned()
    turned.root.append("heads.committed", {"count": 1, "root": b64(bytes(32))})
    folder = turned.export(tmp_path / "export", 2)
    event = turned.root.envelope("signing_key.rotated", {"as_of": 5, **made}, FORGER.name)
    invented = json.dumps(event, sort_keys=True, separators=(",", ":"))
    hashes = [*turned.root.hashes[:-1], leaf(invented.encode())]
    line = file_bytes({"entry": invented, "index": 7, "path": b64_list(inclusion(7, hashes))})
    with (folder / "keys.jsonl").open("ab") as file:
        file.write(line)
    turned.log.signer = FORGER
    turned.sign(folder)
    said = ask_turned.refused(folder, "root")
    assert said.startswith("step 8: entry 7: ")
    unendorsed = "did not endorse" in why
    assert (why if unendorsed else "leads to another root hash") in said, said
    assert ask_turned(folder).code == 1


def test_what_a_stolen_retired_key_is_good_for(ask_turned: Ask, tmp_path: Path) -> None:
    """The end of the history cut off, as nothing proves that there is no more of it: then the retired key counts, for
    what the root log committed to. The thief can show what is true, and nothing else: the head is the root log's.
    """
    turned = Turned()
    folder = turned.export(tmp_path / "export", 0)
    first = (folder / "keys.jsonl").read_bytes().splitlines(keepends=True)[0]
    (folder / "keys.jsonl").write_bytes(first)
    turned.log.signer = FIRST
    turned.sign(folder)
    assert ask_turned(folder, ask_turned.root).code == 0
    assert "step 5: none of the given keys signed" in ask_turned.refused(folder, "log")
    manifest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
    turned.log.entries[1] = turned.log.entries[1].replace('"allow"', '"deny"')
    size = manifest["to"]
    (folder / "entries.jsonl").write_text("".join(entry + "\n" for entry in turned.log.entries[:size]))
    sign_manifest(folder, turned.log, manifest | {"checkpoint": turned.log.checkpoint(size)})
    assert "step 7: heads_path: " in ask_turned.refused(folder, "root")
