# SPDX-License-Identifier: Apache-2.0
"""The formats written down once more, as the textbooks have them: slow, recursive, with none of the package's code.

Merkle trees are the recursion of RFC 6962 §2.1 over lists of leaves, canonical JSON is `json.dumps` (for ASCII names
the two agree), signatures come from `cryptography`. What is built here is good evidence; the tests then break it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# --- Merkle trees -----------------------------------------------------------------------------------------------------


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def split(n: int) -> int:
    """The largest power of two below n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(hashes: list[bytes]) -> bytes:
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return node(mth(hashes[:k]), mth(hashes[k:]))


def inclusion(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return [*inclusion(index, hashes[:k]), mth(hashes[k:])]
    return [*inclusion(index - k, hashes[k:]), mth(hashes[:k])]


def consistency(size: int, hashes: list[bytes], known: bool = True) -> list[bytes]:
    if size == len(hashes):
        return [] if known else [mth(hashes)]
    k = split(len(hashes))
    if size <= k:
        return [*consistency(size, hashes[:k], known), mth(hashes[k:])]
    return [*consistency(size - k, hashes[k:], False), mth(hashes[:k])]


def subtrees(hashes: list[bytes], start: int, end: int) -> list[bytes]:
    """spec/export.md: from `start` on, the largest aligned subtree that ends at or before `end`, and so on."""
    result = []
    while start < end:
        width = 1
        while start % (2 * width) == 0 and start + 2 * width <= end:
            width *= 2
        result.append(mth(hashes[start : start + width]))
        start += width
    return result


# --- text -------------------------------------------------------------------------------------------------------------


def jcs(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def file_bytes(value: object) -> bytes:
    return jcs(value).encode() + b"\n"


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


def b64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def b64_list(hashes: list[bytes]) -> list[str]:
    return [b64(x) for x in hashes]


def uuid7(number: int) -> str:
    text = f"{0x019A_0000_0000 + number:012x}7{number % 4096:03x}8{number:015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def seal(pointer: str, value_text: str, salt: bytes) -> tuple[str, dict[str, str]]:
    """A disclosure and the commitment to it."""
    disclosure = b64url(f'["{b64url(salt)}","{pointer}",{value_text}]'.encode())
    return disclosure, {"$sealed": b64url(sha256(disclosure.encode()))}


def listed(files: dict[str, bytes]) -> list[dict[str, object]]:
    return [{"name": n, "sha256": sha256(c).hex(), "size": len(c)} for n, c in sorted(files.items())]


# --- keys and notes ---------------------------------------------------------------------------------------------------


@dataclass
class Signer:
    """An Ed25519 key under a name; deterministic, so that failures can be repeated."""

    name: str
    seed: bytes

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(sha256(self.seed))

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n\x01" + self.public)[:4]

    @property
    def vkey(self) -> str:
        key = b"\x01" + self.public
        return f"{self.name}+{self.key_id.hex()}+{b64(key)}"

    def line(self, text: str) -> str:
        return f"\u2014 {self.name} {b64(self.key_id + self.private.sign(text.encode()))}\n"

    def sign(self, text: str) -> str:
        return text + "\n" + self.line(text)


class Witness(Signer):
    """A cosigner: its key has another type, and it signs a time and the checkpoint."""

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n\x04" + self.public)[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([4]) + self.public)}"

    def cosign(self, text: str, time: int) -> str:
        signature = self.private.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        return f"\u2014 {self.name} {b64(self.key_id + time.to_bytes(8, 'big') + signature)}\n"


# --- tlog-tiles -------------------------------------------------------------------------------------------------------


def tile_path(level: int | str, number: int, width: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}")


def tiled(entries: list[bytes]) -> dict[str, bytes]:
    """All files of a log but its checkpoint, by path."""
    files = {}
    for start in range(0, len(entries), 256):
        part = entries[start : start + 256]
        bundle = b"".join(bytes([len(e) // 256, len(e) % 256]) + e for e in part)
        files[tile_path("entries", start // 256, len(part))] = bundle
    level, hashes = 0, [leaf(entry) for entry in entries]
    while hashes:
        rows = [hashes[start : start + 256] for start in range(0, len(hashes), 256)]
        for number, row in enumerate(rows):
            files[tile_path(level, number, len(row))] = b"".join(row)
        level, hashes = level + 1, [mth(row) for row in rows if len(row) == 256]
    return files


def tiled_log(signer: Signer, entries: list[bytes], extra: str = "") -> dict[str, bytes]:
    """All files of a log. `extra` are extension lines."""
    root = mth([leaf(entry) for entry in entries])
    note = signer.sign(f"{signer.name}\n{len(entries)}\n{b64(root)}\n{extra}")
    return {"checkpoint": note.encode(), **tiled(entries)}
