# SPDX-License-Identifier: Apache-2.0
"""Exports (spec/export.md): a complete range of a log in a folder, to be checked without us.

Streamed in chunks by index, so memory does not grow with the range. The folder appears under its name only when it is
whole.
"""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from ledger.log import canonical
from ledger.log.days import DayDocument
from ledger.log.disclosing import Disclosing
from ledger.log.erased import Erased, recorded_erasures
from ledger.log.errors import ConflictError, InvalidRequestError
from ledger.log.export_lines import write_entries, write_governing, write_keys
from ledger.log.export_spool import ExportedFile, FieldCounts
from ledger.log.ledger import Ledger
from ledger.log.receipts import RootProof, base64_path, covering_head, root_proof
from ledger.log.working_copy import Log
from ledger.tlog.checkpoint import read_checkpoint

MANIFEST = "manifest.note"

_README = """This folder is an export of a decision log: every entry from index {start} to {last}, with a proof that
none is missing.

    python3 ledger-verify.pyz export . --key VKEY --root-key VKEY

Take the two vkeys from somewhere you trust, not from this folder and not from whoever gave it to you. The verifier in
this folder is a convenience: who distrusts its origin takes it from elsewhere, or compares its SHA-256.

manifest.note      range, signed checkpoint, proofs, digests of the other files; signed
entries.jsonl      the entries, one a line; SHA-256 of a zero byte and the line is a leaf of the log
disclosures.jsonl  values of sealed fields, where they are disclosed
fields.jsonl       for every sealed field whether it is disclosed, withheld or erased
governing.jsonl    the entries that govern the log, from its first one on, each with its proof; they say what was erased
keys.jsonl         the keys that the root log announced for this log, each with its proof
"""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "stop": "to"}):
    format: str = "ledger-export/v3"
    origin: str
    start: int
    stop: int
    disclose: list[str]
    fields: FieldCounts
    checkpoint: str
    left: list[str]
    right: list[str]
    root: RootProof
    daily_root: DayDocument | None
    files: list[ExportedFile]


class NotCommittedError(ConflictError):
    """What the root log has at this moment does not prove the range: commit the heads, then try again."""


class Exported(NamedTuple):
    """A folder that was written: its manifest, the digest of that file, and the erasures of the range it knows of."""

    manifest: Manifest
    sha256: str
    erasures: list[int]


def require_range(log: Log, start: int, stop: int | None) -> range:
    """The indexes [start, stop), `stop` None meaning all there are. Raises InvalidRequestError for an empty range or
    one beyond the log.
    """
    size = log.committed.head.size
    stop = size if stop is None else stop
    if not 0 <= start < stop <= size:
        raise InvalidRequestError.at(["from", "to"], f"want 0 <= from < to <= {size}, got {start} and {stop}")
    return range(start, stop)


def write_export(
    ledger: Ledger,
    log: Log,
    exported: range,
    out: Path,
    *,
    disclosing: Disclosing,
    verifier: Path,
    progress: Callable[[int], None],
) -> Exported:
    """Write these entries to the new folder `out`.

    Raises ConflictError when `out` exists, NotCommittedError when the root log has nothing to prove the range by, and
    whatever `progress` raises.
    """
    if out.exists():
        raise ConflictError(f"{out} exists already; an export makes a new folder")
    if out.parent.exists() and not out.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(out.parent))
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that the last step is a rename, and for the owner only: it may disclose what is sealed.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        unfinished = Path(name) / "export"
        unfinished.mkdir(mode=0o700)
        done = _write_folder(ledger, log, exported, unfinished, disclosing, verifier, progress)
        unfinished.rename(out)
    return done


def erasures_of(ledger: Ledger, log: Log, exported: range, size: int) -> list[int]:
    """Indexes of the entries below `size` that record an erasure of something in the range."""
    return [
        index
        for index, event in recorded_erasures(ledger.store, log.number)
        if index < size and Erased.by([event]).within(exported.start, exported.stop).erasures
    ]


def _write_folder(
    ledger: Ledger,
    log: Log,
    exported: range,
    folder: Path,
    disclosing: Disclosing,
    verifier: Path,
    progress: Callable[[int], None],
) -> Exported:
    # Under a head that knows of all that was erased of the range, which is recorded later than the range.
    erasures = erasures_of(ledger, log, exported, log.committed.head.size)
    covering = covering_head(ledger, log, max([exported.stop - 1, *erasures]))
    if covering is None:
        raise NotCommittedError("the root log does not cover the range yet; try again in a few seconds")
    head, day = covering
    # Only now: the log may have grown meanwhile, and a head is proved from a tree that is no smaller.
    committed = log.committed
    size = read_checkpoint(head.checkpoint).size
    root = root_proof(ledger, head)
    counts = write_entries(ledger, log, exported, folder, disclosing, size, progress)
    write_governing(ledger, log, committed, size, folder / "governing.jsonl")
    newest = write_keys(ledger, log, read_checkpoint(root.checkpoint).size, folder / "keys.jsonl")
    signer = log.signer
    if signer.vkey.format() != newest:
        raise NotCommittedError("the log's key was changed while the export was written; try again")
    shutil.copyfile(verifier, folder / "ledger-verify.pyz")
    (folder / "README.txt").write_text(_README.format(start=exported.start, last=exported.stop - 1))
    manifest = Manifest(
        origin=log.origin,
        start=exported.start,
        stop=exported.stop,
        disclose=list(disclosing.rules),
        fields=counts,
        checkpoint=head.checkpoint,
        left=base64_path(log.tree.subtree_hashes(committed.edge, 0, exported.start)),
        right=base64_path(log.tree.subtree_hashes(committed.edge, exported.stop, size)),
        root=root,
        daily_root=day,
        files=[ExportedFile.of(path) for path in sorted(folder.iterdir())],
    )
    # A note whose text is the manifest: one line that begins with a brace, so it is no checkpoint to anybody.
    note = signer.sign(canonical.encode(manifest).decode() + "\n").encode()
    (folder / MANIFEST).write_bytes(note)
    return Exported(manifest, hashlib.sha256(note).hexdigest(), erasures)
