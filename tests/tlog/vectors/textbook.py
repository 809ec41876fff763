# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962 §2.1, word by word: slow, plain, and sharing nothing with the ledger.

Proofs are made by the recursion of the RFC and verified by reading them back along the same recursion.
"""

import base64
from hashlib import sha256


def b64(data):
    return base64.b64encode(data).decode()


def leaf(data):
    return sha256(b"\x00" + data).digest()


def node(left, right):
    return sha256(b"\x01" + left + right).digest()


def split(n):
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


class Tree:
    """All trees over the first n of some leaves. Hashes of ranges are kept, since proofs ask for the same ones."""

    def __init__(self, leaf_hashes):
        self.leaf_hashes = leaf_hashes
        self.known = {}

    def mth(self, lo, hi):
        if lo == hi:
            return sha256(b"").digest()
        if hi - lo == 1:
            return self.leaf_hashes[lo]
        if (lo, hi) not in self.known:
            k = split(hi - lo)
            self.known[lo, hi] = node(self.mth(lo, lo + k), self.mth(lo + k, hi))
        return self.known[lo, hi]

    def root(self, n):
        return self.mth(0, n)

    def inclusion(self, m, n):
        return self._path(m, 0, n)

    def _path(self, m, lo, hi):
        """PATH(m, D[lo:hi]) of RFC 6962 §2.1.1; m counts from lo."""
        if hi - lo == 1:
            return []
        k = split(hi - lo)
        if m < k:
            return [*self._path(m, lo, lo + k), self.mth(lo + k, hi)]
        return [*self._path(m - k, lo + k, hi), self.mth(lo, lo + k)]

    def consistency(self, m, n):
        return self._subproof(m, 0, n, True) if m > 0 else []

    def _subproof(self, m, lo, hi, complete):
        """SUBPROOF(m, D[lo:hi], complete) of RFC 6962 §2.1.2; m counts from lo."""
        if m == hi - lo:
            return [] if complete else [self.mth(lo, hi)]
        k = split(hi - lo)
        if m <= k:
            return [*self._subproof(m, lo, lo + k, complete), self.mth(lo + k, hi)]
        return [*self._subproof(m - k, lo + k, hi, False), self.mth(lo, lo + k)]


class LonelyTree(Tree):
    """A tree of any size, up to astronomical ones: every leaf is the same but one."""

    COMMON = leaf(b"common")
    LONELY = leaf(b"lonely")

    def __init__(self, lonely):
        super().__init__(None)
        self.lonely = lonely

    def mth(self, lo, hi):
        if not lo <= self.lonely < hi:
            return self._common(hi - lo)
        if hi - lo == 1:
            return self.LONELY
        k = split(hi - lo)
        return node(self.mth(lo, lo + k), self.mth(lo + k, hi))

    def _common(self, n):
        """Hash of a range of n leaves that are all the same."""
        if n == 1:
            return self.COMMON
        if n not in self.known:
            k = split(n)
            self.known[n] = node(self._common(k), self._common(n - k))
        return self.known[n]


def inclusion_holds(index, size, leaf_hash, path, root):
    """Whether the path, read back along the recursion that made it, leads to the root."""
    rest = list(path)

    def climb(m, n):
        if n == 1:
            return leaf_hash
        k, last = split(n), rest.pop()
        return node(climb(m, k), last) if m < k else node(last, climb(m - k, n - k))

    try:
        return 0 <= index < size < 2**63 and climb(index, size) == root and not rest
    except IndexError:
        return False


def consistency_holds(size1, size2, path, root1, root2):
    """Whether the path, read back along the recursion that made it, leads to both roots."""
    rest = list(path)

    def climb(m, n, complete):
        if m == n:
            both = root1 if complete else rest.pop()
            return both, both
        k, last = split(n), rest.pop()
        if m <= k:
            old, new = climb(m, k, complete)
            return old, node(new, last)
        old, new = climb(m - k, n - k, False)
        return node(last, old), node(last, new)

    try:
        return 0 < size1 <= size2 < 2**63 and climb(size1, size2, True) == (root1, root2) and not rest
    except IndexError:
        return False


def numbered_tree(n):
    """Leaf i is `leaf <i>`."""
    return Tree([leaf(b"leaf %d" % i) for i in range(n)])
