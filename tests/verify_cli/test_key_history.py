# SPDX-License-Identifier: Apache-2.0
"""The history of a log's keys in an export: who may have signed what, as far as the root log announced it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_verify import TrustedKeys, VerificationError, trusted_keys, verify_export

from .exports import Way, read_manifest, sign_manifest, write_export
from .textbook import Signer, b64, file_bytes
from .world import Log, commit_heads, genesis, head_line, root_member

ORIGIN = "localhost/log/turned"


class Turned:
    """A log whose key was changed twice: heads are committed at 2 and 4 and 6 of the root log, keys announced at 1, 3
    and 5. The log's own entries say the same.
    """

    def __init__(self) -> None:
        self.signers = [Signer(ORIGIN, name) for name in (b"first", b"second", b"third")]
        self.root = Log(Signer("localhost/root", b"root"))
        self.log = Log(self.signers[0])
        genesis(self.root, "root")
        genesis(self.log, "tenant")
        self.root.govern("log.created", {"origin": ORIGIN, "vkey": self.signers[0].vkey}, ORIGIN)
        self.heads: list[tuple[int, int, list[str]]] = []
        for number in range(3):
            self.log.signer = self.signers[number]
            self.log.call({"amount": str(number)})
            size = len(self.log.entries)
            self.heads.append((len(self.root.entries), size, commit_heads(self.root, [(self.log, size)])))
            if number < 2:
                rotation = self.rotation(self.signers[number], self.signers[number + 1])
                self.root.govern("signing_key.rotated", rotation, ORIGIN)
                self.log.govern("signing_key.rotated", rotation, ORIGIN)

    @staticmethod
    def rotation(old: Signer, new: Signer) -> dict[str, object]:
        statement = f"decision-ledger key rotation v1\n{old.vkey}\n{new.vkey}\n"
        endorsement = b64(old.private.sign(statement.encode()))
        return {"origin": ORIGIN, "vkey": new.vkey, "previous_vkey": old.vkey, "endorsement": endorsement}

    def export(self, folder: Path, head: int, signed_by: int | None = None, manifest_by: int = 2) -> Path:
        """An export under one of the heads, its checkpoint signed by one of the keys."""
        entry, size, lines = self.heads[head]
        self.log.signer = self.signers[head if signed_by is None else signed_by]
        member = root_member(self.root, entry, lines, head_line(self.log, size))
        way = Way(size, member, self.root.key_lines(ORIGIN))
        write_export(folder, self.log, range(size), way)
        self.log.signer = self.signers[manifest_by]
        self.sign(folder)
        return folder

    def sign(self, folder: Path) -> None:
        rest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
        sign_manifest(folder, self.log, rest)

    @property
    def trust(self) -> TrustedKeys:
        return trusted_keys(root=[self.root.signer.vkey])


@pytest.fixture
def turned() -> Turned:
    return Turned()


@pytest.mark.parametrize("head", [0, 1, 2])
def test_each_head_verifies_under_the_key_of_its_time(turned: Turned, head: int, tmp_path: Path) -> None:
    export = verify_export(str(turned.export(tmp_path / "export", head)), turned.trust)
    assert export.signed.tier == "tamper-evident"
    assert [known.since for known in export.keys] == [1, 3, 5]


@pytest.mark.parametrize(("head", "signed_by"), [(0, 1), (1, 0), (2, 0), (2, 1), (1, 2)])
def test_a_key_counts_only_while_it_was_in_force(turned: Turned, head: int, signed_by: int, tmp_path: Path) -> None:
    """The heads line has no signature in it, so the way up fits whoever signed."""
    folder = turned.export(tmp_path / "export", head, signed_by)
    with pytest.raises(VerificationError, match="step 8: the checkpoint is not signed by the key"):
        verify_export(str(folder), turned.trust)


@pytest.mark.parametrize("key", [0, 1])
def test_the_manifest_is_signed_by_the_newest_key(turned: Turned, key: int, tmp_path: Path) -> None:
    folder = turned.export(tmp_path / "export", 0, manifest_by=key)
    with pytest.raises(VerificationError, match="step 8: the manifest is not signed by the key"):
        verify_export(str(folder), turned.trust)


def test_whoever_else_signs_the_manifest_is_refused(turned: Turned, tmp_path: Path) -> None:
    folder = turned.export(tmp_path / "export", 2)
    for stranger in (Signer(ORIGIN, b"stranger"), Signer("localhost/root", b"root"), Signer("x", b"third")):
        turned.log.signer = stranger
        rest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
        sign_manifest(folder, turned.log, rest)
        with pytest.raises(VerificationError, match="step 8: the manifest is not signed"):
            verify_export(str(folder), turned.trust)


@pytest.mark.parametrize("more", ["the same again", "its first half", "a stranger's", "junk"])
def test_the_manifest_has_one_signature(turned: Turned, more: str, tmp_path: Path) -> None:
    """With a line more, even a good one, a file with another digest than the log names would verify as well."""
    manifest = turned.export(tmp_path / "export", 2) / "manifest.note"
    text, _, line = manifest.read_text().partition("\n\n")
    added = {
        "the same again": line,
        "its first half": line[:-50] + b64(bytes(3)) + "\n",
        "a stranger's": Signer("localhost/stranger", b"stranger").line(text + "\n"),
        "junk": f"\u2014 junk {b64(bytes(9))}\n",
    }[more]
    for lines in (line + added, added + line):
        manifest.write_text(f"{text}\n\n{lines}")
        with pytest.raises(VerificationError, match="step 2: "):
            verify_export(str(manifest.parent), turned.trust)
    manifest.write_text(f"{text}\n\n{line}")
    assert verify_export(str(manifest.parent), turned.trust).signed.by_root


Lines = list[bytes]
HISTORIES: list[tuple[str, Callable[[Turned, Lines], Lines]]] = [
    ("no key from before", lambda t, lines: []),
    ("announces no key", lambda t, lines: lines[1:]),
    ("the key before is another one", lambda t, lines: [lines[0], lines[2]]),
    ("the manifest is not signed", lambda t, lines: lines[:2]),
    ("out of order", lambda t, lines: [lines[0], lines[2], lines[1]]),
    ("out of order", lambda t, lines: [lines[0], lines[0], *lines[1:]]),
    ("announces no key", lambda t, lines: [lines[0], line_of(t, 2), *lines[1:]]),
    ("announces no key", lambda t, lines: [line_of(t, 0), *lines]),
    ("leads to another root hash", lambda t, lines: [lines[0], lines[1].replace(b'"path":["', b'"path":["A', 1)]),
    ("unknown member", lambda t, lines: [lines[0].replace(b'"index"', b'"indexes"')]),
    ("is not", lambda t, lines: [b"\n", *lines]),
]


def line_of(turned: Turned, index: int) -> bytes:
    return file_bytes({"entry": turned.root.entries[index], "index": index, "path": turned.root.path(index)})


@pytest.mark.parametrize(("reason", "change"), HISTORIES, ids=[str(i) for i in range(len(HISTORIES))])
def test_history_is_without_a_gap(
    turned: Turned, reason: str, change: Callable[[Turned, Lines], Lines], tmp_path: Path
) -> None:
    folder = turned.export(tmp_path / "export", 2)
    lines = (folder / "keys.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "keys.jsonl").write_bytes(b"".join(change(turned, lines)))
    turned.sign(folder)
    with pytest.raises(VerificationError) as refused:
        verify_export(str(folder), turned.trust)
    assert str(refused.value).startswith("step 8: ")


def test_keys_of_another_log_are_none_of_this(turned: Turned, tmp_path: Path) -> None:
    """Announced by the same root log, under its own name; and an announcement that nobody endorsed is no entry."""
    other = Signer("localhost/log/other", b"other")
    created = turned.root.govern("log.created", {"origin": other.name, "vkey": other.vkey}, other.name)
    size = len(turned.log.entries)
    turned.heads[2] = (len(turned.root.entries), size, commit_heads(turned.root, [(turned.log, size)]))
    folder = turned.export(tmp_path / "export", 2)
    history = turned.root.key_lines(ORIGIN)
    (folder / "keys.jsonl").write_bytes(line_of(turned, created) + b"".join(history[1:]))
    turned.sign(folder)
    with pytest.raises(VerificationError, match=r"step 8: .*(out of order|of another log)"):
        verify_export(str(folder), turned.trust)
    forged = json.loads(history[1])
    forged["entry"] = forged["entry"].replace('"endorsement":"', '"endorsement":"AAAA', 1)
    (folder / "keys.jsonl").write_bytes(history[0] + file_bytes(forged))
    turned.sign(folder)
    with pytest.raises(VerificationError, match="step 8: "):
        verify_export(str(folder), turned.trust)


def test_the_logs_key_alone_suffices_too(turned: Turned, tmp_path: Path) -> None:
    """Whoever pinned the key of the checkpoint follows the endorsements to the one that signed the manifest."""
    for head in range(3):
        folder = turned.export(tmp_path / str(head), head)
        assert verify_export(str(folder), trusted_keys([turned.signers[head].vkey])).signed.tier == "tamper-detecting"
        with pytest.raises(VerificationError, match="step 5: none of the given keys signed"):
            verify_export(str(folder), trusted_keys([turned.signers[head - 1].vkey]))
