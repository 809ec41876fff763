# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of Merkle trees, notes, checkpoints, tiles and tlog-proofs: `python tests/tlog/make_vectors.py`.

Nothing here imports the ledger. Trees follow the recursion of RFC 6962 §2.1 word by word, signatures come from
`cryptography` with keys of fixed seeds, so running this twice gives the same bytes.

Published values, and where they were published:

    Tessera's test log      transparency-dev/tessera testdata/: leaves, roots, checkpoint, key (Apache-2.0)
    example.com/foo         the example of c2sp.org/signed-note (CC BY 4.0)
    go.sum database tree    the example of c2sp.org/tlog-checkpoint, under the names that its signature was made for
    PeterNeumann            the key of golang.org/x/mod/sumdb/note's tests (BSD-3-Clause)
    leaf and node hashes    transparency-dev/merkle rfc6962 tests (Apache-2.0)
"""

import base64
import json
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"

TESSERA_LEAVES = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_CHECKPOINT = """\
example.com/log/testdata
5
gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=

— example.com/log/testdata M9e0lmn5eDHyHP10zJObZdFAX2y1V8fdDKBi4IiHbDYf1TCUBwxZOhqwv2QZCqrdda2zTRTrmnwjwscN5RBTEmZUYAs=
"""
TESSERA_PROOF = f"""\
c2sp.org/tlog-proof@v1
index 2
9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=
T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=
zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=

