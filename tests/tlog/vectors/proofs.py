# SPDX-License-Identifier: Apache-2.0
"""Cases of tlog_proofs.json: an inclusion proof and its checkpoint in one text."""

from tests.tlog.vectors.merkle import bad_paths
from tests.tlog.vectors.signing import (
    LOG,
    OTHER,
    TESSERA_LEAVES,
    TESSERA_PROOF,
    TESSERA_VKEY,
    WITNESS,
    checkpoint_text,
)
from tests.tlog.vectors.textbook import LonelyTree, Tree, b64, leaf, numbered_tree


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
