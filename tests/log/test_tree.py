# SPDX-License-Identifier: Apache-2.0
"""The law of batches: the same leaves in any batches give the same root, tiles and proofs, those of the textbook."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.errors import DamagedError
from ledger.log.events.logs import LedgerVerified
from ledger.log.tree import CACHED_TILES, TileCache, Tree
from ledger.log.working_copy import Draft
from ledger.tlog.edge import FullTile
from tests.log.world import TENANT, World
from tests.tlog.vectors import textbook

# Where a tile fills up, and one to each side.
EDGES = [1, 2, 3, 255, 256, 257, 511, 512, 513]


def entries(count: int) -> list[Draft]:
    return [Draft(LedgerVerified(size=i, root="", actor="operator")) for i in range(count)]


def tree_of(world: World) -> textbook.Tree:
    return textbook.Tree([textbook.leaf(leaf) for leaf in world.leaves()])


def stored_tile(tree: textbook.Tree, level: int, number: int) -> bytes:
    """The 511 hashes of a full tile, row by row from the leaves up."""
    parts = []
    for row in range(9):
        span = 1 << (8 * level + row)
        first = (number << 8) >> row
        parts += [tree.mth(span * i, span * (i + 1)) for i in range(first, first + (256 >> row))]
    return b"".join(parts)


@st.composite
def partitions(draw: st.DrawFn) -> list[int]:
    """Sizes of batches that lead over one or two full tiles."""
    total = draw(st.sampled_from([250, 254, 260, 509, 510, 515]) | st.integers(1, 560))
    batches = []
    while total:
        batches.append(draw(st.integers(1, total) | st.integers(1, min(total, 60))))
        total -= batches[-1]
    return batches


@settings(max_examples=25)
@given(partitions(), st.data())
def test_any_batches_give_the_textbooks_root_tiles_and_proofs(
    open_world: Callable[..., World], batches: list[int], data: st.DataObject
) -> None:
    with open_world() as world:
        roots = {}
        for count in batches:
            committed = world.append(*entries(count)).committed
            roots[committed.head.size] = committed.head.root
        tree, size = tree_of(world), world.size
        assert roots == {n: tree.root(n) for n in roots}
        for number in range(size // 256):
            stored = stored_tile(tree, 0, number)
            assert world.ledger.store.tile(TENANT, 0, number) == stored
        assert world.ledger.store.tile(TENANT, 0, size // 256) is None
        assert world.ledger.store.tile(TENANT, 1, 0) is None
        assert world.ledger.store.tile_roots(TENANT, 0, 0, size // 256) == [
            tree.mth(256 * n, 256 * (n + 1)) for n in range(size // 256)
        ]
        edge = world.log.committed.edge
        for n in {size, *data.draw(st.lists(st.integers(1, size), max_size=6)), *(e for e in EDGES if e <= size)}:
            assert world.log.tree.root(edge, n) == tree.root(n)
            for index in {0, n - 1, n // 2, data.draw(st.integers(0, n - 1))}:
                assert world.log.tree.inclusion_path(edge, index, n) == tree.inclusion(index, n)
                assert world.log.tree.consistency_path(edge, index, n) == tree.consistency(index, n)


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    """A log of 600 entries, opened anew, so that nothing of it is remembered."""
    world = open_world()
    world.append(*entries(600 - world.size))
    with world.reopened() as reopened:
        yield reopened


@pytest.fixture(scope="module")
def tree(grown: World) -> textbook.Tree:
    return tree_of(grown)


def test_every_leaf_of_a_reopened_log_has_the_textbooks_proof(grown: World, tree: textbook.Tree) -> None:
    edge = grown.log.committed.edge
    for index in range(grown.size):
        assert grown.log.tree.inclusion_path(edge, index, grown.size) == tree.inclusion(index, grown.size)
        assert grown.log.tree.consistency_path(edge, index, grown.size) == tree.consistency(index, grown.size)


def test_every_size_of_a_reopened_log_has_the_textbooks_root(grown: World, tree: textbook.Tree) -> None:
    edge = grown.log.committed.edge
    assert [grown.log.tree.root(edge, n) for n in range(grown.size + 1)] == [
        tree.root(n) for n in range(grown.size + 1)
    ]


@settings(max_examples=100)
@given(st.integers(0, 600), st.integers(0, 600))
def test_subtree_hashes_of_any_range_are_the_textbooks(grown: World, tree: textbook.Tree, a: int, b: int) -> None:
    lo, hi = sorted((a, b))
    hashes = grown.log.tree.subtree_hashes(grown.log.committed.edge, lo, hi)
    covered = []
    while lo < hi:
        span = 1
        while lo % (2 * span) == 0 and lo + 2 * span <= hi:
            span *= 2
        covered.append(tree.mth(lo, lo + span))
        lo += span
    assert hashes == covered


@pytest.mark.parametrize("size", [0, *EDGES, 600])
def test_loaded_edge_is_that_of_the_textbook(grown: World, tree: textbook.Tree, size: int) -> None:
    if size > 512 and size < 600:
        size = 600
    fresh = Tree(grown.ledger.store, TENANT, TileCache())
    # A tree of an earlier size is loaded from the same leaves: its own partial tile, and the full ones before it.
    edge = fresh.load_edge(size)
    assert (edge.size, edge.root()) == (size, tree.root(size))


@pytest.mark.parametrize("width", [1, 88])
def test_partial_tiles_come_from_the_edge(grown: World, tree: textbook.Tree, width: int) -> None:
    hashes = grown.log.tree.tile(grown.log.committed.edge, 0, 2, width)
    assert hashes == b"".join(tree.leaf_hashes[512 : 512 + width])
    assert grown.log.tree.tile(grown.log.committed.edge, 0, 1, 256) == b"".join(tree.leaf_hashes[256:512])
    assert grown.log.tree.tile(grown.log.committed.edge, 1, 0, 2) == tree.mth(0, 256) + tree.mth(256, 512)


def test_missing_tile_is_damage(grown: World) -> None:
    with pytest.raises(DamagedError, match="tile 0/7 of log 1 is missing"):
        grown.log.tree.stored_tile(0, 7)


def test_cache_keeps_the_newest_tiles_and_no_more() -> None:
    cache = TileCache()
    for number in range(CACHED_TILES + 3):
        cache.put((1, 0, number), b"%d" % number)
    assert [cache.get((1, 0, number)) for number in (0, 2, 3, CACHED_TILES + 2)] == [
        None,
        None,
        b"3",
        b"%d" % (CACHED_TILES + 2),
    ]


def test_cache_tells_logs_apart(grown: World) -> None:
    cache = TileCache()
    trees = [Tree(grown.ledger.store, number, cache) for number in (1, 2)]
    trees[0].remember([FullTile(0, 9, b"one")])
    trees[1].remember([FullTile(0, 9, b"two")])
    assert [tree.stored_tile(0, 9) for tree in trees] == [b"one", b"two"]
