# SPDX-License-Identifier: Apache-2.0
"""The fast way to [s]B + [k]Q where many signatures are by one key: look the parts up and add them.

The slow way (`edwards25519.sum_of_multiples`) doubles 253 times for each signature. Whoever has thousands of them by one
key spends less by writing down once, for the base point and for the key alike, what the doublings lead to (fixed-base
windowing: Brickell, Gordon, McCurley, Wilson 1992; with signed digits as in Bernstein et al. 2011, §4). It is the same
sum of the same points; the tests hold the two ways against each other.

1. A scalar is cut into digits of `width` bits, the lowest first. Each width divides 252, and a scalar is below
   L = 2^252 + a little, so nothing lies above the highest digit, which may be 2^width itself.
2. The digits below the highest are made signed, -half to half - 1 for half = 2^(width-1), which halves the table: add
   the `offset`, which has `half` at each of their places, cut, and take `half` from each again. The offset is less than
   two thirds of the highest place, so that the highest digit still is at most 2^width.
3. Row i of a table has at position j the point [j * 2^(width*i)]Q, from j = 0 on. The multiple of Q is the sum of one
   point of each row, negated where the digit is. No doubling is left.
4. The points of a table have Z = 1 and are held as (y - x)/2, (y + x)/2 and dxy: what the formula of `edwards25519._add`
   takes from its second point, all halved. The formula is the same but for one multiplication less, by 2Z = 1. It is
   complete, so equal points, opposite points and the neutral one need no case of their own. The three numbers stand in
   one integer: that takes half the memory of three, and less time to fetch from it.
5. All Z of a row are inverted at the price of one inversion (Montgomery 1987, §10.3.1).
6. 2^255 is 19 mod p, so `% P` of a product can be had for less by adding 19 times its upper half to its lower one,
   where the result is multiplied again and may be a little longer than p. What is kept is reduced by `% P`. Python's
   integers do not overflow: a wrong bound here would cost time and could not change an answer.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger_verify.edwards25519 import Affine, D, P, Point, affine, double

SCALAR_BITS = 252
_HALF = (P + 1) // 2
_LOW = 2**255 - 1

Packed = int  # (y - x)/2, (y + x)/2 and dxy, the lowest first, 255 bits each (step 4)


class Table(NamedTuple):
    """The multiples of one point that `sum_by_tables` looks up."""

    width: int
    offset: int
    rows: list[list[Packed]]


def build_table(point: Affine, width: int) -> Table:
    """The table of a point. It takes as many additions as there are points in it: 7,425 or so for a width of 9, 155,667
    for 14.
    """
    assert width > 1 and SCALAR_BITS % width == 0, "the highest digit would need a place of its own"
    half, highest = 1 << (width - 1), SCALAR_BITS // width - 1
    rows = []
    for place in range(highest + 1):
        rows.append(_multiples(point, half if place < highest else 2 * half))
        point = _first_of_next_row(rows[-1][half])
    return Table(width, sum(half << width * place for place in range(highest)), rows)


def sum_by_tables(s: int, s_table: Table, k: int, k_table: Table) -> Point:
    """[s]Q1 + [k]Q2 for the points of the two tables and scalars below L."""
    x, y, z, t = 0, 1, 1, 0
    for row, digit in zip(s_table.rows + k_table.rows, _digits(s, s_table) + _digits(k, k_table)):
        packed = row[abs(digit)]
        minus, plus, dxy = packed & _LOW, packed >> 255 & _LOW, packed >> 510
        if digit < 0:  # -Q is (-x, y)
            minus, plus, t = plus, minus, -t
        a = (y - x) * minus
        b = (y + x) * plus
        c = t * dxy
        # Step 6: a, b and c become shorter than 2^260, the same mod p.
        a = (a & _LOW) + 19 * (a >> 255)
        b = (b & _LOW) + 19 * (b >> 255)
        c = (c & _LOW) + 19 * (c >> 255)
        e, f, g, h = b - a, z - c, z + c, b + a
        x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
    return x, y, z, t


def _digits(scalar: int, table: Table) -> list[int]:
    """Steps 1 and 2."""
    width, offset, rows = table
    half, mask = 1 << (width - 1), (1 << width) - 1
    scalar += offset
    digits = []
    for _ in range(len(rows) - 1):
        digits.append((scalar & mask) - half)
        scalar >>= width
    return [*digits, scalar]


def _multiples(point: Affine, count: int) -> list[Packed]:
    """The neutral point, Q, 2Q, … up to [count]Q."""
    x, y = point
    minus, plus, dxy = (y - x) * _HALF % P, (y + x) * _HALF % P, D * x * y % P
    z, t = 1, x * y % P
    # Each multiple with the product of all Z before it, so that one inversion is enough (step 5).
    product = 1
    multiples = [(x, y, z, product)]
    for _ in range(count - 1):
        a = (y - x) * minus
        b = (y + x) * plus
        c = t * dxy % P
        e, f, g, h = (b - a) % P, z - c, z + c, (b + a) % P
        x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
        multiples.append((x, y, z, product))
        product = product * z % P
    inverse = pow(product, -1, P) * _HALF % P  # of all Z together, and half of it
    row: list[Packed] = []
    while multiples:
        x, y, z, product = multiples.pop()
        half_of_inverse = inverse * product % P
        inverse = inverse * z % P
        x, y = x * half_of_inverse % P, y * half_of_inverse % P
        row.append((y - x) % P | (y + x) % P << 255 | 4 * D * x * y % P << 510)
    row.append(_HALF | _HALF << 255)
    row.reverse()
    return row


def _first_of_next_row(packed: Packed) -> Affine:
    """Twice a point of a table: [2^width]Q from [half]Q."""
    minus, plus = packed & _LOW, packed >> 255 & _LOW
    x, y = plus - minus, plus + minus
    return affine(double((x, y, 1, x * y)))
