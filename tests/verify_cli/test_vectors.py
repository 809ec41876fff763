# SPDX-License-Identifier: Apache-2.0
"""The cases of spec/vectors/*.json, which the service's tests read too. Two implementations, one set of answers."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from typing import Any

import pytest
from ledger_verify import VerificationError, merkle, tiles, trusted_keys
from ledger_verify.checkpoint import parse_checkpoint, signed_by
from ledger_verify.errors import MalformedError
from ledger_verify.note import open_note, parse_vkey
from ledger_verify.proof import verify_proof

from .conftest import REPOSITORY
from .textbook import Signer

Case = dict[str, Any]


def vectors(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((REPOSITORY / "spec" / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    return value


def cases(name: str, *kinds: str) -> list[Any]:
    """The cases of those kinds, as parameters; a test that finds none fails when it is collected."""
    found = [case for case in vectors(name)["cases"] if case.get("kind", "") in kinds]
    assert found, f"{name}.json has no cases of {kinds}"
    return [pytest.param(case, id=case["name"]) for case in found]


def hashes(values: list[str]) -> list[bytes]:
    return [b64decode(value) for value in values]


@pytest.mark.parametrize("case", cases("merkle", "leaf_hash", "node_hash", "root"))
def test_hash(case: Case) -> None:
    if case["kind"] == "leaf_hash":
        assert merkle.leaf_hash(b64decode(case["data"])) == b64decode(case["hash"])
    elif case["kind"] == "node_hash":
        assert merkle.node_hash(b64decode(case["left"]), b64decode(case["right"])) == b64decode(case["hash"])
    else:
        tree = merkle.CompactRange()
        for leaf in case["leaves"]:
            tree.append(merkle.leaf_hash(b64decode(leaf)))
        assert tree.root() == b64decode(case["root"])


@pytest.mark.parametrize("case", cases("merkle", "inclusion", "consistency"))
def test_proof(case: Case) -> None:
    def check() -> None:
        if case["kind"] == "inclusion":
            leaf, root = b64decode(case["leaf_hash"]), b64decode(case["root_hash"])
            merkle.verify_inclusion(case["leaf_index"], case["tree_size"], leaf, hashes(case["path"]), root)
        else:
            old, new = b64decode(case["root1"]), b64decode(case["root2"])
            merkle.verify_consistency(case["size1"], case["size2"], hashes(case["path"]), old, new)

    agree(case, check)


@pytest.mark.parametrize("case", cases("notes", "note"))
def test_note(case: Case) -> None:
    if case["ok"]:
        assert open_note(case["note"], case["vkeys"]) == case["text"]
    else:
        agree(case, lambda: open_note(case["note"], case["vkeys"]))


@pytest.mark.parametrize("case", cases("notes", "vkey"))
def test_vkey(case: Case) -> None:
    agree(case, lambda: parse_vkey(case["vkey"]))


@pytest.mark.parametrize("case", cases("checkpoints", ""))
def test_checkpoint(case: Case) -> None:
    def check() -> None:
        checkpoint = parse_checkpoint(case["note"])
        signed_by(checkpoint, [parse_vkey(vkey) for vkey in case["vkeys"]], "--key")
        if case["ok"]:
            found = (checkpoint.origin, checkpoint.tree_size, checkpoint.root_hash)
            assert found == (case["origin"], case["size"], b64decode(case["root"]))

    agree(case, check)


@pytest.mark.parametrize("case", cases("tlog_proofs", ""))
def test_tlog_proof(case: Case) -> None:
    def check() -> None:
        keys = trusted_keys(case["vkeys"] or [Signer("somebody/else", b"x").vkey])
        proof = verify_proof(case["proof"].encode(), keys, b64decode(case["data"]), "any")
        if case["ok"]:
            found = proof.leaf_index, proof.checkpoint.tree_size, proof.checkpoint.root_hash
            assert found == (case["index"], case["size"], b64decode(case["root"]))

    agree(case, check)
    if case["ok"] and case["extra"] == case["data"]:
        assert verify_proof(case["proof"].encode(), trusted_keys(case["vkeys"])).signed.by_log


@pytest.mark.parametrize("case", [c for c in cases("tiles", "path") if c.values[0]["ok"]])
def test_tile_path(case: Case) -> None:
    assert tiles.Tile(case["level"], case["number"], case["width"]).path == case["path"]


@pytest.mark.parametrize("case", cases("tiles", "width"))
def test_tile_width(case: Case) -> None:
    assert max(0, tiles.tile_of(case["level"], case["number"], case["size"]).width) == case["width"]


@pytest.mark.parametrize("case", cases("tiles", "tile"))
def test_tile(case: Case) -> None:
    edge, name = tiles.RightEdge(), (case["level"], case["number"], case["width"])
    made = [tile for n in range(case["size"]) for tile in edge.append(merkle.leaf_hash(f"leaf {n}".encode()))]
    [hashes] = [hashes for tile, hashes in [*made, *edge.partial_tiles()] if tile == name]
    assert hashlib.sha256(b"".join(hashes)).digest() == b64decode(case["sha256"])


@pytest.mark.parametrize("case", cases("tiles", "bundle"))
def test_bundle(case: Case) -> None:
    def check() -> None:
        wanted = [b64decode(entry) for entry in case.get("entries", [])]
        name = tiles.Tile(None, 0, len(wanted) if case["ok"] else 3)
        assert tiles.parse_bundle(b64decode(case["bundle"]), name) == wanted

    agree(case, check)


def agree(case: Case, check: Any) -> None:
    """The check passes or is refused as the case says, and for the reason that it says, if it says one."""
    if case["ok"]:
        check()
        return
    with pytest.raises(VerificationError) as caught:
        check()
    if case.get("error") == "malformed":
        assert isinstance(caught.value, MalformedError)
    elif case.get("error") == "signature":
        assert not isinstance(caught.value, MalformedError)
