# SPDX-License-Identifier: Apache-2.0
"""Cosignatures of witnesses (C2SP tlog-cosignature v1.0.0, Ed25519).

A cosignature is one more signature line of a checkpoint. Its blob is a time in eight bytes and a signature over

    cosignature/v1
    time 1767139200
    <the checkpoint's text>

It says that at that time this was the largest tree of that origin that the witness had seen, and that it extended all that
it had seen before. As with all lines of a note, an unknown one is ignored and a known one must hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ledger_verify import ed25519
from ledger_verify.encodings import MAX_INDEX
from ledger_verify.errors import MalformedError, VerificationError
from ledger_verify.note import Note, VerifierKey, split_vkey

ED25519_COSIGNATURE = b"\x04"


class Cosignature(NamedTuple):
    """Who cosigned, and when by his own clock, in seconds since 1970."""

    key: VerifierKey
    time: int


def parse_cosigner(vkey: str) -> VerifierKey | None:
    """The key of a witness's vkey, or None if it is of a type that cannot be checked here."""
    name, key_id, key = split_vkey(vkey)
    if key[:1] != ED25519_COSIGNATURE:
        return None
    if len(key) != 33:
        raise MalformedError("the witness's key has the wrong length", got=f"{len(key) - 1} bytes", want="32 bytes")
    return VerifierKey(name, key_id, key[1:])


def verified_cosignatures(note: Note, keys: Iterable[VerifierKey]) -> dict[VerifierKey, Cosignature]:
    """The cosignatures by `keys`, possibly none. One that does not hold spoils the note."""
    by_id = {(key.name, key.key_id): key for key in keys}
    verified: dict[VerifierKey, Cosignature] = {}
    for signature in note.signatures:
        key = by_id.get((signature.name, signature.key_id))
        if key is not None and key not in verified:
            verified[key] = Cosignature(key, _verified_time(key, note.text, signature.signature))
    return verified


@lru_cache(maxsize=1024)
def _verified_time(key: VerifierKey, text: str, blob: bytes) -> int:
    """The time in a cosignature that holds."""
    who = f"{key.name}+{key.key_id.hex()}"
    if len(blob) != 8 + 64:
        raise MalformedError(f"the cosignature by {who} has the wrong length", got=len(blob), want=72)
    time = int.from_bytes(blob[:8], "big")
    if time > MAX_INDEX:
        raise MalformedError(f"the cosignature by {who} has a time beyond 2^63", got=time)
    if not ed25519.verify(key.public_key, f"cosignature/v1\ntime {time}\n{text}".encode(), blob[8:]):
        raise VerificationError(
            f"the cosignature by {who} is wrong",
            hint="The checkpoint or the time was changed after the witness saw it, or the line was made up",
        )
    return time
