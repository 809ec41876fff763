# SPDX-License-Identifier: Apache-2.0
"""Exports: every range, every file, and everything an operator could leave out, add or exchange."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_verify import CannotTellError, TrustedKeys, VerificationError, trusted_keys, verify_export

from .exports import EXPORT_FILES, MANIFEST, Way, read_manifest, sign_manifest, write_export
from .textbook import Signer, b64, b64_list, file_bytes, jcs, seal, subtrees
from .world import Log, World, commit_heads, genesis, head_line, root_member


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    return world.export(tmp_path / "export", 4, 20)


def refused(folder: Path, keys: TrustedKeys) -> str:
    with pytest.raises(VerificationError) as caught:
        verify_export(str(folder), keys)
    return str(caught.value)


def rewrite(folder: Path, log: Log, *, states: bool = True, **changes: object) -> None:
    """Change the manifest, bring everything in it up to date, and sign it again: an operator would."""
    manifest = read_manifest(folder)
    del manifest["files"]
    sign_manifest(folder, log, manifest | changes, states=states)


def lines(folder: Path, name: str = "entries.jsonl") -> list[bytes]:
    return (folder / name).read_bytes().splitlines(keepends=True)


def put(folder: Path, content: list[bytes], name: str = "entries.jsonl") -> None:
    (folder / name).write_bytes(b"".join(content))


def test_every_range_of_the_log(world: World, keys: TrustedKeys, tmp_path: Path) -> None:
    for start in range(world.log_size):
        for end in range(start + 1, world.log_size + 1):
            export = verify_export(str(world.export(tmp_path, start, end, day=False)), keys)
            assert (export.start, export.end, export.signed.tier) == (start, end, "tamper-evident")
            assert sum(export.types.values()) == end - start


def test_counts_and_tiers(folder: Path, world: World, keys: TrustedKeys) -> None:
    export = verify_export(str(folder), keys)
    assert export.types == {"call.reported v1": 16}
    assert (export.disclosed, export.withheld) == (48, 0)
    assert export.day is not None and export.root is not None
    assert verify_export(str(folder), trusted_keys(world.keys["log"])).signed.tier == "tamper-detecting"
    assert verify_export(str(folder), TrustedKeys()).signed.tier is None
    stranger = trusted_keys([Signer("localhost/log/x", b"x").vkey])
    assert refused(folder, stranger).startswith("step 6, as in a receipt: step 5: ")


def test_withheld_fields_change_nothing_else(folder: Path, world: World, keys: TrustedKeys) -> None:
    some = [b for i, b in enumerate(lines(folder, "disclosures.jsonl")) if i % 2]
    put(folder, some, "disclosures.jsonl")
    rewrite(folder, world.log)
    export = verify_export(str(folder), keys)
    assert (export.disclosed, export.withheld) == (24, 24)
    put(folder, [], "disclosures.jsonl")
    rewrite(folder, world.log)
    assert verify_export(str(folder), keys).disclosed == 0


# What an operator might do to a folder, with the manifest's file list brought up to date afterwards.
FORGERIES: list[tuple[str, Callable[[World, Path], object]]] = [
    ("step 3", lambda w, f: put(f, lines(f)[1:])),
    ("step 3", lambda w, f: put(f, lines(f)[:-1])),
    ("step 3", lambda w, f: put(f, lines(f)[:5] + lines(f)[6:])),
    ("step 3", lambda w, f: put(f, [*lines(f), w.log.entries[20].encode() + b"\n"])),
    ("step 3", lambda w, f: put(f, lines(f)[:1] * 2 + lines(f)[2:])),
    ("step 3", lambda w, f: put(f, [*lines(f)[:3], lines(f)[4], lines(f)[3], *lines(f)[5:]])),
    ("step 3", lambda w, f: put(f, [b"\n", *lines(f)[1:]])),
    ("step 3", lambda w, f: put(f, [*lines(f)[:-1], lines(f)[-1][:-1]])),
    ("step 3", lambda w, f: put(f, [lines(f)[0].replace(b"\n", b"\r\n"), *lines(f)[1:]])),
    ("step 3", lambda w, f: put(f, [b"x" * 70_000 + b"\n", *lines(f)[1:]])),
    ("step 3", lambda w, f: put(f, [b"\xff\n", *lines(f)[1:]])),
    ("step 3", lambda w, f: put(f, [w.root.entries[3].encode() + b"\n", *lines(f)[1:]])),
    ("step 3", lambda w, f: put(f, [])),
    ("step 4", lambda w, f: put(f, [lines(f)[0].replace(b"agent-7", b"agent-8"), *lines(f)[1:]])),
    ("step 4", lambda w, f: put(f, [*lines(f)[:-1], lines(f)[-1].replace(b"allow", b"deny")])),
    ("step 9", lambda w, f: put(f, lines(f, "disclosures.jsonl")[::-1], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, lines(f, "disclosures.jsonl")[:1] * 2, "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [b"{}\n"], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [b"\n"], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [file_bytes({"disclosures": [], "index": 5})], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [file_bytes({"disclosures": ["x"], "index": 5})], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [file_bytes({"disclosures": ["x"], "index": 3})], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [file_bytes({"disclosures": ["x"], "index": 20})], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [lines(f, "disclosures.jsonl")[0].replace(b'":4}', b'":5}')], "disclosures.jsonl")),
    ("step 5", lambda w, f: put(f, [lines(f, "disclosures.jsonl")[0][:-1]], "disclosures.jsonl")),
]


@pytest.mark.parametrize(("step", "forge"), FORGERIES, ids=[str(i) for i in range(len(FORGERIES))])
def test_forgery_with_a_fresh_file_list_is_refused(
    step: str, forge: Callable[[World, Path], object], world: World, folder: Path, keys: TrustedKeys
) -> None:
    if step not in ("step 5", "step 9"):
        put(folder, [], "disclosures.jsonl")  # or else they give the forgery away
    forge(world, folder)
    rewrite(folder, world.log)
    assert refused(folder, keys).startswith(step + ": ")


MANIFESTS: list[tuple[str, Callable[[World], dict[str, object]]]] = [
    ("step 2", lambda w: {"x": 1}),
    ("step 2", lambda w: {"format": "ledger-export/v4"}),
    ("step 2", lambda w: {"from": 20}),
    ("step 2", lambda w: {"from": -1}),
    ("step 2", lambda w: {"to": w.log_size + 1}),
    ("step 2", lambda w: {"origin": "localhost/log/x"}),
    ("step 2", lambda w: {"files": []}),
    ("step 2", lambda w: {"files": None}),
    ("step 2", lambda w: {"left": None}),
    ("step 2", lambda w: {"right": ["x"]}),
    ("step 2", lambda w: {"checkpoint": "x"}),
    ("step 4", lambda w: {"from": 3}),
    ("step 3", lambda w: {"to": 19}),
    ("step 3", lambda w: {"to": 21}),
    ("step 4", lambda w: {"left": []}),
    ("step 4", lambda w: {"right": []}),
    ("step 4", lambda w: {"left": [b64(bytes(32))]}),
    ("step 4", lambda w: {"left": b64_list(subtrees(w.log.hashes, 0, 4)) * 2}),
    ("step 4", lambda w: {"right": [*b64_list(subtrees(w.log.hashes, 20, w.log_size))[::-1], b64(bytes(32))]}),
    ("step 6", lambda w: {"checkpoint": Signer(w.log.origin, b"x").sign(w.log.body(w.log_size))}),
    ("step 6", lambda w: {"root": None}),
    ("step 6", lambda w: {"root": {}}),
    ("step 6", lambda w: {"daily_root": {}}),
    ("step 6", lambda w: {"daily_root": w.first_day()}),
]


@pytest.mark.parametrize(("step", "change"), MANIFESTS, ids=[str(i) for i in range(len(MANIFESTS))])
def test_each_member_of_the_manifest_counts(
    step: str, change: Callable[[World], dict[str, object]], world: World, folder: Path, keys: TrustedKeys
) -> None:
    put(folder, [], "disclosures.jsonl")
    rewrite(folder, world.log, **change(world))
    assert refused(folder, keys).startswith(step)


def test_files_are_exactly_those_of_the_table(folder: Path, keys: TrustedKeys) -> None:
    """Step 1: none missing, none added, none exchanged, none that is not a plain file."""
    good = folder.with_name("good")
    shutil.copytree(folder, good)
    for name in (*EXPORT_FILES, MANIFEST):
        (folder / name).unlink()
        assert refused(folder, keys).startswith("step 1: ")
        (folder / name).symlink_to(good / name)
        assert refused(folder, keys).startswith("step 1: ")
        (folder / name).unlink()
        (folder / name).mkdir()
        assert refused(folder, keys).startswith("step 1: ")
        (folder / name).rmdir()
        shutil.copy(good / name, folder / name)
    (folder / "x").write_bytes(b"")
    assert refused(folder, keys).startswith("step 1: ")
    (folder / "x").unlink()
    assert verify_export(str(folder), keys).signed.by_root


def test_folder_of_something_else_cannot_be_told(tmp_path: Path, keys: TrustedKeys) -> None:
    """Beside a view for people the export lies as an archive."""
    (tmp_path / "view.csv").write_bytes(b"x")
    with pytest.raises(CannotTellError, match=r"the folder is no export$"):
        verify_export(str(tmp_path), keys)
    (tmp_path / "export.tar").write_bytes(b"x")
    with pytest.raises(CannotTellError, match=r"The export is the export\.tar in it"):
        verify_export(str(tmp_path), keys)


def test_every_file_is_bound_by_its_digest(folder: Path, keys: TrustedKeys) -> None:
    rng = random.Random(3)
    for name in (*EXPORT_FILES, MANIFEST):
        good = (folder / name).read_bytes()
        for _ in range(60):
            at = rng.randrange(len(good))
            for bad in (good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], good[:at], good + b"x"):
                (folder / name).write_bytes(bad)
                assert refused(folder, keys)
        (folder / name).write_bytes(good)
    assert verify_export(str(folder), keys).signed.by_root


def test_bounds(folder: Path, world: World, keys: TrustedKeys) -> None:
    """A manifest beyond 64,000 bytes is none; a line of disclosures has no limit in the format, so none can be told."""
    good = (folder / "manifest.note").read_bytes()
    (folder / "manifest.note").write_bytes(b" " * 64_001)
    assert "too long" in refused(folder, keys)
    (folder / "manifest.note").write_bytes(good)
    put(folder, [b"x" * 16_000_001 + b"\n"], "disclosures.jsonl")
    rewrite(folder, world.log)
    with pytest.raises(CannotTellError, match="16000000 bytes"):
        verify_export(str(folder), keys)


def test_digests_are_lower_case_hexadecimal(folder: Path, world: World, keys: TrustedKeys) -> None:
    files = read_manifest(folder)["files"]
    assert isinstance(files, list)
    for digest in (files[0]["sha256"].upper(), files[0]["sha256"][:-1], "é" * 64, None):
        rewrite(folder, world.log, files=[{**files[0], "sha256": digest}, *files[1:]])
        assert refused(folder, keys).startswith("step 2: ")
    rewrite(folder, world.log, files=[{**files[0], "size": 1}, *files[1:]])
    assert "another size" in refused(folder, keys)
    rewrite(folder, world.log, files=[files[1], files[0], *files[2:]])
    assert refused(folder, keys).startswith("step 2: ")


def test_what_is_no_folder_cannot_be_told(folder: Path, keys: TrustedKeys, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", "a\0b"):
        with pytest.raises(CannotTellError):
            verify_export(str(path), keys)


def own_export(log: Log, folder: Path, start: int, end: int) -> tuple[Path, TrustedKeys]:
    """An export of a log that the operator signs with all that is in it."""
    root = Log(Signer("localhost/root", b"root"))
    genesis(root, "root")
    root.govern("log.created", {"origin": log.origin, "vkey": log.signer.vkey}, log.origin)
    size = len(log.entries)
    lines = commit_heads(root, [(log, size)])
    way = Way(size, root_member(root, 2, lines, head_line(log, size)), root.key_lines(log.origin))
    return write_export(folder, log, range(start, end), way, disclose=False), trusted_keys([log.signer.vkey])


def new_log() -> Log:
    log = Log(Signer("localhost/log/own", b"own"))
    genesis(log, "tenant")
    return log


def test_a_commitment_in_two_entries_is_refused(tmp_path: Path) -> None:
    """S5: otherwise one disclosure would do for both."""
    log = new_log()
    commitment = seal("/data/x", "1", bytes(32))[1]
    log.append("some.type", {"x": commitment})
    log.append("some.type", {"x": commitment})
    folder, keys = own_export(log, tmp_path / "export", 0, 3)
    assert "S5" in refused(folder, keys)


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize(("as_of", "good"), [(1, True), (0, False), (2, False)])
def test_as_of_is_the_last_governing_entry(as_of: int, start: int, good: bool, tmp_path: Path) -> None:
    """E4, wherever the range begins: entries 0 and 1 are governing, 2 is a call, 3 says what came before."""
    log = new_log()
    log.govern("tenant.created", {"actor": "operator", "tenant_id": "t"}, "t")
    log.call({})
    log.governing.append(log.append("key.revoked", {"as_of": as_of, "actor": "operator", "key_id": "k"}, "k"))
    folder, keys = own_export(log, tmp_path / "export", start, 4)
    if good:
        assert verify_export(str(folder), keys).signed.by_log
    else:
        assert "E4" in refused(folder, keys)


def test_an_unknown_type_may_be_governing(tmp_path: Path) -> None:
    for number, (as_of, good) in enumerate([(0, True), (1, True), (2, False)]):
        log = new_log()
        log.append("policy.deployed", {})
        log.call({})
        log.governing += [index for index in (as_of,) if index]
        log.governing.append(log.append("key.revoked", {"as_of": as_of, "actor": "operator", "key_id": "k"}, "k"))
        folder, keys = own_export(log, tmp_path / str(number), 0, 4)
        if good:
            export = verify_export(str(folder), keys)
            assert export.unknown_types == 1
        else:
            assert "no governing one" in refused(folder, keys)


def test_ids_that_do_not_increase_are_refused_although_signed(tmp_path: Path) -> None:
    """E1."""
    log = new_log()
    log.call({})
    log.call({})
    log.entries[1], log.entries[2] = log.entries[2], log.entries[1]
    folder, keys = own_export(log, tmp_path / "export", 0, 3)
    assert "E1" in refused(folder, keys)


def test_a_second_genesis_is_refused_although_signed(tmp_path: Path) -> None:
    """E2."""
    log = new_log()
    log.append("log.genesis", json.loads(log.entries[0])["data"] | {"v": 1}, log.origin)
    folder, keys = own_export(log, tmp_path / "export", 0, 2)
    assert "E2" in refused(folder, keys)


def test_the_last_range_has_no_right_side(tmp_path: Path) -> None:
    log = new_log()
    folder, keys = own_export(log, tmp_path / "export", 0, 1)
    assert read_manifest(folder)["left"] == read_manifest(folder)["right"] == []
    assert verify_export(str(folder), keys).types == {"log.genesis v1": 1}
    assert (folder / "manifest.note").read_bytes().startswith(jcs(read_manifest(folder)).encode() + b"\n\n")


# The governing chain


def erased(log: Log, *ranges: tuple[int, int], pointers: list[str] | None = None) -> int:
    data: dict[str, object] = {"actor": "operator", "grounds": "other", "ranges": [list(pair) for pair in ranges]}
    return log.govern("disclosure.erased", data if pointers is None else data | {"pointers": pointers})


def test_erased_fields_are_told_from_withheld_ones(tmp_path: Path) -> None:
    """Each call has the fields /data/reason and /data/tool_args/amount. The erasures come later than all of them."""
    log = new_log()
    for _ in range(6):
        log.call({"amount": "1"})
    first = erased(log, (1, 2), (4, 5))
    second = erased(log, (2, 5), pointers=["/data/reason"])
    for number, (start, end, withheld, gone, named) in enumerate(
        [(0, 9, 6, 6, [first, second]), (1, 7, 6, 6, [first, second]), (1, 2, 0, 2, [first]), (5, 7, 4, 0, [])]
    ):
        folder, keys = own_export(log, tmp_path / str(number), start, end)
        export = verify_export(str(folder), keys)
        assert (export.disclosed, export.withheld, export.erased) == (0, withheld, gone)
        assert [erasure.entry_index for erasure in export.governing.erasures] == named
        assert (export.governing.entries, export.governing.last) == (3, second)
    # What somebody kept is checked as ever, and no longer counts as erased (S7).
    put(folder, [], "disclosures.jsonl")
    folder, keys = own_export(log, tmp_path / "kept", 0, 9)
    put(folder, [file_bytes({"disclosures": log.disclosures[1], "index": 1})], "disclosures.jsonl")
    rewrite(folder, log)
    export = verify_export(str(folder), keys)
    assert (export.disclosed, export.withheld, export.erased) == (2, 6, 4)


CHAINS: list[Callable[[Log, list[bytes]], list[bytes]]] = [
    lambda log, chain: [],
    lambda log, chain: chain[1:],
    lambda log, chain: chain[:1] + chain[2:],
    lambda log, chain: chain[:1] * 2 + chain[1:],
    lambda log, chain: [chain[1], chain[0], *chain[2:]],
    lambda log, chain: [chain[0].replace(b"tenant", b"TENANT"), *chain[1:]],
    lambda log, chain: [*chain[:-1], chain[-1].replace(b'"index":4', b'"index":3')],
    lambda log, chain: [*chain, file_bytes({"entry": log.entries[2], "index": 2, "path": log.path(2)})],
    lambda log, chain: [*chain[:1], file_bytes({"entry": log.entries[2], "index": 2, "path": log.path(2)}), *chain[1:]],
    lambda log, chain: [*chain[:-1], chain[-1][:-1]],
    lambda log, chain: [b"{}\n", *chain],
    lambda log, chain: [b"\n", *chain],
    lambda log, chain: [b" " * 150_001 + b"\n", *chain],
    lambda log, chain: [file_bytes({"entry": log.entries[0], "index": 0, "path": []}), *chain[1:]],
    lambda log, chain: [file_bytes({"entry": log.entries[0], "index": 0, "path": log.path(0), "x": 1}), *chain[1:]],
]


@pytest.mark.parametrize("change", CHAINS, ids=[str(i) for i in range(len(CHAINS))])
def test_chain_is_whole_and_in_order(change: Callable[[Log, list[bytes]], list[bytes]], tmp_path: Path) -> None:
    log = new_log()
    log.govern("tenant.created", {"actor": "operator", "tenant_id": "t"}, "t")
    log.call({"amount": "1"})
    log.call({"amount": "2"})
    erased(log, (2, 3))
    folder, keys = own_export(log, tmp_path / "export", 2, 4)
    assert verify_export(str(folder), keys).erased == 2
    put(folder, change(log, lines(folder, "governing.jsonl")), "governing.jsonl")
    rewrite(folder, log)
    assert refused(folder, keys).startswith("step 7: ")


def test_chain_cut_short_hides_no_entry_of_the_range(tmp_path: Path) -> None:
    """That there is no later governing entry nobody can prove; but one that is exported cannot be left out."""
    log = new_log()
    log.call({"amount": "1"})
    erased(log, (1, 2))
    for end, good in ((2, True), (3, False)):
        folder, keys = own_export(log, tmp_path / str(end), 1, end)
        put(folder, lines(folder, "governing.jsonl")[:-1], "governing.jsonl")
        rewrite(folder, log)
        if good:
            export = verify_export(str(folder), keys)
            assert (export.withheld, export.erased, export.governing.last) == (2, 0, 0)
        else:
            assert "missing from governing.jsonl" in refused(folder, keys)
