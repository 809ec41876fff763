# SPDX-License-Identifier: Apache-2.0
"""Signed notes (c2sp.org/signed-note) with Ed25519 keys.

    example.com/log                          ┐
    5                                        │ the text: this is what is signed
    gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=
                                             ┘ (an empty line)
    — example.com/log M9e0lmn5eDHyHP10zJOb…  signatures, each behind an em dash

A verifier key is written `<name>+<key id in hex>+<base64(0x01 || public key)>`; the key id is the start of a hash over
name and key, so a signature line says which key it claims to be from.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.tlog.errors import MalformedError, SignatureError
from ledger.tlog.text import format_base64, parse_base64

ALGORITHM_ED25519 = b"\x01"
MAX_NOTE_BYTES = 64_000
MAX_NAME_BYTES = 255
MAX_SIGNATURES = 100

_NO_NAME = re.compile(r'[+"\\]')
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE = re.compile(r"— (?P<name>[^\s+]+) (?P<blob>[A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class VerifierKey:
    """A public key under a name: a *vkey*."""

    name: str
    public_key: bytes

    @cached_property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + ALGORITHM_ED25519 + self.public_key).digest()[:4]

    def format(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{format_base64(ALGORITHM_ED25519 + self.public_key)}"

    def verify(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key under a name. Its representation does not show the key."""

    name: str
    private_key: Ed25519PrivateKey

    @cached_property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.name, self.private_key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note: `text`, which ends in a newline, an empty line, and this key's signature."""
        assert text.endswith("\n")
        blob = self.vkey.key_id + self.private_key.sign(text.encode())
        return f"{text}\n— {self.name} {format_base64(blob)}\n"


@dataclass(frozen=True)
class Signature:
    """A signature line, not verified."""

    name: str
    key_id: bytes
    signature: bytes


def is_key_name(name: str) -> bool:
    """Whether `name` may name a key of ours: not empty, at most 255 bytes, printable, no white space, no plus, and
    nothing that JSON escapes.
    """
    return (
        0 < len(name) <= MAX_NAME_BYTES
        and not _NO_NAME.search(name)
        and name.isprintable()  # which no lone surrogate is
        and not any(map(str.isspace, name))
        and len(name.encode()) <= MAX_NAME_BYTES
    )


def parse_vkey(text: str) -> VerifierKey:
    """An Ed25519 verifier key. Raises MalformedError."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]):
        raise MalformedError(f"not a verifier key: {text[:80]!r}")
    key = parse_base64(parts[2])
    if len(key) != 33 or key[:1] != ALGORITHM_ED25519:
        raise MalformedError(f"not an Ed25519 verifier key: {text[:80]!r}")
    vkey = VerifierKey(parts[0], key[1:])
    if vkey.format() != text:
        raise MalformedError(f"key id does not belong to the key: {text[:80]!r}")
    return vkey


def split_note(note: str) -> tuple[str, list[Signature]]:
    """Text and signatures of a note, nothing verified. Raises MalformedError."""
    try:
        length = len(note.encode())
    except UnicodeEncodeError:
        raise MalformedError("not a note: lone surrogate") from None
    if length > MAX_NOTE_BYTES or _CONTROL.search(note):
        raise MalformedError("not a note: too long, or a control character in it")
    head, separator, tail = note.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise MalformedError("not a note: it has no empty line with signatures behind it")
    signatures: list[Signature] = []
    for line in tail[:-1].split("\n"):
        match = _SIGNATURE.fullmatch(line)
        # The names of others only have to parse: no white space, no plus (c2sp.org/signed-note, "Signatures").
        if match is None or len(signatures) == MAX_SIGNATURES:
            raise MalformedError(f"not a signature line: {line[:80]!r}")
        blob = parse_base64(match["blob"])
        if len(blob) < 5:
            raise MalformedError(f"signature is too short: {line[:80]!r}")
        signatures.append(Signature(match["name"], blob[:4], blob[4:]))
    return head + "\n", signatures


def open_note(note: str | bytes, vkeys: Iterable[VerifierKey]) -> str:
    """The text of a note that at least one of `vkeys` signed.

    Signatures by keys that are not among `vkeys` are ignored. A wrong signature that names one of them spoils the whole
    note. Raises MalformedError or SignatureError.
    """
    if isinstance(note, bytes):
        try:
            note = note.decode()
        except UnicodeDecodeError:
            raise MalformedError("not a note: not UTF-8") from None
    text, signatures = split_note(note)
    trusted: dict[tuple[str, bytes], VerifierKey] = {}
    for vkey in vkeys:
        if trusted.setdefault((vkey.name, vkey.key_id), vkey) != vkey:
            raise SignatureError(f"two trusted keys share the name and id of {vkey.name!r}")
    message = text.encode()
    verified = set()
    for signature in signatures:
        identity = signature.name, signature.key_id
        known = trusted.get(identity)
        if known is None or identity in verified:
            continue
        if not known.verify(message, signature.signature):
            raise SignatureError(f"signature of {signature.name!r} is wrong")
        verified.add(identity)
    if not verified:
        raise SignatureError(f"signed by none of the trusted keys, but by {[s.name for s in signatures]!r}")
    return text
