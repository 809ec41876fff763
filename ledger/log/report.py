# SPDX-License-Identifier: Apache-2.0
"""What agents report: from the request body to drafts of `call.reported` entries.

Everything that does not need the lock happens here: reading, checking, sealing, encrypting, and the canonical text of
the event's data.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import astuple

from ledger.log import canonical
from ledger.log.entry import format_datetime
from ledger.log.errors import ForbiddenError, InvalidRequestError, MalformedRequestError
from ledger.log.events.calls import AgentManifestReported, CallReported, Env, ManifestContract, Mode, Verdict
from ledger.log.ledger import Ledger
from ledger.log.sealed import (
    MAX_SEALED_BYTES,
    Commitment,
    Field,
    member_fields,
    seal,
    sealed_members,
)
from ledger.log.working_copy import Draft, Log

MAX_EVENTS = 1000
MAX_NESTING = 100

Name = Annotated[str, Meta(min_length=1, max_length=200)]
GivenVerdict = Literal["allow", "deny", "would_deny", "pending", "warn", "redact", "block", "ask"]

_VERDICTS: dict[str, Verdict] = {"block": "deny", "ask": "pending"}
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")


def _null() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of an event that describes the call. A null member counts as absent."""

    tool_args: msgspec.Raw = msgspec.field(default_factory=_null)
    side_effect: Name | None = None
    environment: Env | None = None
    principal: msgspec.Raw = msgspec.field(default_factory=_null)
    decision_source: Name | None = None
    decision_name: Name | None = None
    reason: msgspec.Raw = msgspec.field(default_factory=_null)
    result: msgspec.Raw = msgspec.field(default_factory=_null)
    policy_version: Name | None = None
    bundle_name: Name | None = None
    # Whose data this is, where that is not the principal; kept nowhere, it only chooses the key.
    data_subject: Name | None = None


class ReportedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    call_id: Name
    agent_id: Name
    tool_name: Name
    verdict: GivenVerdict
    mode: Mode
    timestamp: Annotated[datetime, Meta(tz=True)] | None = None
    payload: Payload = msgspec.field(default_factory=Payload)


class ReportedContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Name
    type: Name
    tool: Name
    mode: Mode


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    policy_version: Name
    contracts: Annotated[list[ReportedContract], Meta(max_length=1000)]


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /events`."""

    events: Annotated[list[ReportedEvent], Meta(min_length=1, max_length=MAX_EVENTS)]
    agent_manifest: Manifest | None = None


class Reporter(msgspec.Struct, frozen=True, kw_only=True):
    """The credential that reports: which key, for which environment and for which agents, None meaning all."""

    key_id: str
    env: Env | None
    agents: frozenset[str] | None = None


_Value = TypeVar("_Value")
_decoder = msgspec.json.Decoder(Report)
_PATH = re.compile(r"(.*) - at `(?:key in )?\$(.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")


def read_report(body: bytes) -> Report:
    """The report in a request body. Raises MalformedRequestError or InvalidRequestError."""
    canonical.refuse_duplicates(body)
    return decode(_decoder, body)


def decode(decoder: msgspec.json.Decoder[_Value], body: bytes) -> _Value:
    """A typed value from JSON, with msgspec's complaint turned into a place and a message."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        match = _PATH.match(str(error))
        message, path = (match[1], match[2]) if match else (str(error), "")
        loc = [name or (int(index) if index.isdigit() else index) for name, index in _STEP.findall(path)]
        raise InvalidRequestError.at(["body", *loc], message) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"not JSON: {error}") from None


def draft_report(ledger: Ledger, log: Log, report: Report, reporter: Reporter, now: int) -> list[Draft]:
    """Drafts for all events of a report, and for its manifest. Raises InvalidRequestError or ForbiddenError."""
    drafts = [_draft_event(ledger, log, event, reporter, now, place) for place, event in enumerate(report.events)]
    if report.agent_manifest is not None:
        drafts.append(_draft_manifest(log, report.agent_manifest, report.events, reporter))
    return drafts


def dedup_keys(drafts: Sequence[Draft]) -> list[bytes]:
    return [draft.dedup for draft in drafts if draft.dedup is not None]


def _draft_event(ledger: Ledger, log: Log, event: ReportedEvent, reporter: Reporter, now: int, place: int) -> Draft:
    payload = event.payload
    if reporter.agents is not None and event.agent_id not in reporter.agents:
        raise ForbiddenError(f"event {place} is of an agent that this credential does not act for")
    env = _environment(payload.environment, reporter, place)
    sealed = seal(_fields(payload, place))
    if (size := sealed.size) > MAX_SEALED_BYTES:
        raise InvalidRequestError.at(
            ["body", "events", place, "payload"], f"sealed values have {size} bytes, at most {MAX_SEALED_BYTES} fit"
        )
    reported = _reported(event, env, reporter.key_id, sealed.commitments)
    data = canonical.encode(reported)
    # Open text must be printable ASCII. Nearly always one look at the whole text settles it.
    if not data.isascii() or b"\\" in data or b"\x7f" in data:
        _refuse_unprintable(event, place)
    key = ledger.data_key(log, payload.data_subject or _user_id(payload.principal), now)
    blob = sealed.encrypt(key, log.origin.encode())
    return Draft(
        reported,
        event.agent_id,
        _time(event.timestamp, place),
        data,
        blob,
        None if blob is None else key.key_id,
        log.digest(call_identity(reported)),
        log.digest(canonical.encode(event)),
    )


def _fields(payload: Payload, place: int) -> list[Field]:
    """What of a payload is sealed."""
    fields: list[Field] = []
    for name, value in (
        ("tool_args", payload.tool_args),
        ("principal", payload.principal),
        ("reason", payload.reason),
        ("result", payload.result),
    ):
        text = bytes(value)
        if text == b"null":
            continue
        _refuse_deep(name, text, place)
        if name == "tool_args":
            fields += member_fields("/data/tool_args", _arguments(value, place), text)
        else:
            fields.append((f"/data/{name}", text))
    return fields


def _reported(event: ReportedEvent, env: Env, key_id: str, commitments: Mapping[str, Commitment]) -> CallReported:
    payload = event.payload
    has_arguments = bytes(payload.tool_args) != b"null"
    return CallReported(
        call_id=event.call_id,
        agent_id=event.agent_id,
        tool_name=event.tool_name,
        verdict=_VERDICTS.get(event.verdict, event.verdict),  # type: ignore[arg-type]
        mode=event.mode,
        env=env,
        key_id=key_id,
        side_effect=payload.side_effect or UNSET,
        decision_source=payload.decision_source or UNSET,
        decision_name=payload.decision_name or UNSET,
        policy_version=payload.policy_version or UNSET,
        bundle_name=payload.bundle_name or UNSET,
        tool_args=sealed_members("/data/tool_args", commitments) if has_arguments else UNSET,
        principal=commitments.get("/data/principal", UNSET),
        reason=commitments.get("/data/reason", UNSET),
        result=commitments.get("/data/result", UNSET),
    )


def call_identity(call: CallReported) -> bytes:
    """What makes a reported call the same call: of its keyed digest there is one in a log."""
    return identity_of(call.agent_id, call.env, call.call_id)


def identity_of(agent_id: str, env: str, call_id: str) -> bytes:
    return f"{CallReported.type}\x00{agent_id}\x00{env}\x00{call_id}".encode()


def _draft_manifest(log: Log, manifest: Manifest, events: Sequence[ReportedEvent], reporter: Reporter) -> Draft:
    for place, event in enumerate(events):
        if event.agent_id != manifest.agent_id:
            raise InvalidRequestError.at(["body", "events", place, "agent_id"], "differs from agent_manifest.agent_id")
    reported = AgentManifestReported(
        agent_id=manifest.agent_id,
        env=_environment(None, reporter, 0),
        key_id=reporter.key_id,
        policy_version=manifest.policy_version,
        contracts=[ManifestContract(id=c.id, type=c.type, tool=c.tool, mode=c.mode) for c in manifest.contracts],
    )
    data = canonical.encode(reported)
    # The same quick look as for events; here every string is the caller's.
    if not data.isascii() or b"\\" in data or b"\x7f" in data:
        for text in (manifest.agent_id, manifest.policy_version, *(v for c in manifest.contracts for v in astuple(c))):
            if not _PRINTABLE.match(text):
                raise InvalidRequestError.at(["body", "agent_manifest"], "text must be printable ASCII")
    # The same batch sent again is the same report; the same manifest with other calls is a new one.
    calls = "\x00".join(event.call_id for event in events)
    dedup = log.digest(b"manifest\x00" + data + calls.encode())
    return Draft(reported, subject=manifest.agent_id, data=data, dedup=dedup, request=dedup)


def _environment(given: Env | None, reporter: Reporter, place: int) -> Env:
    if reporter.env is None:
        return given or "production"
    if given is not None and given != reporter.env:
        raise ForbiddenError(f"event {place} is for {given}, the key is for {reporter.env}")
    return reporter.env


def _refuse_deep(name: str, text: bytes, place: int) -> None:
    # Length, then the number of brackets, settles it for all but the strangest values.
    if (
        len(text) > MAX_NESTING
        and text.count(b"{") + text.count(b"[") > MAX_NESTING
        and canonical.nesting(text) > MAX_NESTING
    ):
        raise InvalidRequestError.at(
            ["body", "events", place, "payload", name], f"nests deeper than {MAX_NESTING} levels"
        )


def _arguments(text: msgspec.Raw, place: int) -> dict[str, msgspec.Raw]:
    try:
        return _arguments_decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidRequestError.at(["body", "events", place, "payload", "tool_args"], str(error)) from None


class _Principal(msgspec.Struct):
    user_id: str | None = None


def _user_id(principal: msgspec.Raw) -> str | None:
    try:
        return _principal_decoder.decode(principal).user_id or None
    except msgspec.MsgspecError:
        # null, a name, or a shape of the caller's own: all fine, it just names no subject.
        return None


_arguments_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_principal_decoder = msgspec.json.Decoder(_Principal)


def _time(moment: datetime | None, place: int) -> str | None:
    if moment is None:
        return None
    try:
        return format_datetime(moment)
    except OverflowError:
        raise InvalidRequestError.at(["body", "events", place, "timestamp"], "lies outside the calendar") from None


def _refuse_unprintable(event: ReportedEvent, place: int) -> None:
    place_of: list[str | int] = ["body", "events", place]
    for owner, loc in ((event, place_of), (event.payload, [*place_of, "payload"])):
        for name in owner.__struct_fields__:
            value = getattr(owner, name)
            if isinstance(value, str) and name != "data_subject" and not _PRINTABLE.match(value):
                raise InvalidRequestError.at([*loc, name], "must be printable ASCII")
