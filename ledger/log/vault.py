# SPDX-License-Identifier: Apache-2.0
"""Secrets at rest: PyNaCl SecretBox under one master key.

The master key comes from `LEDGER_MASTER_KEY` or from a file that only its owner can read. It is used for nothing
itself; each purpose has a key derived from it, so that a box of one purpose does not open as another.
"""

import base64
import binascii
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.log.errors import ConfigurationError

KEY_BYTES = 32


class Box:
    """Seals for one purpose. While a master key is being replaced, it opens what the one before has sealed, too."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The first key seals, each of them opens."""
        self._boxes = [SecretBox(key) for key in keys]

    def seal(self, secret: bytes) -> bytes:
        return bytes(self._boxes[0].encrypt(secret))

    def open(self, sealed: bytes) -> bytes:
        """Raises ValueError when none of the keys opens it."""
        for box in self._boxes:
            with suppress(CryptoError, ValueError):
                return bytes(box.decrypt(sealed))
        raise ValueError("it was sealed under another key, or is damaged")

    def is_current(self, sealed: bytes) -> bool:
        """Whether the first key opens it."""
        with suppress(CryptoError, ValueError):
            return bool(self._boxes[0].decrypt(sealed) is not None)
        return False


class Vault:
    """Seals and opens secrets, each under a name that is part of what opens it. With a `previous` master key it opens
    what is still sealed under that one.
    """

    def __init__(self, master_key: bytes, previous: bytes | None = None) -> None:
        assert len(master_key) == KEY_BYTES
        self._keys = [master_key] if previous is None else [master_key, previous]

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose."""
        return _derived(self._keys[0], purpose)

    def box(self, purpose: str) -> Box:
        return Box([_derived(key, purpose) for key in self._keys])

    def seal(self, name: str, secret: bytes) -> bytes:
        return self.box(f"box {name}").seal(secret)

    def open(self, name: str, box: bytes) -> bytes:
        """The secret sealed under `name`. Raises ConfigurationError when the master key or the box is another one."""
        try:
            return self.box(f"box {name}").open(box)
        except ValueError as error:
            raise ConfigurationError(
                f"secret {name!r} does not open: the master key is not the one it was sealed under"
            ) from error


def _derived(master_key: bytes, purpose: str) -> bytes:
    return blake2b(purpose.encode(), key=master_key, digest_size=KEY_BYTES, person=b"ledger-vault-v1").digest()


def next_key_path(path: Path) -> Path:
    """Where a new master key lies until all that was sealed under the one at `path` is sealed under it."""
    return path.with_name(f"{path.name}.next")


def read_master_key(path: Path, environment: str | None, *, replacing: bool = False) -> bytes:
    """The master key from the environment's value if there is one, else from `path`. Raises ConfigurationError, also
    where another one is about to take its place, unless the caller is who replaces it.
    """
    if environment is not None:
        return _decode_key(environment, "LEDGER_MASTER_KEY")
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigurationError(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):o}): run chmod 600 {path}"
            )
        key = _decode_key(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise ConfigurationError(
            f"no master key: {path} is missing and LEDGER_MASTER_KEY is not set; restore the file from its backup"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"master key {path} cannot be read: {error.strerror}") from error
    if not replacing and next_key_path(path).exists():
        raise ConfigurationError("a change of the master key was cut short: run `ledger vault rekey` again")
    return key


def create_master_key(path: Path) -> bytes:
    """Write a new random master key to `path`, mode 0600. Raises ConfigurationError when the file exists."""
    if path.exists():
        raise ConfigurationError(f"master key {path} exists already")
    key = os.urandom(KEY_BYTES)
    # Under another name until it is whole: half a key on a full disk would be taken for a wrong one ever after.
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return key


def _decode_key(text: str | bytes, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{where} does not hold {KEY_BYTES} bytes in base64")
    return key
