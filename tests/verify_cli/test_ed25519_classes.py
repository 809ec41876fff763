# SPDX-License-Identifier: Apache-2.0
"""The classes of cases that Wycheproof has for Ed25519, made here from a key of our own, on both ways to the sum.

Of each class, `cryptography` and the verifier must refuse every signature, and take the one that it was made of.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_verify.ed25519 import verify

from .ed25519_agreement import accepted_by_cryptography, by_doublings, by_tables
from .textbook_curve import L, P, encode, point_with_y, torsion

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PRIVATE.public_key().public_bytes_raw()
MESSAGE = b"123400"
GOOD = PRIVATE.sign(MESSAGE)
R, S = GOOD[:32], int.from_bytes(GOOD[32:], "little")


@pytest.fixture(params=["doublings", "tables"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    with (by_doublings if request.param == "doublings" else by_tables)():
        yield


def number(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "little")


def flipped(raw: bytes, bit: int) -> bytes:
    return number(int.from_bytes(raw, "little") ^ 1 << bit)


CLASSES: dict[str, Callable[[], list[bytes]]] = {
    "truncated": lambda: [GOOD[:length] for length in range(64)],
    "its beginning is missing": lambda: [GOOD[cut:] for cut in range(1, 65)],
    "extended": lambda: [GOOD + extra for extra in (b"\x00", b"\x20", b"\x00" * 32, GOOD)],
    "a byte before": lambda: [b"\x00" + GOOD, b"\x00" + GOOD[:-1]],
    "as text": lambda: [GOOD.hex().encode(), b"%r" % GOOD],
    "a zero between R and S": lambda: [R + b"\x00" + GOOD[32:], R + b"\x00" + GOOD[32:63]],
    "S is malleable": lambda: [R + number(S + multiple * L) for multiple in range(1, 15)],
    "S with high bits set": lambda: [R + flipped(GOOD[32:], bit) for bit in range(252, 256)],
    "S is special": lambda: [R + number(s) for s in (0, 1, 2, L - 1, L, L + 1, P - 1, P, 2**252, -1, -S, L - S)],
    "R is special": lambda: [number(r) + GOOD[32:] for r in (0, 1, 2, L, P - 1, P, P + 1, 2**255, 2**255 + 1, -1)],
    "R and S are special": lambda: [
        number(r) + number(s) for r in (0, 1, P - 1, P, P + 1, 2**255 - 1, -1) for s in (0, 1, L - 1, L, L + 1, -1)
    ],
    "a bit of R": lambda: [flipped(R, bit) + GOOD[32:] for bit in range(256)],
    "a bit of S": lambda: [R + flipped(GOOD[32:], bit) for bit in range(256)],
    "R and S reversed or swapped": lambda: [GOOD[::-1], R[::-1] + GOOD[32:], R + GOOD[32:][::-1], GOOD[32:] + R],
    "R of a point that is not on the curve": lambda: [
        number(y) + GOOD[32:] for y in range(2, 40) if point_with_y(y) is None
    ],
    "R of small order": lambda: [encode(point) + GOOD[32:] for point in torsion()],
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_class_is_refused(name: str) -> None:
    signatures = CLASSES[name]()
    assert len(signatures) > 1 and GOOD not in signatures
    assert verify(KEY, MESSAGE, GOOD) and accepted_by_cryptography(KEY, MESSAGE, GOOD)
    for signature in signatures:
        assert not verify(KEY, MESSAGE, signature)
        assert not accepted_by_cryptography(KEY, MESSAGE, signature)


def test_key_of_another_length_is_refused() -> None:
    for key in (b"", KEY[:31], KEY[1:], KEY + b"\x00", b"\x00" + KEY, KEY * 2, KEY.hex().encode()):
        assert not verify(key, MESSAGE, GOOD)


def test_key_that_is_no_point_is_refused() -> None:
    off_the_curve = [y for y in range(2, 60) if point_with_y(y) is None]
    assert len(off_the_curve) > 10
    for y in off_the_curve:
        for sign in (0, 1):
            assert not verify(number(y | sign << 255), MESSAGE, GOOD)


def test_special_keys_are_refused_under_special_signatures() -> None:
    """Keys of small order in both encodings, with what would hold the equation for them: S = 0 and R = -[k]A."""
    keys = [encode(point) for point in torsion()]
    keys += [number(y | sign << 255) for y in (0, 1, P - 1, P, P + 1, 2**255 - 1) for sign in (0, 1)]
    for key in keys:
        for r in keys:
            for s in (0, 1):
                for message in (b"", MESSAGE):
                    assert not verify(key, message, r + number(s))


def test_signature_by_another_key_or_over_another_message_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert not verify(other.public_key().public_bytes_raw(), MESSAGE, GOOD)
    assert not verify(KEY, MESSAGE, other.sign(MESSAGE))
    for message in (b"", MESSAGE[:-1], MESSAGE + b"\x00", b"\x00" + MESSAGE, MESSAGE.swapcase() + b" "):
        assert not verify(KEY, message, GOOD)


@pytest.mark.parametrize("length", [0, 1, 31, 32, 47, 48, 63, 64, 111, 112, 127, 128, 1000, 100_000])
def test_messages_of_every_kind_of_length_are_taken(length: int) -> None:
    """Around the blocks of SHA-512, with R and the key before the message."""
    message = random.Random(length).randbytes(length)
    assert verify(KEY, message, PRIVATE.sign(message))
