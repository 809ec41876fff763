# SPDX-License-Identifier: Apache-2.0
"""Sealed fields (spec/sealed-fields.md): a commitment in the leaf, the value and its salt beside the log.

    D         = base64url(["<salt>","/data/tool_args/amount",98.7])
    "$sealed" = base64url(SHA-256(D))

The disclosures of one event are kept as one AES-256-GCM blob under a data key; whoever has the blob and the key can
show any of the fields, and whoever loses the key has erased them all.
"""

import os
import re
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag

from ledger.log.errors import DamagedError
from ledger.log.keystore import DataKey

SALT_BYTES = 32
NONCE_BYTES = 12
MAX_SEALED_BYTES = 1 << 20
MAX_ARGUMENTS = 64
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN_NAMES = re.compile(r"(?:[A-Za-z0-9_.-]{1,64}\n)*\Z", re.ASCII)


# Canonical base64url of 32 bytes: the last character carries four bits.
Digest = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")]


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the leaf instead of a value."""

    digest: Digest = msgspec.field(name="$sealed")


# An object sealed by member, or as a whole: {"amount": {"$sealed": "…"}} or {"$sealed": "…"}.
SealedMembers = dict[str, Commitment | Digest]

_blob_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def sealed_by_member(members: Iterable[str]) -> bool:
    """The grain: whether an object with these member names is sealed one field per member."""
    names = list(members)
    # One look at all of them, a line each; a name with a line break of its own makes a line too many.
    lines = "\n".join([*names, ""])
    return len(names) <= MAX_ARGUMENTS and lines.count("\n") == len(names) and _PLAIN_NAMES.match(lines) is not None


def is_sealed(members: SealedMembers) -> bool:
    """Whether an object in a leaf is sealed throughout, by member or as a whole."""
    if len(members) == 1 and isinstance(members.get("$sealed"), str):
        return True
    return all(isinstance(value, Commitment) for value in members.values()) and sealed_by_member(members)


class Sealer:
    """Seals the fields of one event. One read of the system's randomness serves all salts and the nonce."""

    def __init__(self, fields: int) -> None:
        self._random = os.urandom(fields * SALT_BYTES + NONCE_BYTES)
        self._used = NONCE_BYTES
        self._disclosures: list[tuple[bytes, bytes]] = []

    def seal(self, pointer: str, value: bytes | msgspec.Raw) -> Commitment:
        """Commit to `value`, JSON text kept byte for byte, at JSON Pointer `pointer` from the entry's root."""
        salt = self._random[self._used : self._used + SALT_BYTES]
        assert len(salt) == SALT_BYTES, "more fields sealed than announced"
        self._used += SALT_BYTES
        place = pointer.encode()
        # Four fields an event, three encodings a field: written out, since this is where reporting spends its time.
        text = b'["%b","%b",%b]' % (b2a_base64(salt, newline=False).translate(_URL_SAFE, b"="), place, value)
        self._disclosures.append((place, text))
        digest = sha256(b2a_base64(text, newline=False).translate(_URL_SAFE, b"=")).digest()
        return Commitment(b2a_base64(digest, newline=False).translate(_URL_SAFE, b"=").decode())

    def seal_members(self, pointer: str, members: Mapping[str, msgspec.Raw], text: bytes) -> SealedMembers:
        """Seal an object by member, or as a whole where its names are many or not plain. `text` is the whole object."""
        if not sealed_by_member(members):
            return {"$sealed": self.seal(pointer, text).digest}
        return {name: self.seal(f"{pointer}/{name}", value) for name, value in members.items()}

    @property
    def size(self) -> int:
        """Bytes of disclosures so far, before encryption."""
        return sum([len(text) for _, text in self._disclosures])

    def encrypt(self, key: DataKey, context: bytes) -> bytes | None:
        """The blob of everything sealed so far: nonce and ciphertext, bound to `context`; None when nothing was."""
        if not self._disclosures:
            return None
        # Pointer order, so that what is shown later needs no sorting.
        texts = b",".join([text for _, text in sorted(self._disclosures)])
        nonce = self._random[:NONCE_BYTES]
        return nonce + key.aead.encrypt(nonce, b"[%b]" % texts, context)


def decrypt(blob: bytes, key: DataKey, context: bytes) -> list[str]:
    """The disclosures D in a blob, in pointer order. Raises DamagedError when they do not open under this key."""
    try:
        text = key.aead.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise DamagedError("the stored disclosures do not open under their key") from error
    return [_base64url(bytes(raw)).decode() for raw in _blob_decoder.decode(text)]


class Disclosure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A disclosure, read: salt in base64url, JSON Pointer, value as it was sealed."""

    salt: str
    pointer: str
    value: msgspec.Raw


_disclosure_decoder = msgspec.json.Decoder(Disclosure)


def read_disclosure(text: str) -> Disclosure:
    """What a disclosure D says. Raises ValueError or msgspec.MsgspecError when it is none (S1)."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    disclosure = _disclosure_decoder.decode(data)
    salt = urlsafe_b64decode(disclosure.salt + "=")
    if _base64url(data).decode() != text or _base64url(salt).decode() != disclosure.salt or len(salt) != SALT_BYTES:
        raise ValueError("a disclosure is not canonical base64url, or its salt is not 32 bytes")
    return disclosure


def digest_of(disclosure: str) -> str:
    """The commitment's digest for a disclosure D (RFC 9901 §4.2.3)."""
    return _base64url(sha256(disclosure.encode()).digest()).decode()


def _base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")
