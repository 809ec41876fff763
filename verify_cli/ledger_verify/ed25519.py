# SPDX-License-Identifier: Apache-2.0
"""Ed25519 verification (RFC 8032 §5.1.7) in plain Python, for readers who will not trust a compiled library.

Libraries differ on edge cases: some take S + L for S, some take points of small order or a second encoding of the same
point. If two verifiers differ, one file can be "verified" here and "forged" there. The choices here are the strict ones
(spec/README.md, "Signatures"):

* S must be below the group order L, so nobody can make a second signature out of a first.
* The encodings of A (the key) and R must be canonical: y below p, and no "minus zero" for x.
* A and R must not be of small order. A key of small order "signs" every message.
* The equation is the one without the cofactor, [S]B = R + [k]A, which RFC 8032 §5.1.7 calls sufficient, but not required,
  where it asks for [8][S]B = [8]R + [8][k]A. OpenSSL, Go and libsodium decide by it too. The two differ only on keys and R
  that have a part of small order, and those are made on purpose: under the shorter equation such a signature is good if
  and only if those parts cancel, under the longer one always.
* It is decided by comparing R's own 32 bytes with the encoding of [S]B - [k]A. A point has one canonical encoding, so R
  needs no decoding.

There are two ways to that sum, for a first signature and for the thousandth, and `_STEPS` is the rule which one is taken.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from ledger_verify.edwards25519 import (
    BASE_POINT,
    Affine,
    L,
    P,
    Point,
    Prepared,
    decode_point,
    encode_point,
    is_small_order,
    odd_multiples,
    sum_of_multiples,
)

if TYPE_CHECKING:
    from ledger_verify.ed25519_tables import Table

# After so many signatures by one key a table of that width is made, for it and for the base point: about when the slower
# way has taken the time that the tables need. Few files never come here. A table takes 1 MB, and 21 MB after the last
# step, so no more than a few keys have one; all others are verified the slow way.
_STEPS = {64: 9, 4096: 14}
_MAX_TABLES = 4


class _Key:
    """A public key that is a point and not of small order, and what was worked out from it."""

    def __init__(self, point: Affine) -> None:
        self.minus = P - point[0], point[1]
        self.multiples = odd_multiples(self.minus)
        self.signatures = 0


_tables: dict[bytes, Table] = {}


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is by `public_key`. False, never an exception, for whatever is wrong."""
    if not (isinstance(public_key, bytes) and isinstance(message, bytes) and isinstance(signature, bytes)):
        return False
    if len(public_key) != 32 or len(signature) != 64:
        return False
    r_bytes, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or is_small_order(r_bytes):
        return False
    key = _key(public_key)
    if key is None:
        return False
    k = int.from_bytes(hashlib.sha512(r_bytes + public_key + message).digest(), "little") % L
    return encode_point(_s_base_minus_k_key(s, k, key, public_key)) == r_bytes


def _s_base_minus_k_key(s: int, k: int, key: _Key, public_key: bytes) -> Point:
    """[S]B - [k]A, by tables if there are any."""
    key.signatures += 1
    width = _STEPS.get(key.signatures)
    if width is not None and (public_key in _tables or len(_tables) < _MAX_TABLES):
        _tables[public_key] = _table(key.minus, width)
    table = _tables.get(public_key)
    if table is None:
        return sum_of_multiples(s, _base_multiples(), k, key.multiples)
    from ledger_verify.ed25519_tables import sum_by_tables

    return sum_by_tables(s, _base_table(table.width), k, table)


@lru_cache(maxsize=256)
def _key(public_key: bytes) -> _Key | None:
    """The key, or None if it is not a point, not canonical, or of small order."""
    point = decode_point(public_key)
    return None if point is None or is_small_order(public_key) else _Key(point)


def _base_point() -> Affine:
    point = decode_point(BASE_POINT)
    assert point is not None
    return point


@lru_cache(maxsize=1)
def _base_multiples() -> list[Prepared]:
    return odd_multiples(_base_point())


@lru_cache(maxsize=2)
def _base_table(width: int) -> Table:
    return _table(_base_point(), width)


def _table(point: Affine, width: int) -> Table:
    from ledger_verify.ed25519_tables import (
        build_table,  # few runs need it, and the single file compiles what it imports
    )

    return build_table(point, width)
