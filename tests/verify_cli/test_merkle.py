# SPDX-License-Identifier: Apache-2.0
"""Proofs against the recursion of RFC 6962 §2.1, for every size up to 64 and random ones up to 300."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError, merkle

from . import textbook

LEAVES = [textbook.leaf(str(i).encode()) for i in range(300)]
ROOTS = [textbook.mth(LEAVES[:n]) for n in range(301)]
OTHER = textbook.sha256(b"another hash")


def refused(check, *arguments: object) -> bool:
    try:
        check(*arguments)
    except VerificationError:
        return True
    return False


def broken(path: list[bytes]) -> list[list[bytes]]:
    """Every path that differs in one place: a bit, a hash too few or too many, two neighbours swapped."""
    variants = [[*path, OTHER], [OTHER, *path]]
    for i in range(len(path)):
        variants.append(path[:i] + path[i + 1 :])
        variants.append([*path[:i], bytes([path[i][0] ^ 1]) + path[i][1:], *path[i + 1 :]])
        variants.append([*path[:i], path[i][:-1], *path[i + 1 :]])
        if i and path[i] != path[i - 1]:
            variants.append([*path[: i - 1], path[i], path[i - 1], *path[i + 1 :]])
    return variants


def test_constants_of_rfc_6962() -> None:
    """Known answers, as published with the C2SP and RFC 6962 implementations."""
    assert merkle.empty_root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    want = "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    assert merkle.node_hash(b"N123", b"N456").hex() == want


def test_roots_of_the_tessera_test_log() -> None:
    """transparency-dev/tessera, testdata: the first leaves of its log and its published roots."""
    tree = merkle.CompactRange()
    roots = {
        1: "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=",
        2: "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=",
        3: "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=",
        5: "gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=",
    }
    for size, data in enumerate((b"one", b"two", b"three", b"four", b"five"), start=1):
        tree.append(merkle.leaf_hash(data))
        assert size not in roots or tree.root() == base64.b64decode(roots[size])


def test_inclusion_holds_for_every_leaf_of_every_tree() -> None:
    for n in range(1, 65):
        for i in range(n):
            path = textbook.inclusion(i, LEAVES[:n])
            assert merkle.verify_inclusion(i, n, LEAVES[i], path, ROOTS[n]) is None


def test_inclusion_refuses_every_small_change() -> None:
    for n in (1, 2, 3, 6, 7, 8, 13, 32, 33, 64):
        for i in range(n):
            path = textbook.inclusion(i, LEAVES[:n])
            for variant in broken(path):
                assert refused(merkle.verify_inclusion, i, n, LEAVES[i], variant, ROOTS[n])
            assert refused(merkle.verify_inclusion, i, n, OTHER, path, ROOTS[n])
            assert refused(merkle.verify_inclusion, i, n, LEAVES[i], path, OTHER)
            for j in range(n + 1):
                assert j == i or refused(merkle.verify_inclusion, j, n, LEAVES[i], path, ROOTS[n])


def test_consistency_holds_for_every_pair_of_sizes() -> None:
    for n in range(1, 65):
        for m in range(1, n + 1):
            path = textbook.consistency(m, LEAVES[:n])
            assert merkle.verify_consistency(m, n, path, ROOTS[m], ROOTS[n]) is None


def test_consistency_refuses_every_small_change() -> None:
    for n in (1, 2, 5, 8, 13, 33, 64):
        for m in range(1, n + 1):
            path = textbook.consistency(m, LEAVES[:n])
            for variant in broken(path):
                assert refused(merkle.verify_consistency, m, n, variant, ROOTS[m], ROOTS[n])
            assert refused(merkle.verify_consistency, m, n, path, OTHER, ROOTS[n])
            assert refused(merkle.verify_consistency, m, n, path, ROOTS[m], OTHER)
            for k in range(n + 2):
                assert k == m or refused(merkle.verify_consistency, k, n, path, ROOTS[m], ROOTS[n])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_consistency_from_an_empty_tree_is_refused(n: int) -> None:
    assert refused(merkle.verify_consistency, 0, n, [], ROOTS[0], ROOTS[n])


def test_an_empty_tree_has_no_leaf() -> None:
    assert refused(merkle.verify_inclusion, 0, 0, ROOTS[0], [], ROOTS[0])


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_larger_trees(data: st.DataObject) -> None:
    n = data.draw(st.integers(65, 300))
    i = data.draw(st.integers(0, n - 1))
    m = data.draw(st.integers(1, n))
    path = textbook.inclusion(i, LEAVES[:n])
    merkle.verify_inclusion(i, n, LEAVES[i], path, ROOTS[n])
    assert all(refused(merkle.verify_inclusion, i, n, LEAVES[i], x, ROOTS[n]) for x in broken(path))
    proof = textbook.consistency(m, LEAVES[:n])
    merkle.verify_consistency(m, n, proof, ROOTS[m], ROOTS[n])
    assert all(refused(merkle.verify_consistency, m, n, x, ROOTS[m], ROOTS[n]) for x in broken(proof))


def test_the_largest_tree_is_in_bounds_and_one_more_is_not() -> None:
    path = [textbook.sha256(bytes([level])) for level in range(63)]
    root = LEAVES[0]
    for sibling in path:
        root = textbook.node(root, sibling)
    assert merkle.verify_inclusion(0, 2**63 - 1, LEAVES[0], path, root) is None
    assert refused(merkle.verify_inclusion, 0, 2**63, LEAVES[0], path, root)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(OTHER), st.lists(st.binary())
)
path_like = st.one_of(anything, st.lists(st.one_of(st.just(OTHER), anything), max_size=5), st.just((OTHER,)))
index_like = st.one_of(st.integers(-2, 9), st.sampled_from([2**53, 2**63 - 1, 2**63, 10**5000]), anything)


@given(index_like, index_like, anything, path_like, anything)
@settings(deadline=None, max_examples=300)
def test_any_argument_is_refused_with_our_error(a: object, b: object, c: object, path: object, d: object) -> None:
    for check, arguments in (
        (merkle.verify_inclusion, (a, b, c, path, d)),
        (merkle.verify_consistency, (a, b, path, c, d)),
    ):
        try:
            result = check(*arguments)  # type: ignore[operator]
        except VerificationError as error:
            assert str(error)
        else:
            assert result is None
            assert type(a) is int and type(b) is int and 0 <= a <= b <= 2**63 - 1


@pytest.mark.parametrize("path", [None, (), (OTHER,), "x", [None], [OTHER.hex()], [bytearray(OTHER)], [OTHER] * 10**6])
def test_a_path_is_a_list_of_hashes(path: object) -> None:
    assert refused(merkle.verify_inclusion, 0, 2, LEAVES[0], path, ROOTS[2])


def test_compact_range_has_the_root_of_every_prefix() -> None:
    tree = merkle.CompactRange()
    for n in range(65):
        assert tree.root() == ROOTS[n]
        tree.append(LEAVES[n])


def test_cover_and_compact_range_fold_every_range_to_the_root() -> None:
    n = 23
    for start in range(n + 1):
        for end in range(start, n + 1):
            tree = merkle.CompactRange()
            for a, b in ((0, start), (start, end), (end, n)):
                hashes = textbook.subtrees(LEAVES[:n], a, b)
                levels = merkle.cover(a, b)
                assert len(hashes) == len(levels)
                for level, subtree_hash in zip(levels, hashes, strict=False):
                    tree.append(subtree_hash, level)
            assert tree.root() == ROOTS[n]


def test_cover_of_the_largest_tree_is_short() -> None:
    assert len(merkle.cover(1, 2**63 - 1)) < 2 * 63
