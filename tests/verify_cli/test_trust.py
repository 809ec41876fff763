# SPDX-License-Identifier: Apache-2.0
"""Keys as the caller gives them, and the order of verdicts."""

from __future__ import annotations

import pytest
from ledger_verify import VerificationError, trust, trusted_keys
from ledger_verify.trust import CANNOT_TELL, EXIT_CODES, NOT_VERIFIED, SELF_CONSISTENT, VERIFIED, Signed, worst

from .textbook import Signer


def test_the_same_vkey_twice_is_one_key() -> None:
    vkey = Signer("localhost/log/a", b"a").vkey
    assert len(trusted_keys([vkey, vkey], [vkey]).log) == 1


def test_two_keys_with_one_name_and_id_are_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collision of four bytes can be computed; here the parser pretends one."""
    real = trust.parse_vkey
    monkeypatch.setattr(trust, "parse_vkey", lambda vkey: real(vkey)._replace(key_id=b"same"))
    one, other = Signer("localhost/log/a", b"a").vkey, Signer("localhost/log/a", b"b").vkey
    with pytest.raises(VerificationError, match="ambiguous"):
        trusted_keys([one, other])


def test_tiers() -> None:
    assert [Signed(log, root).tier for log in (False, True) for root in (False, True)] == [
        None,
        "tamper-evident",
        "tamper-detecting",
        "tamper-evident",
    ]


def test_the_worst_verdict_decides() -> None:
    order = [NOT_VERIFIED, CANNOT_TELL, SELF_CONSISTENT, VERIFIED]
    for position, verdict in enumerate(order):
        assert worst(order[position:]) == worst(reversed(order[position:])) == verdict
    assert [EXIT_CODES[verdict] for verdict in order] == [1, 2, 3, 0]
