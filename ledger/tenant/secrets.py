# SPDX-License-Identifier: Apache-2.0
"""Secrets that somebody presents, and the way from one to what it stands for.

A secret is random and shown once. The vault has, under a keyed digest of it, a box that says whose it is; the secret
itself is stored nowhere. Whether what it stands for may still act is asked of the fold every time.
"""

import secrets
from hashlib import blake2b
from typing import Literal, Protocol

import msgspec

from ledger.log.store import Secret
from ledger.log.vault import Vault

Kind = Literal["key", "agent", "invitation", "share"]
"""What a secret leads to: an API key, an agent's credential, an invited member, a link for auditors."""

KEPT = "kept/secret-names"
"""Where the vault keeps what digests are keyed with, once the master key is no longer the one it came from."""


def kept_digest_key(vault: Vault) -> bytes:
    """What digests are keyed with until the first change of the master key, and is kept from then on."""
    return vault.derive("api keys")


class Owner(msgspec.Struct, frozen=True):
    """Whose secret it is. The name in the box is from when there were keys only."""

    log_number: int
    id: str = msgspec.field(name="key_id")


class SecretStore(Protocol):
    def secret(self, name: str) -> bytes | None: ...


class Secrets:
    """Names secrets and finds what they stand for."""

    def __init__(self, store: SecretStore | None, vault: Vault) -> None:
        """`store` is None for a ledger that is being made."""
        self.vault = vault
        self._store = store
        kept = None if store is None else store.secret(KEPT)
        self._digest_key = kept_digest_key(vault) if kept is None else vault.open(KEPT, kept)

    def name(self, kind: Kind, secret: str) -> str:
        """The name under which the vault says whose a secret is. Says nothing to who has no master key."""
        return f"{kind}/{self.digest(secret)}"

    def digest(self, text: str) -> str:
        digest = blake2b(text.encode("utf-8", "surrogateescape"), key=self._digest_key, digest_size=32)
        return digest.hexdigest()

    def box(self, kind: Kind, secret: str, owner: Owner) -> Secret:
        """What the vault gets for a new secret."""
        name = self.name(kind, secret)
        return Secret(name, self.vault.seal(name, msgspec.json.encode(owner)))

    def find(self, kind: Kind, secret: str) -> Owner | None:
        assert self._store is not None
        name = self.name(kind, secret)
        box = self._store.secret(name)
        return None if box is None else msgspec.json.decode(self.vault.open(name, box), type=Owner)


def new_random() -> str:
    """256 random bits, as they stand at the end of a secret."""
    return secrets.token_urlsafe(32)
