# SPDX-License-Identifier: Apache-2.0
"""Sealed fields (spec/sealed-fields.md): a commitment in the leaf, the value and its salt beside the log.

    D         = base64url(["<salt>","/data/tool_args/amount",98.7])
    "$sealed" = base64url(SHA-256(D))

What the disclosures of one event are made of is kept as one AES-256-GCM blob under a data key; whoever has the blob and
the key can show any of the fields, and whoever loses the key has erased them all. Inside is a MessagePack array

    [<salts>, {<name>: <JSON text of the value>, ...}]

where a name is an argument's, or else a whole pointer. The salts are one string: all of them, 32 bytes each, in the
order of the fields, or else the 32 bytes of the seed that they all come from, which lies nowhere but here: who is shown
one field with its salt learns nothing of the others. Older blobs hold the JSON array of the disclosures themselves,
which its first byte tells.
"""

import os
import re
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256, shake_256
from typing import Annotated, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag

from ledger.log import canonical
from ledger.log.errors import DamagedError, LedgerError
from ledger.log.keystore import DataKey

SALT_BYTES = 32
NONCE_BYTES = 12
MAX_SEALED_BYTES = 1 << 20
MAX_ARGUMENTS = 64
URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN_NAMES = re.compile(r"(?:[A-Za-z0-9_.-]{1,64}\n)*\Z", re.ASCII)


# Canonical base64url of 32 bytes: the last character carries four bits.
Digest = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")]


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the leaf instead of a value."""

    digest: Digest = msgspec.field(name="$sealed")


# An object sealed by member, or as a whole: {"amount": {"$sealed": "…"}} or {"$sealed": "…"}.
SealedMembers = dict[str, Commitment | Digest]

Field = tuple[str, bytes | msgspec.Raw]
"""A JSON Pointer, and the JSON text of the value there."""

_ARGUMENT = "/data/tool_args/"
"""How a pointer begins that is kept without this beginning; a name without it does not begin with a slash."""

_blob_encoder = msgspec.msgpack.Encoder()
_blob_decoder = msgspec.msgpack.Decoder(tuple[bytes, dict[str, bytes]])
_old_blob_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def sealed_by_member(members: Iterable[str]) -> bool:
    """The grain: whether an object with these member names is sealed one field per member."""
    names = list(members)
    # One look at all of them, a line each; a name with a line break of its own makes a line too many.
    lines = "\n".join([*names, ""])
    return len(names) <= MAX_ARGUMENTS and lines.count("\n") == len(names) and _PLAIN_NAMES.match(lines) is not None


def is_sealed(members: SealedMembers) -> bool:
    """Whether an object in a leaf is sealed throughout, by member or as a whole."""
    if isinstance(members, SealedHere):
        return True
    if len(members) == 1 and isinstance(members.get("$sealed"), str):
        return True
    return all(isinstance(value, Commitment) for value in members.values()) and sealed_by_member(members)


class SealedHere(dict[str, Commitment | Digest]):
    """An object that was sealed in this process: what it holds need not be looked at again."""


@lru_cache(maxsize=1024)
def member_pointers(pointer: str, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Where the members of an object are that is sealed by member, None for one that is sealed as a whole.

    Most calls of a tool have the same arguments.
    """
    return tuple([f"{pointer}/{name}" for name in names]) if sealed_by_member(names) else None


def member_fields(pointer: str, members: Mapping[str, msgspec.Raw], text: bytes) -> list[Field]:
    """The fields an object is sealed by: its members, or the whole of it where they are many or not plainly named."""
    pointers = member_pointers(pointer, tuple(members))
    return [(pointer, text)] if pointers is None else list(zip(pointers, members.values(), strict=True))


def sealed_members(pointer: str, commitments: Mapping[str, Commitment]) -> SealedMembers:
    """The object at `pointer` as it stands in the leaf, from the commitments of all fields by pointer."""
    whole = commitments.get(pointer)
    if whole is not None:
        return SealedHere({"$sealed": whole.digest})
    prefix = f"{pointer}/"
    return SealedHere({at[len(prefix) :]: found for at, found in commitments.items() if at.startswith(prefix)})


def commitments_of(event: msgspec.Struct) -> list[tuple[str, str]]:
    """Pointer and digest of every commitment in an event."""
    found = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Commitment):
            found.append((f"/data/{name}", value.digest))
        elif isinstance(value, dict):
            for member, commitment in value.items():
                if isinstance(commitment, Commitment):
                    found.append((f"/data/{name}/{member}", commitment.digest))
                else:
                    found.append((f"/data/{name}", commitment))
    return found


class Sealed(NamedTuple):
    """The fields of one event, sealed: their commitments by pointer, and what the blob is made of."""

    commitments: dict[str, Commitment]
    size: int
    """Bytes of the disclosures as JSON."""
    nonce: bytes
    salts: bytes
    fields: Sequence[Field]

    def encrypt(self, key: DataKey, context: bytes) -> bytes | None:
        """The blob of all disclosures: nonce and ciphertext, bound to `context`; None when there are none."""
        if not self.fields:
            return None
        return encrypted(_kept(self.salts, self.fields), key, context, self.nonce)


