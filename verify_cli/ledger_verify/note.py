# SPDX-License-Identifier: Apache-2.0
"""Signed notes and verifier keys (C2SP signed-note v1.0.0).

A note is text, an empty line, and one or more signature lines:

    localhost/root                                                     the text; its last newline is signed too
    7
    qHhU1v…M=

    — localhost/root 2Kmx9w…Q8=                                        U+2014, space, key name, space, base64

The base64 holds a four-byte key ID and the signature. A line whose (name, ID) is not among the given keys is ignored: it
may be a witness, a future algorithm, or junk that keeps clients honest. A line whose (name, ID) is known must verify, or
the whole note is refused; otherwise an attacker could hide a broken signature behind a good one.

A verifier key ("vkey") is `name+hex(ID)+base64(0x01 || public key)`, with ID = SHA-256(name || LF || 0x01 || key)[:4].
The ID only finds the key. It is four bytes and proves nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ledger_verify import ed25519
from ledger_verify.canonical import decode_utf8, encode_utf8
from ledger_verify.encodings import decode_base64, encode_base64
from ledger_verify.errors import MalformedError, VerificationError

ED25519 = b"\x01"  # signature type of C2SP signed-note; the only one our logs use
MAX_NOTE_BYTES = 64_000
MAX_SIGNATURES = 100
MAX_NAME_BYTES = 255

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_MARK = "\u2014 "


class VerifierKey(NamedTuple):
    """A public key that somebody trusts, and the name under which it signs."""

    name: str
    key_id: bytes
    public_key: bytes


class Signature(NamedTuple):
    """One signature line, not yet believed."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A parsed note. Nothing in it is authenticated until `verified_keys` names who signed it."""

    text: str
    signatures: tuple[Signature, ...]


@lru_cache(maxsize=256)
def is_key_name(name: str) -> bool:
    """Not empty, no Unicode space, no plus sign, at most 255 bytes; printable, as it will be shown to people; and without
    a quotation mark or a backslash, so that JSON has it as it is.
    """
    return (
        0 < len(name) <= MAX_NAME_BYTES
        and not any(c in name for c in '+"\\')
        and name.isprintable()
        and not any(c.isspace() for c in name)
        and len(name.encode("utf-8")) <= MAX_NAME_BYTES
    )


def parse_vkey(vkey: str) -> VerifierKey:
    """The key of a log's vkey string, of type Ed25519. Its spelling is the only one allowed."""
    name, key_id, key = split_vkey(vkey)
    if key[:1] != ED25519 or len(key) != 33:
        raise MalformedError("the verifier key is not of type Ed25519 (0x01)", got=f"type 0x{key[:1].hex()}")
    return VerifierKey(name, key_id, key[1:])


def split_vkey(vkey: str) -> tuple[str, bytes, bytes]:
    """Name, ID, and type and key of a vkey string of any type. The ID is recomputed."""
    if not isinstance(vkey, str):
        raise MalformedError("the verifier key is not a string", got=type(vkey).__name__)
    parts = vkey.split("+", 2)  # base64 may hold plus signs of its own
    if len(parts) != 3:
        raise MalformedError("the verifier key is not name+id+base64", got=vkey)
    name, key_id_hex, encoded = parts
    if not is_key_name(name):
        raise MalformedError("the verifier key has no valid name", got=name)
    key = decode_base64(encoded, "the verifier key's last part")
    key_id = hashlib.sha256(name.encode("utf-8") + b"\n" + key).digest()[:4]
    if key_id_hex != key_id.hex():
        raise MalformedError(
            "the verifier key's ID does not belong to its name and key",
            got=key_id_hex,
            want=key_id.hex(),
            hint="It was mistyped or cut: copy it again from where the operator publishes it",
        )
    return name, key_id, key


def format_vkey(key: VerifierKey) -> str:
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(ED25519 + key.public_key)}"


