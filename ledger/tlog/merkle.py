# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962 §2.1 and RFC 9162 §2.1, over SHA-256.

The root of leaves D[0:n] splits at k, the largest power of two below n:

    MTH([])     = SHA-256("")
    MTH([d])    = SHA-256(0x00 || d)
    MTH(D[0:n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))

Proofs are made in three steps that keep mathematics and reading apart. First the *ranges* of leaves whose hashes make
the proof (`inclusion_ranges`, `consistency_ranges`): pure geometry. Then each range is cut into *perfect subtrees*
(`subtrees`), which are what a log stores; the caller reads those in one go. Last `fold` turns the subtree hashes of a
range into its hash.

A perfect subtree is named by (level, index): it covers leaves [index·2^level, (index+1)·2^level).
"""

from collections.abc import Sequence
from hashlib import sha256

from ledger.tlog.errors import ProofError
from ledger.tlog.text import MAX_INTEGER

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root_hash(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root of a tree that fits in memory, from its leaf hashes; O(n) hashes, bottom up.

    An odd hash at the end of a row moves up unchanged, which is the RFC's split seen from below.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    row = list(leaf_hashes)
    while len(row) > 1:
        pairs = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = pairs + row[len(pairs) * 2 :]
    return row[0]


def _split(n: int) -> int:
    """Largest power of two below n, for n > 1."""
    return 1 << ((n - 1).bit_length() - 1)


def siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Subtrees (level, index) whose hashes prove leaf `index` in a tree of `size`, leaf side first (RFC 9162
    §2.1.3.1).

    Subtree (level, i) covers leaves [i·2^level, (i+1)·2^level), as far as there are any: the last one of a level may be
    cut short. A subtree without a neighbour on its right moves up a level unchanged and adds nothing to the proof.
    """
    assert 0 <= index < size
    found, level, last = [], 0, size - 1
    while last:
        sibling = index ^ 1
        if sibling <= last:
            found.append((level, sibling))
        index >>= 1
        last >>= 1
        level += 1
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The same as ranges [lo, hi) of leaves."""
    return [(i << level, min(i + 1 << level, size)) for level, i in siblings(index, size)]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Ranges [lo, hi) whose hashes prove that a tree of `old` leaves is a prefix of one of `new` (RFC 9162
    §2.1.4.1).
    """
    assert 0 <= old <= new
    if old in (0, new):
        return []
    lo, hi, ranges = 0, new, []
    while old != hi:
        middle = lo + _split(hi - lo)
        if old <= middle:
            ranges.append((middle, hi))
            hi = middle
        else:
            ranges.append((lo, middle))
            lo = middle
    # Where the old tree is itself a perfect subtree the verifier knows its root already, so it is not sent.
    if lo:
        ranges.append((lo, hi))
    return ranges[::-1]


def subtrees(lo: int, hi: int) -> list[tuple[int, int]]:
    """Maximal aligned perfect subtrees (level, index) that cover leaves [lo, hi), left to right; at most 2·log2 n."""
    assert 0 <= lo <= hi
    found = []
    while lo < hi:
        level = (hi - lo).bit_length() - 1
        if lo:
            level = min(level, (lo & -lo).bit_length() - 1)
        found.append((level, lo >> level))
        lo += 1 << level
    return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash of a range from the hashes of its subtrees, left to right, where those only get smaller.

    That holds for every range that `inclusion_ranges` and `consistency_ranges` name, and for a whole tree.
    """
    if not hashes:
        return EMPTY_ROOT
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Check that leaf hash `leaf` is leaf `index` of the tree of `size` leaves with this `root` (RFC 9162 §2.1.3.2).

    Raises ProofError. The length of `path` must be exact: neither a short nor a padded proof is taken.
    """
    if not 0 <= index < size <= MAX_INTEGER:
        raise ProofError(f"inclusion proof: index {index} does not lie in a tree of size {size}")
    _require_hashes(leaf, root, *path)
    # Below `inner` the paths of this leaf and of the last leaf differ; above it this leaf hangs on the right edge,
    # where every sibling is on the left.
    inner = (index ^ (size - 1)).bit_length()
    expected = inner + (index >> inner).bit_count()
    if len(path) != expected:
        raise ProofError(f"inclusion proof has wrong length: got {len(path)}, want {expected}")
    computed = leaf
    for level, sibling in enumerate(path):
        if level < inner and not index >> level & 1:
            computed = node_hash(computed, sibling)
        else:
            computed = node_hash(sibling, computed)
    if computed != root:
        raise ProofError(f"inclusion proof leads to another root: got {computed.hex()}, want {root.hex()}")


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree (`old`, `old_root`) is a prefix of the tree (`new`, `new_root`) (RFC 9162 §2.1.4.2).

    Raises ProofError. An empty old tree is refused: everything extends it, so a proof of that means nothing.
    """
    if not 0 < old <= new <= MAX_INTEGER:
        raise ProofError(f"consistency proof: sizes {old} and {new} are not 0 < old <= new")
    _require_hashes(old_root, new_root, *path)
    if old == new:
        if path or old_root != new_root:
            raise ProofError(f"two trees of size {new} must have the same root and an empty proof")
        return
    if not path:
        raise ProofError("consistency proof is empty")
    shift = (old & -old).bit_length() - 1
    inner = ((old - 1) ^ (new - 1)).bit_length() - shift
    border = ((old - 1) >> (inner + shift)).bit_count()
    # A perfect old tree is its own first hash.
    rest = list(path) if old == 1 << shift else list(path[1:])
    seed = old_root if old == 1 << shift else path[0]
    if len(rest) != inner + border:
        raise ProofError(f"consistency proof has wrong length: got {len(rest)}, want {inner + border}")
    side = (old - 1) >> shift
    first = second = seed
    for level, sibling in enumerate(rest):
        if level >= inner or side >> level & 1:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
        else:
            second = node_hash(second, sibling)
    if first != old_root:
        raise ProofError(f"consistency proof leads to another old root: got {first.hex()}, want {old_root.hex()}")
    if second != new_root:
        raise ProofError(f"consistency proof leads to another new root: got {second.hex()}, want {new_root.hex()}")


def _require_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE:
            raise ProofError(f"a hash has {len(value)} bytes, want {HASH_SIZE}")
