# SPDX-License-Identifier: Apache-2.0
"""Exports: any range verifies from the outside, and no line can be dropped, swapped, doubled or altered in it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError, verify_export

from ledger.log.canonical import encode
from ledger.log.disclosing import EVERYTHING, Disclosing
from ledger.log.entry import read_envelope
from ledger.log.errors import ConflictError, InvalidRequestError, UnavailableError
from ledger.log.export import Exported, Manifest, NotCommittedError, require_range, write_export
from ledger.log.export_lines import CHUNK
from ledger.log.export_spool import FieldCounts
from ledger.log.store import Row
from tests.log.stores import AroundStore
from tests.log.world import DAY, NOON, TENANT, World, event
from tests.running import run_verifier
from tests.verify_cli.exports import EXPORT_FILES, MANIFEST

SIZE = 530
CLOSED, COVERED, UNCOVERED = 300, 500, 540
FILES = {*EXPORT_FILES, MANIFEST}


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as world:
        world.fill(CLOSED)
        world.close_day()
        world.wake_at(NOON + DAY)
        world.fill(COVERED)
        world.commit_heads()
        world.fill(SIZE)
        world.commit_heads()
        world.fill(UNCOVERED)
        yield world


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    parent, numbers = tmp_path_factory.mktemp("exports"), count()
    return lambda: parent / f"export-{next(numbers)}"


def export(world: World, out: Path, start: int = 0, stop: int | None = None, *, rules: Sequence[str] = ()) -> Manifest:
    done = written(world, out, require_range(world.log, start, stop), rules=rules)
    assert done.sha256 == hashlib.sha256((out / "manifest.note").read_bytes()).hexdigest()
    return done.manifest


def written(world: World, out: Path, exported: range, *, rules: Sequence[str] = (), **other: Any) -> Exported:
    usual = {"verifier": world.settings.verifier, "progress": lambda done: None}
    return write_export(world.ledger, world.log, exported, out, disclosing=Disclosing(rules), **(usual | other))


@settings(max_examples=40)
@given(st.integers(0, SIZE - 1), st.integers(1, SIZE), st.booleans())
def test_any_range_verifies(
    grown: World, new_folder: Callable[[], Path], start: int, stop: int, disclose: bool
) -> None:
    start, stop = min(start, stop - 1), max(start + 1, stop)
    out = new_folder()
    manifest = export(grown, out, start, stop, rules=EVERYTHING if disclose else ())
    verified = verify_export(str(out), grown.keys)
    assert (verified.start, verified.end, verified.origin) == (start, stop, grown.log.origin)
    assert (manifest.start, manifest.stop) == (start, stop)
    assert (out / "entries.jsonl").read_bytes() == b"".join(leaf + b"\n" for leaf in grown.leaves()[start:stop])
    assert verified.signed.tier == "tamper-evident"
    assert (None if verified.day is None else verified.day.date) == ("2026-03-01" if stop <= CLOSED else None)
    sealed = sum(grown.ledger.store.sealed(TENANT, index) is not None for index in range(start, stop))
    assert (verified.disclosed > 0) == (disclose and sealed > 0)
    shutil.rmtree(out)


RANGES = [(0, SIZE), (0, 1), (SIZE - 1, SIZE), (255, 257), (256, 512), (CLOSED, COVERED)]
NO_RANGES = [(0, 0), (5, 5), (6, 5), (-1, 5), (0, UNCOVERED + 1), (UNCOVERED, None), (UNCOVERED + 1, None)]


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_edges_of_tiles_and_heads_verify(grown: World, tmp_path: Path, start: int, stop: int) -> None:
    export(grown, tmp_path / "out", start, stop)
    assert verify_export(str(tmp_path / "out"), grown.keys).end == stop


def test_range_that_the_root_log_does_not_cover_waits(grown: World, tmp_path: Path) -> None:
    for stop in (SIZE + 1, UNCOVERED, None):
        with pytest.raises(NotCommittedError):
            export(grown, tmp_path / "out", 0, stop)
    assert list(tmp_path.iterdir()) == []


def test_log_may_grow_while_an_export_is_written(
    open_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_world() as world:
        world.fill(20)
        world.grow_before_heads_are_looked_up(600, monkeypatch)
        export(world, tmp_path / "out", 0, 20)
        assert verify_export(str(tmp_path / "out"), world.keys).end == 20


def test_folder_has_the_files_of_the_page_and_their_digests(grown: World, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "down"
    manifest = export(grown, out, 3, 9)
    assert {path.name for path in out.iterdir()} == FILES
    assert [file.name for file in manifest.files] == sorted(FILES - {"manifest.note"})
    for file in manifest.files:
        data = (out / file.name).read_bytes()
        assert (file.sha256, file.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (out / "ledger-verify.pyz").read_bytes() == grown.settings.verifier.read_bytes()
    assert "index 3 to 8" in (out / "README.txt").read_text()
    assert {path.name for path in out.parent.iterdir()} == {"down"}


def test_same_export_again_is_the_same_bytes(grown: World, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(grown, tmp_path / name, 5, 400, rules=EVERYTHING)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_disclosing_changes_no_entry_and_no_proof(grown: World, tmp_path: Path) -> None:
    manifests = []
    for disclose in (False, True):
        manifest = export(grown, tmp_path / str(disclose), 0, 400, rules=EVERYTHING if disclose else ())
        manifests.append(msgspec.structs.replace(manifest, files=[], disclose=[], fields=FieldCounts()))
    assert manifests[0] == manifests[1]
    withheld, disclosed = (tmp_path / name / "entries.jsonl" for name in ("False", "True"))
    assert withheld.read_bytes() == disclosed.read_bytes()
    assert (tmp_path / "False" / "disclosures.jsonl").read_bytes() == b""


def test_long_range_is_written_in_chunks(open_world: Callable[..., World], tmp_path: Path) -> None:
    with open_world() as world:
        world.fill(CHUNK + 7)
        world.commit_heads()
        seen: list[int] = []
        written(world, tmp_path / "out", range(CHUNK + 7), progress=seen.append)
        assert seen == [CHUNK, 7]
        assert verify_export(str(tmp_path / "out"), world.keys).end == CHUNK + 7


def test_command_verifies_an_export_and_refuses_an_altered_one(grown: World, tmp_path: Path) -> None:
    out, keys = tmp_path / "out", ["--key", grown.vkey(grown.log), "--root-key", grown.vkey(grown.root)]
    export(grown, out, 0, 200)
    verified = run_verifier("export", "--json", str(out), *keys)
    assert verified.returncode == 0 and json.loads(verified.stdout)["tier"] == "tamper-evident"
    entries = out / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b'"verdict":"allow"', b'"verdict":"deny"', 1))
    assert run_verifier("export", str(out), *keys).returncode == 1


# What was erased


def test_erased_fields_are_reported_with_the_proof_of_their_erasure(
    open_world: Callable[..., World], tmp_path: Path
) -> None:
    """In every range, also one that lies before the erasure; an export from before verifies as it did."""
    with open_world() as world:
        first = world.size
        world.append(*world.drafts(*(event(f"c{i}", payload=PAYLOAD | {"data_subject": "ada"}) for i in range(4))))
        stop = world.size
        world.commit_heads()
        world.close_day()
        export(world, tmp_path / "before", first, stop, rules=EVERYTHING)
        named = [row.event_id for row in world.ledger.store.rows(TENANT, first, first + 1)]
        [(field, _)] = world.erase(event_ids=named, pointers=["/data/reason"]).recorded
        world.commit_heads()
        assert verified(world, export_of(world, tmp_path / "one", first, stop)) == (0, 7, 1, [field])
        [(whole, _)] = world.erase(subject="ada").recorded
        world.commit_heads()
        for start, end, withheld, erased in ((first, stop, 0, 8), (first + 1, first + 2, 0, 2), (0, world.size, 1, 8)):
            out = export_of(world, tmp_path / f"{start}-{end}", start, end)
            concerned = [field, whole] if start <= first else [whole]
            assert verified(world, out) == (0, withheld, erased, concerned)
            assert verify_export(str(out), world.keys).signed.tier == "tamper-evident"
        old = verify_export(str(tmp_path / "before"), world.keys)
        assert (old.disclosed, old.withheld, old.erased, old.day is not None) == (8, 0, 0, True)


PAYLOAD = {"tool_args": {"amount": 1}, "reason": "because"}


def export_of(world: World, out: Path, start: int, stop: int) -> Path:
    export(world, out, start, stop)
    return out


def verified(world: World, out: Path) -> tuple[int, int, int, list[int]]:
    """Fields disclosed, withheld and erased, and the erasures."""
    found = verify_export(str(out), world.keys)
    return found.disclosed, found.withheld, found.erased, [erasure.entry_index for erasure in found.governing.erasures]


# Forgeries, with the digests in the manifest put right


@pytest.fixture(scope="module")
def exported(grown: World, new_folder: Callable[[], Path]) -> Path:
    out = new_folder()
    export(grown, out, 250, 290, rules=EVERYTHING)
    return out


Lines = list[bytes]


def forge(world: World, exported: Path, out: Path, entries: Lines, **manifest: Any) -> None:
    """The export with other entries, as the operator himself would forge it: every digest fits, and his key signed."""
    shutil.copytree(exported, out)
    (out / "entries.jsonl").write_bytes(b"".join(entries))
    put_right(world, out, **manifest)


def put_right(world: World, out: Path, **members: Any) -> None:
    manifest = json.loads((out / "manifest.note").read_text().split("\n")[0]) | members
    for file in manifest["files"]:
        data = (out / file["name"]).read_bytes()
        file |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    (out / "manifest.note").write_text(world.log.signer.sign(encode(manifest).decode() + "\n"))


@settings(max_examples=60)
@given(st.data())
def test_no_line_can_be_dropped_swapped_doubled_or_altered(
    grown: World, exported: Path, new_folder: Callable[[], Path], data: st.DataObject
) -> None:
    lines = (exported / "entries.jsonl").read_bytes().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda i: i != at))
    way = data.draw(st.sampled_from(["drop", "swap", "double", "alter", "replace", "add", "cut", "move"]))
    forged, manifest = list(lines), {}
    if way == "drop":
        del forged[at]
        if data.draw(st.booleans()):
            manifest = {"to": 289} if data.draw(st.booleans()) else {"from": 251}
    elif way == "swap":
        forged[at], forged[other] = lines[other], lines[at]
    elif way == "double":
        forged.insert(at, lines[at])
    elif way == "alter":
        line = lines[at]
        place = data.draw(st.integers(0, len(line) - 1))
        forged[at] = line[:place] + bytes([line[place] ^ (1 << data.draw(st.integers(0, 7)))]) + line[place + 1 :]
    elif way == "replace":
        forged[at] = grown.leaves()[data.draw(st.integers(0, 249))] + b"\n"
    elif way == "add":
        forged.append(grown.leaves()[290] + b"\n")
        if data.draw(st.booleans()):
            manifest = {"to": 291}
    elif way == "cut":
        forged = forged[:at]
    else:
        manifest = {"from": 250 + (shift := data.draw(st.sampled_from([-1, 1]))), "to": 290 + shift}
    out = new_folder()
    forge(grown, exported, out, forged, **manifest)
    with pytest.raises(VerificationError):
        verify_export(str(out), grown.keys)
    shutil.rmtree(out)


def test_no_disclosure_can_be_altered_moved_or_repeated(grown: World, exported: Path, tmp_path: Path) -> None:
    lines = (exported / "disclosures.jsonl").read_bytes().splitlines(keepends=True)
    one, two = json.loads(lines[3]), json.loads(lines[4])
    altered = [text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:] for text in one["disclosures"]]
    changed = one | {"disclosures": altered}
    moved = one | {"disclosures": two["disclosures"]}
    forgeries = {
        "altered": [*lines[:3], encode(changed) + b"\n", *lines[4:]],
        "moved": [*lines[:3], encode(moved) + b"\n", *lines[4:]],
        "repeated": [*lines[:4], *lines[3:]],
        "swapped": [*lines[:3], lines[4], lines[3], *lines[5:]],
        "empty": [*lines[:3], encode(one | {"disclosures": []}) + b"\n", *lines[4:]],
        "beyond": [*lines, encode(one | {"index": 290}) + b"\n"],
    }
    for name, forged in forgeries.items():
        out = tmp_path / name
        shutil.copytree(exported, out)
        (out / "disclosures.jsonl").write_bytes(b"".join(forged))
        put_right(grown, out)
        with pytest.raises(VerificationError):
            verify_export(str(out), grown.keys)
    out = tmp_path / "withheld"
    shutil.copytree(exported, out)
    (out / "disclosures.jsonl").write_bytes(b"".join(lines[::2]))
    put_right(grown, out)
    with pytest.raises(VerificationError, match="step 9: entries 250 to 250: "):
        verify_export(str(out), grown.keys)


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_or_changed_file_is_noticed(grown: World, exported: Path, tmp_path: Path, name: str) -> None:
    for change in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes() + b"\n")):
        out = tmp_path / "out"
        shutil.copytree(exported, out)
        change(out / name)
        with pytest.raises(VerificationError):
            verify_export(str(out), grown.keys)
        shutil.rmtree(out)


# Refusals and failures


@pytest.mark.parametrize(("start", "stop"), NO_RANGES)
def test_range_that_is_empty_or_not_in_the_log_is_refused(
    grown: World, tmp_path: Path, start: int, stop: int | None
) -> None:
    with pytest.raises(InvalidRequestError, match=f"want 0 <= from < to <= {UNCOVERED}"):
        export(grown, tmp_path / "out", start, stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_existing_target_is_refused_and_left_alone(grown: World, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    else:
        out.write_text("mine")
    with pytest.raises(ConflictError, match="exists already"):
        export(grown, out)
    assert list(tmp_path.iterdir()) == [out]
    assert list(out.iterdir()) == [] if kind == "folder" else out.read_text() == "mine"


class BreaksOff(AroundStore):
    """A store that cannot be read any more behind the first chunk."""

    def rows(self, log_number: int, start: int, stop: int) -> list[Row]:
        if log_number == TENANT and start >= CHUNK:
            raise UnavailableError("the store cannot be read")
        return self.store.rows(log_number, start, stop)


def test_failed_export_leaves_no_folder_under_its_name(open_world: Callable[..., World], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open_world() as world:
        world.fill(CHUNK + 7)
        world.commit_heads()
        whole = world.ledger.store
        world.ledger.store = BreaksOff(whole)
        with pytest.raises(UnavailableError):
            export(world, out)
        assert not out.exists()
        world.ledger.store = whole
        export(world, out)
        assert verify_export(str(out), world.keys).end == CHUNK + 7
        assert list(tmp_path.iterdir()) == [out]
        assert read_envelope((out / "entries.jsonl").read_bytes().splitlines()[0]).type == "log.genesis"


def test_missing_verifier_leaves_no_folder_under_its_name(grown: World, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        written(grown, tmp_path / "out", range(9), verifier=tmp_path / "none")
    assert not (tmp_path / "out").exists()
