# SPDX-License-Identifier: Apache-2.0
"""R3 and R5: whoever reads a whole root log sees that no key was announced past the one in force."""

from __future__ import annotations

import pytest
from ledger_verify.errors import VerificationError
from ledger_verify.sequence import EntrySequence

from .test_key_history import ORIGIN, Turned
from .textbook import Signer
from .world import Log


def read(log: Log, start: int = 0) -> None:
    sequence = EntrySequence(log.origin, start)
    for index, entry in enumerate(log.entries[start:], start):
        sequence.check(entry, index)


def test_keys_that_follow_each_other_are_fine_wherever_reading_begins() -> None:
    turned = Turned()
    for start in range(len(turned.root.entries)):
        read(turned.root, start)
    for start in range(len(turned.log.entries)):
        read(turned.log, start)


@pytest.mark.parametrize("retired", [0, 1])
def test_retired_key_announces_no_other(retired: int) -> None:
    """Its endorsement is good: whoever stole it can make as many as he likes."""
    turned = Turned()
    forged = turned.rotation(turned.signers[retired], Signer(ORIGIN, b"forger"))
    for log in (turned.root, turned.log):
        log.govern("signing_key.rotated", forged, ORIGIN)
        with pytest.raises(VerificationError, match=r"not the one in force \(R5\)"):
            read(log)


def test_key_in_force_announces_the_next() -> None:
    turned = Turned()
    turned.root.govern("signing_key.rotated", turned.rotation(turned.signers[2], Signer(ORIGIN, b"next")), ORIGIN)
    read(turned.root)


def test_log_is_announced_once() -> None:
    turned = Turned()
    turned.root.govern("log.created", {"origin": ORIGIN, "vkey": turned.signers[2].vkey}, ORIGIN)
    with pytest.raises(VerificationError, match=r"announced twice \(R3\)"):
        read(turned.root)


def test_logs_do_not_mix() -> None:
    turned = Turned()
    for number in range(3):
        other = Signer(f"localhost/log/{number}", b"other")
        turned.root.govern("log.created", {"origin": other.name, "vkey": other.vkey}, other.name)
    read(turned.root)
