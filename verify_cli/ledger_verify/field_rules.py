# SPDX-License-Identifier: Apache-2.0
"""What each field of a known event may hold (spec/events.md), and what any field may hold (entry.md, E5).

A rule takes a value and its name and raises `MalformedError` if the value does not fit. Rules look at one field; the few
conditions between fields of one event stand in `between_fields`.

Commitments are collected by JSON Pointer on the way, because finding them is the same walk as checking them.
"""

from __future__ import annotations

import re
from typing import Callable

from ledger_verify import catalogue, shapes
from ledger_verify.between_fields import BETWEEN_FIELDS
from ledger_verify.encodings import (
    HASH_BYTES,
    check_date,
    check_time,
    decode_base64,
    decode_base64url,
)
from ledger_verify.errors import MalformedError, VerificationError
from ledger_verify.note import is_key_name, parse_vkey

SEALED = "$sealed"
MAX_SEALED_MEMBERS = 64
MAX_RANGES = 2000
MAX_POINTERS = 64
MAX_DISCLOSURE_RULES = 64
MAX_NAMES = 200

_TEXT = re.compile(r"[ -~]{1,200}")
_ARGUMENT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
# Canonical base64url of 32 bytes: the last character holds four bits, and two that must be zero.
_SEALED_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_POINTER = re.compile(r"/data/[!-~]{1,195}")
_DISCLOSURE_RULE = re.compile(r"(?:\*|[a-z_]{1,40}(?:\.[a-z_]{1,40})+) (?:\*|/data(?:/[A-Za-z0-9_.-]{1,64})*(?:/\*)?)")
_ID = re.compile(r"[ -~]{1,190}")
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_PROVIDER = re.compile(r"[a-z0-9](?:[a-z0-9]|-){0,39}")
_CONTRACT_MEMBERS = ("id", "mode", "tool", "type")

Commitments = dict[str, str]


def check_known(kind: catalogue.EventType, event_type: str, data: dict[str, object]) -> Commitments:
    """Check `data` against its catalogue row; returns the commitments by pointer."""
    shapes.members(data, ("v", *kind.required), f"data of {event_type}", kind.optional)
    commitments: Commitments = {}
    for name, value in data.items():
        if name == "v":
            continue
        rule = kind.required.get(name) or kind.optional[name]
        pointer = f"/data/{name}"
        if rule == "sealed":
            commitments[pointer] = commitment(value, pointer)
        elif rule == "sealed_arguments":
            commitments.update(_sealed_arguments(value, pointer))
        elif is_commitment(value):
            raise VerificationError(f"a commitment stands in an open field (S3): {pointer}")
        else:
            _RULES[rule](value, pointer)
    between = BETWEEN_FIELDS.get(event_type)
    if between is not None:
        between(data)
    return commitments


def check_unknown(data: dict[str, object]) -> Commitments:
    """What holds for every type, known or not (E5); returns the commitments by pointer."""
    commitments: Commitments = {}
    _walk({name: value for name, value in data.items() if name != "v"}, "/data", commitments)
    return commitments


def may_hold(rule: str, value: object) -> bool:
    """Whether an open field with that rule can have the value at all."""
    try:
        _RULES[rule](value, "it")
    except VerificationError:
        return False
    return True


def is_commitment(value: object) -> bool:
    return isinstance(value, dict) and SEALED in value


def commitment(value: object, what: str) -> str:
    """The digest in a commitment: an object with the one member `$sealed`."""
    if not is_commitment(value):
        raise VerificationError(f"a sealed field holds an open value: {what}", got=shapes.kind_of(value))
    digest = shapes.string(shapes.members(value, (SEALED,), f"the commitment {what}")[SEALED], f"{what}/{SEALED}")
    if _SEALED_DIGEST.fullmatch(digest) is None:
        decode_base64url(digest, f"the commitment {what}", HASH_BYTES)  # says what is wrong
    return digest


