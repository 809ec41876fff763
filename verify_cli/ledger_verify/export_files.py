# SPDX-License-Identifier: Apache-2.0
"""The files of an export: names, manifest, digests (spec/export.md, steps 1 and 2).

Each listed file is read once, as a stream, and its digest is taken over the very bytes that were handed out. So nothing is
checked that could be exchanged before it is used, and a file may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Callable, NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_jcs_file
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError, step

FORMAT = "ledger-export/v2"
MANIFEST = "manifest.json"
ENTRIES = "entries.jsonl"
DISCLOSURES = "disclosures.jsonl"
GOVERNING = "governing.jsonl"
LISTED_FILES = ("README.txt", DISCLOSURES, ENTRIES, GOVERNING, "ledger-verify.pyz")  # sorted by name

MAX_MANIFEST_BYTES = 1_000_000
_STEPS = {ENTRIES: "step 3", DISCLOSURES: "step 5", GOVERNING: "step 7"}
_CHUNK = 1 << 16

_MEMBERS = (
    "checkpoint",
    "daily_root",
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

    checkpoint: Checkpoint
    files: dict[str, tuple[int, str]]  # name → size and hexadecimal SHA-256
    start: int
    end: int
    left: list[bytes]
    right: list[bytes]
    daily_root: object
    root: object


def read_folder(path: str) -> bytes:
    """Step 1, first half: the names in the folder. Returns the manifest's bytes."""
    try:
        with os.scandir(path) as listing:
            kinds = {item.name: item.is_file(follow_symlinks=False) for item in listing}
    except OSError as error:
        raise CannotTellError(f"cannot read the folder: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise CannotTellError("no folder can have this name") from None
    with step("step 1"):
        for name in sorted(kinds):
            if name not in (MANIFEST, *LISTED_FILES):
                raise VerificationError("the folder has a file that does not belong to an export", got=name)
            if not kinds[name]:
                raise VerificationError("not a regular file", got=name)
        for name in (MANIFEST, *LISTED_FILES):
            if name not in kinds:
                raise VerificationError("the folder lacks a file of an export", want=name)
    with _open(path, MANIFEST) as file:
        raw = _read_part(lambda: file.read(MAX_MANIFEST_BYTES + 1), MANIFEST)
    if len(raw) > MAX_MANIFEST_BYTES:
        with step("step 2"):
            raise MalformedError(f"{MANIFEST} is too long", want=f"at most {MAX_MANIFEST_BYTES} bytes")
    return raw


def parse_manifest(raw: bytes) -> Manifest:
    """Step 2."""
    manifest = shapes.members(parse_jcs_file(raw, MANIFEST), _MEMBERS, MANIFEST)
    shapes.exactly(manifest["format"], FORMAT, "format")
    checkpoint = parse_checkpoint(shapes.string(manifest["checkpoint"], "checkpoint"))
    shapes.exactly(manifest["origin"], checkpoint.origin, "origin")
    start, end = shapes.integer(manifest["from"], "from"), shapes.integer(manifest["to"], "to")
    if not start < end <= checkpoint.tree_size:
        raise VerificationError(
            "the range does not lie in the tree", got=f"[{start}, {end})", want=f"within [0, {checkpoint.tree_size})"
        )
    return Manifest(
        checkpoint=checkpoint,
        files=_parse_files(manifest["files"]),
        start=start,
        end=end,
        left=shapes.hashes(manifest["left"], "left", 2 * shapes.MAX_PATH),
        right=shapes.hashes(manifest["right"], "right", 2 * shapes.MAX_PATH),
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


def _open(folder: str, name: str) -> BinaryIO:
    """Open a file of the folder, if it is still a regular one."""
    try:
        file = open(os.path.join(folder, name), "rb")  # noqa: SIM115 - the caller closes it
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise CannotTellError(f"{name} is not a regular file")
    except OSError as error:
        raise CannotTellError(f"cannot read {name}: {error.strerror}") from None
    return file


def _read_part(read: Callable[[], bytes], name: str) -> bytes:
    try:
        return read()
    except OSError as error:
        raise CannotTellError(f"cannot read {name}: {error.strerror}") from None


class DigestedFile:
    """A file read once, whose size and digest are checked when its end is reached (step 1, second half)."""

    def __init__(self, folder: str, name: str, manifest: Manifest) -> None:
        self._folder = folder
        self._name = name
        self._want = manifest.files[name]

    def chunks(self) -> Iterator[bytes]:
        return self._read(lambda file: file.read(_CHUNK))

    def lines(self, limit: int) -> Iterator[bytes]:
        """The lines without their newlines, each of at most `limit` bytes."""
        for line in self._read(lambda file: file.readline(limit + 2)):
            if len(line.rstrip(b"\n")) > limit:
                if self._name == DISCLOSURES:  # the format sets no limit here
                    raise CannotTellError(f"{self._name} has a line of more than {limit} bytes")
                with step(_STEPS[self._name]):
                    raise MalformedError(f"{self._name} has a line of more than {limit} bytes")
            if not line.endswith(b"\n"):
                with step(_STEPS[self._name]):
                    raise MalformedError(f"{self._name}: the last line has no newline")
            yield line[:-1]

    def _read(self, read: Callable[[BinaryIO], bytes]) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        with _open(self._folder, self._name) as file:
            while True:
                part = _read_part(lambda: read(file), self._name)
                if not part:
                    break
                digest.update(part)
                size += len(part)
                yield part
        with step("step 1"):
            hint = "The file was changed after the export, or belongs to another one"
            if size != self._want[0]:
                raise VerificationError(f"{self._name} has another size", got=size, want=self._want[0], hint=hint)
            if digest.hexdigest() != self._want[1]:
                raise VerificationError(
                    f"{self._name} has another digest", got=digest.hexdigest(), want=self._want[1], hint=hint
                )