{TESSERA_CHECKPOINT}"""
SUMDB_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_TEXT = "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SUMDB_NOTE = f"""\
{SUMDB_TEXT}
— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = """\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


# ---------------------------------------------------------------------------------------------- trees, by the textbook


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


# ------------------------------------------------------------------------------------------------------ notes, by hand


class Key:
    """An Ed25519 key with a name; `seed` is 32 bytes, or else made from the name."""

    def __init__(self, name, seed=None):
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(seed or sha256(f"vectors: {name}".encode()).digest())
        self.public = self.private.public_key().public_bytes_raw()
        self.key_id = key_id(name, b"\x01" + self.public)
        self.vkey = vkey(name, b"\x01" + self.public)

    def signature(self, text):
        return self.private.sign(text.encode())

    def line(self, text):
        return signature_line(self.name, self.key_id + self.signature(text))

    def note(self, text):
        return f"{text}\n{self.line(text)}"


def key_id(name, key):
    return sha256(name.encode() + b"\n" + key).digest()[:4]


def vkey(name, key):
    return f"{name}+{key_id(name, key).hex()}+{b64(key)}"


def signature_line(name, blob):
    return f"— {name} {b64(blob)}\n"


LOG = Key("example.com/log")
NEXT = Key("example.com/log", sha256(b"vectors: the next key of example.com/log").digest())
OTHER = Key("example.org/other")
WITNESS = Key("witness.example/w1")
# Two keys with one name and one key id, found by trying seeds until two of them met.
TWIN_NAME = "example.com/twins"
TWINS = Key(TWIN_NAME, (43733).to_bytes(32, "big")), Key(TWIN_NAME, (62278).to_bytes(32, "big"))
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519


# --------------------------------------------------------------------------------------------------------- merkle.json


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


def numbered_tree(n):
    """Leaf i is `leaf <i>`."""
    return Tree([leaf(b"leaf %d" % i) for i in range(n)])


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


# ---------------------------------------------------------------------------------------------------------- notes.json


def note_cases():
    yield from good_note_cases()
    yield from malformed_note_cases()
    yield from unsigned_note_cases()
    yield from vkey_cases()


def note_case(name, note, keys, text=None, error=None, why=None):
    vkeys = [key if isinstance(key, str) else key.vkey for key in keys]
    result = {"ok": True, "text": text} if error is None else {"ok": False, "error": error, "why": why}
    return {"name": name, "kind": "note", **result, "note": note, "vkeys": vkeys}


def good_note_cases():
    def case(name, text, signatures, keys):
        return note_case(name, f"{text}\n{signatures}", keys, text)

    yield note_case("published: example.com/foo", C2SP_NOTE, [C2SP_VKEY], "This is an example message.\n")
    yield note_case("published: a head of sumdb", SUMDB_NOTE, [SUMDB_VKEY], SUMDB_TEXT)
    text = "a text\n"
    good = LOG.line(text)
    yield case("one signature", text, good, [LOG])
    for name, special in [
        ("empty lines in the text", "one\n\ntwo\n\n\nthree\n"),
        ("an empty line ends the text", "one\n\n"),
        ("a signature line in the text", "one\n\n— example.com/log AAAAAAAA\n\ntwo\n"),
        ("text beyond ASCII", "naïve 日本語 𝄞 \u00a0 \u2028 \u0085\n"),
        ("the control character 0x7f, which is allowed", "delete\x7f\n"),
    ]:
        yield case(name, special, LOG.line(special), [LOG])
    named = Key("bücher.example/ログ")
    yield case("a key name beyond ASCII", text, named.line(text), [named])
    yield case("unknown name before the known one", text, OTHER.line(text) + good, [LOG])
    yield case("unknown name after the known one", text, good + OTHER.line(text), [LOG])
    yield case("same name, unknown key id", text, NEXT.line(text) + good, [LOG])
    yield case("unknown kind of signature, of another length", text, good + signature_line(LOG.name, bytes(76)), [LOG])
    yield case("unknown signature of one byte", text, good + signature_line(OTHER.name, bytes(5)), [LOG])
    yield case("unknown signature that is wrong", text, good + OTHER.line("another\n"), [LOG])
    yield case("two known signatures", text, good + OTHER.line(text), [LOG, OTHER])
    yield case("one of two known keys signed", text, OTHER.line(text), [LOG, OTHER])
    yield case("two keys of one name, the second signed", text, NEXT.line(text), [LOG, NEXT])
    yield case("the same line twice", text, good + good, [LOG])
    wrong = LOG.line("another\n")
    yield case("a repeated name and key id is not looked at again", text, good + wrong, [LOG])
    strangers = "".join(Key(f"stranger.example/{i}").line(text) for i in range(99))
    yield case("a hundred signatures", text, strangers + good, [LOG])
    yield case("a key whose twin is not trusted", text, TWINS[0].line(text), [TWINS[0]])


def malformed_note_cases():
    text = "a text\n"
    good = LOG.line(text)

    def case(name, note, why):
        return note_case(name, note, [LOG], error="malformed", why=why)

    def line_case(name, line, why):
        return case(name, f"{text}\n{good}{line}", why)

    yield case("nothing", "", "a note has a text and signatures")
    yield case("text alone", text, "no signatures")
    yield case("text and an empty line", f"{text}\n", "no signatures")
    yield case("signature alone", good, "no text")
    yield case("no empty line", text + good, "nothing parts text and signatures")
    yield case("no final newline", f"{text}\n{good}"[:-1], "each line ends with a newline")
    yield case("a letter for the final newline", f"{text}\n{good[:-1]}x", "each line ends with a newline")
    yield case("an empty line at the end", f"{text}\n{good}\n", "no signature behind the last empty line")
    yield case("an empty line between signatures", f"{text}\n{good}\nmore\n", "what follows is no signature")
    for character in "\0\t\r\x1b\x1f":
        special = f"a{character}text\n"
        yield case(f"{character!a} in the text", LOG.note(special), "control characters are not allowed")
    yield case("CR LF at each line", f"{text}\n{good}".replace("\n", "\r\n"), "control characters are not allowed")
    yield case("CR LF behind the signature", f"{text}\n{good[:-1]}\r\n", "control characters are not allowed")
    yield line_case("unexpected line behind the signatures", "Unexpected line.\n", "not a signature line")
    blob = b64(bytes(68))
    yield line_case("name with a space", f"— example.com/the log {blob}\n", "names have no space")
    yield line_case("name with a no-break space", f"— example.com\u00a0log {blob}\n", "names have no Unicode space")
    yield line_case("name with an em space", f"— example.com\u2003log {blob}\n", "names have no Unicode space")
    yield line_case("name with a plus", f"— example.com+log {blob}\n", "names have no plus")
    yield line_case("no name", f"— {blob}\n", "the name is missing")
    yield line_case("empty name", f"—  {blob}\n", "the name is empty")
    yield line_case("no signature", f"— {OTHER.name}\n", "the signature is missing")
    yield line_case("hyphen for the dash", f"- {OTHER.name} {blob}\n", "the line begins with U+2014")
    yield line_case("en dash for the dash", f"– {OTHER.name} {blob}\n", "the line begins with U+2014")
    yield line_case("no space behind the dash", f"—{OTHER.name} {blob}\n", "the line begins with U+2014 and a space")
    yield line_case("space before the dash", f" — {OTHER.name} {blob}\n", "the line begins with U+2014")
    yield line_case("two spaces", f"— {OTHER.name}  {blob}\n", "one space parts name and signature")
    yield line_case("space at the end", f"— {OTHER.name} {blob} \n", "nothing follows the signature")
    yield line_case("signature of a key id alone", signature_line(OTHER.name, bytes(4)), "at least five bytes")
    yield line_case("signature of three bytes", signature_line(OTHER.name, bytes(3)), "at least five bytes")
    yield line_case("base64 without padding", f"— {OTHER.name} {b64(bytes(5))[:-1]}\n", "padding is required")
    yield line_case("base64 with too much padding", f"— {OTHER.name} {b64(bytes(6))}====\n", "not base64")
    yield line_case("base64 with bits to spare", f"— {OTHER.name} AAAAAAB=\n", "re-encodes to something else")
    yield line_case("base64url", f"— {OTHER.name} AAAA-_AA\n", "not the standard alphabet")
    yield line_case("padding inside of base64", f"— {OTHER.name} AAAAAA==AAAA\n", "not base64")
    yield line_case("hexadecimal", f"— {OTHER.name} 0x{bytes(68).hex()}\n", "not base64")
    yield case("a hundred and one signatures", f"{text}\n{good * 101}", "at most a hundred signatures")


def unsigned_note_cases():
    text = "a text\n"
    good, wrong = LOG.line(text), LOG.line("another\n")
    raw = LOG.signature(text)

    def case(name, signatures, keys, why, body=text):
        return note_case(name, f"{body}\n{signatures}", keys, error="signature", why=why)

    def blob(signature):
        return signature_line(LOG.name, LOG.key_id + signature)

    yield case("no key trusted", good, [], "no signature by a trusted key")
    yield case("another key trusted", good, [OTHER], "no signature by a trusted key")
    yield case("another key of the same name trusted", good, [NEXT], "no signature by a trusted key")
    renamed = vkey("example.com/log2", b"\x01" + LOG.public)
    yield case("the same key under another name trusted", good, [renamed], "a key id covers the name")
    yield case("a letter of the text changed", good, [LOG], "wrong signature", "A text\n")
    yield case("a newline added to the text", good, [LOG], "wrong signature", "a text\n\n")
    yield case("signature of another text", wrong, [LOG], "wrong signature")
    yield case("wrong signature before a right one by the same key", wrong + good, [LOG], "wrong signature")
    both = [LOG, OTHER]
    yield case("wrong signature before another's right one", wrong + OTHER.line(text), both, "wrong signature")
    yield case("wrong signature behind another's right one", OTHER.line(text) + wrong, both, "wrong signature")
    forged = signature_line(LOG.name, LOG.key_id + OTHER.signature(text))
    yield case("another key's signature under this key's id", forged, [LOG], "wrong signature")
    yield case("signature without its last byte", blob(raw[:-1]), [LOG], "an Ed25519 signature has 64 bytes")
    yield case("signature with a byte more", blob(raw + b"\0"), [LOG], "an Ed25519 signature has 64 bytes")
    yield case("signature of zeros", blob(bytes(64)), [LOG], "wrong signature")
    for i in (0, 31, 32, 63):
        flipped = raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]
        yield case(f"one bit of signature byte {i}", blob(flipped), [LOG], "wrong signature")
    shifted = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    yield case("the scalar plus the order of the group", blob(shifted), [LOG], "the scalar must be below the order")
    for twin in TWINS:
        name = f"ambiguous keys, signed by {b64(twin.public)[:6]}"
        yield case(name, twin.line(text), TWINS, "two keys share name and id")
    yield case("signed by the twin of the trusted key", TWINS[1].line(text), TWINS[:1], "wrong signature")


def vkey_cases():
    name = "example.com/log"
    public = Key("example.com/log").public

    def case(label, value, why=None):
        reason = {"why": why} if why else {}
        return {"name": f"vkey: {label}", "kind": "vkey", "ok": why is None, **reason, "vkey": value}

    for published in (C2SP_VKEY, SUMDB_VKEY, TESSERA_VKEY, PETER_VKEY):
        yield case(f"published: {published.split('+')[0]}", published)
    yield case("a name beyond ASCII", Key("bücher.example/ログ").vkey)
    plus = next(key for i in range(100) if "+" in (key := Key(name, bytes([i] * 32)).vkey).split("+", 2)[2])
    yield case("a plus in the base64", plus)
    good = LOG.vkey
    key_hex, key64 = good.split("+", 2)[1:]
    other_hex = f"{int(key_hex, 16) ^ 1:08x}"
    yield case("wrong key id", f"{name}+{other_hex}+{key64}", "the key id is a hash over name and key")
    yield case("key id of another name", f"{name}2+{key_hex}+{key64}", "the key id is a hash over name and key")
    yield case("key id without a newline in the hash", f"{name}+{bare_id(name, public)}+{key64}", "wrong key id")
    yield case("key id in upper case", f"{name}+{key_hex.upper()}+{key64}", "lower case hexadecimal")
    yield case("key id without its first digit", f"{name}+{key_hex[1:]}+{key64}", "eight digits")
    yield case("key id with a zero before it", f"{name}+0{key_hex}+{key64}", "eight digits")
    yield case("key of 31 bytes", vkey(name, b"\x01" + public[:31]), "an Ed25519 key has 32 bytes")
    yield case("key of 33 bytes", vkey(name, b"\x01" + public + b"\0"), "an Ed25519 key has 32 bytes")
    yield case("no key", vkey(name, b"\x01"), "an Ed25519 key has 32 bytes")
    for algorithm in (0x00, 0x02, 0x04, 0x06, 0xFF):
        yield case(f"algorithm 0x{algorithm:02x}", vkey(name, bytes([algorithm]) + public), "not Ed25519")
    yield case("no algorithm", vkey(name, public), "the key begins with its algorithm")
    yield case("base64url", "+".join([*plus.split("+")[:2], plus.split("+", 2)[2].replace("+", "-")]), "not base64")
    yield case("empty name", vkey("", b"\x01" + public), "the name is empty")
    yield case("name with a space", vkey("the log", b"\x01" + public), "names have no space")
    yield case("name with a no-break space", vkey("the\u00a0log", b"\x01" + public), "names have no Unicode space")
    yield case("name with a tab", vkey("the\tlog", b"\x01" + public), "names have no space")
    yield case("name with a plus", vkey("the+log", b"\x01" + public), "names have no plus")
    yield case("newline at the end", good + "\n", "nothing follows the key")
    yield case("space before", " " + good, "names have no space")
    yield case("two parts", f"{name}+{key64}", "a vkey has three parts")
    yield case("nothing", "", "a vkey has three parts")


def bare_id(name, public):
    return sha256(name.encode() + b"\x01" + public).digest()[:4].hex()


# ---------------------------------------------------------------------------------------------------- checkpoints.json


def checkpoint_text(origin, size, root):
    return f"{origin}\n{size}\n{b64(root)}\n"


def checkpoint_cases():
    yield from good_checkpoint_cases()
    yield from bad_checkpoint_cases()


def good_checkpoint_cases():
    empty, some = sha256(b"").digest(), leaf(b"some root")

    def case(name, note, keys, origin, size, root):
        vkeys = [key if isinstance(key, str) else key.vkey for key in keys]
        return {
            "name": name,
            "ok": True,
            "note": note,
            "vkeys": vkeys,
            "origin": origin,
            "size": size,
            "root": b64(root),
        }

    five = Tree([leaf(data) for data in TESSERA_LEAVES]).root(5)
    yield case("published: Tessera's test log", TESSERA_CHECKPOINT, [TESSERA_VKEY], "example.com/log/testdata", 5, five)
    for name, size, root in [
        ("empty tree", 0, empty),
        ("one leaf", 1, some),
        ("the largest size of these vectors", 2**53 - 1, some),
        ("the root of nothing under a size that is not 0", 3, empty),
    ]:
        yield case(name, LOG.note(checkpoint_text(LOG.name, size, root)), [LOG], LOG.name, size, root)
    text = checkpoint_text(LOG.name, 7, some)
    signed = LOG.note(text)
    yield case("signed by the next key", NEXT.note(text), [LOG, NEXT], LOG.name, 7, some)
    yield case("cosigned by a stranger", signed + WITNESS.line(text), [LOG], LOG.name, 7, some)
    yield case("cosigned by a trusted key", signed + WITNESS.line(text), [WITNESS, LOG], LOG.name, 7, some)
    yield case("keys of two logs trusted", signed, [OTHER, LOG], LOG.name, 7, some)
    for name in ("localhost", "a" * 255, "é" * 127, "bücher.example/ログ"):
        key = Key(name)
        label = f"origin of {len(name.encode())} bytes"
        yield case(label, key.note(checkpoint_text(name, 7, some)), [key], name, 7, some)


def bad_checkpoint_cases():
    some = leaf(b"some root")
    root, origin = b64(some), LOG.name

    def case(name, note, keys, error, why):
        vkeys = [key if isinstance(key, str) else key.vkey for key in keys]
        return {"name": name, "ok": False, "error": error, "why": why, "note": note, "vkeys": vkeys}

    def text_case(name, text, why):
        return case(name, LOG.note(text), [LOG], "malformed", why)

    for size in ("", "+7", "-7", "-0", "07", "00", " 7", "7 ", "7.0", "7e0", "0x7", "7_0", "７", "٧", "seven"):
        why = "the size is the shortest decimal"
        yield text_case(f"size {size!a}", f"{origin}\n{size}\n{root}\n", why)
    for name, size in [("2^63", 2**63), ("2^64", 2**64), ("10^19", 10**19), ("10^400", 10**400)]:
        yield text_case(f"size {name}", f"{origin}\n{size}\n{root}\n", "the size is below 2^63")
    for name, bad in [
        ("empty", ""),
        ("of 31 bytes", b64(some[:31])),
        ("of 33 bytes", b64(some + b"\0")),
        ("of 32 zero digits", "0" * 32),
        ("in hexadecimal", some.hex()),
        ("without padding", root[:-1]),
        ("in base64url", b64(b"\xfb\xff" * 16).replace("+", "-").replace("/", "_")),
        ("with bits to spare", root[:-2] + chr(ord(root[-2]) + 1) + "="),
        ("with a space behind it", root + " "),
    ]:
        yield text_case(f"root {name}", f"{origin}\n7\n{bad}\n", "the root is 32 bytes in canonical base64")
    yield text_case("empty tree with another root", f"{origin}\n0\n{root}\n", "that root is SHA-256 of nothing")
    yield text_case("extension line", f"{origin}\n7\n{root}\nmore\n", "extension lines are refused")
    yield text_case("empty extension line", f"{origin}\n7\n{root}\n\n", "extension lines are refused")
    yield text_case("no root line", f"{origin}\n7\n", "three lines")
    yield text_case("origin alone", f"{origin}\n", "three lines")
    yield text_case("empty line first", f"\n{origin}\n7\n{root}\n", "three lines")
    yield text_case("empty line inside", f"{origin}\n\n7\n{root}\n", "three lines")
    yield text_case("size and root exchanged", f"{origin}\n{root}\n7\n", "the size is the second line")
    for name, bad in [
        ("empty", ""),
        ("with a space", "the log"),
        ("with a no-break space", "the\u00a0log"),
        ("with a plus", "the+log"),
        ("of 256 bytes", "a" * 256),
        ("of 128 characters and 256 bytes", "é" * 128),
    ]:
        why = "an origin can name a key and has at most 255 bytes"
        yield text_case(f"origin {name}", f"{bad}\n7\n{root}\n", why)
    yield case("published: a head of sumdb", SUMDB_NOTE, [SUMDB_VKEY], "malformed", "the origin has spaces")
    good = checkpoint_text(origin, 7, some)
    yield case("not signed", good, [LOG], "malformed", "no signatures")
    yield case("no key trusted", LOG.note(good), [], "signature", "no signature by a trusted key")
    yield case("another key trusted", LOG.note(good), [NEXT], "signature", "no signature by a trusted key")
    yield case("another log's key", OTHER.note(good), [OTHER], "signature", "the key must have the origin as its name")
    both = [LOG, OTHER]
    yield case("another trusted log's key", OTHER.note(good), both, "signature", "the log of this origin did not sign")
    both = [LOG, WITNESS]
    yield case("a witness alone", WITNESS.note(good), both, "signature", "the log of this origin did not sign")
    forged = signature_line(WITNESS.name, WITNESS.key_id + bytes(64))
    yield case("a witness's wrong line", LOG.note(good) + forged, both, "signature", "wrong signature")
    larger = checkpoint_text(origin, 8, some)
    yield case("size changed", f"{larger}\n{LOG.line(good)}", [LOG], "signature", "wrong signature")


# ---------------------------------------------------------------------------------------------------------- tiles.json


def tile_cases():
    yield from path_cases()
    yield from width_cases()
    yield from subtree_cases()
    yield from tile_hash_cases()
    yield from bundle_cases()


def path_cases():
    largest = (2**63 - 1) // 256
    for path, level, number, width in [
        ("tile/0/000", 0, 0, 256),
        ("tile/0/001", 0, 1, 256),
        ("tile/0/255", 0, 255, 256),
        ("tile/0/999", 0, 999, 256),
        ("tile/0/x001/000", 0, 1000, 256),
        ("tile/0/x010/000", 0, 10_000, 256),
        ("tile/0/x999/999", 0, 999_999, 256),
        ("tile/0/x001/x000/000", 0, 1_000_000, 256),
        ("tile/0/x001/x234/067", 0, 1_234_067, 256),
        ("tile/1/x123/x456/789", 1, 123_456_789, 256),
        ("tile/1/000.p/17", 1, 0, 17),
        ("tile/0/000.p/1", 0, 0, 1),
        ("tile/0/000.p/255", 0, 0, 255),
        ("tile/0/273.p/112", 0, 273, 112),
        ("tile/0/x001/x234/067.p/8", 0, 1_234_067, 8),
        ("tile/9/000", 9, 0, 256),
        ("tile/10/000.p/1", 10, 0, 1),
        ("tile/63/000.p/1", 63, 0, 1),
        ("tile/entries/000", None, 0, 256),
        ("tile/entries/x001/x234/067", None, 1_234_067, 256),
        ("tile/entries/000.p/3", None, 0, 3),
        ("tile/0/x036/x028/x797/x018/x963/967", 0, largest, 256),
    ]:
        yield {"name": path, "kind": "path", "ok": True, "path": path, "level": level, "number": number, "width": width}
    for path, why in BAD_TILE_PATHS:
        yield {"name": f"bad path {path[:60]!a}", "kind": "path", "ok": False, "why": why, "path": path}


BAD_TILE_PATHS = [
    ("", "empty"),
    ("tile", "no level"),
    ("tile/", "no level"),
    ("tile/0", "no number"),
    ("tile/0/", "no number"),
    ("/tile/0/000", "slash before"),
    ("tile/0/000/", "slash behind"),
    ("tile//000", "no level"),
    ("Tile/0/000", "capital"),
    ("tiles/0/000", "not tile"),
    ("tile/0/000\n", "newline behind"),
    (" tile/0/000", "space before"),
    ("tile/0/000 ", "space behind"),
    ("tile/0/../000", "dots"),
    ("tile/0/%300", "percent"),
    ("tile/-1/000", "negative level"),
    ("tile/+1/000", "sign"),
    ("tile/00/000", "level with a leading zero"),
    ("tile/01/000", "level with a leading zero"),
    ("tile/64/000", "level beyond 63"),
    ("tile/99/000", "level beyond 63"),
    ("tile/100/000", "level beyond 63"),
    ("tile/x/000", "level is no number"),
    ("tile/data/000", "level of another format"),
    ("tile/Entries/000", "capital"),
    ("tile/entry/000", "level is no number"),
    ("tile/0/0", "group of one digit"),
    ("tile/0/00", "group of two digits"),
    ("tile/0/0000", "group of four digits"),
    ("tile/0/1234", "group of four digits"),
    ("tile/0/-01", "negative number"),
    ("tile/0/+01", "sign"),
    ("tile/0/ 01", "space"),
    ("tile/0/1_0", "underscore"),
    ("tile/0/0x1", "hexadecimal"),
    ("tile/0/00a", "not a digit"),
    ("tile/0/x000", "last group with an x"),
    ("tile/0/x001", "last group with an x"),
    ("tile/0/x001/x234", "last group with an x"),
    ("tile/0/001/234", "first group without an x"),
    ("tile/0/001/x234/067", "first group without an x"),
    ("tile/0/x001/234/067", "middle group without an x"),
    ("tile/0/x000/000", "leading group of zeros"),
    ("tile/0/x000/001", "leading group of zeros"),
    ("tile/0/x000/x001/234", "leading group of zeros"),
    ("tile/0/x1/000", "group of one digit"),
    ("tile/0/x1000/000", "group of four digits"),
    ("tile/0/X001/000", "capital"),
    ("tile/0/xx01/000", "not a digit"),
    ("tile/0/x001//000", "empty group"),
    ("tile/0/٠٠١", "Arabic digits"),
    ("tile/٠/000", "Arabic digits"),
    ("tile/0/０００", "full-width digits"),
    ("tile/0/00²", "superscript"),
    ("tile/0/000.p/١", "Arabic digits"),
    ("tile/0/000.p", "no width"),
    ("tile/0/000.p/", "no width"),
    ("tile/0/000.p/0", "width 0"),
    ("tile/0/000.p/00", "width 0"),
    ("tile/0/000.p/01", "width with a leading zero"),
    ("tile/0/000.p/256", "a full tile has no width"),
    ("tile/0/000.p/257", "width beyond 255"),
    ("tile/0/000.p/999", "width beyond 255"),
    ("tile/0/000.p/1000", "width beyond 255"),
    ("tile/0/000.p/-1", "negative width"),
    ("tile/0/000.p/+1", "sign"),
    ("tile/0/000.p/ 1", "space"),
    ("tile/0/000.p/1/", "slash behind"),
    ("tile/0/000.p/1.p/1", "two widths"),
    ("tile/0/000.P/1", "capital"),
    ("tile/0/000p/1", "no dot"),
    ("tile/0/000/p/1", "slash for the dot"),
    ("tile/0/x001.p/1/000", "width in the middle"),
    ("tile/8/0/000", "with a tile height"),
    ("tile/0/x036/x028/x797/x018/x963/968", "no tree below 2^63 leaves has it"),
    ("tile/0/" + "x001/" * 30 + "000", "no tree below 2^63 leaves has it"),
]


def width_cases():
    for level, number, size, width in [
        (0, 0, 0, 0),
        (0, 0, 1, 1),
        (0, 0, 255, 255),
        (0, 0, 256, 256),
        (0, 1, 256, 0),
        (0, 1, 257, 1),
        (1, 0, 255, 0),
        (1, 0, 256, 1),
        (1, 0, 511, 1),
        (1, 0, 512, 2),
        (0, 272, 70_000, 256),
        (0, 273, 70_000, 112),
        (0, 274, 70_000, 0),
        (1, 0, 70_000, 256),
        (1, 1, 70_000, 17),
        (1, 2, 70_000, 0),
        (2, 0, 70_000, 1),
        (3, 0, 70_000, 0),
        (1, 0, 65_535, 255),
        (1, 0, 65_536, 256),
        (2, 0, 65_535, 0),
        (2, 0, 65_536, 1),
        (6, 0, 2**53 - 1, 31),
        (7, 0, 2**53 - 1, 0),
    ]:
        name = f"width of tile {number} of level {level} at size {size}"
        yield {"name": name, "kind": "width", "level": level, "number": number, "size": size, "width": width}


def subtree_cases():
    """Where the hash of a perfect subtree is: row 0 is the bottom row of a tile, row r has 256 / 2^r hashes."""
    for level, index, tile_level, number, row, position in [
        (0, 0, 0, 0, 0, 0),
        (0, 255, 0, 0, 0, 255),
        (0, 256, 0, 1, 0, 0),
        (1, 127, 0, 0, 1, 127),
        (1, 128, 0, 1, 1, 0),
        (7, 0, 0, 0, 7, 0),
        (7, 1, 0, 0, 7, 1),
        (7, 2, 0, 1, 7, 0),
        (8, 0, 1, 0, 0, 0),
        (8, 256, 1, 1, 0, 0),
        (9, 127, 1, 0, 1, 127),
        (15, 3, 1, 1, 7, 1),
        (16, 5, 2, 0, 0, 5),
        (3, 1_000_003, 0, 31_250, 3, 3),
    ]:
        place = {"tile_level": tile_level, "tile_number": number, "row": row, "position": position}
        yield {"name": f"subtree {index} of level {level}", "kind": "subtree", "level": level, "index": index, **place}


def tile_hash_cases():
    """A tile in a tree of leaves `leaf 0`, `leaf 1`, …, as the SHA-256 of its hashes."""
    tree = numbered_tree(70_000)
    for size, level, number, width in [
        (1, 0, 0, 1),
        (255, 0, 0, 255),
        (256, 0, 0, 256),
        (256, 1, 0, 1),
        (257, 0, 1, 1),
        (70_000, 0, 273, 112),
        (70_000, 1, 0, 256),
        (70_000, 1, 1, 17),
        (70_000, 2, 0, 1),
    ]:
        step = 256**level
        first = number * 256
        hashes = [tree.mth(step * i, step * (i + 1)) for i in range(first, first + width)]
        yield {
            "name": f"hashes of tile {number} of level {level} at size {size}",
            "kind": "tile",
            "size": size,
            "level": level,
            "number": number,
            "width": width,
            "first_hash": b64(hashes[0]),
            "last_hash": b64(hashes[-1]),
            "sha256": b64(sha256(b"".join(hashes)).digest()),
        }


def bundle_cases():
    for name, entries in [
        ("no entry", []),
        ("an empty entry", [b""]),
        ("published: three entries", [b"one", b"two", b"three"]),
        ("empty entries around another", [b"", b"x", b"", b""]),
        ("an entry of 256 bytes", [bytes(256)]),
        ("all byte values", [bytes(range(256)), b"\n"]),
    ]:
        bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
        listed = [b64(entry) for entry in entries]
        yield {"name": f"bundle: {name}", "kind": "bundle", "ok": True, "bundle": b64(bundle), "entries": listed}
    for name, bundle in [
        ("half a length", b"\0"),
        ("a length and no entry", b"\0\1"),
        ("an entry cut short", b"\0\3on"),
        ("a whole entry and half a length", b"\0\3one\0"),
        ("a length of 65535", b"\xff\xff" + bytes(65)),
        ("lengths the other way round", b"\3\0one"),
    ]:
        case = {"name": f"bundle: {name}", "kind": "bundle", "ok": False, "why": "cut short", "bundle": b64(bundle)}
        yield case


# ---------------------------------------------------------------------------------------------------- tlog_proofs.json


def proof_text(index, path, note, extra=None):
    lines = ["c2sp.org/tlog-proof@v1"]
    if extra is not None:
        lines.append(f"extra {b64(extra)}")
    return "\n".join([*lines, f"index {index}", *map(b64, path)]) + f"\n\n{note}"


def proof_cases():
    yield from good_proof_cases()
    yield from bad_proof_cases()


def good_proof_cases():
    def case(name, proof, data, key, index, size, root, extra=None):
        return {
            "name": name,
            "ok": True,
            "proof": proof,
            "data": b64(data),
            "vkeys": [key if isinstance(key, str) else key.vkey],
            "index": index,
            "size": size,
            "root": b64(root),
            "extra": None if extra is None else b64(extra),
        }

    tessera = Tree([leaf(data) for data in TESSERA_LEAVES])
    yield case("published: three in Tessera's test log", TESSERA_PROOF, b"three", TESSERA_VKEY, 2, 5, tessera.root(5))
    tree = numbered_tree(300)
    for i, n in [(0, 1), (0, 2), (1, 2), (4, 5), (7, 8), (0, 257), (256, 257)]:
        note = LOG.note(checkpoint_text(LOG.name, n, tree.root(n)))
        text = proof_text(i, tree.inclusion(i, n), note)
        yield case(f"leaf {i} of {n}", text, b"leaf %d" % i, LOG, i, n, tree.root(n))
    lonely = LonelyTree(2**40)
    i, n = 2**40, 2**53 - 1
    note = LOG.note(checkpoint_text(LOG.name, n, lonely.root(n)))
    yield case("huge tree", proof_text(i, lonely.inclusion(i, n), note), b"lonely", LOG, i, n, lonely.root(n))
    text = checkpoint_text(LOG.name, 3, tree.root(3))
    note, path = LOG.note(text), tree.inclusion(1, 3)
    for extra in (b"leaf 1", b"\0\xff\n", bytes(3000)):
        proof = proof_text(1, path, note, extra)
        yield case(f"{len(extra)} bytes extra", proof, b"leaf 1", LOG, 1, 3, tree.root(3), extra)
    proof = proof_text(1, path, note + WITNESS.line(text))
    yield case("cosigned by a stranger", proof, b"leaf 1", LOG, 1, 3, tree.root(3))


def bad_proof_cases():
    tree = numbered_tree(300)
    text = checkpoint_text(LOG.name, 5, tree.root(5))
    note, path = LOG.note(text), tree.inclusion(2, 5)
    good = proof_text(2, path, note)
    header = "c2sp.org/tlog-proof@v1\n"
    first = b64(path[0])

    def case(name, proof, error, why, data=b"leaf 2", keys=(LOG,)):
        vkeys = [key.vkey for key in keys]
        result = {"name": name, "ok": False, "error": error, "why": why}
        return {**result, "proof": proof, "data": b64(data), "vkeys": vkeys}

    def edit(name, old, new, why, error="malformed"):
        assert good.count(old) == 1, name
        return case(name, good.replace(old, new), error, why)

    yield case("nothing", "", "malformed", "no header")
    yield edit("no header", header, "", "the header comes first")
    yield edit("another version", "@v1", "@v2", "unknown version")
    yield edit("header in capitals", "c2sp.org", "C2SP.org", "the header is exact")
    yield edit("space behind the header", "@v1\n", "@v1 \n", "the header is exact")
    yield case("byte order mark", "\ufeff" + good, "malformed", "the header comes first")
    yield case("newline before", "\n" + good, "malformed", "the header comes first")
    yield case("CR LF", good.replace("\n", "\r\n"), "malformed", "lines end with a newline alone")
    yield edit("no index", "index 2\n", "", "the index is missing")
    yield case("header and checkpoint alone", f"{header}\n{note}", "malformed", "the index is missing")
    yield case("extra and no index", f"{header}extra AA==\n\n{note}", "malformed", "the index is missing")
    yield edit("index in capitals", "index", "Index", "the index is missing")
    for bad in ("", "+2", "-2", "02", " 2", "2 ", "0x2", "２", str(2**63), "two"):
        yield edit(f"index {bad!a}", "index 2\n", f"index {bad}\n", "the index is the shortest decimal below 2^63")
    yield edit("two indexes", "index 2\n", "index 2\nindex 2\n", "a hash follows the index")
    yield edit("extra is not base64", "index", "extra !!!\nindex", "not base64")
    yield edit("extra without padding", "index", "extra AA\nindex", "padding is required")
    yield edit("extra with bits to spare", "index", "extra AB==\nindex", "re-encodes to something else")
    yield edit("extra twice", "index", "extra AA==\nextra AA==\nindex", "at most one extra line")
    yield edit("extra behind the index", "index 2\n", "index 2\nextra AA==\n", "the extra line comes before the index")
    yield edit("unknown line", "index", "more AA==\nindex", "no such line")
    yield edit("hash of 31 bytes", first, b64(path[0][:31]), "a hash has 32 bytes")
    yield edit("hash of 33 bytes", first, b64(path[0] + b"\0"), "a hash has 32 bytes")
    yield edit("hash without padding", first, first[:-1], "padding is required")
    yield edit("hash with bits to spare", first, first[:-2] + chr(ord(first[-2]) + 1) + "=", "re-encodes differently")
    yield edit("hash in hexadecimal", first, path[0].hex(), "not base64 of 32 bytes")
    yield edit("space behind a hash", first, first + " ", "not base64 of 32 bytes")
    yield edit("64 hashes", first, "\n".join([first] * 62), "a path has at most 63 hashes")
    yield edit("no empty line", f"\n\n{LOG.name}", f"\n{LOG.name}", "an empty line comes before the checkpoint")
    yield edit("two empty lines", f"\n\n{LOG.name}", f"\n\n\n{LOG.name}", "one empty line comes before the checkpoint")
    yield case("no checkpoint", good[: good.index(LOG.name)], "malformed", "the checkpoint is missing")
    yield case("checkpoint not signed", proof_text(2, path, text), "malformed", "the checkpoint has no signatures")
    yield case("no final newline", good[:-1], "malformed", "each line ends with a newline")
    yield case("empty line at the end", good + "\n", "malformed", "nothing follows the checkpoint")
    yield case("line at the end", good + "more\n", "malformed", "nothing follows the checkpoint")
    yield case("no key trusted", good, "signature", "no signature by a trusted key", keys=())
    yield case("another key trusted", good, "signature", "no signature by a trusted key", keys=(OTHER,))
    foreign = proof_text(2, path, OTHER.note(text))
    yield case("another log's key", foreign, "signature", "the log of this origin did not sign", keys=(OTHER, LOG))
    yield edit("size of the checkpoint changed", "\n5\n", "\n6\n", "wrong signature", "signature")
    yield case("another leaf", good, "proof", "the leaf is not there", data=b"leaf 3")
    yield case("no leaf", good, "proof", "the leaf is not there", data=b"")
    for other in (0, 1, 3, 4, 5, 2**63 - 1):
        yield edit(f"index {other}", "index 2\n", f"index {other}\n", "the leaf is not there", "proof")
    for why, bad in bad_paths(path):
        if all(len(value) == 32 for value in bad):
            yield case(why, proof_text(2, bad, note), "proof", "the path does not lead to the root")


# --------------------------------------------------------------------------------------------------------------- files

FILES = {
    "merkle.json": (
        "Hashes and proofs of RFC 6962 section 2.1 with SHA-256. kind: leaf_hash, node_hash, root, inclusion, "
        "consistency. A case with ok false must be refused; such a case may hold integers that are negative or too "
        "large, and hashes of a wrong length.",
        merkle_cases,
    ),
    "notes.json": (
        "Signed notes (c2sp.org/signed-note) with Ed25519 keys. kind note: opening the note with the vkeys gives the "
        "text, or is refused; error says whether the note is malformed or its signature is at fault. kind vkey: the "
        "vkey is well formed, or must be refused.",
        note_cases,
    ),
    "checkpoints.json": (
        "Checkpoints (c2sp.org/tlog-checkpoint) opened with vkeys. The log of the origin must have signed. Extension "
        "lines are refused.",
        checkpoint_cases,
    ),
    "tiles.json": (
        "Tiles (c2sp.org/tlog-tiles). kind path: what a path names, level null for entries; width: how many hashes a "
        "tile has at a tree size; subtree: in which tile the hash of a perfect subtree is, counting rows from the "
        "bottom; tile: the hashes of a tile of the tree with leaves 'leaf 0', 'leaf 1' and so on; bundle: entries and "
        "their bytes.",
        tile_cases,
    ),
    "tlog_proofs.json": (
        "Offline proofs (c2sp.org/tlog-proof), with the data of the leaf and the vkeys to verify them with; error says "
        "whether the proof is malformed, the signature is at fault or the path leads elsewhere.",
        proof_cases,
    ),
}


def render(about, cases):
    """One case a line, so that a change shows in a diff as the cases it changes."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(", ", ": ")) for case in cases)
    return f'{{"about": {json.dumps(about)},\n"cases": [\n{lines}\n]}}\n'


def files():
    """Name and text of every file that this script makes."""
    return {name: render(about, cases()) for name, (about, cases) in FILES.items()}


if __name__ == "__main__":
    for file_name, content in files().items():
        (FOLDER / file_name).write_text(content, encoding="ascii")