def with_signature_of(note: Note, key: VerifierKey) -> str:
    """The note with the signature by `key` alone, which has been verified."""
    signature = next(s for s in note.signatures if (s.name, s.key_id) == (key.name, key.key_id))
    return f"{note.text}\n{_MARK}{key.name} {encode_base64(signature.key_id + signature.signature)}\n"


def parse_note(note: str) -> Note:
    """Split a note. The text is everything before the last empty line."""
    size = len(encode_utf8(note, "the note"))
    if size > MAX_NOTE_BYTES:
        raise MalformedError("the note is too long", got=f"{size} bytes", want=f"at most {MAX_NOTE_BYTES}")
    if _CONTROL.search(note) is not None:
        raise MalformedError("the note has a control character other than newline")
    separator = note.rfind("\n\n")
    if separator < 0:
        raise MalformedError("the note has no empty line before its signatures")
    text, lines = note[: separator + 1], note[separator + 2 :]
    if not lines.endswith("\n"):
        raise MalformedError("the note has no signature lines, or its last line has no newline")
    if lines.count("\n") > MAX_SIGNATURES:
        raise MalformedError(
            "the note has too many signatures", got=lines.count("\n"), want=f"at most {MAX_SIGNATURES}"
        )
    return Note(text, tuple(_parse_signature(line) for line in lines[:-1].split("\n")))


def verified_keys(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Those of `keys` that signed the note: at least one, or the note is refused."""
    by_id: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if by_id.setdefault((key.name, key.key_id), key) is not key:
            raise VerificationError(f"ambiguous: two of the keys are {key.name}+{key.key_id.hex()}")
    verified: dict[tuple[str, bytes], VerifierKey] = {}
    for signature in note.signatures:
        identity = (signature.name, signature.key_id)
        known = by_id.get(identity)
        if known is None or identity in verified:
            continue
        _authenticate(known, note.text, signature.signature)
        verified[identity] = known
    if not verified:
        raise VerificationError(
            "none of the given keys signed the note",
            got=", ".join(f"{s.name}+{s.key_id.hex()}" for s in note.signatures),
            want=", ".join(f"{k.name}+{k.key_id.hex()}" for k in by_id.values()) or "a key",
        )
    return tuple(verified.values())


def open_note(note: bytes | str, vkeys: list[str]) -> str:
    """The text of `note`, its final newline included, if at least one of `vkeys` signed it."""
    if isinstance(note, bytes):
        note = decode_utf8(note, "the note")
    if not isinstance(note, str):
        raise MalformedError("the note is neither bytes nor a string", got=type(note).__name__)
    if not isinstance(vkeys, (list, tuple)):
        raise MalformedError("the verifier keys are not a list", got=type(vkeys).__name__)
    keys = [parse_vkey(vkey) for vkey in vkeys]
    parsed = parse_note(note)
    verified_keys(parsed, keys)
    return parsed.text


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line[len(_MARK) :].partition(" ")
    if not line.startswith(_MARK) or not space or not _is_note_name(name):
        raise MalformedError("a line below the empty line is not a signature", got=line)
    blob = decode_base64(encoded, "a signature line's last part")
    if len(blob) < 5:
        raise MalformedError("a signature line is too short for a key ID and a signature", got=line)
    return Signature(name, blob[:4], blob[4:])


def _is_note_name(name: str) -> bool:
    """The rule of signed-note itself, which says less than ours: other people's lines only have to parse."""
    return name != "" and "+" not in name and not any(c.isspace() for c in name)


@lru_cache(maxsize=1024)
def _authenticate(key: VerifierKey, text: str, signature: bytes) -> None:
    """Verify once, remember success. An exception is not cached, so nothing unverified is ever remembered.

    Thousands of receipts share a checkpoint, and a signature in Python costs more than all the rest of a receipt.
    """
    if not ed25519.verify(key.public_key, text.encode("utf-8"), signature):
        raise VerificationError(
            f"the signature by {key.name}+{key.key_id.hex()} is wrong",
            hint="The text was changed after signing, or the signature was",
        )
