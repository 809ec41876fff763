# SPDX-License-Identifier: Apache-2.0
"""Whether the stored disclosures open and are those that the leaves commit to.

Opening is a decryption, and five encodings and hashes an entry: the largest part of a check. `fit` does it for many
entries together and answers yes or no; `open` does it for one and says what is wrong.
"""

from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from itertools import chain

import msgspec
from cryptography.exceptions import InvalidTag

from ledger.log.errors import DamagedError
from ledger.log.keystore import DataKey, Keystore
from ledger.log.lines import HASHES, all_match
from ledger.log.sealed import (
    NONCE_BYTES,
    URL_SAFE,
    Disclosure,
    decrypt,
    digest_of,
    kept_disclosures,
    read_disclosure,
)
from ledger.log.store import Row

CACHED_KEYS = 50_000

_disclosures = msgspec.json.Decoder(list[Disclosure])


class Opener:
    """Opens what is stored beside the entries of one log. Keeps the data keys it has used."""

    def __init__(self, keystore: Keystore, log_number: int, origin: str) -> None:
        self._keystore = keystore
        self._log_number = log_number
        self._context = origin.encode()
        self._keys: dict[bytes, DataKey] = {}

    def open(self, row: Row) -> list[tuple[str, str]]:
        """Pointer and digest of each disclosure of an entry, in the order in which they are stored.

        Raises DamagedError. Of what was erased nothing is stored, so a key that is gone is no erasure.
        """
        assert row.data_key is not None and row.sealed is not None
        key = self._key(row.data_key)
        try:
            texts = decrypt(row.sealed, key, self._context)
            return [(read_disclosure(text).pointer, digest_of(text)) for text in texts]
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DamagedError(f"what is stored are not disclosures: {error}") from error

    def fit(self, rows: Sequence[Row], pointers: Sequence[tuple[str, ...]], digests: Sequence[str]) -> bool:
        """Whether each row, which must have some, has the disclosures that `pointers` and `digests` of its leaf name
        (see `leaf.Leaves`).
        """
        stored = [(row.data_key, row.sealed) for row in rows]
        known, find, context = self._keys.get, self._key, self._context
        try:
            # Written out, since each step here is taken for every entry there is.
            parts = [
                kept_disclosures(
                    (known(key) or find(key)).aead.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
                )
                for key, blob in stored
                if key is not None and blob is not None
            ]
            if list(map(len, parts)) != list(map(len, pointers)):
                return False
            texts = list(chain.from_iterable(parts))
            disclosures = _disclosures.decode(b"[" + b",".join(texts) + b"]")
        except (InvalidTag, DamagedError, msgspec.MsgspecError, ValueError, RecursionError):
            return False
        # Base64 ends each in a line break: all of it becomes base64url in one go, and is then cut up.
        encoded = b"".join(map(b2a_base64, texts)).translate(URL_SAFE, b"=").split(b"\n")[:-1]
        # Of 32 bytes and a zero base64 makes the canonical 43 characters and an A.
        hashes = b"\0".join([*[sha256(text).digest() for text in encoded], b""])
        return (
            [disclosure.pointer for disclosure in disclosures] == list(chain.from_iterable(pointers))
            and all_match(HASHES, 43, [disclosure.salt for disclosure in disclosures])
            and b2a_base64(hashes, newline=False).translate(URL_SAFE) == "A".join([*digests, ""]).encode()
        )

    def _key(self, key_id: bytes) -> DataKey:
        """Raises DamagedError."""
        stored = self._keystore.stored(key_id)
        if stored is None:
            raise DamagedError("the data key is gone, and no entry says that this was erased")
        if stored.row.log_number != self._log_number:
            raise DamagedError(f"the data key is said to be one of log {stored.row.log_number}")
        if len(self._keys) >= CACHED_KEYS:
            self._keys.clear()
        key = self._keys[key_id] = stored.open()
        return key
