# SPDX-License-Identifier: Apache-2.0
"""What the fields of an entry may hold (spec/entry.md, spec/events.md), where the types of the catalogue do not say.

Nothing of this is needed to write: what the service writes follows from how it is made. It is for reading what somebody
sent, so that the service takes nothing for an entry that an outsider would refuse.

A table says which rule each field has, by its name, as each name means the same in every type.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from functools import lru_cache
from operator import lt
from typing import Any

import msgspec
from msgspec import UNSET

from ledger.log.canonical import MAX_SAFE_INTEGER
from ledger.log.disclosing import Disclosing
from ledger.log.entry import ENTRY_RULE, Envelope, parse_time
from ledger.log.errors import InvalidRequestError
from ledger.log.events import Event, Governing
from ledger.log.events.calls import AgentManifestReported, CallReported
from ledger.log.events.credentials import (
    AgentCredentialIssued,
    AgentCredentialRevoked,
    KeyCreated,
    KeyRevoked,
    ShareCreated,
    ShareRevoked,
    ShareViewed,
    TokenIssued,
    TokenRevoked,
)
from ledger.log.events.logs import (
    DayClosed,
    EvidenceExported,
    LogCreated,
    LogGenesis,
    ReleasePublished,
    SigningKeyRotated,
)
from ledger.log.events.members import (
    LoginSucceeded,
    MemberChanged,
    MemberInvited,
    MemberJoined,
    MemberProfileChanged,
    MemberRemoved,
    SessionEnded,
    SsoConfigured,
)
from ledger.log.events.tenants import FeedbackSubmitted, TenantCreated
from ledger.log.leaf import InvalidEntryError, read_leaf
from ledger.log.rotation import is_endorsed
from ledger.log.sealed import Commitment
from ledger.tlog.errors import MalformedError
from ledger.tlog.note import is_key_name, parse_vkey
from ledger.tlog.text import parse_base64, parse_hash

MAX_TEXT = 200
MAX_RANGES = 2000
"""In one `disclosure.erased`; a longer list is split over several."""
MAX_POINTERS = 64

_TEXT = re.compile(r"[ -~]{1,200}")
_ACTOR = re.compile(r"operator|(?:key|member|agent):[ -~]{1,190}")
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MAX_NAMES = 200
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_POINTER = re.compile(r"/data/[!-~]{1,195}")

# Of all entries of a log it is the same.
_is_origin = lru_cache(maxsize=1024)(is_key_name)

SUBJECT: dict[type[Event], str] = {
    LogGenesis: "origin",
    LogCreated: "origin",
    SigningKeyRotated: "origin",
    DayClosed: "date",
    ReleasePublished: "version",
    TenantCreated: "tenant_id",
    KeyCreated: "key_id",
    KeyRevoked: "key_id",
    CallReported: "agent_id",
    AgentManifestReported: "agent_id",
    EvidenceExported: "export_id",
    AgentCredentialIssued: "credential_id",
    AgentCredentialRevoked: "credential_id",
    TokenIssued: "session_id",
    ShareCreated: "share_id",
    ShareRevoked: "share_id",
    ShareViewed: "share_id",
    MemberInvited: "member_id",
    MemberJoined: "member_id",
    MemberChanged: "member_id",
    MemberRemoved: "member_id",
    MemberProfileChanged: "member_id",
    LoginSucceeded: "member_id",
    SessionEnded: "member_id",
    SsoConfigured: "provider",
    FeedbackSubmitted: "feedback_id",
}
"""Which field the subject of an entry repeats. Other types have none."""


def broken_rule(leaf: bytes, envelope: Envelope, event: Event) -> str | None:
    """Which rule an entry breaks that has the shape of its type and is strict JCS; None when it keeps them all."""
    if not _is_origin(envelope.source):
        return f"source {envelope.source[:80]!r} is no origin"
    named = SUBJECT.get(type(event))
    if envelope.subject != (UNSET if named is None else getattr(event, named)):
        return f"subject is not the {named or 'nothing'} of the event"
    if type(event) is CallReported and leaf.isascii() and b"\\" not in leaf and b"\x7f" not in leaf:
        # Nearly every entry there is. All its text is printable, so only lengths are left.
        if not _has_lengths_of_text(event):
            return f"a field is empty, or longer than {MAX_TEXT} characters"
    elif (name := next(_broken_fields(event), None)) is not None:
        return f"field {name} does not hold what it should"
    digests = _digests(event)
    if len(set(digests)) < len(digests):
        return "one commitment stands in two fields (S5)"
    return None if type(event) is CallReported else _broken_between(envelope, event)


def read_foreign_leaf(leaf: bytes) -> tuple[Envelope, Event]:
    """Envelope and event of leaf bytes that somebody sent. Raises InvalidEntryError."""
    envelope, event = read_leaf(leaf)
    if (reason := broken_rule(leaf, envelope, event)) is not None:
        raise InvalidEntryError(reason)
    return envelope, event


def _has_lengths_of_text(call: CallReported) -> bool:
    texts = (
        call.call_id, call.agent_id, call.tool_name, call.key_id,
        call.side_effect, call.decision_source, call.decision_name, call.policy_version, call.bundle_name,
    )  # fmt: skip
    return all([text is UNSET or 0 < len(text) <= MAX_TEXT for text in texts])


def _broken_fields(event: msgspec.Struct) -> Iterator[str]:
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if value is not UNSET and not _FIELDS.get(name, _is_text)(value):
            yield name


def _digests(event: Event) -> list[str]:
    values = [getattr(event, name) for name in event.__struct_fields__]
    sealed = [value.digest for value in values if isinstance(value, Commitment)]
    if isinstance(event, CallReported) and event.tool_args is not UNSET:
        sealed += [v.digest if isinstance(v, Commitment) else v for v in event.tool_args.values()]
    return sealed


def _broken_between(envelope: Envelope, event: Event) -> str | None:
    """The conditions between fields of one entry."""
    if isinstance(event, Governing) and (event.as_of is UNSET) != isinstance(event, LogGenesis):
        return "as_of belongs in every governing event but the genesis (E4)"
    if isinstance(event, LogGenesis | LogCreated | SigningKeyRotated) and parse_vkey(event.vkey).name != event.origin:
        return "the key has another name than the origin"
    match event:
        case LogGenesis():
            if event.origin != envelope.source:
                return "the genesis is of another log"
            if (event.kind == "root") != (event.max_commit_delay is not UNSET):
                return "max_commit_delay belongs in the genesis of the root log and nowhere else"
        case SigningKeyRotated():
            if parse_vkey(event.previous_vkey).name != event.origin:
                return "the previous key has another name than the origin"
            if event.vkey == event.previous_vkey or not is_endorsed(event):
                return "the previous key did not endorse another one"
        case DayClosed():
            if event.previous is not UNSET and event.previous >= event.date:
                return "the day before is not earlier (D1)"
        case EvidenceExported():
            if event.start >= event.stop:
                return "an export of no entries"
        case TokenIssued():
            if (event.member_id is UNSET) == (event.credential_id is UNSET):
                return "a token is a member's or a credential's"
        case TokenRevoked():
            if [event.session_id, event.member_id, event.agent].count(UNSET) != 2:
                return "one session is ended, or one member's or one agent's, and nothing else"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _TEXT.fullmatch(value) is not None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_SAFE_INTEGER


def _is_date(value: Any) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(value).isoformat() == str(value)
    return False


def _are_ranges(value: Any) -> bool:
    """From 1 to MAX_RANGES of them, each with something in it, ascending and apart."""
    bounds = [bound for pair in value for bound in pair]
    return 0 < len(value) <= MAX_RANGES and all(map(_is_integer, bounds)) and all(map(lt, bounds, bounds[1:]))


def _are_pointers(value: Any) -> bool:
    return (
        0 < len(value) <= MAX_POINTERS
        and all(_POINTER.fullmatch(pointer) for pointer in value)
        and all(map(lt, value, value[1:]))
    )


def _are_names(value: Any) -> bool:
    """From 1 to MAX_NAMES texts, ascending."""
    return 0 < len(value) <= MAX_NAMES and all(map(_is_text, value)) and all(map(lt, value, value[1:]))


def _are_disclosure_rules(value: Any) -> bool:
    with suppress(InvalidRequestError):
        return bool(Disclosing(value).rules == value)
    return False


def _parses(parse: Callable[[str], Any]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        try:
            parse(value)
        except (MalformedError, ValueError, OverflowError):
            return False
        return True

    return holds


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: pattern.fullmatch(value) is not None


def _known_to_types(value: Any) -> bool:
    """What the type settles: a choice, a commitment, the version."""
    return True


_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("v", "kind", "role", "env", "verdict", "mode", "grounds"), _known_to_types),
    **dict.fromkeys(("plan", "topic", "how", "status", "password", "method", "uploads", "enabled"), _known_to_types),
    **dict.fromkeys(("label", "tool_args", "principal", "reason", "result"), _known_to_types),
    **dict.fromkeys(("name", "email", "logo", "webhook_url", "text"), _known_to_types),
    **dict.fromkeys(("as_of", "size", "first_index", "max_commit_delay", "start", "stop"), _is_integer),
    **dict.fromkeys(("monthly_calls", "used", "quota", "percent", "secrets"), _is_integer),
    **dict.fromkeys(("agents", "triggers", "types", "envs", "domains"), _are_names),
    **dict.fromkeys(("since", "until"), _parses(parse_time)),
    "count": lambda value: _is_integer(value) and value > 0,
    "origin": is_key_name,
    "entry_rule": lambda value: value == ENTRY_RULE,
    "vkey": _parses(parse_vkey),
    "previous_vkey": _parses(parse_vkey),
    "endorsement": lambda value: _parses(parse_base64)(value) and len(parse_base64(value)) == 64,
    "root": _parses(parse_hash),
    "sha256": _matches(_HEX_DIGEST),
    "manifest": _matches(_HEX_DIGEST),
    "disclose": _are_disclosure_rules,
    "date": _is_date,
    "month": _matches(_MONTH),
    "provider": _matches(_PROVIDER),
    "previous": _is_date,
    "expires_at": _parses(parse_time),
    "actor": _matches(_ACTOR),
    "ranges": _are_ranges,
    "pointers": _are_pointers,
    "contracts": lambda value: all(next(_broken_fields(contract), None) is None for contract in value),
}
