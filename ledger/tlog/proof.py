# SPDX-License-Identifier: Apache-2.0
"""Offline proofs (c2sp.org/tlog-proof): an inclusion proof and the checkpoint it leads to, in one text file.

c2sp.org/tlog-proof@v1
extra dGhyZWU=                                  optional, for the application; we put the entry here
index 2
9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=    path, leaf side first
…
                                                an empty line
example.com/log                                 the checkpoint, verbatim
…
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.tlog.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from ledger.tlog.errors import MalformedError
from ledger.tlog.merkle import leaf_hash, verify_inclusion
from ledger.tlog.note import VerifierKey
from ledger.tlog.text import format_base64, parse_base64, parse_decimal, parse_hash

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def format(self) -> str:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {format_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(format_base64, self.path)
        return "\n".join(lines) + "\n\n" + self.checkpoint


def parse_tlog_proof(text: str) -> TlogProof:
    """The proof in `text`; its checkpoint is well formed, but nothing is verified. Raises MalformedError."""
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != HEADER:
        raise MalformedError(f"not a tlog-proof: it does not begin with {HEADER!r}")
    extra = parse_base64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("not a tlog-proof: no line with the index")
    index = parse_decimal(lines.pop(0)[6:])
    if len(lines) > MAX_PATH:
        raise MalformedError(f"a path has at most {MAX_PATH} hashes, got {len(lines)}")
    read_checkpoint(checkpoint)
    return TlogProof(index, tuple(map(parse_hash, lines)), checkpoint, extra)


def verify_tlog_proof(proof: TlogProof, data: bytes, vkeys: Iterable[VerifierKey]) -> Checkpoint:
    """Check that the leaf with these `data` lies under the proof's checkpoint, and that one of `vkeys` signed that.

    Returns the checkpoint. Raises MalformedError, SignatureError or ProofError.
    """
    checkpoint = open_checkpoint(proof.checkpoint, vkeys)
    verify_inclusion(proof.index, checkpoint.size, leaf_hash(data), proof.path, checkpoint.root)
    return checkpoint
