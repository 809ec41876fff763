# SPDX-License-Identifier: Apache-2.0
"""Cases of notes.json: signed notes and the keys to verify them with."""

from hashlib import sha256

from tests.tlog.vectors.signing import (
    C2SP_NOTE,
    C2SP_VKEY,
    LOG,
    NEXT,
    ORDER,
    OTHER,
    PETER_VKEY,
    SUMDB_NOTE,
    SUMDB_TEXT,
    SUMDB_VKEY,
    TESSERA_VKEY,
    TWINS,
    Key,
    signature_line,
    vkey,
)
from tests.tlog.vectors.textbook import b64


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
