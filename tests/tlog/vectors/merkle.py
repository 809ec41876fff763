# SPDX-License-Identifier: Apache-2.0
"""Cases of merkle.json. The hashes of leaves and nodes were published in transparency-dev/merkle's rfc6962 tests
(Apache-2.0).
"""

from hashlib import sha256

from tests.tlog.vectors.signing import TESSERA_LEAVES
from tests.tlog.vectors.textbook import (
    LonelyTree,
    Tree,
    b64,
    consistency_holds,
    inclusion_holds,
    leaf,
    node,
    numbered_tree,
)


def merkle_cases():
    yield from hash_cases()
    yield from root_cases()
    yield from inclusion_cases()
    yield from consistency_cases()


def hash_cases():
    for name, data in [("the empty leaf", b""), ("a short leaf", b"L123456"), ("a leaf of one zero byte", b"\0")]:
        yield {"name": f"hash of {name}", "kind": "leaf_hash", "data": b64(data), "hash": b64(leaf(data))}
    left, right = b"N123", b"N456"
    yield {
        "name": "hash of a node",
        "kind": "node_hash",
        "left": b64(left),
        "right": b64(right),
        "hash": b64(node(left, right)),
    }


def root_cases():
    tree = Tree([leaf(data) for data in TESSERA_LEAVES])
    for n in range(len(TESSERA_LEAVES) + 1):
        yield {
            "name": f"root of {n} leaves",
            "kind": "root",
            "leaves": [b64(data) for data in TESSERA_LEAVES[:n]],
            "root": b64(tree.root(n)),
        }


def inclusion_case(name, index, size, leaf_hash, path, root, why=None):
    assert inclusion_holds(index, size, leaf_hash, path, root) == (why is None), name
    return {
        "name": name,
        "kind": "inclusion",
        "ok": why is None,
        **({"why": why} if why else {}),
        "leaf_index": index,
        "tree_size": size,
        "leaf_hash": b64(leaf_hash),
        "path": [b64(value) for value in path],
        "root_hash": b64(root),
    }


def inclusion_cases():
    tree = numbered_tree(300)
    places = [(i, n) for n in (1, 2, 3, 5, 6, 7) for i in range(n)]
    places += [(0, 255), (254, 255), (0, 256), (255, 256), (0, 257), (255, 257), (256, 257)]
    for i, n in places:
        path = tree.inclusion(i, n)
        yield inclusion_case(f"leaf {i} of {n}", i, n, tree.mth(i, i + 1), path, tree.root(n))
    huge = 2**53 - 1
    for i, n in [(2**32, 2**32 + 3), (2**40 + 255, 2**41 - 7), (0, huge), (huge - 1, huge)]:
        lonely = LonelyTree(i)
        yield inclusion_case(f"leaf {i} of {n}", i, n, lonely.LONELY, lonely.inclusion(i, n), lonely.root(n))
    for i, n in [(0, 1), (1, 3), (2, 5), (4, 5), (5, 8)]:
        yield from bad_inclusion_cases(tree, i, n)
    # A verifier that goes by the bits of the index alone, or only until the path ends, would take these.
    path, root = tree.inclusion(1, 2), tree.root(2)
    yield inclusion_case("leaf 1 of 2, said to be 3 of 2", 3, 2, tree.mth(1, 2), path, root, "index beyond the tree")
    yield inclusion_case("node as leaf", 0, 4, tree.mth(0, 2), tree.inclusion(0, 4)[1:], tree.root(4), "not a leaf")


def bad_inclusion_cases(tree, i, n):
    value, path, root = tree.mth(i, i + 1), tree.inclusion(i, n), tree.root(n)
    for why, *claim in bad_inclusions(i, n, value, path, root):
        yield inclusion_case(f"leaf {i} of {n}: {why}", *claim, why)


def bad_inclusions(i, n, value, path, root):
    for other in dict.fromkeys((i - 1, i + 1, n, 2**63, 2**64 + i)):
        yield f"index {other}", other, n, value, path, root
    for other in dict.fromkeys((n - 1, n + 1, 2 * n, 0, -n, 2**63, 2**64 + n)):
        # A path says nothing of the size but its own shape: of another size with that shape the root would be at fault.
        if not inclusion_holds(i, other, value, path, root):
            yield f"size {other}", i, other, value, path, root
    yield "another leaf", i, n, leaf(b"no leaf"), path, root
    yield "another root", i, n, value, path, leaf(b"no root")
    yield "leaf of 31 bytes", i, n, value[:31], path, root
    yield "root of 33 bytes", i, n, value, path, root + b"\0"
    for why, bad in bad_paths(path):
        yield why, i, n, value, bad, root


