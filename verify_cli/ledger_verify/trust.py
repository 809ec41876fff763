# SPDX-License-Identifier: Apache-2.0
"""What the reader trusts, and what follows from it (spec/receipt.md, "Verifying").

Trust comes from outside, as one value that nothing changes: keys of the log, keys of the root log, or both. There are no
keys inside the evidence. From who signed what, one of four verdicts follows:

    tamper-evident      a trusted key of the root log signed: the operator could not have shown others another history
                        without forking a log that everybody can see
    tamper-detecting    only a trusted key of the log signed: nobody but the operator could have made this
    self-consistent     everything fits together and no trusted key was given for anything in the file: anybody could
                        have made this
    not verified        a step failed, or a key was given for something that it did not sign
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger_verify.checkpoint import Checkpoint, signed_by
from ledger_verify.errors import VerificationError
from ledger_verify.note import VerifierKey, parse_vkey

TAMPER_EVIDENT = "tamper-evident"
TAMPER_DETECTING = "tamper-detecting"
TIERS = (TAMPER_DETECTING, TAMPER_EVIDENT)  # the weakest first

VERIFIED = "verified"
NOT_VERIFIED = "not-verified"
CANNOT_TELL = "cannot-tell"
SELF_CONSISTENT = "self-consistent"

# Exit codes, and their order when several files were given: one forged file outweighs all that hold.
EXIT_CODES = {VERIFIED: 0, NOT_VERIFIED: 1, CANNOT_TELL: 2, SELF_CONSISTENT: 3}
PRECEDENCE = (NOT_VERIFIED, CANNOT_TELL, SELF_CONSISTENT, VERIFIED)


class TrustedKeys(NamedTuple):
    """The keys that the reader has from somewhere else than the evidence."""

    log: tuple[VerifierKey, ...] = ()
    root: tuple[VerifierKey, ...] = ()

    @property
    def of_logs(self) -> tuple[VerifierKey, ...]:
        """All keys of logs, for what may be of any log."""
        return tuple(dict.fromkeys(self.log + self.root))

    def with_log_keys(self, more: Iterable[VerifierKey]) -> TrustedKeys:
        return self._replace(log=tuple(dict.fromkeys((*self.log, *more))))


class Signed(NamedTuple):
    """Whose trusted key signed evidence all of whose steps hold."""

    by_log: bool
    by_root: bool

    @property
    def tier(self) -> str | None:
        """The verdict's tier; None stands for self-consistent only."""
        if self.by_root:
            return TAMPER_EVIDENT
        return TAMPER_DETECTING if self.by_log else None

    def weaker(self, other: Signed) -> Signed:
        """What vouches for two things at once."""
        by_root = self.by_root and other.by_root
        return Signed(not by_root and self.tier is not None and other.tier is not None, by_root)


def trusted_keys(log: Iterable[str] = (), root: Iterable[str] = ()) -> TrustedKeys:
    """Parse vkeys. The same vkey twice is one key; two keys with one name and ID are refused as ambiguous."""
    return TrustedKeys(_parse(log), _parse(root))


def verify_signatures(checkpoint: Checkpoint, keys: TrustedKeys) -> Signed:
    """Who signed a checkpoint of any log, root log or not. If a key was given, one of the log's must have signed."""
    if not keys.of_logs:
        return Signed(by_log=False, by_root=False)
    signers = signed_by(checkpoint, keys.of_logs, "--key")
    return Signed(by_log=any(key in keys.log for key in signers), by_root=any(key in keys.root for key in signers))


def worst(verdicts: Iterable[str]) -> str:
    """The verdict on several files."""
    seen = set(verdicts)
    return next(verdict for verdict in PRECEDENCE if verdict in seen)


def _parse(vkeys: Iterable[str]) -> tuple[VerifierKey, ...]:
    keys: dict[tuple[str, bytes], VerifierKey] = {}
    for vkey in vkeys:
        key = parse_vkey(vkey)
        if keys.setdefault((key.name, key.key_id), key) != key:
            raise VerificationError(f"ambiguous: two different keys are {key.name}+{key.key_id.hex()}")
    return tuple(keys.values())
