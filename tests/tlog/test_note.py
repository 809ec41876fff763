# SPDX-License-Identifier: Apache-2.0
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog.errors import MalformedError, SignatureError, TlogError
from ledger.tlog.note import (
    MAX_NOTE_BYTES,
    Signature,
    SigningKey,
    VerifierKey,
    is_key_name,
    open_note,
    parse_vkey,
    split_note,
)
from tests.tlog.vectors import signing

ERRORS = {"malformed": MalformedError, "signature": SignatureError}
KEY = SigningKey("example.com/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
TEXT = "example.com/log\n5\n\nthe text has an empty line\n"
NOTE = KEY.sign(TEXT)

# Characters that a note may have: no control character but the newline, no half of a surrogate pair.
note_texts = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]) | st.just("\n")).map(
    lambda s: s + "\n"
)
names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='+"\\'), min_size=1, max_size=60)


# ------------------------------------------------------------------------------------------------------------- vectors


@pytest.mark.vectors("notes", "note")
@pytest.mark.parametrize("encode", [str, str.encode])
def test_open_note_agrees_with_vectors(case, encode):
    vkeys = [parse_vkey(vkey) for vkey in case["vkeys"]]
    if case["ok"]:
        assert open_note(encode(case["note"]), vkeys) == case["text"]
    else:
        with pytest.raises(ERRORS[case["error"]]):
            open_note(encode(case["note"]), vkeys)


@pytest.mark.vectors("notes", "note")
def test_split_note_refuses_just_the_malformed_vectors(case):
    if case.get("error") == "malformed":
        with pytest.raises(MalformedError):
            split_note(case["note"])
    else:
        text, signatures = split_note(case["note"])
        assert case["note"].startswith(f"{text}\n— {signatures[0].name} ")
        assert case["note"].removeprefix(text).count("\n") == 1 + len(signatures)


@pytest.mark.vectors("notes", "vkey")
def test_parse_vkey_agrees_with_vectors(case):
    if case["ok"]:
        assert parse_vkey(case["vkey"]).format() == case["vkey"]
    else:
        with pytest.raises(MalformedError):
            parse_vkey(case["vkey"])


# ------------------------------------------------------------------------------------------------------------- signing


def test_sign_makes_the_note_of_the_textbook():
    key = signing.Key("example.com/log")
    signer = SigningKey(key.name, key.private)
    assert signer.sign(TEXT) == key.note(TEXT)
    assert signer.vkey.format() == key.vkey
    assert signer.vkey.key_id == key.key_id


def test_sign_refuses_a_text_without_final_newline():
    with pytest.raises(AssertionError):
        KEY.sign("no newline")


def test_signing_key_does_not_show_its_secret():
    secret = bytes(range(32))
    assert secret.hex() not in repr(KEY)
    assert repr(secret)[2:-1] not in repr(KEY)


