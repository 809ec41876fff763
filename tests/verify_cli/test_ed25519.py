# SPDX-License-Identifier: Apache-2.0
"""Ed25519 against RFC 8032, Wycheproof, `cryptography`, and the edge cases on which libraries differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ledger_verify.ed25519 import verify

from .ed25519_agreement import accepted_by_cryptography, by_doublings, by_tables
from .textbook_curve import B, L, P, add, encode, times, torsion


@pytest.fixture(params=["doublings", "tables"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every law holds on both ways to the sum."""
    with (by_doublings if request.param == "doublings" else by_tables)():
        yield


# RFC 8032 §7.1: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
        "2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17a"
        "d9bef1177331a704",
    ),
]

# C2SP/wycheproof, testvectors_v1/ed25519_test.json (Apache-2.0), the key of its first groups.
WYCHEPROOF_KEY = bytes.fromhex("7d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa")
_R_TEST = "7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab0"
_R_1234 = "657c1492402ab5ce03e2c3a7f0384d051b9cf3570f1207fc78c1bcc98c281c2"
WYCHEPROOF = [  # test case, message, signature, valid
    (
        1,
        "",
        "d4fbdb52bfa726b44d1786a8c0d171c3e62ca83c9e5bbe63de0bb2483f8fd6cc1429ab72cafc41ab56af02ff8fcc43b99bfe4c7ae940f60f"
        "38ebaa9d311c4007",
        True,
    ),
    (
        2,
        "78",
        "d80737358ede548acb173ef7e0399f83392fe8125b2ce877de7975d8b726ef5b1e76632280ee38afad12125ea44b961bf92f1178c9fa819d"
        "020869975bcbe109",
        True,
    ),
    (3, "54657374", _R_TEST + "7a9155711ecfaf7f99f277bad0c6ae7e39d4eef676573336a5c51eb6f946b30d", True),
    (5, "313233343030", _R_1234 + "bf0cf5b3a289976458a1be6277a5055545253b45b07dcc1abd96c8b989c00f301", True),
    (
        48,
        "313233343030",
        _R_1234[:-1] + "2b" + "7fd2ac7da14afffcceeb13f2a0d6b887941cb1a5eb57a52f3cb131a16cce7b0e",
        False,
    ),
    (
        49,
        "313233343030",
        "657c1492412ab5ce03e2c3a7f0384d051b9cf3570f1207fc78c1bcc98c281c2b7373ba13ebbef99cd2a8ead55ce735c987d85a35320925a8"
        "e871702dc7c5c40d",
        False,
    ),
    (
        58,
        "313233343030",
        "657c1492402ab5ce03e2c3a7f0384d051b9cf3570f1207fc78c1bcc98c281c6b8da07efd07a6dafb015ed6a32fe136319a972ffbc341f3a0"
        "beae97ccf8136505",
        False,
    ),
    (
        59,
        "313233343030",
        "657c1492402ab5ce03e2c3a7f0384d051b9cf3570f1207fc78c1bcc98c281cab227aedf259f910f0f3a759a335062665217925d019173b88"
        "917eae294f75d40f",
        False,
    ),
    (60, "313233343030", "00" * 32 + "e0b8e7770d51c7a36375d006c5bffd6af43ff54aaf47e4330dc118c71d61ec02", False),
    (61, "313233343030", "ff" * 32 + "463a1908382e7eb7693acef9884f7cf931a215e0791876be22c631a59881fd0e", False),
    (
        62,
        "313233343030",
        "9a83eb6dbfd54a31fc1d3c580fc7b2fae4630ca8f0edf803873e433673d7e3d40e94254586cb6188c5386c3febed477cb9a6cb29e3979adc"
        "4cb27cf5278fb70a",
        False,
    ),
    (63, "54657374", _R_TEST + "67654bce3832c2d76f8f6f5dafc08d9339d4eef676573336a5c51eb6f946b31d", False),
    (64, "54657374", _R_TEST + "5439412b5395d42f462c67008eba6ca839d4eef676573336a5c51eb6f946b32d", False),
    (65, "54657374", _R_TEST + "2ee12ce5875bf9dff26556464bae2ad239d4eef676573336a5c51eb6f946b34d", False),
    (66, "54657374", _R_TEST + "e2300459f1e742404cd934d2c595a6253ad4eef676573336a5c51eb6f946b38d", False),
    (67, "54657374", _R_TEST + "7a9155711ecfaf7f99f277bad0c6ae7e39d4eef676573336a5c51eb6f946b32d", False),
    (70, "54657374", _R_TEST + "679155711ecfaf7f99f277bad0c6ae7e39d4eef676573336a5c51eb6f946b38d", False),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_rfc_8032_vector(secret: str, public: str, message: str, signature: str) -> None:
    m, s = bytes.fromhex(message), bytes.fromhex(signature)
    assert Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).sign(m) == s
    assert verify(bytes.fromhex(public), m, s)
    assert not verify(bytes.fromhex(public), m + b"\x00", s)


