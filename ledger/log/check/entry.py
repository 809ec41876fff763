# SPDX-License-Identifier: Apache-2.0
"""One entry against all that is stored beside it: the check that says what is wrong.

In two steps, since between them stands the chain of governing entries (`chain.py`): first the leaf for itself, then the
columns and the disclosures beside it. `together.py` does both steps for many entries and may only answer that all is
well.
"""

from collections.abc import Container
from dataclasses import dataclass

from ledger.log.check.disclosures import Opener
from ledger.log.check.findings import MismatchError
from ledger.log.entry import Envelope, parse_time, parse_uuid
from ledger.log.erased import NOTHING_ERASED, Erased
from ledger.log.errors import DamagedError

# All of the catalogue: a process that checks loads nothing else that knows of who may act.
from ledger.log.events import Event, EventClass, Governing, credentials, members, tenants  # noqa: F401
from ledger.log.events.calls import AgentManifestReported, CallReported
from ledger.log.events.logs import LogGenesis
from ledger.log.leaf import InvalidEntryError, read_leaf
from ledger.log.report import call_identity
from ledger.log.sealed import commitments_of
from ledger.log.store import Row
from ledger.log.working_copy import DIGEST_BYTES, keyed_digest

BESIDE_THE_LEAF = frozenset({"columns", "disclosures"})
"""What is checked after the chain of governing entries."""


@dataclass(frozen=True, slots=True)
class Place:
    """The log that entries must belong to, and what was erased of them. What lies under a `retired` key may still be
    there. Without a `pepper` keyed digests are left out, and without an `opener` disclosures stay closed.
    """

    number: int
    origin: str
    pepper: bytes | None
    opener: Opener | None
    erased: Erased = NOTHING_ERASED
    retired: frozenset[bytes] = frozenset()

    def erased_of(self, row: Row) -> Container[str]:
        """The pointers of what must not be stored beside an entry any more."""
        return () if row.data_key in self.retired else self.erased.fields(row.leaf_index)


def check_leaf(place: Place, index: int, row: Row, last_id: bytes) -> tuple[Envelope, Event]:
    """The entry in a leaf. Raises MismatchError when it is none, or is not one for this place behind `last_id`."""
    try:
        envelope, event = read_leaf(row.leaf)
    except InvalidEntryError as error:
        raise MismatchError("entries", index, str(error)) from None
    event_id = parse_uuid(envelope.id)
    if event_id is None or row.event_id != event_id.to_bytes(16, "big") or row.event_id <= last_id:
        raise MismatchError("ids", index, f"id {envelope.id} does not follow the one before, or is not the row's")
    if envelope.source != place.origin:
        raise MismatchError("entries", index, f"source is {envelope.source!r}, want {place.origin!r}")
    if isinstance(event, LogGenesis) != (index == 0):
        raise MismatchError("entries", index, "a genesis entry stands at index 0 and nowhere else")
    return envelope, event


def check_beside(place: Place, index: int, row: Row, envelope: Envelope, event: Event) -> None:
    """Columns, keyed digests and disclosures. Raises MismatchError."""
    for name, value in _said(envelope, event).items():
        if getattr(row, name) != value:
            raise MismatchError("columns", index, f"column {name} is {getattr(row, name)!r}, the leaf says {value!r}")
    _check_digests(place, index, row, event)
    _check_disclosures(place, index, row, event)


def _said(envelope: Envelope, event: Event) -> dict[str, object]:
    """What the columns must hold."""
    reported = hasattr(event, "agent_id")
    return {
        "type": event.type,
        "governing": isinstance(event, Governing),
        "recorded_at": parse_time(envelope.recordedat),
        "key_id": getattr(event, "key_id", None) if reported else None,
        "env": getattr(event, "env", None) if reported else None,
        **{name: getattr(event, name, None) for name in ("agent_id", "tool_name", "verdict", "mode")},
    }


def _check_digests(place: Place, index: int, row: Row, event: Event) -> None:
    """The key that a call is known by again. What else the caller sent is in no leaf, so of `request`, which tells the
    same report from another one, only the form can be checked.
    """
    if isinstance(event, CallReported):
        if place.pepper is not None and row.dedup != keyed_digest(place.pepper, call_identity(event)):
            raise MismatchError("columns", index, "column dedup is not that of the call: it could be reported twice")
        # It would help to guess what was erased.
        right = row.request is None if place.erased_of(row) else _is_digest(row.request)
    elif isinstance(event, AgentManifestReported):
        right = _is_digest(row.dedup) and row.request == row.dedup
    elif row.dedup is not None and event.event_class is not EventClass.CALL:
        # Made under an Idempotency-Key, which is in no leaf.
        right = _is_digest(row.dedup) and _is_digest(row.request)
    else:
        right = row.dedup is None and row.request is None
    if not right:
        raise MismatchError("columns", index, f"columns dedup and request are not those of an entry {event.type}")


def _is_digest(value: bytes | None) -> bool:
    return value is not None and len(value) == DIGEST_BYTES


def _check_disclosures(place: Place, index: int, row: Row, event: Event) -> None:
    """Whatever is stored must open and fit, and what is not stored must have been erased."""
    commitments = sorted(commitments_of(event))
    erased = place.erased_of(row)
    wanted = [commitment for commitment in commitments if commitment[0] not in erased]
    if row.sealed is None and row.data_key is None:
        if wanted:
            raise MismatchError(
                "disclosures",
                index,
                "the entry has sealed fields, but nothing is stored, and nothing says it was erased",
            )
        return
    if not wanted or row.sealed is None or row.data_key is None:
        raise MismatchError("disclosures", index, "a blob without a key, a key without a blob, or for no sealed field")
    if place.opener is None:
        return
    try:
        found = place.opener.open(row)
    except DamagedError as damage:
        raise MismatchError("disclosures", index, damage.message) from None
    if found != wanted:
        raise MismatchError("disclosures", index, "the stored disclosures are not those of the commitments")