def seal(fields: Sequence[Field]) -> Sealed:
    """Commit to values, JSON texts kept byte for byte, each at its JSON Pointer from the entry's root.

    This is where reporting spends its time, so all fields go through each step together. One read of the system's
    randomness serves the nonce and all salts; digests are encoded in one go, as the salts are.
    """
    random = os.urandom(NONCE_BYTES + SALT_BYTES)
    nonce, seed = random[:NONCE_BYTES], random[NONCE_BYTES:]
    texts = _disclosure_texts(seed, fields)
    digests = [sha256(b2a_base64(text, newline=False).translate(URL_SAFE, b"=")).digest() for text in texts]
    names = b2a_base64(b"\0".join([*digests, b""]), newline=False).translate(URL_SAFE).decode()
    commitments = {
        pointer: Commitment(names[at : at + 43])
        for at, (pointer, _) in zip(range(0, len(names), 44), fields, strict=True)
    }
    return Sealed(commitments, sum(map(len, texts)), nonce, seed, fields)


def _disclosure_texts(salts: bytes, fields: Sequence[Field]) -> list[bytes]:
    """The JSON arrays of the disclosures. Raises ValueError when these cannot be the salts of so many fields."""
    encoded = b2a_base64(_spaced_salts(salts, len(fields)), newline=False).translate(URL_SAFE)
    return [
        b'["%b","%b",%b]' % (encoded[at : at + 43], pointer.encode(), value)
        for at, (pointer, value) in zip(range(0, len(encoded), 44), fields, strict=True)
    ]


def _spaced_salts(salts: bytes, count: int) -> bytes | bytearray:
    """The salts of so many fields, each with a zero behind it: in base64 every 33 bytes begin a character of their own,
    and make 43 characters and one to leave out.
    """
    if len(salts) == SALT_BYTES * count:
        return b"".join([salts[at : at + SALT_BYTES] + b"\0" for at in range(0, len(salts), SALT_BYTES)])
    if len(salts) != SALT_BYTES:
        raise ValueError(f"{len(salts)} bytes are neither the salts of {count} fields nor their seed")
    spaced = bytearray(shake_256(salts).digest(33 * count))
    spaced[SALT_BYTES::33] = bytes(count)
    return spaced


def encrypted(kept: bytes, key: DataKey, context: bytes, nonce: bytes) -> bytes:
    """A blob: nonce and ciphertext, bound to `context`. A nonce is used once with a key."""
    return nonce + key.aead.encrypt(nonce, kept, context)


def decrypted(blob: bytes, key: DataKey, context: bytes) -> bytes:
    """What is in a blob. Raises DamagedError when it does not open under this key."""
    try:
        return key.aead.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise DamagedError("the stored disclosures do not open under their key") from error


def decrypt(blob: bytes, key: DataKey, context: bytes) -> list[str]:
    """The disclosures D in a blob, in pointer order.

    Raises DamagedError when they do not open under this key, and what `kept_disclosures` raises.
    """
    return [_base64url(bytes(text)).decode() for text in kept_disclosures(decrypted(blob, key, context))]


def _kept(salts: bytes, fields: Sequence[Field]) -> bytes:
    return _blob_encoder.encode((salts, {pointer.removeprefix(_ARGUMENT): bytes(value) for pointer, value in fields}))


def _kept_fields(kept: bytes) -> tuple[bytes, list[Field]]:
    """Salts and fields in a decrypted blob of the newer form."""
    salts, values = _blob_decoder.decode(kept)
    return salts, [(name if name.startswith("/") else _ARGUMENT + name, value) for name, value in values.items()]


def kept_disclosures(kept: bytes) -> Sequence[bytes | msgspec.Raw]:
    """The JSON arrays of the disclosures in a decrypted blob, in pointer order. Raises ValueError or
    msgspec.MsgspecError when it holds something else.
    """
    if kept.startswith(b"["):
        return _old_blob_decoder.decode(kept)
    salts, fields = _kept_fields(kept)
    texts = _disclosure_texts(salts, fields)
    # Pointer order, so that what is shown needs no sorting.
    return [text for _, text in sorted(zip([pointer for pointer, _ in fields], texts, strict=True))]


def kept_without(kept: bytes, pointers: Container[str]) -> bytes | None:
    """The contents of a decrypted blob without the fields at these pointers, None when nothing is left. Raises
    ValueError or msgspec.MsgspecError when it holds something else.
    """
    if kept.startswith(b"["):
        texts = [
            text for text in _old_blob_decoder.decode(kept) if _disclosure_decoder.decode(text).pointer not in pointers
        ]
        return b"[" + b",".join(texts) + b"]" if texts else None
    salts, fields = _kept_fields(kept)
    spaced = _spaced_salts(salts, len(fields))
    left = [(at, field) for at, field in enumerate(fields) if field[0] not in pointers]
    # Salts that come from one seed come out of it in order, so with a gap they can no longer be kept as the seed.
    own = b"".join([bytes(spaced[33 * at : 33 * at + SALT_BYTES]) for at, _ in left])
    return _kept(own, [field for _, field in left]) if left else None


class Disclosure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
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


def read_foreign_disclosure(text: str) -> Disclosure:
    """The same of a disclosure that somebody sent: one spelling of everything around the value, and a value that all
    readers understand alike (S1). Raises ValueError.
    """
    try:
        disclosure = read_disclosure(text)
        value = bytes(disclosure.value)
        spelling = b'["%b","%b",%b]' % (disclosure.salt.encode(), disclosure.pointer.encode(), value)
        canonical.refuse_duplicates(value)
    except (LedgerError, msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"not a disclosure: {error}") from None
    if _base64url(spelling).decode() != text:
        raise ValueError("a disclosure has white space or escapes outside of its value")
    if not canonical.nests_at_most(canonical.MAX_VALUE_DEPTH, value):
        raise ValueError("a disclosed value is nested too deeply")
    return disclosure


def digest_of(disclosure: str) -> str:
    """The commitment's digest for a disclosure D (RFC 9901 §4.2.3)."""
    return _base64url(sha256(disclosure.encode()).digest()).decode()


def _base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(URL_SAFE, b"=")