@given(note_texts)
def test_signed_text_is_opened_by_its_key_and_by_no_other(text):
    note = KEY.sign(text)
    assert open_note(note, [KEY.vkey]) == text
    assert open_note(note.encode(), [KEY.vkey]) == text
    other = SigningKey(KEY.name, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(SignatureError):
        open_note(note, [other.vkey])


def test_split_note_gives_every_signature_in_order():
    note = signing.LOG.note(TEXT) + signing.OTHER.line(TEXT) + signing.LOG.line(TEXT)
    keys = [signing.LOG, signing.OTHER, signing.LOG]
    assert split_note(note) == (TEXT, [Signature(key.name, key.key_id, key.signature(TEXT)) for key in keys])


# -------------------------------------------------------------------------------------------------------- verification


@given(st.data())
def test_edited_note_is_refused_or_still_has_the_signed_text(edited, data):
    note = data.draw(edited(NOTE))
    try:
        text = open_note(note, [KEY.vkey])
    except TlogError:
        assert note != NOTE
    else:
        assert text == TEXT


def test_note_with_any_character_changed_is_refused():
    for position, character in enumerate(NOTE):
        changed = NOTE[:position] + chr(ord(character) ^ 1) + NOTE[position + 1 :]
        with pytest.raises(TlogError):
            open_note(changed, [KEY.vkey])


def test_truncated_note_is_refused():
    for length in range(len(NOTE)):
        with pytest.raises(TlogError):
            open_note(NOTE[:length], [KEY.vkey])


def test_every_signature_bit_counts():
    public = KEY.vkey
    signature = KEY.private_key.sign(b"message")
    assert public.verify(b"message", signature)
    assert not public.verify(b"massage", signature)
    for bit in range(512):
        value = bytearray(signature)
        value[bit // 8] ^= 1 << bit % 8
        assert not public.verify(b"message", bytes(value))


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_key_that_is_none_verifies_nothing(public_key):
    assert not VerifierKey("name", public_key).verify(b"message", KEY.private_key.sign(b"message"))


def test_same_key_configured_twice_is_one_key():
    assert open_note(NOTE, [KEY.vkey, parse_vkey(KEY.vkey.format())]) == TEXT


def test_ambiguous_keys_are_an_error_even_when_neither_signed():
    twins = [parse_vkey(twin.vkey) for twin in signing.TWINS]
    assert twins[0].key_id == twins[1].key_id
    assert twins[0] != twins[1]
    with pytest.raises(SignatureError, match="two trusted keys share"):
        open_note(NOTE, [KEY.vkey, *twins])


def test_keys_may_come_from_an_iterator():
    assert open_note(NOTE, iter([KEY.vkey])) == TEXT


# ----------------------------------------------------------------------------------------------------- malformed input


@pytest.mark.parametrize(
    "note",
    [
        b"\xff" + NOTE.encode(),
        NOTE.encode().replace(b"\xe2\x80\x94", b"\x97"),
        NOTE.encode("utf-16"),
        NOTE.encode()[:-1] + b"\xe2",
        b"\xc0\x8a" + NOTE.encode(),
        b"\xed\xa0\x80" + NOTE.encode(),
    ],
    ids=["stray byte", "dash of windows-1252", "utf-16", "cut inside a character", "overlong newline", "surrogate"],
)
def test_note_that_is_not_utf8_is_malformed(note):
    with pytest.raises(MalformedError):
        open_note(note, [KEY.vkey])


@pytest.mark.parametrize(
    "note",
    ["\ud800" + NOTE, NOTE + "— \ud800 AAAAAAA=\n", NOTE.replace("example", "ex\udfffmple")],
    ids=["in the text", "in a name", "in all"],
)
def test_note_with_half_a_surrogate_pair_is_malformed(note):
    """JSON can carry one in an escape; no file can."""
    with pytest.raises(MalformedError, match="surrogate"):
        split_note(note)
    with pytest.raises(MalformedError, match="surrogate"):
        open_note(note, [KEY.vkey])


@pytest.mark.parametrize("letter", ["a", "é", "𝄞"])
def test_note_is_measured_in_bytes(letter):
    frame = len(KEY.sign("\n").encode())
    room = (MAX_NOTE_BYTES - frame) // len(letter.encode())
    filler = "." * ((MAX_NOTE_BYTES - frame) % len(letter.encode()))
    text = f"{letter * room}{filler}\n"
    assert len(KEY.sign(text).encode()) == MAX_NOTE_BYTES
    assert open_note(KEY.sign(text), [KEY.vkey]) == text
    with pytest.raises(MalformedError):
        open_note(KEY.sign("." + text), [KEY.vkey])


def test_note_with_a_control_character_is_malformed():
    for code in {*range(32)} - {10}:
        for note in (KEY.sign(f"{chr(code)}\n"), NOTE + f"— example{chr(code)} AAAAAAA=\n"):
            with pytest.raises(MalformedError):
                split_note(note)


@given(st.text() | st.binary())
def test_open_note_refuses_whatever_is_no_note(note):
    with pytest.raises(TlogError):
        open_note(note, [KEY.vkey])


@given(st.data())
def test_split_note_takes_one_text_a_note(edited, data):
    note = data.draw(edited(NOTE))
    try:
        text, signatures = split_note(note)
    except MalformedError:
        return
    lines = [signing.signature_line(s.name, s.key_id + s.signature) for s in signatures]
    assert note == f"{text}\n{''.join(lines)}"
    assert signatures


# --------------------------------------------------------------------------------------------------------------- vkeys


@given(names, st.binary(min_size=32, max_size=32))
def test_vkey_is_read_as_it_is_written(name, public_key):
    vkey = VerifierKey(name, public_key)
    assert vkey.format() == signing.vkey(name, b"\x01" + public_key)
    assert parse_vkey(vkey.format()) == vkey


@given(st.data())
def test_edited_vkey_is_refused(edited, data):
    vkey = KEY.vkey.format()
    changed = data.draw(edited(vkey))
    if changed != vkey:
        with pytest.raises(MalformedError):
            parse_vkey(changed)
    else:
        assert parse_vkey(changed) == KEY.vkey


@given(st.text())
def test_parse_vkey_refuses_whatever_is_no_vkey(text):
    with pytest.raises(MalformedError):
        parse_vkey(text)


def test_every_part_of_a_vkey_is_no_vkey():
    vkey = KEY.vkey.format()
    for start in range(len(vkey)):
        for end in range(start, len(vkey) + (start > 0)):
            with pytest.raises(MalformedError):
                parse_vkey(vkey[start:end])


def test_vkey_with_half_a_surrogate_pair_is_malformed():
    with pytest.raises(MalformedError):
        parse_vkey("\ud800" + KEY.vkey.format())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[("example.com/log", True), ("é", True), ("—", True), ("\x7f", False), ("", False), ("a b", False)],
        *[("a" * 255, True), ("é" * 127, True), ("a" * 256, False), ("é" * 128, False), ("\ud800", False)],
        *[("a\nb", False), ("\u200b", False), ("\u202e", False), ("\u2028", False), ("\ufeff", False)],
        *[("a+b", False), ("a\tb", False), ("\u00a0", False), ("\u2003", False), ("\u0085", False), ("\0", False)],
    ],
)
def test_is_key_name(name, expected):
    assert is_key_name(name) is expected
