# SPDX-License-Identifier: Apache-2.0
"""What the reader trusts, and what follows from it (spec/receipt.md, "Verifying").

Trust comes from outside, as one value that nothing changes: keys of the log, keys of the root log, a policy with witnesses.
There are no keys inside the evidence. From who signed what, one of five verdicts follows:

    equivocation-evident  a quorum of the policy's witnesses cosigned what the log signed: to show others another history,
                          the operator would have needed them
    tamper-evident        a trusted key of the root log signed: the operator could not have shown others another history
                          without forking a log that everybody can see
    tamper-detecting      only a trusted key of the log signed: nobody but the operator could have made this
    self-consistent       everything fits together and no trusted key was given for anything in the file: anybody could
                          have made this
    not verified          a step failed, or a key was given for something that it did not sign
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger_verify.checkpoint import Checkpoint, signed_by
from ledger_verify.errors import VerificationError, shown
from ledger_verify.note import VerifierKey, parse_vkey
from ledger_verify.policy import Cosigned, Policy, parse_policy, verify_quorum

TAMPER_EVIDENT = "tamper-evident"
TAMPER_DETECTING = "tamper-detecting"
EQUIVOCATION_EVIDENT = "equivocation-evident"
TIERS = (TAMPER_DETECTING, TAMPER_EVIDENT, EQUIVOCATION_EVIDENT)  # the weakest first

VERIFIED = "verified"
NOT_VERIFIED = "not-verified"
CANNOT_TELL = "cannot-tell"
SELF_CONSISTENT = "self-consistent"

# Exit codes, and their order when several files were given: one forged file outweighs all that hold.
EXIT_CODES = {VERIFIED: 0, NOT_VERIFIED: 1, CANNOT_TELL: 2, SELF_CONSISTENT: 3}
PRECEDENCE = (NOT_VERIFIED, CANNOT_TELL, SELF_CONSISTENT, VERIFIED)


class PinnedTree(NamedTuple):
    """A tree that the reader once verified under this key, and kept (spec/pins.md)."""

    origin: str
    tree_size: int
    root_hash: bytes
    key: VerifierKey


class TrustedKeys(NamedTuple):
    """The keys that the reader has from somewhere else than the evidence, and the trees."""

    log: tuple[VerifierKey, ...] = ()
    root: tuple[VerifierKey, ...] = ()
    policy: Policy | None = None
    pins: tuple[PinnedTree, ...] = ()

    @property
    def of_logs(self) -> tuple[VerifierKey, ...]:
        """All keys of logs, for what may be of any log."""
        return tuple(dict.fromkeys((*self.log, *self.root, *self._of_policy)))

    def named(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys of one log that a policy or a pin names."""
        pinned = (pin.key for pin in self.pins if pin.origin == origin)
        return tuple(dict.fromkeys(key for key in (*self._of_policy, *pinned) if key.name == origin))

    @property
    def _of_policy(self) -> tuple[VerifierKey, ...]:
        return () if self.policy is None else self.policy.logs

    def with_log_keys(self, more: Iterable[VerifierKey]) -> TrustedKeys:
        return self._replace(log=tuple(dict.fromkeys((*self.log, *more))))


class Signed(NamedTuple):
    """Whose trusted key signed evidence all of whose steps hold."""

    by_log: bool
    by_root: bool
    cosigned: Cosigned | None = None  # what a policy says of the newest checkpoint

    @property
    def tier(self) -> str | None:
        """The verdict's tier; None stands for self-consistent only."""
        if not (self.by_log or self.by_root):
            return None
        if self.cosigned is not None and self.cosigned.quorum:
            return EQUIVOCATION_EVIDENT
        return TAMPER_EVIDENT if self.by_root else TAMPER_DETECTING

    def weaker(self, other: Signed) -> Signed:
        """What vouches for two checkpoints at once, the cosignatures being those of the first."""
        by_root = self.by_root and other.by_root
        return Signed(not by_root and self.tier is not None and other.tier is not None, by_root, self.cosigned)


def trusted_keys(
    log: Iterable[str] = (),
    root: Iterable[str] = (),
    policy: bytes | None = None,
    pins: Iterable[PinnedTree] = (),
) -> TrustedKeys:
    """Parse vkeys and a policy. The same vkey twice is one key; two keys with one name and ID are refused as ambiguous."""
    keys = TrustedKeys(_parse(log), _parse(root), None if policy is None else parse_policy(policy), tuple(pins))
    if keys.policy is not None and not keys.of_logs:
        raise VerificationError("the policy names no log", hint="Give --key or --root-key as well")
    return keys


def verify_given_or_named(checkpoint: Checkpoint, given: Iterable[VerifierKey], keys: TrustedKeys, option: str) -> bool:
    """Whether a trusted key signed: one of those given by `option`, or one that a policy or a pin names for the log; False
    only if there is none. A pinned tree of the same size must be the same tree.
    """
    _hold_against_pins(checkpoint, keys.pins)
    known = tuple(dict.fromkeys((*given, *keys.named(checkpoint.origin))))
    if known:
        signed_by(checkpoint, known, option)
    return bool(known)


def _hold_against_pins(checkpoint: Checkpoint, pins: Iterable[PinnedTree]) -> None:
    for pin in pins:
        same = (pin.origin, pin.tree_size) == (checkpoint.origin, checkpoint.tree_size)
        if same and pin.root_hash != checkpoint.root_hash:
            raise VerificationError(
                f"{shown(pin.origin)} is pinned with another tree of {pin.tree_size} entries",
                got=checkpoint.root_hash,
                want=pin.root_hash,
                hint="The log has forked. Keep this file, and write the proof with `ledger-verify pin check`",
            )


def demand_known(signed: Signed, keys: TrustedKeys) -> None:
    """Whoever gave a policy or pins wants evidence of logs that those name."""
    if signed.tier is None and (keys.policy is not None or keys.pins):
        raise VerificationError(
            "neither the policy nor a pin names a log that this is from", hint="Add its key to them"
        )


def verify_log_key(checkpoint: Checkpoint, keys: TrustedKeys) -> Signed:
    """Which keys of its log signed a checkpoint, root log or not. If any key was given, one of the log's must have."""
    _hold_against_pins(checkpoint, keys.pins)
    known = tuple(dict.fromkeys((*keys.of_logs, *keys.named(checkpoint.origin))))
    if not known:
        return Signed(by_log=False, by_root=False)
    signers = signed_by(checkpoint, known, "--key")
    by_root = any(key in keys.root for key in signers)
    return Signed(by_log=any(key not in keys.root for key in signers), by_root=by_root)


def verify_signatures(checkpoint: Checkpoint, keys: TrustedKeys) -> Signed:
    """Who signed and cosigned a checkpoint of any log; with a policy, its quorum must have."""
    return verify_log_key(checkpoint, keys)._replace(cosigned=verify_cosigners(checkpoint, keys))


def verify_cosigners(checkpoint: Checkpoint, keys: TrustedKeys) -> Cosigned | None:
    """The cosignatures that a policy asks for, or None without a policy."""
    return None if keys.policy is None else verify_quorum(keys.policy, checkpoint.note)


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
