# SPDX-License-Identifier: Apache-2.0
"""Offline proofs (C2SP tlog-proof): an inclusion proof and the checkpoint that it leads to, in one text file.

    c2sp.org/tlog-proof@v1
    extra dGhyZWU=                                  optional, for the application; the service puts the entry here
    index 2
    9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=    the path, leaf side first
    …
                                                    an empty line
    example.com/log                                 the checkpoint, verbatim
    …

The leaf's bytes are either `extra` or given apart. Nothing in the file vouches for `extra` but the proof itself.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify.canonical import decode_utf8
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.encodings import HASH_BYTES, decode_base64, parse_decimal
from ledger_verify.entry import Entry
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError, step
from ledger_verify.merkle import leaf_hash, verify_inclusion
from ledger_verify.sequence import DETECT, LEDGER, EntrySequence, claims_to_be_ours
from ledger_verify.trust import Signed, TrustedKeys, verify_signatures

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63


class Proof(NamedTuple):
    """A proof whose steps all hold. `entry` is None where the leaf was taken as any bytes."""

    leaf_index: int
    checkpoint: Checkpoint
    signed: Signed
    entry: Entry | None


class _File(NamedTuple):
    extra: bytes | None
    leaf_index: int
    path: list[bytes]
    checkpoint: Checkpoint


def verify_proof(raw: bytes, keys: TrustedKeys, leaf: bytes | None = None, entries: str = DETECT) -> Proof:
    """Verify a tlog-proof of `leaf`, or of its own extra data. Raises CannotTellError if there is neither.

    1. The file is a tlog-proof.
    2. The leaf's bytes are known.
    3. Trusted keys signed the checkpoint, and a policy's quorum cosigned it.
    4. The path leads from the leaf to the checkpoint's root hash.
    5. An entry of ours obeys its rules at that index.
    """
    with step("step 1"):
        file = _parse(decode_utf8(raw, "the proof"))
    # Step 2
    data = file.extra if leaf is None else leaf
    if data is None:
        raise CannotTellError("the proof has no extra data: say what it is about with --entry FILE")
    checkpoint = file.checkpoint
    with step("step 3"):
        signed = verify_signatures(checkpoint, keys)
    with step("step 4"):
        _check_inclusion(file, data, given=leaf is not None)
    with step("step 5"):
        entry = None
        if entries == LEDGER or (entries == DETECT and claims_to_be_ours(data, checkpoint.origin)):
            entry = EntrySequence(checkpoint.origin, file.leaf_index).check(
                decode_utf8(data, "the entry"), file.leaf_index
            )
    return Proof(file.leaf_index, checkpoint, signed, entry)


def _parse(text: str) -> _File:
    """Step 1. Each line has its one place, so that nothing can stand in the file that no reader looks at."""
    head, empty_line, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != HEADER:
        raise MalformedError(
            "not a tlog-proof", got=head.split("\n")[0], want=HEADER, hint="Is it a receipt? Try receipt"
        )
    if not empty_line:
        raise MalformedError("the proof has no empty line before its checkpoint")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0)[len("extra ") :], "extra")
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("the proof has no index", got=lines[0] if lines else "nothing", want="index N")
    index = parse_decimal(lines.pop(0)[len("index ") :], "index")
    if len(lines) > MAX_PATH:
        raise MalformedError("the proof has too many hashes", got=len(lines), want=f"at most {MAX_PATH}")
    path = [decode_base64(line, f"hash {position} of the proof", HASH_BYTES) for position, line in enumerate(lines)]
    return _File(extra, index, path, parse_checkpoint(note, extensions=True))


def _check_inclusion(file: _File, data: bytes, given: bool) -> None:
    tree = file.checkpoint
    try:
        verify_inclusion(file.leaf_index, tree.tree_size, leaf_hash(data), file.path, tree.root_hash)
    except VerificationError as error:
        if given and data.endswith(b"\n"):
            error.hint = "The entry's file ends with a newline, which is no part of an entry of ours: leave it out"
        elif given and file.extra not in (None, data):
            error.hint = "The proof is about its own extra data, which differs from the entry given: leave --entry out"
        elif not given:
            error.hint += ". If its leaf is something else than its extra data, give that with --entry"
        raise