def _sealed_arguments(value: object, what: str) -> Commitments:
    """sealed-fields.md, "Grain": one commitment a member, or one for the whole object."""
    if is_commitment(value):
        return {what: commitment(value, what)}
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is neither a commitment nor an object", got=shapes.kind_of(value))
    if len(value) > MAX_SEALED_MEMBERS:
        raise MalformedError(f"{what} has too many members", got=len(value), want=f"at most {MAX_SEALED_MEMBERS}")
    for name in value:
        if _ARGUMENT_NAME.fullmatch(name) is None:
            raise MalformedError(f"{what} has a member whose name does not stand for a field", got=name)
    return {f"{what}/{name}": commitment(member, f"{what}/{name}") for name, member in value.items()}


def _walk(value: object, pointer: str, commitments: Commitments) -> None:
    if isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        shapes.integer(value, pointer)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _walk(item, f"{pointer}/{position}", commitments)
    elif isinstance(value, dict):
        if SEALED in value:
            commitments[pointer] = commitment(value, pointer)
            return
        for name, item in value.items():
            if name.startswith("$"):
                raise MalformedError("a member name begins with $", got=name)
            _walk(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", commitments)
    else:
        raise MalformedError(f"{pointer} is null", hint="A member without a value is absent (entry.md)")


def _text(value: object, what: str) -> None:
    if _TEXT.fullmatch(shapes.string(value, what)) is None:
        raise MalformedError(f"{what} is not 1 to 200 characters of printable ASCII", got=value)


_MEMBER_ROLES = ("owner", "ciso", "dpo", "architect", "auditor", "readonly")

CHOICES = {
    "grounds": ("subject_request", "retention_expired", "legal_order", "other"),
    "verdict": ("allow", "deny", "would_deny", "pending", "warn", "redact"),
    "mode": ("enforce", "observe"),
    "env": ("production", "staging", "development"),
    "key_env": ("production", "staging", "development", "all"),
    "role": (*_MEMBER_ROLES, "agent"),
    "member_role": _MEMBER_ROLES,
    "plan": ("free", "starter", "professional", "enterprise"),
    "topic": ("bug", "feature", "question"),
    "how": ("setup", "invitation", "created", "sso"),
    "status": ("active", "suspended"),
    "password": ("changed",),
    "method": ("password", "oidc"),
    "log_kind": ("root", "tenant"),
    "entry_rule": ("strict-jcs/v1",),
}


def _one_of(*choices: str) -> Callable[[object, str], None]:
    def check(value: object, what: str) -> None:
        if shapes.string(value, what) not in choices:
            raise MalformedError(f"{what} has no known value", got=value, want=", ".join(choices))

    return check


def _count(value: object, what: str) -> None:
    if shapes.integer(value, what) < 1:
        raise MalformedError(f"{what} is less than 1", got=value)


def _hex_digest(value: object, what: str) -> None:
    if not _HEX_DIGEST.fullmatch(shapes.string(value, what)):
        raise MalformedError(f"{what} is not a digest", got=value, want="64 lower-case hexadecimal digits")


def _like(pattern: re.Pattern[str], wanted: str) -> Callable[[object, str], None]:
    def check(value: object, what: str) -> None:
        if pattern.fullmatch(shapes.string(value, what)) is None:
            raise MalformedError(f"{what} does not have its form", got=value, want=wanted)

    return check


def _boolean(value: object, what: str) -> None:
    if not isinstance(value, bool):
        raise MalformedError(f"{what} is neither true nor false", got=shapes.kind_of(value))


def _actor(value: object, what: str) -> None:
    kind, _, actor_id = shapes.string(value, what).partition(":")
    if value != "operator" and (kind not in ("key", "member", "agent") or _ID.fullmatch(actor_id) is None):
        raise MalformedError(f"{what} is nobody", got=value, want="operator, key:<id>, member:<id> or agent:<id>")


def _names(value: object, what: str) -> list[str]:
    """Several texts, each once, in the order of their characters."""
    items = shapes.array(value, what)
    if not 0 < len(items) <= MAX_NAMES:
        raise MalformedError(f"{what} has a wrong number of names", got=len(items), want=f"1 to {MAX_NAMES}")
    names = []
    for position, item in enumerate(items):
        _text(item, f"{what}/{position}")
        names.append(str(item))
    if names != sorted(set(names)):
        raise MalformedError(f"{what} does not ascend")
    return names


def _envs(value: object, what: str) -> None:
    for name in _names(value, what):
        _RULES["env"](name, what)


def check_origin(value: object, what: str) -> None:
    """The name of a log is the name of its key (C2SP tlog-checkpoint), so the rules for key names hold."""
    if not is_key_name(shapes.string(value, what)):
        raise MalformedError(f"{what} is not an origin", got=value, want="1 to 255 bytes, no space, no +")


def _contracts(value: object, what: str) -> None:
    for position, contract in enumerate(shapes.array(value, what)):
        where = f"{what}/{position}"
        if is_commitment(contract):
            raise VerificationError(f"a commitment stands in an open field (S3): {where}")
        for name, member in shapes.members(contract, _CONTRACT_MEMBERS, where).items():
            if is_commitment(member):
                raise VerificationError(f"a commitment stands in an open field (S3): {where}/{name}")
            _RULES["mode" if name == "mode" else "text"](member, f"{where}/{name}")


def _ranges(value: object, what: str) -> None:
    ranges = shapes.array(value, what)
    if not 0 < len(ranges) <= MAX_RANGES:
        raise MalformedError(f"{what} has a wrong number of ranges", got=len(ranges), want=f"1 to {MAX_RANGES}")
    last = -1
    for position, pair in enumerate(ranges):
        bounds = shapes.array(pair, f"{what}/{position}")
        if len(bounds) != 2:
            raise MalformedError(f"{what}/{position} is no range", got=len(bounds), want="two numbers")
        for bound in bounds:
            index = shapes.integer(bound, f"{what}/{position}")
            if index <= last:
                raise MalformedError(f"{what} does not ascend, or two ranges touch", got=index, want=f"over {last}")
            last = index


def _pointers(value: object, what: str) -> None:
    pointers = shapes.array(value, what)
    if not 0 < len(pointers) <= MAX_POINTERS:
        raise MalformedError(f"{what} has a wrong number of pointers", got=len(pointers), want=f"1 to {MAX_POINTERS}")
    last = ""
    for position, item in enumerate(pointers):
        pointer = shapes.string(item, f"{what}/{position}")
        if _POINTER.fullmatch(pointer) is None:
            raise MalformedError(f"{what}/{position} is no pointer into data", got=pointer)
        if pointer <= last:
            raise MalformedError(f"{what} does not ascend", got=pointer, want=f"after {last}")
        last = pointer


def disclosure_rules(value: object, what: str) -> list[str]:
    """Which sealed values an export shows (spec/export.md, "Rules of disclosure")."""
    rules = [shapes.string(rule, what) for rule in shapes.array(value, what)]
    if len(rules) > MAX_DISCLOSURE_RULES or rules != sorted(set(rules)):
        raise MalformedError(f"{what} is not a sorted array without repeats", want=f"at most {MAX_DISCLOSURE_RULES}")
    for rule in rules:
        if _DISCLOSURE_RULE.fullmatch(rule) is None:
            raise MalformedError(f"{what} has something that is no rule", got=rule)
    return rules


_RULES: dict[str, Callable[[object, str], object]] = {
    "text": _text,
    "integer": shapes.integer,
    "count": _count,
    "hash": shapes.hash_bytes,
    "hex_digest": _hex_digest,
    "signature": lambda value, what: decode_base64(shapes.string(value, what), what, 64),
    "origin": check_origin,
    "vkey": lambda value, what: parse_vkey(shapes.string(value, what)),
    "date": lambda value, what: check_date(shapes.string(value, what), what),
    "time": lambda value, what: check_time(shapes.string(value, what), what),
    "month": _like(_MONTH, "YYYY-MM"),
    "provider": _like(_PROVIDER, "1 to 40 of a to z, 0 to 9 and -, the first no -"),
    "boolean": _boolean,
    "names": _names,
    "envs": _envs,
    "actor": _actor,
    "contracts": _contracts,
    "ranges": _ranges,
    "pointers": _pointers,
    "rules": disclosure_rules,
    **{name: _one_of(*choices) for name, choices in CHOICES.items()},
}
