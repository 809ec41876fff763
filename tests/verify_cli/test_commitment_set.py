# SPDX-License-Identifier: Apache-2.0
"""S5 over many: a digest that occurs twice is found, wherever both are; others are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_verify.commitment_set import CommitmentSet

from .textbook import b64url, sha256


def digest(number: int) -> bytes:
    return b64url(sha256(b"%d" % number)).encode()


@given(st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=8))
def test_repeated_is_what_occurs_twice(batches: list[list[int]]) -> None:
    found = CommitmentSet()
    for batch in batches:
        found.add([digest(number) for number in batch])
    numbers = [number for batch in batches for number in batch]
    twice = {sha256(b"%d" % number)[:16] for number in numbers if numbers.count(number) > 1}
    assert (found.repeated() in twice) if twice else found.repeated() is None


@pytest.mark.parametrize("apart", [1, 999, 5000])
def test_far_apart(apart: int) -> None:
    found = CommitmentSet()
    found.add([digest(number) for number in range(apart)])
    assert found.repeated() is None
    found.add([digest(0)])
    assert found.repeated() == sha256(b"0")[:16]


def test_only_the_last_bytes_differ() -> None:
    """Half of a digest is compared: whoever could make two that agree in it could break SHA-256 to 128 bits."""
    found = CommitmentSet()
    found.add([b"A" * 42 + b"A", b"A" * 42 + b"E"])
    assert found.repeated() == bytes(16)
