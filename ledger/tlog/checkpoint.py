# SPDX-License-Identifier: Apache-2.0
"""Checkpoints (c2sp.org/tlog-checkpoint): the text that a log signs for a tree.

    example.com/log                                 origin
    5                                               tree size
    gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=    root hash

Extension lines are never written and always refused: nobody can audit them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.tlog.errors import MalformedError, SignatureError
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.note import SigningKey, VerifierKey, is_key_name, open_note, split_note
from ledger.tlog.text import format_base64, parse_decimal, parse_hash


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def format(self) -> str:
        return f"{self.origin}\n{self.size}\n{format_base64(self.root)}\n"

    def sign(self, key: SigningKey) -> str:
        """The signed note. The key must have the origin as its name (c2sp.org/tlog-checkpoint, "Log")."""
        assert key.name == self.origin
        return key.sign(self.format())


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that is the text of a note. Raises MalformedError."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise MalformedError(f"a checkpoint has 3 lines, got {len(lines) - 1}")
    origin, size, root = lines[0], parse_decimal(lines[1]), parse_hash(lines[2])
    if not is_key_name(origin):
        raise MalformedError(f"not an origin: {origin[:80]!r}")
    if size == 0 and root != EMPTY_ROOT:
        raise MalformedError("the root of an empty tree must be the hash of nothing")
    return Checkpoint(origin, size, root)


def read_checkpoint(note: str) -> Checkpoint:
    """The checkpoint in a note whose signatures nobody has looked at. Raises MalformedError."""
    return parse_checkpoint(split_note(note)[0])


def open_checkpoint(note: str | bytes, vkeys: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that one of `vkeys` signed under the checkpoint's origin.

    Raises MalformedError or SignatureError.
    """
    candidates = list(vkeys)
    checkpoint = parse_checkpoint(open_note(note, candidates))
    own = [vkey for vkey in candidates if vkey.name == checkpoint.origin]
    if not own:
        raise SignatureError(f"no trusted key has the name of the origin {checkpoint.origin!r}")
    if len(own) < len(candidates):
        # The signature that held may be another log's: a key speaks only for the log whose name it has.
        open_note(note, own)
    return checkpoint
