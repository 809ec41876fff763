# SPDX-License-Identifier: Apache-2.0
"""Exports as a bad disk or a bad operator leaves them: bits, lengths and lines, in a folder and in one file.

Whatever was changed, the command neither verifies it nor says that it fits together, and never fails itself.
`python -m tests.fuzz verifier_export_signed` goes on where these end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from .exports import EXPORT_FILES, MANIFEST, archive, read_manifest, sign_manifest
from .refusal import Command
from .small_export import END, START, changed_lines, cuts, flips, line_changes, write_small_export
from .test_export_archive import HEADERS
from .world import World

pytestmark = pytest.mark.usefixtures("quick")
FILES = (*EXPORT_FILES, MANIFEST)
STREAMS = tuple(name for name in EXPORT_FILES if name.endswith(".jsonl"))
FIRST_BYTES = 4096


@pytest.fixture(scope="module")
def folder(small: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_export(small, tmp_path_factory.mktemp("mutations") / "export")


@pytest.fixture(scope="module")
def of_folder(folder: Path, small: World) -> Command:
    return Command("export", folder, small)


@pytest.fixture(scope="module")
def packed(folder: Path) -> Path:
    return archive(folder, folder.with_name("export.tar"))


@pytest.fixture(scope="module")
def of_archive(packed: Path, small: World) -> Command:
    return Command("export", packed, small)


def test_it_is_small_and_has_something_of_everything(
    folder: Path, packed: Path, of_folder: Command, of_archive: Command
) -> None:
    code, said = of_folder.answer()
    assert code == 0 and f"entries {START} to {END - 1}" in said and "tamper-evident" in said
    assert "4 fields disclosed, 0 withheld, 1 erased" in said
    assert of_archive.answer()[0] == 0
    assert 10_240 <= packed.stat().st_size <= 20_480
    counts = [len((folder / name).read_bytes().splitlines()) for name in STREAMS]
    assert counts == [3, 6, 3, 4, 2]
    manifest = read_manifest(folder)
    assert manifest["left"] and manifest["right"] and manifest["daily_root"]


# ------------------------------------------------------------------------------------------------------- as one file


@pytest.mark.parametrize("eighth", range(8))
def test_every_bit_of_the_first_bytes_of_an_archive(eighth: int, packed: Path, of_archive: Command) -> None:
    part = FIRST_BYTES  # bits, an eighth of FIRST_BYTES bytes
    assert of_archive.must_refuse_all(flips(packed, range(eighth * part, (eighth + 1) * part))) == part


def test_bits_of_the_rest_of_an_archive(packed: Path, of_archive: Command) -> None:
    rng, size = random.Random(11), packed.stat().st_size
    bits = [8 * place + rng.randrange(8) for place in range(FIRST_BYTES, size)]
    assert of_archive.must_refuse_all(flips(packed, rng.sample(bits, len(bits) // 4))) == len(bits) // 4


def test_an_archive_cut_off_anywhere(packed: Path, of_archive: Command) -> None:
    size = packed.stat().st_size
    assert of_archive.must_refuse_all(cuts(packed, range(size - 1, -1, -1))) == size


def test_lines_of_an_archive(packed: Path, of_archive: Command) -> None:
    """Not brought up to date: the sizes in the headers, and so the places of all that follows, are other ones."""
    assert of_archive.must_refuse_all(changed_lines(packed)) > 50


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_names_and_links_of_an_archive(change: dict[str, object], folder: Path, small: World, tmp_path: Path) -> None:
    """`..`, absolute names, links, devices, owners: nothing is opened, unpacked or believed."""
    path = archive(folder, tmp_path / "export.tar", **change)
    assert Command("export", path, small).must_refuse(str(change)) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["export.tar"]


# --------------------------------------------------------------------------------------------------------- as a folder


@pytest.mark.parametrize("name", FILES)
def test_a_bit_of_a_file(name: str, folder: Path, of_folder: Command) -> None:
    """Of every third byte: in an archive the same readers meet every bit."""
    rng, places = random.Random(name), range(0, (folder / name).stat().st_size, 3)
    bits = [8 * place + rng.randrange(8) for place in places]
    assert of_folder.must_refuse_all(flips(folder / name, bits)) == len(bits)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off(name: str, folder: Path, of_folder: Command) -> None:
    """Before and after each newline, at every third place between, and to nothing."""
    raw = (folder / name).read_bytes()
    ends = {place + side for place, byte in enumerate(raw) if byte == ord("\n") for side in (0, 1)}
    lengths = sorted({*ends, *range(0, len(raw), 3)} - {len(raw)}, reverse=True)
    assert of_folder.must_refuse_all(cuts(folder / name, lengths)) >= len(raw) // 3


@pytest.mark.parametrize("name", FILES)
def test_lines_of_a_file(name: str, folder: Path, of_folder: Command) -> None:
    assert of_folder.must_refuse_all(changed_lines(folder / name)) >= 2


# ------------------------------------------------------------------------------------- by the operator, who signs again


def signed_changes(folder: Path, world: World, name: str, states: bool) -> Iterator[str]:
    """Changes of a file's lines after which digests and sizes are the new ones, with `states` also what is said of the
    fields, and the operator's signature is good.
    """
    good = {kept: (folder / kept).read_bytes() for kept in FILES}
    manifest = {member: value for member, value in read_manifest(folder).items() if member != "files"}
    for what, lines in line_changes(good[name].splitlines(keepends=True)):
        (folder / name).write_bytes(b"".join(lines))
        sign_manifest(folder, world.log, manifest, states=states)
        yield f"{name}: {what}"
        for kept, content in good.items():
            (folder / kept).write_bytes(content)


# To bring up to date what is said of the fields would undo a change of just that.
SIGNED = [(name, states) for name in STREAMS for states in (False, True) if not states or name != "fields.jsonl"]


@pytest.mark.parametrize(("name", "states"), SIGNED)
def test_no_line_can_be_missed_or_moved_by_the_operator(
    name: str, states: bool, folder: Path, small: World, of_folder: Command
) -> None:
    for change in signed_changes(folder, small, name, states):
        code, said = of_folder.answer()
        if states and name == "disclosures.jsonl" and change.endswith("dropped"):
            # Not to show a value is the operator's right, as long as it is called withheld.
            assert code == 0 and "0 withheld" not in said and "withheld" in said, change
        else:
            assert code == 1 and said.startswith("FAIL "), (change, said)
            assert "Traceback" not in said and "step 1:" not in said, (change, said)
    assert of_folder.answer()[0] == 0
