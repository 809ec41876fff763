# SPDX-License-Identifier: Apache-2.0
"""Ed25519 verification (RFC 8032 §5.1.7) in plain Python, for readers who will not trust a compiled library.

Libraries differ on edge cases: some take S + L for S, some take points of small order or a second encoding of the same
point. If two verifiers differ, one file can be "verified" here and "forged" there. The choices here are the strict ones:

* S must be below the group order L, so nobody can make a second signature out of a first.
* The encodings of A (the key) and R must be canonical: y below p, and no "minus zero" for x.
* A and R must not be of small order. A key of small order "signs" every message.
* The equation is the one without the cofactor, [S]B = R + [k]A, decided by comparing R's own 32 bytes with the
  encoding of [S]B - [k]A. A point has one canonical encoding, so R needs no decoding.

Everything here is public, so nothing is done in constant time. The curve is -x^2 + y^2 = 1 + d x^2 y^2 over the integers
mod p = 2^255 - 19. Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z, for which one formula adds any two points
(Hisil, Wong, Carter, Dawson 2008, §3.1; complete because -1 is a square and d is not). The two multiplications share
their 253 doublings (Straus), and each scalar is written in signed odd digits, about one in six of them not zero.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # order of the base point
D = -121665 * pow(121666, P - 2, P) % P
_SQRT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]
# A point prepared for addition: (Y - X, Y + X, 2dT, 2Z).
Prepared = tuple[int, int, int, int]

# The y of the eight points whose order divides 8: (0, 1), (0, -1), (±sqrt(-1), 0) and four of order 8, whose y are
# the two roots of 2y^2 = 1 - dy^4 that lie on the curve. The tests find all eight from a random point times L.
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset((1, P - 1, 0, _Y8, P - _Y8))
_SIGN_BIT = 1 << 255
_WINDOW = 5  # digits are odd and between -15 and 15: eight prepared points a table


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is by `public_key`. False, never an exception, for whatever is wrong."""
    if not (isinstance(public_key, bytes) and isinstance(message, bytes) and isinstance(signature, bytes)):
        return False
    if len(public_key) != 32 or len(signature) != 64:
        return False
    r_bytes, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or _y_of(r_bytes) in _SMALL_ORDER_Y:
        return False
    minus_a = _negated_key_table(public_key)
    if minus_a is None:
        return False
    k = int.from_bytes(hashlib.sha512(r_bytes + public_key + message).digest(), "little") % L
    return _encode(_sum_of_multiples(s, _base_table(), k, minus_a)) == r_bytes


def _y_of(encoded: bytes) -> int:
    return int.from_bytes(encoded, "little") & (_SIGN_BIT - 1)


def decode_point(encoded: bytes) -> tuple[int, int] | None:
    """The affine point of a canonical encoding, or None (RFC 8032 §5.1.3)."""
    y = _y_of(encoded)
    if len(encoded) != 32 or y >= P:
        return None
    sign = encoded[31] >> 7
    # x^2 = (y^2 - 1) / (d y^2 + 1). One exponentiation gives both the division and the root, up to sqrt(-1).
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * _SQRT_OF_MINUS_1 % P
        if v * x * x % P != u:
            return None
    if x == 0 and sign:
        return None
    return (P - x if x & 1 != sign else x), y


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@lru_cache(maxsize=256)
def _negated_key_table(public_key: bytes) -> list[Prepared] | None:
    """Odd multiples of -A, or None if the key is not a point, not canonical, or of small order."""
    affine = decode_point(public_key)
    if affine is None or affine[1] in _SMALL_ORDER_Y:
        return None
    return _odd_multiples(P - affine[0], affine[1])


@lru_cache(maxsize=1)
def _base_table() -> list[Prepared]:
    base = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    assert base is not None
    return _odd_multiples(*base)


def _odd_multiples(x: int, y: int) -> list[Prepared]:
    """Q, 3Q, 5Q, … 15Q, prepared for addition."""
    point = (x, y, 1, x * y % P)
    twice = _prepare(_double(point))
    table = [_prepare(point)]
    for _ in range((1 << (_WINDOW - 2)) - 1):
        point = _add(point, twice)
        table.append(_prepare(point))
    return table


def _prepare(point: Point) -> Prepared:
    x, y, z, t = point
    return y - x, y + x, 2 * D * t % P, 2 * z


def _add(point: Point, other: Prepared) -> Point:
    x1, y1, z1, t1 = point
    minus, plus, t2d, z2 = other
    a = (y1 - x1) * minus
    b = (y1 + x1) * plus
    c = t1 * t2d
    d = z1 * z2
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(point: Point) -> Point:
    x1, y1, z1, _ = point
    a = x1 * x1
    b = y1 * y1
    e, g = ((x1 + y1) ** 2 - a - b) % P, (b - a) % P
    f, h = (g - 2 * z1 * z1) % P, -(a + b) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def _signed_digits(scalar: int) -> list[int]:
    """Width-5 non-adjacent form: digit i is 0 or odd in -15..15, and scalar = sum of digit_i * 2^i."""
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & 31
            if digit > 15:
                digit -= 32
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


def _sum_of_multiples(s: int, s_table: list[Prepared], k: int, k_table: list[Prepared]) -> Point:
    """[s]Q1 + [k]Q2 for the points whose odd multiples are in the tables, with shared doublings."""
    s_digits, k_digits = _signed_digits(s), _signed_digits(k)
    length = max(len(s_digits), len(k_digits))
    s_digits += [0] * (length - len(s_digits))
    k_digits += [0] * (length - len(k_digits))
    point: Point = (0, 1, 1, 0)
    for i in range(length - 1, -1, -1):
        point = _double(point)
        if s_digits[i]:
            point = _add(point, _multiple(s_table, s_digits[i]))
        if k_digits[i]:
            point = _add(point, _multiple(k_table, k_digits[i]))
    return point


def _multiple(table: list[Prepared], digit: int) -> Prepared:
    if digit > 0:
        return table[digit >> 1]
    minus, plus, t2d, z2 = table[-digit >> 1]
    return plus, minus, -t2d, z2
