# SPDX-License-Identifier: Apache-2.0
"""Signed notes and vkeys: published examples, the rules on known and unknown keys, and totality."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.note import MAX_SIGNATURES, open_note, parse_note, parse_vkey

from .textbook import Signer, b64, sha256

# C2SP signed-note, the golang.org/x/mod note package, and a head of the Go checksum database.
PUBLISHED = [
    (
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "This is an example message.\n",
        "example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=",
    ),
    (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
        "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
    ),
    (
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=",
    ),
]
VKEY, TEXT = PUBLISHED[0][:2]
LINE = f"— {PUBLISHED[0][2]}\n"
GOOD = TEXT + "\n" + LINE
OTHER = Signer("example.com/other", b"other")


def refused(note: object, vkeys: object = (VKEY,)) -> str:
    with pytest.raises(VerificationError) as caught:
        open_note(note, list(vkeys) if isinstance(vkeys, tuple) else vkeys)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(("vkey", "text", "signature"), PUBLISHED)
def test_published_note_opens(vkey: str, text: str, signature: str) -> None:
    note = f"{text}\n— {signature}\n"
    assert open_note(note, [vkey]) == text
    assert open_note(note.encode(), [vkey]) == text
    assert "is wrong" in refused(note.replace(text[3], "Z", 1), (vkey,))


def test_every_changed_byte_is_refused() -> None:
    raw = GOOD.encode()
    for i in range(len(raw)):
        for bit in (1, 0x80):
            refused(raw[:i] + bytes([raw[i] ^ bit]) + raw[i + 1 :])
        refused(raw[:i])
        refused(raw[:i] + b"\n" + raw[i:])


def test_unknown_signatures_are_ignored() -> None:
    note = TEXT + "\n" + OTHER.line(TEXT) + LINE + "— example.com/foo AAAAAAA=\n"
    assert open_note(note, [VKEY]) == TEXT
    assert open_note(note, [VKEY, Signer("example.com/absent", b"x").vkey]) == TEXT


def test_no_known_signature_is_refused() -> None:
    assert "none of the given keys" in refused(GOOD, (OTHER.vkey,))
    assert "none of the given keys" in refused(GOOD, ())


def test_a_known_key_whose_signature_fails_refuses_the_whole_note() -> None:
    note = TEXT + "\n" + LINE + OTHER.line("something else\n")
    assert open_note(note, [VKEY]) == TEXT
    assert "is wrong" in refused(note, (VKEY, OTHER.vkey))


def test_a_repeat_of_a_verified_signature_is_ignored() -> None:
    bad = f"— {OTHER.name} {b64(OTHER.key_id + bytes(64))}\n"
    assert open_note(TEXT + "\n" + OTHER.line(TEXT) + bad, [OTHER.vkey]) == TEXT
    assert "is wrong" in refused(TEXT + "\n" + bad + OTHER.line(TEXT), (OTHER.vkey,))


def test_two_keys_with_one_name_and_id_are_ambiguous() -> None:
    assert "ambiguous" in refused(GOOD, (VKEY, VKEY))


def test_text_may_hold_empty_lines() -> None:
    text = "one\n\ntwo\n\n\nthree\n"
    assert open_note(OTHER.sign(text), [OTHER.vkey]) == text


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT,
        TEXT + "\n",
        TEXT + LINE,
        GOOD[:-1],
        GOOD + "\n",
        GOOD + "x\n",
        GOOD.replace("—", "-"),
        GOOD.replace("— ", "—  "),
        GOOD.replace("— ", "—\u00a0"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("message", "mess\0age"),
        GOOD.replace("message", "mess\tage"),
        GOOD.replace("example.com/foo ", "example.com/f+o "),
        GOOD.replace("example.com/foo ", " "),
        GOOD.replace("QM=\n", "QN=\n"),
        GOOD.replace("QM=\n", "QM\n"),
        GOOD.replace("QM=\n", "QM= \n"),
        GOOD.replace("example", "ex\udc80ample", 1),
        GOOD.encode() + b"\xff\n",
        GOOD.encode("utf-16"),
        TEXT + "\n" + "— n Uw2QOg==\n",
        TEXT + "\n" + LINE * (MAX_SIGNATURES + 1),
        "x" * 1_000_000 + "\n\n" + LINE,
        None,
        5,
        bytearray(GOOD.encode()),
    ],
)
def test_malformed_note_is_refused(note: object) -> None:
    assert refused(note)


def test_length_is_bounded_although_signed() -> None:
    assert "too long" in refused(OTHER.sign("x" * 1_000_000 + "\n"), (OTHER.vkey,))


def test_a_hundred_signatures_are_allowed() -> None:
    assert open_note(TEXT + "\n" + LINE * MAX_SIGNATURES, [VKEY]) == TEXT


def vkey_of(name: str, key: bytes) -> str:
    return f"{name}+{sha256(name.encode() + bytes([10]) + key)[:4].hex()}+{b64(key)}"


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "+",
        "++",
        "x",
        VKEY + " ",
        " " + VKEY,
        VKEY + "\n",
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "0x530d90"),
        VKEY.replace("example", "exemple"),
        VKEY[:-1],
        VKEY[:-1] + "l",
        VKEY.replace("AekyeRrm", "AekyeRr-"),
        vkey_of("n", b"\x01" + bytes(31)),
        vkey_of("n", b"\x01" + bytes(33)),
        vkey_of("n", b"\x04" + bytes(32)),
        vkey_of("n", b"\x02" + bytes(32)),
        vkey_of("n", b""),
        vkey_of("", b"\x01" + bytes(32)),
        vkey_of("a b", b"\x01" + bytes(32)),
        vkey_of("a\u2003b", b"\x01" + bytes(32)),
        vkey_of("a\x1bb", b"\x01" + bytes(32)),
        vkey_of("é" * 128, b"\x01" + bytes(32)),
        "\udc80+00000000+AA==",
        None,
        b"bytes",
    ],
)
def test_malformed_vkey_is_refused(vkey: object) -> None:
    assert refused(GOOD, (VKEY, vkey))


@pytest.mark.parametrize("vkeys", [None, VKEY, 7, {VKEY: 1}])
def test_vkeys_are_a_list(vkeys: object) -> None:
    assert refused(GOOD, vkeys)


def test_vkey_may_hold_plus_signs_in_its_base64() -> None:
    signer = next(s for s in (Signer("n", bytes([i])) for i in range(200)) if s.vkey.count("+") > 2)
    assert parse_vkey(signer.vkey).public_key == signer.public


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_refused_with_our_error(raw: bytes) -> None:
    assert refused(raw)


@given(st.text(alphabet="—ab +\n=\u2028A", max_size=60))
@settings(deadline=None)
def test_what_parses_is_what_was_there(note: str) -> None:
    try:
        parsed = parse_note(note)
    except VerificationError:
        return
    lines = [f"— {s.name} {b64(s.key_id + s.signature)}\n" for s in parsed.signatures]
    assert parsed.text + "\n" + "".join(lines) == note
