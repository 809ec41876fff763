# SPDX-License-Identifier: Apache-2.0
"""An export as one file: what the standard library packs is read, and an archive with anything else is refused."""

from __future__ import annotations

import io
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_verify import CannotTellError, TrustedKeys, VerificationError, verify_export
from ledger_verify.cli import main

from .exports import EXPORT_FILES, MANIFEST, archive
from .world import World


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.export(tmp_path_factory.mktemp("archives") / "export", 4, 20)


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    return archive(folder, tmp_path / "export.tar")


def test_archive_says_what_the_folder_says(folder: Path, packed: Path, keys: TrustedKeys) -> None:
    assert verify_export(str(packed), keys) == verify_export(str(folder), keys)


def test_unpacked_it_is_the_folder_again(folder: Path, packed: Path, keys: TrustedKeys, tmp_path: Path) -> None:
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path, filter="data")
    assert verify_export(str(tmp_path / "ledger-export"), keys) == verify_export(str(folder), keys)


HEADERS: dict[str, dict[str, object]] = {
    "above the folder": {"name": "ledger-export/../entries.jsonl"},
    "absolute": {"name": "/ledger-export/entries.jsonl"},
    "another folder": {"name": "x/entries.jsonl"},
    "no folder": {"name": "entries.jsonl"},
    "symbolic link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "ledger-export/README.txt"},
    "device": {"type": tarfile.CHRTYPE},
    "fifo": {"type": tarfile.FIFOTYPE},
    "folder": {"type": tarfile.DIRTYPE},
    "contiguous": {"type": tarfile.CONTTYPE},
    "owner": {"uid": 1000},
    "owner's name": {"uname": "root"},
    "mode": {"mode": 0o4755},
    "time": {"mtime": 1},
    "old type": {"type": tarfile.AREGTYPE},
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_whatever_else_a_header_can_say_is_refused(
    change: dict[str, object], folder: Path, keys: TrustedKeys, tmp_path: Path
) -> None:
    path = archive(folder, tmp_path / "export.tar", **change)
    with pytest.raises(VerificationError, match="step 1: the archive is not one of an export"):
        verify_export(str(path), keys)


def members(folder: Path) -> list[tuple[str, bytes]]:
    return [(name, (folder / name).read_bytes()) for name in sorted((*EXPORT_FILES, MANIFEST))]


def pack(path: Path, files: list[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files:
            info = tarfile.TarInfo(f"ledger-export/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


Files = list[tuple[str, bytes]]
ARCHIVES: dict[str, Callable[[Files], Files]] = {
    "one missing": lambda files: files[:3] + files[4:],
    "one more": lambda files: [*files, ("x", b"")],
    "one twice": lambda files: [*files[:3], files[2], *files[3:]],
    "another order": lambda files: files[::-1],
}


@pytest.mark.parametrize("change", ARCHIVES.values(), ids=ARCHIVES)
def test_exactly_these_files_in_this_order(
    change: Callable[[Files], Files], folder: Path, keys: TrustedKeys, tmp_path: Path
) -> None:
    path = pack(tmp_path / "export.tar", change(members(folder)))
    with pytest.raises(VerificationError, match="step 1: "):
        verify_export(str(path), keys)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_other_formats_are_refused(form: int, folder: Path, keys: TrustedKeys, tmp_path: Path) -> None:
    """GNU's has another magic number. In pax, which adds nothing where nothing is needed, it is the same file."""
    path = pack(tmp_path / "export.tar", members(folder), form)
    if form == tarfile.PAX_FORMAT:
        assert path.read_bytes() == pack(tmp_path / "ustar.tar", members(folder)).read_bytes()
    else:
        with pytest.raises(VerificationError, match="step 1: "):
            verify_export(str(path), keys)


def test_no_byte_is_left_to_choose(packed: Path, keys: TrustedKeys) -> None:
    """Headers, padding and end: every bit of them flipped, and the file cut or lengthened anywhere."""
    whole = packed.read_bytes()
    with tarfile.open(packed) as tar:
        contents = {place for m in tar for place in range(m.offset_data, m.offset_data + m.size)}
    rng = random.Random(7)
    free = [place for place in range(len(whole)) if place not in contents]
    for place in rng.sample(free, 1500):
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(VerificationError):
            verify_export(str(packed), keys)
    for length in [14, 511, 512, 513, *rng.sample(range(len(whole)), 300), len(whole) - 1]:
        packed.write_bytes(whole[:length])
        with pytest.raises(VerificationError):
            verify_export(str(packed), keys)
    for tail in (b"\0", bytes(512), bytes(10240), b"x"):
        packed.write_bytes(whole + tail)
        with pytest.raises(VerificationError, match="step 1: the archive does not end as it must"):
            verify_export(str(packed), keys)
    packed.write_bytes(whole)
    assert verify_export(str(packed), keys).signed.by_root


def test_what_is_no_archive_cannot_be_told(tmp_path: Path, keys: TrustedKeys) -> None:
    for content in (b"", b"l", b"{}\n", bytes(10240)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(CannotTellError, match="nor an archive"):
            verify_export(str(tmp_path / "file"), keys)


def test_a_link_to_an_archive_is_read_and_a_pipe_is_not(packed: Path, keys: TrustedKeys, tmp_path: Path) -> None:
    (tmp_path / "link.tar").symlink_to(packed)
    assert verify_export(str(tmp_path / "link.tar"), keys).signed.by_root
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDWR)  # or opening it would wait for a writer
    try:
        with pytest.raises(CannotTellError, match="not a regular file"):
            verify_export(str(tmp_path / "pipe"), keys)
    finally:
        os.close(descriptor)


def test_command_takes_it(packed: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ["--key", world.log.signer.vkey, "--root-key", world.root.signer.vkey]
    assert main(["export", *trust, str(packed)]) == 0
    assert "entries 4 to 19" in capsys.readouterr().out
    assert main(["export", str(packed)]) == 3
