# SPDX-License-Identifier: Apache-2.0
"""ledger-verify: checks the evidence of Decision Ledger, and whole logs, with the standard library alone.

    verify_receipt(raw, keys)      one entry is in one log                (spec/receipt.md)
    verify_day_file(raw, keys)     the daily root of the root log         (spec/day.md)
    verify_export(path, keys)      a complete range of a log              (spec/export.md)
    verify_proof(raw, keys)        one entry is in any log                (spec/proof.md)
    verify_consistency_files(…)    one tree begins with another           (spec/consistency.md)
    verify_log(source, keys)       a whole log, derived again             (spec/log.md)
    trusted_keys(log, root)        the vkeys that the caller trusts

Each returns what was verified and raises `VerificationError` if anything does not hold. The modules `merkle`, `ed25519`
and `note` are usable alone. Nothing here reads the environment or a clock, or the network but for a log that is named by
its URL, and nothing is shared with the service: a bug in one must not hide in the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger_verify.errors import CannotTellError, MalformedError, VerificationError
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import TrustedKeys, trusted_keys

if TYPE_CHECKING:
    from ledger_verify.consistency import verify_consistency_files
    from ledger_verify.day import verify_day_file
    from ledger_verify.export import verify_export
    from ledger_verify.log import verify_log
    from ledger_verify.proof import verify_proof

__version__ = "0.1.0"

__all__ = [
    "CannotTellError",
    "MalformedError",
    "TrustedKeys",
    "VerificationError",
    "trusted_keys",
    "verify_consistency_files",
    "verify_day_file",
    "verify_export",
    "verify_log",
    "verify_proof",
    "verify_receipt",
]


def __getattr__(name: str) -> object:
    """The others, imported when they are asked for: the single file is compiled anew each time that it is run."""
    found: object
    if name == "verify_consistency_files":
        from ledger_verify.consistency import verify_consistency_files as found
    elif name == "verify_day_file":
        from ledger_verify.day import verify_day_file as found
    elif name == "verify_export":
        from ledger_verify.export import verify_export as found
    elif name == "verify_log":
        from ledger_verify.log import verify_log as found
    elif name == "verify_proof":
        from ledger_verify.proof import verify_proof as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
