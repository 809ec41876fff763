# SPDX-License-Identifier: Apache-2.0
"""That no commitment occurs twice among the entries of one file (spec/sealed-fields.md, S5), for millions of them.

Half of each digest is kept, 16 bytes, apart by its first byte, and looked at when the last one has come. Two that agree in
half by chance would need 2^64 of them.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Sequence

_KEPT = 16
_STANDARD = bytes.maketrans(b"-_", b"+/")
# Four characters are three bytes: with one character more a digest's 43 are 33 bytes, of which the last is no part of it.
_FILL, _STRIDE = b"A", 33


class CommitmentSet:
    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(256)]

    def add(self, digests: Sequence[bytes]) -> None:
        """Digests of 43 characters of base64url."""
        if not digests:
            return
        raw = a2b_base64((_FILL.join(digests) + _FILL).translate(_STANDARD))
        for place in range(0, len(raw) - 1, _STRIDE):
            self._parts[raw[place]] += raw[place : place + _KEPT]

    def repeated(self) -> bytes | None:
        """The first half of one that occurs twice."""
        for part in self._parts:
            digests = [bytes(part[place : place + _KEPT]) for place in range(0, len(part), _KEPT)]
            if len(set(digests)) < len(digests):
                seen: set[bytes] = set()
                for digest in digests:
                    if digest in seen:
                        return digest
                    seen.add(digest)
        return None