def bad_paths(path):
    for j, value in enumerate(path):
        yield f"one bit of hash {j}", [*path[:j], bytes([value[0] ^ 1]) + value[1:], *path[j + 1 :]]
    yield "a hash too much", [*path, leaf(b"too much")]
    if path:
        yield "no path", []
        yield "first hash twice", [path[0], *path]
        yield "last hash twice", [*path, path[-1]]
        yield "hash of 31 bytes", [path[0][:31], *path[1:]]
        yield "hash of 33 bytes", [*path[:-1], path[-1] + b"\0"]
        yield "hash of no bytes", [b"", *path[1:]]
        yield "empty hash too much", [*path, b""]
    if len(path) > 1:
        yield "first hash missing", path[1:]
        yield "last hash missing", path[:-1]
        yield "first two swapped", [path[1], path[0], *path[2:]]
        yield "two hashes run together", [path[0] + path[1], *path[2:]]
    if len(path) > 2:
        yield "path reversed", path[::-1]


def consistency_case(name, size1, size2, path, root1, root2, why=None):
    assert consistency_holds(size1, size2, path, root1, root2) == (why is None), name
    return {
        "name": name,
        "kind": "consistency",
        "ok": why is None,
        **({"why": why} if why else {}),
        "size1": size1,
        "size2": size2,
        "path": [b64(value) for value in path],
        "root1": b64(root1),
        "root2": b64(root2),
    }


def consistency_cases():
    tree = numbered_tree(300)
    places = [(m, n) for n in (1, 2, 3, 4, 6, 7, 8) for m in range(1, n + 1)]
    places += [(1, 257), (255, 256), (255, 257), (256, 257), (256, 300), (257, 300)]
    for m, n in places:
        yield consistency_case(f"{m} to {n}", m, n, tree.consistency(m, n), tree.root(m), tree.root(n))
    for m, n in [(2**32, 2**32 + 3), (2**32 + 1, 2**32 + 3), (2**41 - 9, 2**53 - 1)]:
        lonely = LonelyTree(m - 1)
        yield consistency_case(f"{m} to {n}", m, n, lonely.consistency(m, n), lonely.root(m), lonely.root(n))
    for m, n in [(1, 1), (2, 3), (3, 7), (4, 7), (6, 8)]:
        root1, path, root2 = tree.root(m), tree.consistency(m, n), tree.root(n)
        for why, *claim in bad_consistencies(m, n, path, root1, root2):
            yield consistency_case(f"{m} to {n}: {why}", *claim, why)
    empty = sha256(b"").digest()
    yield consistency_case("0 to 0", 0, 0, [], empty, empty, "a proof from an empty tree means nothing")
    yield consistency_case("0 to 3", 0, 3, [], empty, tree.root(3), "a proof from an empty tree means nothing")


def bad_consistencies(m, n, path, root1, root2):
    for other in dict.fromkeys((0, m - 1, m + 1, n + 1, -m, 2**63, 2**64 + m)):
        if not consistency_holds(other, n, path, root1, root2):
            yield f"old size {other}", other, n, path, root1, root2
    for other in dict.fromkeys((0, n - 1, n + 1, m - 1, -n, 2**63, 2**64 + n)):
        if not consistency_holds(m, other, path, root1, root2):
            yield f"new size {other}", m, other, path, root1, root2
    yield "another old root", m, n, path, leaf(b"no root"), root2
    yield "another new root", m, n, path, root1, leaf(b"no root")
    yield "old root of 31 bytes", m, n, path, root1[:31], root2
    yield "new root of 33 bytes", m, n, path, root1, root2 + b"\0"
    if m != n:
        yield "roots swapped", m, n, path, root2, root1
        yield "sizes swapped", n, m, path, root1, root2
    for why, bad in bad_paths(path):
        yield why, m, n, bad, root1, root2