@pytest.mark.parametrize(("case", "message", "signature", "valid"), WYCHEPROOF)
def test_wycheproof_vector(case: int, message: str, signature: str, valid: bool) -> None:
    assert verify(WYCHEPROOF_KEY, bytes.fromhex(message), bytes.fromhex(signature)) is valid, case


def test_wycheproof_special_values_of_r_and_s() -> None:
    """Its cases 10 to 29: every pair of these values, over the message `3f`."""
    for r in (0, 1, L, P):
        for s in (0, 1, L - 1, L, P):
            assert not verify(WYCHEPROOF_KEY, b"\x3f", r.to_bytes(32, "little") + s.to_bytes(32, "little"))


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def signature(r: bytes, s: int) -> bytes:
    return r + s.to_bytes(32, "little")


def test_the_textbook_group_is_the_right_one() -> None:
    assert times(L, B) == (0, 1)
    assert len(set(torsion())) == 8
    scalar, public = 12345, encode(times(12345, B))
    r = encode(times(999, B))
    assert verify(public, b"m", signature(r, (999 + challenge(r, public, b"m") * scalar) % L))


def test_small_order_keys_sign_nothing() -> None:
    """With A of small order there is an R for every message, and the equation holds."""
    for a in torsion():
        key = encode(a)
        r_scalar = 7
        candidates = [encode(add(times(r_scalar, B), t)) for t in torsion()]
        holding = [
            r
            for r, t in zip(candidates, torsion(), strict=False)
            if add(t, times(challenge(r, key, b"m") % 8, a)) == (0, 1)  # then [S]B = R + [k]A with S = 7
        ]
        for r in holding:
            assert not verify(key, b"m", signature(r, r_scalar))
    assert not verify(encode((0, 1)), b"any", signature(encode(times(7, B)), 7))


def test_small_order_r_is_refused_in_every_encoding() -> None:
    """R = identity and S = k a satisfy the equation, for whoever knows a."""
    scalar, public = 4711, encode(times(4711, B))
    encodings = [encode((0, 1)), (P + 1).to_bytes(32, "little"), (1 | 1 << 255).to_bytes(32, "little")]
    encodings += [encode(t) for t in torsion()]
    for r in encodings:
        assert not verify(public, b"m", signature(r, challenge(r, public, b"m") * scalar % L))


def test_noncanonical_keys_are_refused() -> None:
    """y + p for the y below 19 that are on the curve, with both signs, and minus zero."""
    encodings = [(y + P | sign << 255).to_bytes(32, "little") for y in range(19) for sign in (0, 1)]
    encodings += [(1 | 1 << 255).to_bytes(32, "little"), (P - 1 | 1 << 255).to_bytes(32, "little")]
    r = encode(times(7, B))
    for key in encodings:
        assert not verify(key, b"m", signature(r, 7))


def test_the_equation_has_no_cofactor() -> None:
    """A key with a part of order 8: only challenges divisible by 8 pass, as in `cryptography`."""
    scalar = 31337
    key = encode(add(times(scalar, B), torsion()[1]))
    verdicts = set()
    for number in range(40):
        message, r = b"%d" % number, encode(times(number + 2, B))
        k = challenge(r, key, message)
        s = signature(r, (number + 2 + k * scalar) % L)
        assert verify(key, message, s) == (k % 8 == 0) == accepted_by_cryptography(key, message, s)
        verdicts.add(k % 8 == 0)
    assert verdicts == {True, False}


def test_parts_of_small_order_must_cancel() -> None:
    """R = rB + T and A = aB + T': [S]B = R + [k]A holds if and only if T + [k]T' = 0. With the cofactor, always."""
    scalar, verdicts = 31337, []
    for a_part in range(8):
        key = encode(add(times(scalar, B), torsion()[a_part]))
        for r_part in range(8):
            r = encode(add(times(99, B), torsion()[r_part]))
            k = challenge(r, key, b"m")
            s = signature(r, (99 + k * scalar) % L)
            cancels = (r_part + k * a_part) % 8 == 0
            assert verify(key, b"m", s) == cancels == accepted_by_cryptography(key, b"m", s)
            verdicts.append(cancels)
    assert verdicts[0] and 1 < sum(verdicts) < 32


def test_s_plus_l_is_refused() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, good = private.public_key().public_bytes_raw(), private.sign(b"m")
    s = int.from_bytes(good[32:], "little")
    assert verify(public, b"m", good)
    for multiple in range(1, 15):
        if s + multiple * L < 2**256:
            assert not verify(public, b"m", signature(good[:32], s + multiple * L))


@given(st.binary(max_size=70), st.binary(max_size=10), st.binary(max_size=70))
def test_never_raises(public: bytes, message: bytes, signature_bytes: bytes) -> None:
    assert verify(public, message, signature_bytes) is False


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("wrong", [None, 1, "x" * 32, [1] * 64])
def test_wrong_types_are_false(position: int, wrong: object) -> None:
    arguments: list[object] = [WYCHEPROOF_KEY, b"", bytes(64)]
    arguments[position] = wrong
    assert verify(*arguments) is False  # type: ignore[arg-type]
