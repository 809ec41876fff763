# SPDX-License-Identifier: Apache-2.0
"""Events about logs themselves: their birth, their keys, what was erased beside them, the commitments and days of the
root log, self-checks, what was exported.
"""

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType, field

from ledger.log.events import Event, EventClass, Governing, register


@register
class LogGenesis(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Leaf 0 of every log. The only governing event without `as_of`."""

    type: ClassVar[str] = "log.genesis"
    origin: str
    kind: Literal["root", "tenant"]
    entry_rule: str
    vkey: str
    # Seconds within which the root log covers a signed head; in the root log only.
    max_commit_delay: int | UnsetType = UNSET


@register
class LogCreated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "log.created"
    origin: str
    vkey: str


@register
class SigningKeyRotated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "signing_key.rotated"
    origin: str
    vkey: str
    previous_vkey: str
    endorsement: str
    # Who asked for it; in the log whose key it is, and not in the public root log.
    actor: str | UnsetType = UNSET


Grounds = Literal["subject_request", "retention_expired", "legal_order", "other"]


@register
class DisclosureErased(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values of sealed fields were destroyed: of the entries [from, to) of each range those at `pointers`, or all."""

    type: ClassVar[str] = "disclosure.erased"
    ranges: list[tuple[int, int]]
    grounds: Grounds
    actor: str
    pointers: list[str] | UnsetType = UNSET
    legal_basis: str | UnsetType = UNSET


@register
class HeadsCommitted(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "heads.committed"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    count: int
    root: str


@register
class DayClosed(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "day.closed"
    date: str
    previous: str | UnsetType = UNSET


@register
class ReleasePublished(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Digest of the verifier that this service hands out."""

    type: ClassVar[str] = "release.published"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    version: str
    sha256: str


@register
class LedgerVerified(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "ledger.verified"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    size: int
    root: str
    actor: str


@register
class LedgerTamperDetected(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "ledger.tamper_detected"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    size: int
    first_index: int
    check: str
    actor: str


@register
class EvidenceExported(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Entries [from, to) were exported: under which rules of disclosure, and the digest of the signed manifest."""

    type: ClassVar[str] = "evidence.exported"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    export_id: str
    start: int = field(name="from")
    stop: int = field(name="to")
    disclose: list[str]
    manifest: str
    actor: str
