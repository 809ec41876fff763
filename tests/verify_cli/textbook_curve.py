# SPDX-License-Identifier: Apache-2.0
"""The group of Ed25519 as in a textbook: affine points, double and add, none of the package's code."""

from __future__ import annotations

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

Affine = tuple[int, int]


def add(p: Affine, q: Affine) -> Affine:
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def times(k: int, p: Affine) -> Affine:
    result = (0, 1)
    while k:
        if k & 1:
            result = add(result, p)
        p, k = add(p, p), k >> 1
    return result


def encode(p: Affine) -> bytes:
    return (p[1] | (p[0] & 1) << 255).to_bytes(32, "little")


def square_root(a: int) -> int | None:
    for candidate in (pow(a, (P + 3) // 8, P), pow(a, (P + 3) // 8, P) * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == a % P:
            return candidate
    return None


def point_with_y(y: int) -> Affine | None:
    x = square_root((y * y - 1) * pow(D * y * y + 1, -1, P))
    return None if x is None else (x, y)


def base_point() -> Affine:
    point = point_with_y(4 * pow(5, -1, P) % P)
    assert point is not None
    return point if point[0] % 2 == 0 else (P - point[0], point[1])


B = base_point()


def torsion() -> list[Affine]:
    """The eight points whose order divides 8: the order-L part of any point, multiplied away."""
    y = 2
    while True:
        point = point_with_y(y)
        if point is not None:
            small = times(L, point)
            if times(4, small) != (0, 1):
                return [times(k, small) for k in range(8)]
        y += 1
