# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import merkle
from ledger.tlog.edge import Edge, FullTile
from ledger.tlog.text import MAX_INTEGER
from ledger.tlog.tiles import locate, stored_hash, tile_width

BORDERS = [0, 1, 2, 3, 127, 128, 129, 254, 255, 256, 257, 258, 511, 512, 513]


class Log:
    """A log as a store keeps it: the full tiles, and the edge for everything that is in none."""

    def __init__(self):
        self.edge = Edge()
        self.tiles = {}

    def append(self, leaf_hashes):
        for tile in self.edge.append(leaf_hashes):
            assert (tile.level, tile.number) not in self.tiles
            self.tiles[tile.level, tile.number] = tile.hashes

    def hash(self, level, index):
        tile_level, number, row, position = locate(level, index)
        found = self.edge.hash(tile_level, number, row, position)
        return found if found is not None else stored_hash(self.tiles[tile_level, number], row, position)

    def prove(self, ranges):
        return [merkle.fold([self.hash(*subtree) for subtree in merkle.subtrees(lo, hi)]) for lo, hi in ranges]

    def inclusion(self, index):
        return self.prove(merkle.inclusion_ranges(index, self.edge.size))

    def consistency(self, old):
        return self.prove(merkle.consistency_ranges(old, self.edge.size))


def check(log, tree, indexes, old_sizes):
    """Root and proofs of the log are the textbook's, and hold."""
    size = log.edge.size
    root = log.edge.root()
    assert root == tree.root(size)
    for i in indexes:
        path = log.inclusion(i)
        assert path == tree.inclusion(i, size)
        merkle.verify_inclusion(i, size, tree.leaf_hashes[i], path, root)
    for m in old_sizes:
        path = log.consistency(m)
        assert path == tree.consistency(m, size)
        merkle.verify_consistency(m, size, path, tree.root(m), root)


@pytest.fixture(scope="module")
def large_tree(textbook):
    return textbook.numbered_tree(65_540)


