# SPDX-License-Identifier: Apache-2.0
"""The files of an export, in a folder or in an archive (spec/export.md, step 1).

Each listed file is read once, as a stream, and its digest is taken over the very bytes that were handed out. So nothing is
checked that could be exchanged before it is used, and a file may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from itertools import takewhile
from typing import BinaryIO, Callable

from ledger_verify.errors import CannotTellError, MalformedError, VerificationError, step
from ledger_verify.export_archive import Archive

MANIFEST = "manifest.note"
ENTRIES = "entries.jsonl"
DISCLOSURES = "disclosures.jsonl"
FIELDS = "fields.jsonl"
GOVERNING = "governing.jsonl"
KEYS = "keys.jsonl"
# Sorted by name, as the manifest lists them.
LISTED_FILES = ("README.txt", DISCLOSURES, ENTRIES, FIELDS, GOVERNING, KEYS, "ledger-verify.pyz")

MAX_MANIFEST_BYTES = 64_000
_OLD_MANIFEST = "manifest.json"
_STEPS = {ENTRIES: "step 3", DISCLOSURES: "step 5", GOVERNING: "step 7", KEYS: "step 8", FIELDS: "step 9"}
_CHUNK = 1 << 18


class ExportFiles:
    """An export's files by name. `of` opens whatever is at a path, and raises CannotTellError where nothing is."""

    def __init__(self, open_file: Callable[[str], BinaryIO]) -> None:
        self._open = open_file

    @classmethod
    def of(cls, path: str) -> ExportFiles:
        """Step 1, first half: exactly the names of the table, each a regular file."""
        if _is_folder(path):
            _check_names(path)
            return cls(lambda name: _open_regular(os.path.join(path, name), name))
        with step("step 1"):
            archive = Archive.of(_open_regular(path, "the export"), (*LISTED_FILES, MANIFEST))
        return cls(archive.open)

    def manifest(self) -> bytes:
        """The bytes of the manifest, which are not listed anywhere."""
        with self._open(MANIFEST) as file:
            raw = _read_part(lambda: file.read(MAX_MANIFEST_BYTES + 1), MANIFEST)
        if len(raw) > MAX_MANIFEST_BYTES:
            with step("step 2"):
                raise MalformedError(f"{MANIFEST} is too long", want=f"at most {MAX_MANIFEST_BYTES} bytes")
        return raw

    def digested(self, name: str, listed: dict[str, tuple[int, str]]) -> DigestedFile:
        return DigestedFile(self._open, name, listed[name])


class DigestedFile:
    """A file read once, whose size and digest are checked when its end is reached (step 1, second half)."""

    def __init__(self, open_file: Callable[[str], BinaryIO], name: str, want: tuple[int, str]) -> None:
        self._open = open_file
        self._name = name
        self._want = want

    def chunks(self) -> Iterator[bytes]:
        return self._read(lambda file: file.read(_CHUNK))

    def lines(self, limit: int) -> Iterator[bytes]:
        """The lines without their newlines, each of at most `limit` bytes."""
        for batch in self.batches(limit):
            yield from batch

    def batches(self, limit: int) -> Iterator[list[bytes]]:
        """The same, as many at once as were read."""
        rest = b""
        for part in self._read(lambda file: file.read(_CHUNK)):
            lines = (rest + part).split(b"\n")
            rest = lines.pop()
            if len(rest) > limit or max(map(len, lines), default=0) > limit:
                yield [*takewhile(lambda line: len(line) <= limit, lines)]
                if self._name == DISCLOSURES:  # the format sets no limit here
                    raise CannotTellError(f"{self._name} has a line of more than {limit} bytes")
                with step(_STEPS[self._name]):
                    raise MalformedError(f"{self._name} has a line of more than {limit} bytes")
            yield lines
        if rest:
            with step(_STEPS[self._name]):
                raise MalformedError(f"{self._name}: the last line has no newline")

    def _read(self, read: Callable[[BinaryIO], bytes]) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        with self._open(self._name) as file:
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


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise CannotTellError(f"cannot read the export: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise CannotTellError("no file can have this name") from None


def _check_names(path: str) -> None:
    try:
        with os.scandir(path) as listing:
            kinds = {item.name: item.is_file(follow_symlinks=False) for item in listing}
    except OSError as error:
        raise CannotTellError(f"cannot read the folder: {error.strerror}") from None
    if not kinds.keys() & {MANIFEST, ENTRIES, _OLD_MANIFEST}:
        hint = ". The export is the export.tar in it" if "export.tar" in kinds else ""
        raise CannotTellError(f"the folder is no export{hint}")
    with step("step 1"):
        if _OLD_MANIFEST in kinds and MANIFEST not in kinds:
            raise VerificationError(
                "the folder is an export in an older format", hint="The ledger-verify.pyz of its time reads it"
            )
        for name in sorted(kinds):
            if name not in (MANIFEST, *LISTED_FILES):
                raise VerificationError("the folder has a file that does not belong to an export", got=name)
            if not kinds[name]:
                raise VerificationError("not a regular file", got=name)
        for name in (MANIFEST, *LISTED_FILES):
            if name not in kinds:
                raise VerificationError("the folder lacks a file of an export", want=name)


def _open_regular(path: str, name: str) -> BinaryIO:
    """Open a file, if it is still a regular one."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
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
