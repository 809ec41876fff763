# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id (RFC 9106), off the event loop, and as long for who is not there as for who is."""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

_Result = TypeVar("_Result")

MIN_CHARACTERS = 12
MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs: KiB of memory, and passes over it. The default is RFC 9106's for when memory is scarce."""

    memory: int = 64 << 10
    passes: int = 3


class Passwords:
    """Hashes and verifies. One after the other on all cores but one, so that requests go on meanwhile."""

    def __init__(self, cost: Cost) -> None:
        self._hasher = PasswordHasher(cost.passes, cost.memory, parallelism=1, type=Type.ID)
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), "ledger-passwords")
        self._nobody = self._hasher.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """In the PHC string format, with a salt of its own."""
        return await self._run(lambda: self._hasher.hash(_prepared(password)))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; of nobody's, None, it never is, and that takes as long to find out."""
        return await self._run(lambda: self._matches(hashed or self._nobody, password) and hashed is not None)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, _prepared(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _prepared(password: str) -> bytes:
    """The same characters have the same bytes on every keyboard (RFC 8265 §4.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
