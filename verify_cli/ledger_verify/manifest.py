# SPDX-License-Identifier: Apache-2.0
"""The manifest of an export: a signed note whose text is one line of strict JCS (spec/export.md, step 2).

It begins with a brace, so it can never be taken for a checkpoint, although the same key signs both.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, parse_jcs_file
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.errors import MalformedError, VerificationError, step
from ledger_verify.export_files import LISTED_FILES, MANIFEST
from ledger_verify.field_rules import disclosure_rules
from ledger_verify.note import Note, parse_note

FORMAT = "ledger-export/v3"
STATES = ("disclosed", "erased", "withheld")

_MEMBERS = (
    "checkpoint",
    "daily_root",
    "disclose",
    "fields",
    "files",
    "format",
    "from",
    "left",
    "origin",
    "right",
    "root",
    "to",
)


class Manifest(NamedTuple):
    """The manifest, each member of its type. `root` and `daily_root` are parsed where they are checked."""

    note: Note
    checkpoint: Checkpoint
    files: dict[str, tuple[int, str]]  # name → size and hexadecimal SHA-256
    start: int
    end: int
    left: list[bytes]
    right: list[bytes]
    disclose: list[str]
    fields: dict[str, int]  # how many sealed fields are in each of STATES
    daily_root: object
    root: object


def read_manifest(raw: bytes) -> Manifest:
    """Step 2."""
    with step("step 2"):
        return parse_manifest(raw)


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in the bytes of its file, no signature verified."""
    note = parse_note(decode_utf8(raw, MANIFEST))
    # Nobody reads a second line, so it would be a place where anybody may write into the file without breaking it.
    if len(note.signatures) != 1:
        raise MalformedError(f"{MANIFEST} has the wrong number of signatures", got=len(note.signatures), want=1)
    manifest = shapes.members(parse_jcs_file(note.text.encode("utf-8"), MANIFEST), _MEMBERS, MANIFEST)
    shapes.exactly(manifest["format"], FORMAT, "format")
    checkpoint = parse_checkpoint(shapes.string(manifest["checkpoint"], "checkpoint"))
    shapes.exactly(manifest["origin"], checkpoint.origin, "origin")
    start, end = shapes.integer(manifest["from"], "from"), shapes.integer(manifest["to"], "to")
    if not start < end <= checkpoint.tree_size:
        raise VerificationError(
            "the range does not lie in the tree", got=f"[{start}, {end})", want=f"within [0, {checkpoint.tree_size})"
        )
    fields = shapes.members(manifest["fields"], STATES, "fields")
    return Manifest(
        note=note,
        checkpoint=checkpoint,
        files=_parse_files(manifest["files"]),
        start=start,
        end=end,
        left=shapes.hashes(manifest["left"], "left", 2 * shapes.MAX_PATH),
        right=shapes.hashes(manifest["right"], "right", 2 * shapes.MAX_PATH),
        disclose=disclosure_rules(manifest["disclose"], "disclose"),
        fields={state: shapes.integer(fields[state], f"fields.{state}") for state in STATES},
        daily_root=manifest["daily_root"],
        root=manifest["root"],
    )


def _parse_files(value: object) -> dict[str, tuple[int, str]]:
    files: dict[str, tuple[int, str]] = {}
    items = shapes.array(value, "files")
    if len(items) != len(LISTED_FILES):
        raise MalformedError("files has the wrong length", got=len(items), want=len(LISTED_FILES))
    for position, (item, name) in enumerate(zip(items, LISTED_FILES)):
        where = f"files[{position}]"
        file = shapes.members(item, ("name", "sha256", "size"), where)
        shapes.exactly(file["name"], name, f"{where}.name")
        digest = shapes.string(file["sha256"], f"{where}.sha256")
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise MalformedError(f"{where}.sha256 is not lower-case hexadecimal of 32 bytes", got=digest)
        files[name] = (shapes.integer(file["size"], f"{where}.size"), digest)
    return files
