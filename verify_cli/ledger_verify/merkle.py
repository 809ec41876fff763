# SPDX-License-Identifier: Apache-2.0
"""Merkle trees of RFC 6962 §2.1 and RFC 9162 §2.1, seen from the outside: proofs in, refusal or silence out.

The tree over n leaves splits at the largest power of two below n, so its shape follows from n alone:

        root of 7                       leaves 0..3 and 4..5 are perfect subtrees, leaf 6 hangs on the right edge
       /        \\
      .          .                      leaf 5:  its path meets the right edge (the path of leaf 6) after 2 levels;
     / \\        / \\                     below the meeting point ("inner") bit j of the index says which side
    .   .      .   6                    the sibling is on, above it ("border") every sibling is a left one
   0 1 2 3    4 5

A verifier that stops when the proof runs out, or that lets the prover say "left" or "right", can be talked into
anything. Here the length of a proof is computed from the indexes first and must match exactly; sides are never read.

A hash is 32 bytes; indexes and sizes are below 2^63. Whatever the arguments are, the result is `None` when the claim
holds and a `VerificationError` when it does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ledger_verify.encodings import HASH_BYTES, MAX_INDEX
from ledger_verify.errors import VerificationError

_WRONG_EVIDENCE = "Another entry, index, tree size or checkpoint than the one the proof was made for"


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def empty_root() -> bytes:
    """Root hash of a tree without leaves: SHA-256 of nothing (RFC 6962 §2.1)."""
    return hashlib.sha256(b"").digest()


def verify_inclusion(leaf_index: int, tree_size: int, leaf_hash: bytes, path: list[bytes], root_hash: bytes) -> None:
    """Check that `leaf_hash` is leaf `leaf_index` of the tree of `tree_size` leaves with `root_hash`.

    `path` has the leaf's sibling first and the root's child last (RFC 9162 §2.1.3.2).
    """
    _check_size(leaf_index, "leaf_index")
    _check_size(tree_size, "tree_size")
    _check_hash(leaf_hash, "leaf_hash")
    _check_hash(root_hash, "root_hash")
    _check_path(path)
    if leaf_index >= tree_size:
        raise VerificationError("the leaf index lies outside the tree", got=leaf_index, want=f"less than {tree_size}")
    inner = (leaf_index ^ (tree_size - 1)).bit_length()
    border = bin(leaf_index >> inner).count("1")
    if len(path) != inner + border:
        raise VerificationError("the inclusion proof has the wrong length", got=len(path), want=inner + border)
    node = leaf_hash
    for level, sibling in enumerate(path):
        right = level < inner and not leaf_index >> level & 1
        node = node_hash(node, sibling) if right else node_hash(sibling, node)
    if node != root_hash:
        raise VerificationError(
            "the inclusion proof leads to another root hash", got=node, want=root_hash, hint=_WRONG_EVIDENCE
        )


def verify_consistency(size1: int, size2: int, path: list[bytes], root1: bytes, root2: bytes) -> None:
    """Check that the first `size1` leaves of the tree (`size2`, `root2`) are those of the tree (`size1`, `root1`).

    RFC 9162 §2.1.4.2. An empty tree is consistent with everything, so a proof that starts at 0 says nothing: it is
    refused. Between equal sizes the proof is empty and the roots are equal.
    """
    _check_size(size1, "size1")
    _check_size(size2, "size2")
    _check_hash(root1, "root1")
    _check_hash(root2, "root2")
    _check_path(path)
    if size1 == 0:
        raise VerificationError("a consistency proof from an empty tree means nothing")
    if size1 > size2:
        raise VerificationError("the older tree is larger than the newer", got=size1, want=f"at most {size2}")
    if size1 == size2:
        if path:
            raise VerificationError("the consistency proof has the wrong length", got=len(path), want=0)
        if root1 != root2:
            raise VerificationError("two root hashes for one tree size", got=root2, want=root1)
        return
    # The proof starts at the largest perfect subtree that ends the older tree. If that is the whole older tree, its
    # hash is `root1` and is not sent.
    shift = (size1 & -size1).bit_length() - 1
    if size1 == 1 << shift:
        seed, rest = root1, path
    elif path:
        seed, rest = path[0], path[1:]
    else:
        raise VerificationError("the consistency proof is empty")
    last = (size1 - 1) >> shift
    inner = (last ^ (size2 - 1) >> shift).bit_length()
    border = bin(last >> inner).count("1")
    if len(rest) != inner + border:
        want = inner + border + len(path) - len(rest)
        raise VerificationError("the consistency proof has the wrong length", got=len(path), want=want)
    old = new = seed
    for level, sibling in enumerate(rest):
        if level < inner and not last >> level & 1:
            new = node_hash(new, sibling)  # right of the older tree's edge: only the newer tree has it
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    if old != root1:
        raise VerificationError("the consistency proof leads to another older root hash", got=old, want=root1)
    if new != root2:
        raise VerificationError("the consistency proof leads to another newer root hash", got=new, want=root2)


def consistency_ranges(size1: int, size2: int) -> list[tuple[int, int]]:
    """The leaf ranges whose root hashes are the consistency proof from `size1` to `size2`, 0 < size1 <= size2, in order."""
    ranges = []
    start, end = 0, size2
    while size1 != end:  # the node over [start, end) has the older tree's edge within it
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if size1 <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def cover(start: int, end: int) -> list[int]:
    """Levels of the maximal aligned perfect subtrees of leaves [start, end), left to right (spec/export.md).

    A subtree of level k has 2^k leaves and begins at a multiple of 2^k. There are fewer than 2 * 63 of them.
    """
    levels = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        levels.append(level)
        start += 1 << level
    return levels


def perfect_root(hashes: Iterable[bytes]) -> bytes:
    """Root hash over 2^k hashes."""
    row, sha256 = list(hashes), hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2])]
    return row[0]


class CompactRange:
    """The leaves [0, size) as the root hashes of their maximal aligned perfect subtrees, at most 63 hashes.

    `append` takes perfect subtrees from left to right, each at a position that is a multiple of its width; the leaves
    themselves are subtrees of level 0. As in binary addition, two neighbours of the same level become one of the next.
    """

    def __init__(self) -> None:
        self.size = 0
        self._hashes: list[bytes] = []

    def append(self, subtree_hash: bytes, level: int = 0) -> None:
        assert self.size & ((1 << level) - 1) == 0, "subtree is not aligned"
        position = self.size >> level
        while position & 1:
            subtree_hash = node_hash(self._hashes.pop(), subtree_hash)
            position >>= 1
        self._hashes.append(subtree_hash)
        self.size += 1 << level

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Append leaves, by whole subtrees where they fill some."""
        start, end = self.size, self.size + len(leaf_hashes)
        for level in cover(start, end):
            at = self.size - start
            self.append(perfect_root(leaf_hashes[at : at + (1 << level)]), level)

    def root(self) -> bytes:
        """Root hash of the tree over [0, size): the subtrees folded from the right."""
        if not self._hashes:
            return empty_root()
        root = self._hashes[-1]
        for subtree_hash in reversed(self._hashes[:-1]):
            root = node_hash(subtree_hash, root)
        return root


def _check_size(value: object, what: str) -> None:
    if type(value) is not int:
        raise VerificationError(f"{what} is not an integer", got=type(value).__name__)
    if not 0 <= value <= MAX_INDEX:
        raise VerificationError(f"{what} is not between 0 and 2^63 - 1", got=value)


def _check_hash(value: object, what: str) -> None:
    if not isinstance(value, bytes):
        raise VerificationError(f"{what} is not bytes", got=type(value).__name__)
    if len(value) != HASH_BYTES:
        raise VerificationError(f"{what} has the wrong length", got=f"{len(value)} bytes", want=f"{HASH_BYTES} bytes")


def _check_path(path: object) -> None:
    if not isinstance(path, list):
        raise VerificationError("the proof is not a list of hashes", got=type(path).__name__)
    if len(path) > 64:  # no tree below 2^63 leaves needs more; said before looking at each of a million hashes
        raise VerificationError("the proof has the wrong length", got=len(path), want="at most 64")
    for position, value in enumerate(path):
        _check_hash(value, f"hash {position} of the proof")
