# SPDX-License-Identifier: Apache-2.0
"""The group of Ed25519 in plain Python: the curve -x^2 + y^2 = 1 + d x^2 y^2 over the integers mod p = 2^255 - 19.

Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z, for which one formula adds any two points (Hisil, Wong, Carter,
Dawson 2008, §3.1; complete because -1 is a square and d is not). Everything here is public, so nothing is done in
constant time.
"""

from __future__ import annotations

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # order of the base point
D = -121665 * pow(121666, P - 2, P) % P
BASE_POINT = bytes.fromhex("58" + "66" * 31)  # y = 4/5 and the even x (RFC 8032 §5.1)

Point = tuple[int, int, int, int]
Affine = tuple[int, int]
# A point prepared for addition: (Y - X, Y + X, 2dT, 2Z).
Prepared = tuple[int, int, int, int]

# The y of the eight points whose order divides 8: (0, 1), (0, -1), (±sqrt(-1), 0) and four of order 8, whose y are
# the two roots of 2y^2 = 1 - dy^4 that lie on the curve. The tests find all eight from a random point times L.
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset((1, P - 1, 0, _Y8, P - _Y8))
_SQRT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
_SIGN_BIT = 1 << 255
_WINDOW = 5  # digits are odd and between -15 and 15: eight prepared points a table


def is_small_order(encoded: bytes) -> bool:
    """Whether these are the canonical bytes of a point whose order divides 8, with either sign of x."""
    return _y_of(encoded) in _SMALL_ORDER_Y


def decode_point(encoded: bytes) -> Affine | None:
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


def encode_point(point: Point) -> bytes:
    """The canonical encoding (RFC 8032 §5.1.2)."""
    x, y = affine(point)
    return (y | (x & 1) << 255).to_bytes(32, "little")


def affine(point: Point) -> Affine:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    return x * inverse % P, y * inverse % P


def odd_multiples(point: Affine) -> list[Prepared]:
    """Q, 3Q, 5Q, … 15Q, prepared for addition."""
    x, y = point
    multiple = (x, y, 1, x * y % P)
    twice = _prepare(double(multiple))
    table = [_prepare(multiple)]
    for _ in range((1 << (_WINDOW - 2)) - 1):
        multiple = _add(multiple, twice)
        table.append(_prepare(multiple))
    return table


def sum_of_multiples(s: int, s_table: list[Prepared], k: int, k_table: list[Prepared]) -> Point:
    """[s]Q1 + [k]Q2 for the points whose odd multiples are in the tables.

    The two multiplications share their 253 doublings (Straus), and each scalar is written in signed odd digits, about
    one in six of them not zero.
    """
    s_digits, k_digits = _signed_digits(s), _signed_digits(k)
    length = max(len(s_digits), len(k_digits))
    s_digits += [0] * (length - len(s_digits))
    k_digits += [0] * (length - len(k_digits))
    point: Point = (0, 1, 1, 0)
    for i in range(length - 1, -1, -1):
        point = double(point)
        if s_digits[i]:
            point = _add(point, _multiple(s_table, s_digits[i]))
        if k_digits[i]:
            point = _add(point, _multiple(k_table, k_digits[i]))
    return point


def double(point: Point) -> Point:
    x1, y1, z1, _ = point
    a = x1 * x1
    b = y1 * y1
    e, g = ((x1 + y1) ** 2 - a - b) % P, (b - a) % P
    f, h = (g - 2 * z1 * z1) % P, -(a + b) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def _y_of(encoded: bytes) -> int:
    return int.from_bytes(encoded, "little") & (_SIGN_BIT - 1)


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


def _multiple(table: list[Prepared], digit: int) -> Prepared:
    if digit > 0:
        return table[digit >> 1]
    minus, plus, t2d, z2 = table[-digit >> 1]
    return plus, minus, -t2d, z2
