# SPDX-License-Identifier: Apache-2.0
"""The keys of a log as the root log announced them, and what they signed (spec/export.md, step 8).

    log.created ──> signing_key.rotated ──> signing_key.rotated        each names the key before and carries its endorsement

With the root log trusted, the log's keys need no further source. A key counts for what the root log committed to before the
next key was announced, and for nothing later: whoever got hold of a key that is no longer used can sign no new history.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify import catalogue
from ledger_verify.entry import Entry
from ledger_verify.errors import VerificationError, step
from ledger_verify.export_files import KEYS, DigestedFile
from ledger_verify.heads import RootMember
from ledger_verify.manifest import Manifest
from ledger_verify.note import Note, VerifierKey, parse_vkey, verified_keys
from ledger_verify.proven_entry import MAX_LINE_BYTES, read_proven_entry


class LogKey(NamedTuple):
    """A key of the log, and the root log's entry from which on it was in force."""

    since: int
    key: VerifierKey


def read_key_history(file: DigestedFile, manifest: Manifest, root: RootMember) -> list[LogKey]:
    """Step 8: every line of keys.jsonl, and the signatures of checkpoint and manifest."""
    history: list[LogKey] = []
    for line in file.lines(MAX_LINE_BYTES):
        with step("step 8"):
            last = history[-1].since if history else -1
            index, entry = read_proven_entry(line, KEYS, root.checkpoint, last)
            with step(f"entry {index}"):
                history.append(LogKey(index, _announced(entry, history, manifest.checkpoint.origin)))
    with step("step 8"):
        in_force = [known.key for known in history if known.since < root.entry_index]
        if not in_force:
            raise VerificationError(
                f"{KEYS} has no key from before the checkpoint was committed",
                got=[known.since for known in history],
                want=f"an index below {root.entry_index}",
            )
        _demand_signature(manifest.checkpoint.note, in_force[-1], "the checkpoint")
        _demand_signature(manifest.note, history[-1].key, "the manifest")
    return history


def _announced(entry: Entry, history: list[LogKey], origin: str) -> VerifierKey:
    """The key that an entry announces; that the key before endorsed it is a rule of the entry itself."""
    want = catalogue.ROTATED if history else catalogue.CREATED
    if entry.type != want or entry.known is None:
        raise VerificationError("the entry announces no key of a log", got=entry.type, want=want)
    if entry.data["origin"] != origin:
        raise VerificationError("the key is of another log", got=entry.data["origin"], want=origin)
    if history and parse_vkey(str(entry.data["previous_vkey"])) != history[-1].key:
        raise VerificationError(
            "the key before is another one",
            got=entry.data["previous_vkey"],
            hint=f"A key is missing from {KEYS}, or is too many",
        )
    return parse_vkey(str(entry.data["vkey"]))


def _demand_signature(note: Note, key: VerifierKey, what: str) -> None:
    try:
        verified_keys(note, (key,))
    except VerificationError as error:
        error.problem = f"{what} is not signed by the key that the root log names: {error.problem}"
        raise
