# SPDX-License-Identifier: Apache-2.0
"""ledger-verify: checks the evidence of Decision Ledger offline, with the standard library alone.

    verify_receipt(raw, keys)      one entry is in one log                (spec/receipt.md)
    verify_day_file(raw, keys)     the daily root of the root log         (spec/day.md)
    verify_export(path, keys)      a complete range of a log              (spec/export.md)
    trusted_keys(log, root)        the vkeys that the caller trusts

Each returns what was verified and raises `VerificationError` if anything does not hold. The modules `merkle`, `ed25519`
and `note` are usable alone. Nothing here reads the network, the environment or a clock, and nothing is shared with the
service: a bug in one must not hide in the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger_verify.day import verify_day_file
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import TrustedKeys, trusted_keys

if TYPE_CHECKING:
    from ledger_verify.export import verify_export

__version__ = "0.1.0"

__all__ = [
    "CannotTellError",
    "MalformedError",
    "TrustedKeys",
    "VerificationError",
    "trusted_keys",
    "verify_day_file",
    "verify_export",
    "verify_receipt",
]


def __getattr__(name: str) -> object:
    """`verify_export`, imported when it is asked for: a single file is compiled anew each time that it is run."""
    if name != "verify_export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ledger_verify.export import verify_export

    return verify_export