def partial_rows(tree, size):
    """The bottom rows of the partial tiles of a tree, from the textbook."""
    levels = range((size.bit_length() + 7) // 8)
    starts = [(size >> 8 * (level + 1) << 8, size >> 8 * level) for level in levels]
    return [[tree.mth(i << 8 * level, i + 1 << 8 * level) for i in range(*starts[level])] for level in levels]


# ------------------------------------------------------------------------------------------------ proofs of every tree


def test_every_proof_of_every_tree_up_to_300_is_the_textbooks(tree):
    log = Log()
    for size in range(1, 301):
        log.append([tree.leaf_hashes[size - 1]])
        check(log, tree, range(size), range(1, size + 1))


def test_every_proof_around_two_full_tiles_is_the_textbooks(tree):
    log = Log()
    log.append(tree.leaf_hashes[:510])
    for size in (511, 512, 513):
        log.append([tree.leaf_hashes[size - 1]])
        check(log, tree, range(size), range(1, size + 1))


def test_proofs_around_the_first_tile_of_level_two_are_the_textbooks(large_tree):
    log = Log()
    log.append(large_tree.leaf_hashes[:65_534])
    ends = [0, 1, 255, 256, 257, 511, 512, 32_767, 32_768, 65_279, 65_280, 65_281, 65_533, 65_534]
    for size in (65_535, 65_536, 65_537, 65_538):
        log.append([large_tree.leaf_hashes[size - 1]])
        indexes = {i for i in [*ends, size - 2, size - 1, *range(0, size, 1021)] if i < size}
        check(log, large_tree, indexes, {i + 1 for i in indexes})
    assert [key for key in log.tiles if key[0]] == [(1, 0)]
    assert len(log.tiles) == 257


def test_empty_edge_has_the_empty_root():
    assert Edge().root() == merkle.EMPTY_ROOT
    assert Edge().append([]) == []


# --------------------------------------------------------------------------------------------------------------- tiles


def test_full_tiles_hold_every_hash_of_their_subtrees(large_tree):
    log = Log()
    log.append(large_tree.leaf_hashes[:65_536])
    for level, number in [(0, 0), (0, 1), (0, 255), (1, 0)]:
        rows = [
            [large_tree.mth(i << 8 * level + row, i + 1 << 8 * level + row) for i in range(first, first + (256 >> row))]
            for row, first in [(row, number * 256 >> row) for row in range(9)]
        ]
        assert log.tiles[level, number] == b"".join(b"".join(row) for row in rows)


def test_append_tells_full_tiles_in_the_order_in_which_they_became_full(textbook):
    """Leaf 2^24 - 1 fills a tile on each of three levels at once."""
    size = 2**24 - 1
    tree = textbook.LonelyTree(size)
    edge = Edge.load(size, partial_rows(tree, size))
    full = edge.append([tree.LONELY])
    assert [(tile.level, tile.number) for tile in full] == [(0, 2**16 - 1), (1, 2**8 - 1), (2, 0)]
    assert {len(tile.hashes) for tile in full} == {511 * 32}
    assert full[2].hashes[-32:] == tree.root(2**24) == edge.root()
    assert isinstance(full[0], FullTile)


@pytest.mark.parametrize("size", BORDERS)
def test_edge_knows_just_the_hashes_of_partial_tiles(tree, size):
    edge = Edge()
    edge.append(tree.leaf_hashes[:size])
    for level in range(3):
        for number in range(4):
            width = tile_width(level, number, size)
            for row in range(8):
                for position in range(256 >> row):
                    lo = (number * (256 >> row) + position) << 8 * level + row
                    hi = lo + (1 << 8 * level + row)
                    inside = width < 256 and position + 1 << row <= width
                    expected = tree.mth(lo, hi) if inside else None
                    assert edge.hash(level, number, row, position) == expected


# --------------------------------------------------------------------------------------------------- loading, batching


@pytest.mark.parametrize("size", BORDERS)
def test_loaded_edge_is_the_appended_one(tree, size):
    appended = Edge()
    appended.append(tree.leaf_hashes[:size])
    loaded = Edge.load(size, partial_rows(tree, size))
    assert (loaded.size, loaded.rows, loaded.root()) == (appended.size, appended.rows, tree.root(size))
    more = tree.leaf_hashes[size:]
    assert loaded.append(more) == appended.append(more)
    assert (loaded.rows, loaded.root()) == (appended.rows, tree.root(len(tree.leaf_hashes)))


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_edge_loaded_around_level_two_is_the_appended_one(large_tree, size):
    appended = Edge()
    appended.append(large_tree.leaf_hashes[:size])
    loaded = Edge.load(size, partial_rows(large_tree, size))
    assert (loaded.size, loaded.rows, loaded.root()) == (appended.size, appended.rows, large_tree.root(size))


@given(st.integers(1, MAX_INTEGER - 600) | st.integers(8, 62).map(lambda bits: (1 << bits) - 1), st.integers(1, 600))
@settings(deadline=None, max_examples=40)
def test_edge_of_any_size_loads_and_grows(textbook, size, growth):
    """The new leaves are `lonely` first and `common` after it."""
    tree = textbook.LonelyTree(size)
    edge = Edge.load(size, partial_rows(tree, size))
    assert edge.root() == tree.root(size)
    full = edge.append([tree.LONELY] + [tree.COMMON] * (growth - 1))
    assert edge.size == size + growth
    assert edge.root() == tree.root(size + growth)
    assert edge.rows[0][0] == partial_rows(tree, size + growth)[0]
    assert [tile.number for tile in full if tile.level == 0] == [*range(size >> 8, size + growth >> 8)]


@pytest.mark.parametrize(
    ("size", "widths"),
    [(1, []), (0, [1]), (255, [254]), (256, [0]), (256, [256, 1]), (257, [1]), (257, [1, 2]), (65_536, [0, 0])],
)
def test_load_refuses_rows_that_do_not_fit_the_size(size, widths):
    with pytest.raises(AssertionError):
        Edge.load(size, [[bytes(32)] * width for width in widths])


@given(st.lists(st.integers(0, 600), max_size=12))
@settings(deadline=None, max_examples=60)
def test_root_tiles_and_edge_do_not_depend_on_batches(tree, cuts):
    whole = Edge()
    expected = whole.append(tree.leaf_hashes)
    edge, full = Edge(), []
    ends = [0, *sorted(cuts), 600]
    for lo, hi in pairwise(ends):
        full += edge.append(iter(tree.leaf_hashes[lo:hi]))
        assert (edge.size, edge.root()) == (hi, tree.root(hi))
    assert full == expected
    assert edge.rows == whole.rows


@given(st.integers(0, 600), st.integers(0, 60))
@settings(deadline=None, max_examples=60)
def test_many_leaves_at_once_are_as_many_one_by_one(tree, size, more):
    """Few are pushed one by one and many a row at a time; both give the same edge, tile for tile."""
    at_once, one_by_one = Edge(), Edge()
    end = min(600, size + more)
    full = at_once.append(tree.leaf_hashes[:size]) + at_once.append(tree.leaf_hashes[size:end])
    assert full == [tile for leaf in tree.leaf_hashes[:end] for tile in one_by_one.append([leaf])]
    assert (at_once.size, at_once.rows, at_once.root()) == (end, one_by_one.rows, tree.root(end))


@pytest.mark.parametrize("cuts", [[], [1], [3, 255], [256], [100, 200, 257]])
def test_tiles_added_by_their_roots_are_as_good_as_their_leaves(large_tree, cuts):
    size = len(large_tree.leaf_hashes)
    expected, edge, full = Edge(), Edge(), []
    of_leaves = expected.append(large_tree.leaf_hashes)
    roots = [large_tree.mth(256 * n, 256 * (n + 1)) for n in range(size >> 8)]
    for lo, hi in pairwise([0, *[cut for cut in cuts if cut <= len(roots)], len(roots)]):
        full += edge.append_tiles(roots[lo:hi])
        assert edge.root() == large_tree.root(256 * hi)
    assert full == [tile for tile in of_leaves if tile.level > 0] and [tile.level for tile in full] == [1]
    assert edge.append(large_tree.leaf_hashes[size >> 8 << 8 :]) == []
    assert (edge.size, edge.rows, edge.root()) == (size, expected.rows, large_tree.root(size))


def test_tiles_cannot_be_added_within_a_tile(tree):
    edge = Edge()
    edge.append(tree.leaf_hashes[:1])
    with pytest.raises(AssertionError):
        edge.append_tiles([tree.mth(0, 256)])


# -------------------------------------------------------------------------------------------------------------- copies


@given(st.sampled_from(BORDERS), st.integers(0, 80), st.integers(0, 80))
@settings(deadline=None, max_examples=60)
def test_copy_and_original_grow_apart(tree, size, more, other):
    """What a writer appends to a working copy and gives up on must not show in the edge it began with."""
    edge = Edge()
    edge.append(tree.leaf_hashes[:size])
    before = edge.size, [[list(row) for row in tile] for tile in edge.rows], edge.root()
    copy = edge.copy()
    assert (copy.size, copy.rows, copy.root()) == before
    copy.append([merkle.leaf_hash(b"other")] * other)
    assert (edge.size, edge.rows, edge.root()) == before
    frozen = copy.size, [[list(row) for row in tile] for tile in copy.rows], copy.root()
    edge.append(tree.leaf_hashes[size : size + more])
    assert (copy.size, copy.rows, copy.root()) == frozen
    assert edge.root() == tree.root(size + more)
