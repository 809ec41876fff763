# SPDX-License-Identifier: Apache-2.0
"""Exports (spec/export.md): a complete range of a log in a folder, to be checked without us.

Streamed in chunks by index, so memory does not grow with the range. The folder appears under its name only when it is
whole.
"""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ledger.log import canonical
from ledger.log.days import DayDocument
from ledger.log.erased import Erased, recorded_erasures
from ledger.log.errors import ConflictError, InvalidRequestError
from ledger.log.ledger import Ledger
from ledger.log.receipts import RootProof, base64_path, covering_head, disclosures_of, root_proof
from ledger.log.working_copy import Committed, Log
from ledger.tlog.checkpoint import read_checkpoint

CHUNK = 1000

_README = """This folder is an export of a decision log: every entry from index {start} to {last}, with a proof that
none is missing.

    python3 ledger-verify.pyz export . --key VKEY --root-key VKEY

Take the two vkeys from somewhere you trust, not from this folder and not from whoever gave it to you. The verifier in
this folder is a convenience: who distrusts its origin takes it from elsewhere, or compares its SHA-256.

manifest.json      range, signed checkpoint, proofs, digests of the other files
entries.jsonl      the entries, one a line; SHA-256 of a zero byte and the line is a leaf of the log
disclosures.jsonl  values of sealed fields, where they are disclosed
governing.jsonl    the entries that govern the log, from its first one on, each with its proof; they say what was erased
"""


class ExportedFile(msgspec.Struct, frozen=True):
    name: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "stop": "to"}):
    format: str = "ledger-export/v2"
    origin: str
    start: int
    stop: int
    checkpoint: str
    left: list[str]
    right: list[str]
    root: RootProof | None
    daily_root: DayDocument | None
    files: list[ExportedFile]


def write_export(
    ledger: Ledger,
    log: Log,
    start: int,
    stop: int | None,
    out: Path,
    *,
    disclose: bool,
    verifier: Path,
    progress: Callable[[int], None],
) -> Manifest:
    """Write entries [start, stop) to the new folder `out`; `stop` None means all there are.

    Raises InvalidRequestError for an empty range or one beyond the log, ConflictError when `out` exists.
    """
    committed = log.committed
    stop = committed.head.size if stop is None else stop
    if not 0 <= start < stop <= committed.head.size:
        raise InvalidRequestError.at(
            ["from", "to"], f"want 0 <= from < to <= {committed.head.size}, got {start} and {stop}"
        )
    if out.exists():
        raise ConflictError(f"{out} exists already; an export makes a new folder")
    if out.parent.exists() and not out.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(out.parent))
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that the last step is a rename, and for the owner only: it may disclose what is sealed.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        unfinished = Path(name) / "export"
        unfinished.mkdir(mode=0o700)
        manifest = _write_folder(ledger, log, start, stop, unfinished, disclose, verifier, progress)
        unfinished.rename(out)
    return manifest


def _write_folder(
    ledger: Ledger,
    log: Log,
    start: int,
    stop: int,
    folder: Path,
    disclose: bool,
    verifier: Path,
    progress: Callable[[int], None],
) -> Manifest:
    committed = log.committed
    # Under a head that knows of all that was erased of the range, which is recorded later than the range.
    newest = max([stop - 1, *_erasures(ledger, log, start, stop, committed.head.size)])
    covering = covering_head(ledger, log, newest)
    checkpoint = committed.head.checkpoint if covering is None else covering[0].checkpoint
    size = read_checkpoint(checkpoint).size
    _write_entries(ledger, log, start, stop, folder, disclose, progress)
    _write_governing(ledger, log, committed, size, folder)
    shutil.copyfile(verifier, folder / "ledger-verify.pyz")
    (folder / "README.txt").write_text(_README.format(start=start, last=stop - 1))
    manifest = Manifest(
        origin=log.origin,
        start=start,
        stop=stop,
        checkpoint=checkpoint,
        left=base64_path(log.tree.subtree_hashes(committed.edge, 0, start)),
        right=base64_path(log.tree.subtree_hashes(committed.edge, stop, size)),
        root=None if covering is None else root_proof(ledger, covering[0]),
        daily_root=None if covering is None else covering[1],
        files=[_digest(path) for path in sorted(folder.iterdir())],
    )
    (folder / "manifest.json").write_bytes(canonical.encode(manifest) + b"\n")
    return manifest


def _erasures(ledger: Ledger, log: Log, start: int, stop: int, size: int) -> Iterator[int]:
    """Indexes of the entries below `size` that record an erasure of something in [start, stop)."""
    for index, event in recorded_erasures(ledger.store, log.number):
        if index < size and Erased.by([event]).within(start, stop).erasures:
            yield index


def _write_entries(
    ledger: Ledger, log: Log, start: int, stop: int, folder: Path, disclose: bool, progress: Callable[[int], None]
) -> None:
    with (folder / "entries.jsonl").open("wb") as entries, (folder / "disclosures.jsonl").open("wb") as disclosures:
        for first in range(start, stop, CHUNK):
            leaves = ledger.store.leaves(log.number, first, min(first + CHUNK, stop))
            for index, leaf in enumerate(leaves, first):
                entries.write(leaf + b"\n")
                if disclose and (texts := disclosures_of(ledger, log, index)):
                    disclosures.write(canonical.encode({"disclosures": texts, "index": index}) + b"\n")
            progress(len(leaves))


def _write_governing(ledger: Ledger, log: Log, committed: Committed, size: int, folder: Path) -> None:
    """The governing chain of the tree of the first `size` leaves."""
    with (folder / "governing.jsonl").open("wb") as lines:
        for index, leaf in ledger.store.governing(log.number, 0):
            if index >= size:
                break
            path = base64_path(log.tree.inclusion_path(committed.edge, index, size))
            lines.write(canonical.encode({"entry": leaf.decode(), "index": index, "path": path}) + b"\n")


def _digest(path: Path) -> ExportedFile:
    with path.open("rb") as file:
        return ExportedFile(path.name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
