# SPDX-License-Identifier: Apache-2.0
"""Signing keys: one Ed25519 key a log, sealed in the vault under the text of its vkey.

Which key signs is not a setting: it is the newest vkey that the root log names for the origin, so a key that nobody
announced cannot sign and a restored database cannot bring an old key back.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.log.errors import ConfigurationError
from ledger.log.store import Secret, Store
from ledger.log.vault import Vault
from ledger.tlog.note import SigningKey

PREFIX = "signing/"


def create_signing_key(origin: str, vault: Vault) -> tuple[SigningKey, Secret]:
    """A new key for a log, and the sealed secret to store with it."""
    key = SigningKey(origin, Ed25519PrivateKey.generate())
    name = PREFIX + key.vkey.format()
    return key, Secret(name, vault.seal(name, key.private_key.private_bytes_raw()))


def load_signing_key(origin: str, vkey: str, store: Store, vault: Vault) -> SigningKey:
    """The private key of `vkey`. Raises ConfigurationError when it is missing or is another one."""
    box = store.secret(PREFIX + vkey)
    if box is None:
        raise ConfigurationError(f"the vault has no private key for {vkey}")
    return read_signing_key(origin, vkey, vault.open(PREFIX + vkey, box))


def read_signing_key(origin: str, vkey: str, secret: bytes) -> SigningKey:
    """The private key of `vkey` from what the vault keeps. Raises ConfigurationError when it is another one."""
    try:
        key = SigningKey(origin, Ed25519PrivateKey.from_private_bytes(secret))
    except ValueError:
        raise ConfigurationError(f"what the vault has for {vkey} is no private key") from None
    if key.vkey.format() != vkey:
        raise ConfigurationError(f"the vault's private key for {vkey} is another one")
    return key
