# SPDX-License-Identifier: Apache-2.0
"""Where exports lie while they are made and until they are fetched: `FOLDER/<log id>/<export id>/`.

    lock           held by whoever makes it; one that is free although it is not finished was left by a crash
    status.json    what has become of it
    export/        the folder that is being written; gone when it is packed
    export.tar     what is fetched, and perhaps a view made from it

All of it is for the owner's eyes only, and none of it is needed: whatever is lost here can be exported again.
"""

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from ledger.log.durable import replace_file
from ledger.log.errors import NotFoundError, RateLimitedError

KEPT_SECONDS = 86_400.0
MAX_KEPT = 100
"""Exports of one log."""

State = Literal["running", "ready", "failed"]
Format = Literal["tar", "csv", "json", "pdf"]
_ID = re.compile(r"[0-9a-f]{32}")


class FieldCounts(msgspec.Struct, frozen=True):
    """How many sealed fields are in each state."""

    disclosed: int = 0
    erased: int = 0
    withheld: int = 0


class ExportedFile(msgspec.Struct, frozen=True):
    """A file, with its size in bytes and its digest in hexadecimal."""

    name: str
    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path) -> "ExportedFile":
        with path.open("rb") as file:
            return cls(path.name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


class ExportStatus(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "stop": "to"}):
    """What has become of an export. `done` counts entries; `leaf_index` is that of the entry which records it,
    `manifest` the digest of its manifest.note, as that entry has it.
    """

    export_id: str
    status: State
    start: int
    stop: int
    disclose: list[str]
    format: Format
    done: int = 0
    fields: FieldCounts = FieldCounts()
    leaf_index: int | None = None
    manifest: str | None = None
    files: list[ExportedFile] = []
    reason: str | None = None


class Spooled(NamedTuple):
    """The place of one export."""

    folder: Path

    @property
    def export(self) -> Path:
        return self.folder / "export"

    def status(self) -> ExportStatus:
        """Raises NotFoundError when it is not there, or no more."""
        try:
            found = msgspec.json.decode((self.folder / "status.json").read_bytes(), type=ExportStatus)
        except (OSError, msgspec.MsgspecError):
            raise NotFoundError(
                "there is no such export, or no more: it is kept for a day, and until an erasure"
            ) from None
        if found.status == "running" and self._abandoned():
            reason = "the process that made it ended; ask for it again"
            return msgspec.structs.replace(found, status="failed", reason=reason)
        return found

    def write_status(self, status: ExportStatus) -> None:
        replace_file(self.folder / "status.json", msgspec.json.encode(status))

    def hold(self) -> int:
        """Take the lock, until the descriptor is closed. Raises OSError when somebody holds it."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def discard(self) -> None:
        """Remove the folder that is being written, for want of which it can be begun anew."""
        shutil.rmtree(self.export, ignore_errors=True)

    def clear(self) -> None:
        """Leave nothing but what is to be said of it."""
        for item in self.folder.iterdir():
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            elif item.name not in ("lock", "status.json"):
                item.unlink(missing_ok=True)

    def remove(self) -> None:
        """Whoever makes it at this moment fails for want of its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _abandoned(self) -> bool:
        try:
            os.close(self.hold())
        except OSError:
            return False
        return True


class Spool:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, log_id: str, export_id: str) -> Spooled:
        """A new place. Raises RateLimitedError when there are too many to be fetched."""
        place = self._folder / log_id / export_id
        if len(_folders(place.parent)) >= MAX_KEPT:
            raise RateLimitedError(
                f"{MAX_KEPT} exports lie ready: fetch and DELETE some, or wait until they are a day old"
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, parents=True)
        return Spooled(place)

    def find(self, log_id: str, export_id: str) -> Spooled:
        """Raises NotFoundError for what cannot be the id of an export. Whether it is there its status says."""
        if not _ID.fullmatch(export_id):
            raise NotFoundError("there is no such export")
        return Spooled(self._folder / log_id / export_id)

    def forget_disclosed(self, log_id: str) -> None:
        """Remove every export of a log that shows something sealed: it may be what is being erased."""
        for spooled in self._all(self._folder / log_id):
            try:
                shows = bool(spooled.status().disclose)
            except NotFoundError:
                shows = True
            if shows:
                spooled.remove()

    def sweep(self) -> None:
        """Remove what was abandoned, and what nobody has to fetch any more."""
        for log in _folders(self._folder):
            for spooled in self._all(log):
                try:
                    status = spooled.status().status
                    kept = status == "running" or self._age(spooled) < KEPT_SECONDS
                    if status == "failed":
                        spooled.clear()
                except NotFoundError:
                    kept = self._age(spooled) < 60
                if not kept:
                    spooled.remove()

    @staticmethod
    def _age(spooled: Spooled) -> float:
        try:
            return time.time() - spooled.folder.stat().st_mtime
        except OSError:
            return 0.0

    @staticmethod
    def _all(log: Path) -> Iterator[Spooled]:
        return map(Spooled, _folders(log))


def _folders(path: Path) -> list[Path]:
    try:
        return [item for item in path.iterdir() if item.is_dir() and not item.is_symlink()]
    except OSError:
        return []
