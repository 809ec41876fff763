# SPDX-License-Identifier: Apache-2.0
"""Exports: a complete range of a log, with a proof that nothing between was left out (spec/export.md).

`verify_export` is the page's list of steps in code, but for their order: signatures come first, so that a wrong key is found
at once; then the keys' history and the governing chain, since what was erased is said by entries that come later; then the
entries themselves.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

from ledger_verify.checkpoint import Checkpoint
from ledger_verify.day import Day
from ledger_verify.errors import MalformedError, step
from ledger_verify.export_entries import ExportEntries, Visit
from ledger_verify.export_files import DISCLOSURES, ENTRIES, FIELDS, GOVERNING, KEYS, DigestedFile, ExportFiles
from ledger_verify.governing import Chain, Watch, read_chain
from ledger_verify.heads import RootMember
from ledger_verify.key_history import LogKey, read_key_history
from ledger_verify.manifest import read_manifest
from ledger_verify.receipt import verify_daily_root, verify_log_signature, verify_root, verify_signed
from ledger_verify.trust import Signed, TrustedKeys

Begin = Callable[[int, Chain], None]
"""Is told, before the first entry is shown, where the range starts, and the chain with the governing entries before."""


class Export(NamedTuple):
    """An export whose steps all hold; `signed` says under which trusted keys."""

    origin: str
    start: int
    end: int
    checkpoint: Checkpoint
    types: dict[str, int]
    unknown_types: int
    disclosed: int
    withheld: int
    erased: int
    disclose: list[str]
    governing: Chain
    keys: list[LogKey]
    root: RootMember
    day: Day | None
    signed: Signed


def verify_export(
    path: str,
    keys: TrustedKeys,
    visit: Visit | None = None,
    begin: Begin | None = None,
    watch: Watch | None = None,
) -> Export:
    """Verify an export, a folder or an archive. Raises CannotTellError if it cannot be read."""
    files = ExportFiles.of(path)
    manifest = read_manifest(files.manifest())
    # Step 6 before the streams: a wrong key is found at once, and what is read then is from a log that is trusted.
    with step("step 6, as in a receipt"):
        log_signed = verify_log_signature(manifest.checkpoint, keys)
        root, root_signed = verify_root(manifest.root, manifest.checkpoint, keys)
        if root is None:
            raise MalformedError("root is null", want="the way up to the root log")
        day = verify_daily_root(manifest.daily_root, root, keys)
        signed = verify_signed(log_signed, root_signed, root, manifest.checkpoint, keys)

    def listed(name: str) -> DigestedFile:
        return files.digested(name, manifest.files)

    history = read_key_history(listed(KEYS), manifest, root)
    # Step 7 before the entries, since it says what was erased of them.
    chain = read_chain(listed(GOVERNING), manifest, begin is not None, watch)
    if begin is not None:
        begin(manifest.start, chain)
    for name in manifest.files:
        if name not in (ENTRIES, DISCLOSURES, GOVERNING, KEYS, FIELDS):
            for _ in listed(name).chunks():
                pass
    entries = ExportEntries(manifest, chain, visit)
    entries.read(listed(ENTRIES), listed(DISCLOSURES), listed(FIELDS))
    return Export(
        origin=manifest.checkpoint.origin,
        start=manifest.start,
        end=manifest.end,
        checkpoint=manifest.checkpoint,
        types=entries.types,
        unknown_types=entries.sequence.unknown_types,
        **entries.states,
        disclose=manifest.disclose,
        governing=chain,
        keys=history,
        root=root,
        day=day,
        signed=signed,
    )
