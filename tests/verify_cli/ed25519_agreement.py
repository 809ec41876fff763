# SPDX-License-Identifier: Apache-2.0
"""Whether `ledger_verify.ed25519` and `cryptography` say the same of random signatures, good and broken:

    python -m tests.verify_cli.ed25519_agreement --rounds 100000

Each round makes a signature, breaks it in one of the ways of `BREAKS` or not at all, and asks three: `cryptography`,
the slow way by doublings, and the way that `verify` itself takes, which in the end are the largest tables. Where they
disagree a case is printed whole, and the exit code is 1. Chance never meets a point of small order, or a second way to
write one, on which the two differ on purpose; those are in test_ed25519.py.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from ledger_verify import ed25519

L = 2**252 + 27742317777372353535851937790883648493
KEYS = 6
"""More than may have tables, so that keys without are met all the time, too."""


class Case(NamedTuple):
    key: bytes
    message: bytes
    signature: bytes


def _flip(rng: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    changed[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _with_s(case: Case, change: Callable[[int], int]) -> Case:
    s = change(int.from_bytes(case.signature[32:], "little")) % 2**256
    return case._replace(signature=case.signature[:32] + s.to_bytes(32, "little"))


BREAKS: dict[str, Callable[[random.Random, Case], Case]] = {
    "a bit of the key": lambda rng, case: case._replace(key=_flip(rng, case.key)),
    "a bit of the message": lambda rng, case: case._replace(message=_flip(rng, case.message + b"x")),
    "a bit of R": lambda rng, case: case._replace(signature=_flip(rng, case.signature[:32]) + case.signature[32:]),
    "a bit of S": lambda rng, case: case._replace(signature=case.signature[:32] + _flip(rng, case.signature[32:])),
    "the sign of R": lambda rng, case: case._replace(
        signature=case.signature[:31] + bytes([case.signature[31] ^ 0x80]) + case.signature[32:]
    ),
    "the sign of the key": lambda rng, case: case._replace(key=case.key[:31] + bytes([case.key[31] ^ 0x80])),
    "S + L": lambda rng, case: _with_s(case, lambda s: s + L),
    "L - S": lambda rng, case: _with_s(case, lambda s: L - s),
    "S + 1": lambda rng, case: _with_s(case, lambda s: s + 1),
    "S = 0": lambda rng, case: _with_s(case, lambda s: 0),
    "R = 0": lambda rng, case: case._replace(signature=bytes(32) + case.signature[32:]),
    "R of another": lambda rng, case: case._replace(signature=rng.randbytes(32) + case.signature[32:]),
    "S and R": lambda rng, case: case._replace(signature=case.signature[32:] + case.signature[:32]),
    "another key": lambda rng, case: case._replace(key=_private(rng).public_key().public_bytes_raw()),
    "another length": lambda rng, case: case._replace(signature=(case.signature + bytes(9))[: rng.randrange(74)]),
    "another length of the key": lambda rng, case: case._replace(key=(case.key + bytes(9))[: rng.randrange(42)]),
}


def cases(rounds: int, seed: int) -> Iterator[tuple[str, Case]]:
    """Cases by a few keys and now and then a new one. The first element says what was broken, "" for nothing."""
    rng = random.Random(seed)
    keys = [_private(rng) for _ in range(KEYS)]
    for number in range(rounds):
        private = _private(rng) if number % 10 == 9 else keys[rng.randrange(KEYS)]
        message = rng.randbytes(rng.randrange(200))
        case = Case(private.public_key().public_bytes_raw(), message, private.sign(message))
        broken = "" if number % 3 == 0 else rng.choice(list(BREAKS))
        yield broken, BREAKS[broken](rng, case) if broken else case


def disagreements(rounds: int, seed: int, counts: Counter[str]) -> Iterator[tuple[str, Case]]:
    """The cases on which the three do not agree, or that break nothing and are refused."""
    for broken, case in cases(rounds, seed):
        want = accepted_by_cryptography(*case)
        counts[broken or "nothing"] += 1
        with by_doublings(keep_keys=True):
            slow = ed25519.verify(*case)
        if not slow == ed25519.verify(*case) == want or (not broken and not want):
            yield broken, case


def accepted_by_cryptography(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@contextmanager
def by_doublings(keep_keys: bool = False) -> Iterator[None]:
    """In here no signature is verified by tables."""
    with patch.multiple(ed25519, _STEPS={}, _tables={}):
        if not keep_keys:
            ed25519._key.cache_clear()
        yield


@contextmanager
def by_tables(width: int = 6) -> Iterator[None]:
    """In here every signature is verified by tables, small ones, as soon as its key is known."""
    ed25519._key.cache_clear()
    with patch.multiple(ed25519, _STEPS={1: width}, _tables={}, _MAX_TABLES=10_000):
        yield
    ed25519._key.cache_clear()


def _private(rng: random.Random) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify_cli.ed25519_agreement", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100_000, help="signatures (default %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="repeats a run")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    wrong = 0
    for broken, case in disagreements(options.rounds, options.seed, counts):
        wrong += 1
        print(f"{broken or 'nothing'} broken: {' '.join(part.hex() or '-' for part in case)}")
    print(", ".join(f"{name} {count}" for name, count in counts.most_common()))
    print(f"seed {options.seed}: {options.rounds} signatures, {wrong} disagreements")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
