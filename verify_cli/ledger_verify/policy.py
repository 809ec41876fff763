# SPDX-License-Identifier: Apache-2.0
"""Trust policies (C2SP tlog-policy): which logs, which witnesses, and how many of them it takes.

    log example.com/log+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx [URL]
    witness north <vkey> [URL]
    witness south <vkey> [URL]
    group both all north south               also `any`, or a number
    quorum both                              or `none`; exactly one such line

A checkpoint is acceptable if a listed log signed it and the quorum cosigned it. A witness counts when its cosignature was
verified, a group when as many of its members count as it demands. Names are bytes and mean nothing but themselves.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ledger_verify.cosignature import Cosignature, parse_cosigner, verified_cosignatures
from ledger_verify.encodings import parse_decimal
from ledger_verify.errors import MalformedError, VerificationError, shown, step
from ledger_verify.note import Note, VerifierKey, parse_vkey

MAX_POLICY_BYTES = 256_000
MAX_LINES = 2000
NONE = "none"
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


class Witness(NamedTuple):
    """A named key. None stands for a key of a type that cannot be checked here: such a witness never counts."""

    name: str
    key: VerifierKey | None


class Group(NamedTuple):
    """Counts when `threshold` of its members do. Members are witnesses and groups defined before."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """A parsed policy. `quorum` is the name of a witness or a group, or `none`."""

    logs: tuple[VerifierKey, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str


class Cosigned(NamedTuple):
    """The verified cosignatures of a checkpoint by name, and whether a quorum was demanded. It was reached."""

    witnesses: dict[str, Cosignature]
    quorum: bool


def parse_policy(raw: bytes) -> Policy:
    """The policy in a file. Text beyond ASCII is never interpreted."""
    if len(raw) > MAX_POLICY_BYTES or raw.count(b"\n") > MAX_LINES:
        raise MalformedError("the policy is too long", want=f"at most {MAX_POLICY_BYTES} bytes and {MAX_LINES} lines")
    text = raw.decode("utf-8", "surrogateescape")
    if _FORBIDDEN.search(text) is not None:
        raise MalformedError("the policy has a control character other than tab and newline")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        items = [item for item in re.split("[ \t]+", line) if item]
        if items and not items[0].startswith("#"):
            with step(f"policy line {number}"):
                reader.read(items)
    if reader.quorum is None:
        raise MalformedError("the policy has no quorum line", hint="`quorum none` demands no cosignatures")
    return Policy(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)


def verify_quorum(policy: Policy, note: Note) -> Cosigned:
    """Check the cosignatures of a note and that they reach the quorum."""
    found = verified_cosignatures(note, [witness.key for witness in policy.witnesses if witness.key is not None])
    verified = {w.name: found[w.key] for w in policy.witnesses if w.key is not None and w.key in found}
    counts = {witness.name: witness.name in verified for witness in policy.witnesses}
    for group in policy.groups:
        counts[group.name] = sum(counts[member] for member in group.members) >= group.threshold
    if policy.quorum != NONE and not counts[policy.quorum]:
        raise VerificationError(
            "the quorum of witnesses did not cosign the checkpoint",
            got=", ".join(map(shown, verified)) or "nobody",
            want=_words(policy),
            hint=_hint(policy),
        )
    return Cosigned(verified, policy.quorum != NONE)


def _words(policy: Policy) -> str:
    for group in policy.groups:
        if group.name == policy.quorum:
            return f"{group.threshold} of {', '.join(map(shown, group.members))}"
    return shown(policy.quorum)


def _hint(policy: Policy) -> str:
    unread = [shown(witness.name) for witness in policy.witnesses if witness.key is None]
    if unread:
        return f"The keys of {', '.join(unread)} are of a type that this verifier cannot check, so they never count"
    return "Ask for the checkpoint again once the witnesses have cosigned it"


class _Reader:
    """The lines of a policy, one by one."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._defined: set[str] = set()
        self._members: set[str] = set()
        self._witness_keys: set[str] = set()

    def read(self, items: list[str]) -> None:
        keyword, rest = items[0], items[1:]
        if keyword == "log" and 1 <= len(rest) <= 2:
            self._log(rest[0])
        elif keyword == "witness" and 2 <= len(rest) <= 3:
            self._witness(rest[0], rest[1])
        elif keyword == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], tuple(rest[2:]))
        elif keyword == "quorum" and len(rest) == 1:
            self._quorum(rest[0])
        else:
            raise MalformedError(
                "not a line of a policy",
                got=" ".join(items),
                want="log VKEY [URL], witness NAME VKEY [URL], group NAME all|any|K NAME…, quorum NAME|none",
                hint="A comment stands on a line of its own",
            )

    def _log(self, vkey: str) -> None:
        key = parse_vkey(vkey)
        if any(key.public_key == other.public_key for other in self.logs):
            raise MalformedError("two logs have one key", got=vkey)
        self.logs.append(key)

    def _witness(self, name: str, vkey: str) -> None:
        self._define(name)
        key = parse_cosigner(vkey)
        public = vkey.split("+", 2)[2]  # canonical base64 of type and key, whatever the type
        if public in self._witness_keys:
            raise MalformedError("two witnesses have one key", got=vkey)
        if key is not None and any(w.key is not None and w.key[:2] == key[:2] for w in self.witnesses):
            raise MalformedError("ambiguous: two witnesses have one name and ID in their keys", got=vkey)
        self._witness_keys.add(public)
        self.witnesses.append(Witness(name, key))

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        for member in members:
            self._demand(member)
            if member in self._members:
                raise MalformedError("a name is a member twice", got=member)
            self._members.add(member)
        self._define(name)
        number = {"all": len(members), "any": 1}.get(threshold) or parse_decimal(threshold, "the group's number")
        if not 1 <= number <= len(members):
            raise MalformedError("the group's number is out of range", got=number, want=f"1 to {len(members)}")
        self.groups.append(Group(name, number, members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise MalformedError("a second quorum line", got=name)
        if name != NONE:
            self._demand(name)
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == NONE:
            raise MalformedError("`none` is no name for a witness or a group")
        if name in self._defined:
            raise MalformedError("a name is defined twice", got=name)
        self._defined.add(name)

    def _demand(self, name: str) -> None:
        if name not in self._defined:
            raise MalformedError("a name is not defined on an earlier line", got=name)
