# SPDX-License-Identifier: Apache-2.0
"""Writes the vectors into spec/vectors: `python -m tests.tlog.vectors.make`.

Trees follow the recursion of RFC 6962 §2.1, signatures come from `cryptography` with keys of fixed seeds, so running
this twice gives the same bytes.
"""

import json
from pathlib import Path

from tests.tlog.vectors.checkpoints import checkpoint_cases
from tests.tlog.vectors.merkle import merkle_cases
from tests.tlog.vectors.notes import note_cases
from tests.tlog.vectors.proofs import proof_cases
from tests.tlog.vectors.tiles import tile_cases

FOLDER = Path(__file__).parents[3] / "spec" / "vectors"

FILES = {
    "merkle.json": (
        "Hashes and proofs of RFC 6962 section 2.1 with SHA-256. kind: leaf_hash, node_hash, root, inclusion, "
        "consistency. A case with ok false must be refused; such a case may hold integers that are negative or too "
        "large, and hashes of a wrong length.",
        merkle_cases,
    ),
    "notes.json": (
        "Signed notes (c2sp.org/signed-note) with Ed25519 keys. kind note: opening the note with the vkeys gives the "
        "text, or is refused; error says whether the note is malformed or its signature is at fault. kind vkey: the "
        "vkey is well formed, or must be refused.",
        note_cases,
    ),
    "checkpoints.json": (
        "Checkpoints (c2sp.org/tlog-checkpoint) opened with vkeys. The log of the origin must have signed. Extension "
        "lines are refused.",
        checkpoint_cases,
    ),
    "tiles.json": (
        "Tiles (c2sp.org/tlog-tiles). kind path: what a path names, level null for entries; width: how many hashes a "
        "tile has at a tree size; subtree: in which tile the hash of a perfect subtree is, counting rows from the "
        "bottom; tile: the hashes of a tile of the tree with leaves 'leaf 0', 'leaf 1' and so on; bundle: entries and "
        "their bytes.",
        tile_cases,
    ),
    "tlog_proofs.json": (
        "Offline proofs (c2sp.org/tlog-proof), with the data of the leaf and the vkeys to verify them with; error says "
        "whether the proof is malformed, the signature is at fault or the path leads elsewhere.",
        proof_cases,
    ),
}


def render(about, cases):
    """One case a line, so that a change shows in a diff as the cases it changes."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(", ", ": ")) for case in cases)
    return f'{{"about": {json.dumps(about)},\n"cases": [\n{lines}\n]}}\n'


def files():
    """Name and text of every file that this script makes."""
    return {name: render(about, cases()) for name, (about, cases) in FILES.items()}


if __name__ == "__main__":
    for file_name, content in files().items():
        (FOLDER / file_name).write_text(content, encoding="ascii")
