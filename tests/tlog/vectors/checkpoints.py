# SPDX-License-Identifier: Apache-2.0
"""Cases of checkpoints.json: signed notes whose text is a checkpoint."""

from hashlib import sha256

from tests.tlog.vectors.signing import (
    LOG,
    NEXT,
    OTHER,
    SUMDB_NOTE,
    SUMDB_VKEY,
    TESSERA_CHECKPOINT,
    TESSERA_LEAVES,
    TESSERA_VKEY,
    WITNESS,
    Key,
    checkpoint_text,
    signature_line,
)
from tests.tlog.vectors.textbook import Tree, b64, leaf


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
