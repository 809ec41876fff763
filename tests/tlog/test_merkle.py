# SPDX-License-Identifier: Apache-2.0
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import merkle
from ledger.tlog.errors import ProofError
from ledger.tlog.text import MAX_INTEGER
from tests.tlog.vectors import merkle as bad_merkle

sizes = st.integers(1, 600) | st.integers(1, MAX_INTEGER) | st.integers(0, 62).map(lambda bits: 1 << bits)
hashes = st.binary(min_size=32, max_size=32)
paths = st.lists(hashes, max_size=8) | st.lists(st.binary(max_size=40), max_size=80)
numbers = st.integers(-2, 20) | st.integers()


@st.composite
def places(draw):
    """A leaf index and a tree size, the index near an end of the tree or anywhere."""
    size = draw(sizes)
    index = draw(st.integers(0, size - 1) | st.sampled_from([0, size - 1, size // 2]))
    return index, size


def decode(values):
    return [base64.b64decode(value) for value in values]


def holds(verify, *claim):
    try:
        verify(*claim)
    except ProofError:
        return False
    return True


def prove(tree, ranges):
    """The hashes of `ranges`, each put together from perfect subtrees as a log does it."""
    return [merkle.fold([tree.mth(i << n, i + 1 << n) for n, i in merkle.subtrees(lo, hi)]) for lo, hi in ranges]


# ------------------------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize(
    ("computed", "published"),
    [
        (merkle.leaf_hash(b""), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (merkle.leaf_hash(b"L123456"), "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"),
        (merkle.node_hash(b"N123", b"N456"), "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"),
        (merkle.root_hash([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ],
)
def test_hashes_are_the_published_ones(computed, published):
    assert computed.hex() == published


@pytest.mark.vectors("merkle", "leaf_hash")
def test_leaf_hash_agrees_with_vectors(case):
    assert [merkle.leaf_hash(base64.b64decode(case["data"]))] == decode([case["hash"]])


@pytest.mark.vectors("merkle", "node_hash")
def test_node_hash_agrees_with_vectors(case):
    assert [merkle.node_hash(*decode([case["left"], case["right"]]))] == decode([case["hash"]])


@pytest.mark.vectors("merkle", "root")
def test_root_hash_agrees_with_vectors(case):
    assert [merkle.root_hash([merkle.leaf_hash(data) for data in decode(case["leaves"])])] == decode([case["root"]])


@pytest.mark.vectors("merkle", "inclusion")
def test_verify_inclusion_agrees_with_vectors(case):
    leaf, root = decode([case["leaf_hash"], case["root_hash"]])
    claim = case["leaf_index"], case["tree_size"], leaf, decode(case["path"]), root
    assert holds(merkle.verify_inclusion, *claim) == case["ok"]


@pytest.mark.vectors("merkle", "consistency")
def test_verify_consistency_agrees_with_vectors(case):
    claim = case["size1"], case["size2"], decode(case["path"]), *decode([case["root1"], case["root2"]])
    assert holds(merkle.verify_consistency, *claim) == case["ok"]


# --------------------------------------------------------------------------------------------- making against textbook


def test_root_hash_is_the_textbooks_at_every_size(tree):
    for n in range(301):
        assert merkle.root_hash(tree.leaf_hashes[:n]) == tree.root(n)


@given(places())
def test_inclusion_proof_is_the_textbooks_at_any_size(textbook, place):
    index, size = place
    tree = textbook.LonelyTree(index)
    path = prove(tree, merkle.inclusion_ranges(index, size))
    assert path == tree.inclusion(index, size)
    assert len(path) <= 63
    merkle.verify_inclusion(index, size, tree.LONELY, path, tree.root(size))


@given(places())
def test_consistency_proof_is_the_textbooks_at_any_size(textbook, place):
    old, new = place[0] + 1, place[1]
    tree = textbook.LonelyTree(old - 1)
    path = prove(tree, merkle.consistency_ranges(old, new))
    assert path == tree.consistency(old, new)
    # One more than an inclusion proof: the old tree's own last subtree may be among them.
    assert len(path) <= 64
    merkle.verify_consistency(old, new, path, tree.root(old), tree.root(new))


def test_consistency_ranges_are_none_for_an_empty_or_an_equal_tree():
    assert [merkle.consistency_ranges(old, new) for old, new in [(0, 0), (0, 7), (7, 7)]] == [[], [], []]


@given(st.lists(st.integers(0, MAX_INTEGER), min_size=2, max_size=2).map(sorted))
def test_subtrees_cover_any_range_and_are_maximal(bounds):
    lo, hi = bounds
    found = merkle.subtrees(lo, hi)
    assert len(found) <= 2 * max(1, (hi - lo).bit_length())
    position = lo
    for level, index in found:
        assert index << level == position
        position = index + 1 << level
    assert position == hi
    # Where a subtree and its sibling are both there, their parent should be there instead.
    assert not any((level, index ^ 1) in set(found) for level, index in found)


@given(sizes)
def test_fold_of_a_whole_tree_is_its_root(textbook, size):
    tree = textbook.LonelyTree(size // 3)
    assert prove(tree, [(0, size)]) == [tree.root(size)]


def test_fold_of_nothing_is_the_empty_root():
    assert merkle.fold([]) == merkle.EMPTY_ROOT == merkle.root_hash([])


# -------------------------------------------------------------------------------------------------------- verification


def test_verify_inclusion_judges_every_claim_as_the_textbook_does(textbook, tree):
    """A path does not tell the size of its tree: what another place of the same shape makes of it must be taken too."""
    claims = [(index, size) for size in range(13) for index in range(-1, size + 2)]
    for i, n in [(index, size) for index, size in claims if 0 <= index < size < 12]:
        proof = tree.mth(i, i + 1), tree.inclusion(i, n), tree.root(n)
        for claim in claims:
            expected = textbook.inclusion_holds(*claim, *proof)
            assert holds(merkle.verify_inclusion, *claim, *proof) == expected
            assert not expected or claim[0] == i or claim[1] != n


def test_verify_consistency_judges_every_claim_as_the_textbook_does(textbook, tree):
    claims = [(old, new) for new in range(13) for old in range(-1, new + 2)]
    for m, n in [(old, new) for old, new in claims if 0 < old <= new < 12]:
        proof = tree.consistency(m, n), tree.root(m), tree.root(n)
        for claim in claims:
            assert holds(merkle.verify_consistency, *claim, *proof) == textbook.consistency_holds(*claim, *proof)


def test_verify_inclusion_refuses_every_mutation(tree):
    for n in [*range(1, 24), 255, 256, 257]:
        for i in {*range(n)} if n < 24 else {0, 1, n // 2, n - 2, n - 1}:
            value, path, root = tree.mth(i, i + 1), tree.inclusion(i, n), tree.root(n)
            for why, *claim in bad_merkle.bad_inclusions(i, n, value, path, root):
                assert not holds(merkle.verify_inclusion, *claim), (i, n, why)


def test_verify_consistency_refuses_every_mutation(tree):
    for n in [*range(1, 24), 255, 256, 257]:
        for m in {*range(1, n + 1)} if n < 24 else {1, 2, n // 2, n - 1, n}:
            proof = tree.consistency(m, n), tree.root(m), tree.root(n)
            for why, *claim in bad_merkle.bad_consistencies(m, n, *proof):
                assert not holds(merkle.verify_consistency, *claim), (m, n, why)


@given(places(), st.data())
def test_verify_inclusion_refuses_a_changed_bit_at_any_size(textbook, place, data):
    index, size = place
    tree = textbook.LonelyTree(index)
    proof = [tree.LONELY, *tree.inclusion(index, size), tree.root(size)]
    bit = data.draw(st.integers(0, 256 * len(proof) - 1))
    value = bytearray(proof[bit // 256])
    value[bit % 256 // 8] ^= 1 << bit % 8
    proof[bit // 256] = bytes(value)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(index, size, proof[0], proof[1:-1], proof[-1])


@given(places(), st.data())
def test_verify_consistency_refuses_a_changed_bit_at_any_size(textbook, place, data):
    old, new = place[0] + 1, place[1]
    tree = textbook.LonelyTree(old - 1)
    proof = [tree.root(old), *tree.consistency(old, new), tree.root(new)]
    bit = data.draw(st.integers(0, 256 * len(proof) - 1))
    value = bytearray(proof[bit // 256])
    value[bit % 256 // 8] ^= 1 << bit % 8
    proof[bit // 256] = bytes(value)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, new, proof[1:-1], proof[0], proof[-1])


@given(st.integers(0, 599), st.integers(0, 599), st.integers(1, 600))
def test_proof_of_one_leaf_is_refused_for_every_other(tree, i, j, n):
    i, j = i % n, j % n
    path, root = tree.inclusion(i, n), tree.root(n)
    assert holds(merkle.verify_inclusion, j, n, tree.mth(i, i + 1), path, root) == (i == j)
    assert holds(merkle.verify_inclusion, i, n, tree.mth(j, j + 1), path, root) == (i == j)


@given(numbers, numbers, hashes, paths, hashes)
def test_verify_inclusion_raises_nothing_but_proof_errors(index, size, leaf, path, root):
    assert not holds(merkle.verify_inclusion, index, size, leaf, path, root) or (index, size, leaf) == (0, 1, root)


@given(numbers, numbers, paths, hashes, hashes)
def test_verify_consistency_raises_nothing_but_proof_errors(old, new, path, old_root, new_root):
    held = holds(merkle.verify_consistency, old, new, path, old_root, new_root)
    assert not held or (old, old_root, path) == (new, new_root, [])


@pytest.mark.parametrize("size", [0, -1, -(2**63), 2**63, 2**64 + 1, 10**4000])
def test_verify_inclusion_refuses_sizes_out_of_range(size, tree):
    with pytest.raises(ProofError, match="does not lie in a tree"):
        merkle.verify_inclusion(0, size, tree.root(1), [], tree.root(1))


@pytest.mark.parametrize("index", [-1, -(2**63), 1, 2**63, 2**64, 10**4000])
def test_verify_inclusion_refuses_indexes_out_of_range(index, tree):
    with pytest.raises(ProofError, match="does not lie in a tree"):
        merkle.verify_inclusion(index, 1, tree.root(1), [], tree.root(1))


@pytest.mark.parametrize(
    ("old", "new"),
    [(0, 0), (0, 1), (2, 1), (-1, 1), (-1, -1), (1, -1), (1, 2**63), (2**63, 2**63), (10**4000, 10**4000)],
)
def test_verify_consistency_refuses_sizes_out_of_range(old, new, tree):
    with pytest.raises(ProofError, match="are not 0 < old <= new"):
        merkle.verify_consistency(old, new, [], tree.root(1), tree.root(1))


def test_verify_takes_the_largest_tree(textbook):
    tree, last = textbook.LonelyTree(MAX_INTEGER - 1), MAX_INTEGER - 1
    path = tree.inclusion(last, MAX_INTEGER)
    merkle.verify_inclusion(last, MAX_INTEGER, tree.LONELY, path, tree.root(MAX_INTEGER))
    assert len(path) == MAX_INTEGER.bit_count() - 1
    assert not holds(merkle.verify_inclusion, last - 1, MAX_INTEGER, tree.LONELY, path, tree.root(MAX_INTEGER))
