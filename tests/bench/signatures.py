# SPDX-License-Identifier: Apache-2.0
"""Fresh signatures by one key: by the verifier's tables, by its doublings, and by `cryptography`, in turns."""

import random
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_verify import ed25519
from ledger_verify.ed25519_tables import Table, build_table

from tests.bench.figures import Outcome

SIGNATURES = 2000
BLOCKS = 20
"""Parts of a run, so that a neighbour on the machine who comes and goes meets all three."""
WIDTH = max(ed25519._STEPS.values())

Way = tuple[Callable[[bytes, bytes], object], AbstractContextManager[object]]


class Signatures:
    """Signatures over different messages; what a run measures is the median of its blocks."""

    def __init__(self, seconds: float) -> None:
        private = Ed25519PrivateKey.generate()
        self._public = private.public_key()
        self._key = self._public.public_bytes_raw()
        messages = [b"%d" % number * 20 for number in range(SIGNATURES)]
        self._signed = [(private.sign(message), message) for message in messages]
        self._block_seconds = seconds / BLOCKS / 3
        self._rng = random.Random(1)

    def measure(self, outcome: Outcome) -> None:
        table = self._made_table(outcome)
        ways: dict[str, Callable[[], Way]] = {
            "cryptography": lambda: (self._public.verify, nullcontext()),
            "tables": lambda: (self._ours, patch.multiple(ed25519, _STEPS={}, _tables={self._key: table})),
            "doublings": lambda: (self._ours, patch.multiple(ed25519, _STEPS={}, _tables={})),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(BLOCKS):
            for name, way in ways.items():
                verify, setting = way()
                with setting:
                    rates[name].append(self._rate(verify))
        for name, found in rates.items():
            outcome.add(f"signatures, {name}/rate", "signatures/s", median(found))

    def _made_table(self, outcome: Outcome) -> Table:
        """The largest tables, of the key and of the base point, made anew."""
        key = ed25519._key(self._key)
        assert key is not None
        ed25519._base_table.cache_clear()
        started = time.perf_counter()
        table = build_table(key.minus, WIDTH)
        ed25519._base_table(WIDTH)
        outcome.add("two tables made/seconds", "s", time.perf_counter() - started)
        held = sum(sys.getsizeof(row) + sum(map(sys.getsizeof, row)) for row in table.rows)
        outcome.add("two tables held/size", "MB", 2 * held / 1e6)
        return table

    def _ours(self, signature: bytes, message: bytes) -> None:
        if not ed25519.verify(self._key, message, signature):
            raise RuntimeError("a good signature was refused")

    def _rate(self, verify: Callable[[bytes, bytes], object]) -> float:
        done, started = 0, time.perf_counter()
        while (lasted := time.perf_counter() - started) < self._block_seconds or not done:
            for signature, message in self._rng.sample(self._signed, 5):
                verify(signature, message)
                done += 1
        return done / lasted
