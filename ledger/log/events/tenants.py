# SPDX-License-Identifier: Apache-2.0
"""Events about a tenant as a whole: its birth, its settings and plan, its kill switch, how much it uses."""

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from ledger.log.events import Event, EventClass, Governing, register
from ledger.log.sealed import Commitment

Plan = Literal["free", "starter", "professional", "enterprise"]
Topic = Literal["bug", "feature", "question"]


@register
class TenantCreated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "tenant.created"
    tenant_id: str
    actor: str
    name: Commitment | UnsetType = UNSET


@register
class TenantChanged(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is absent stays as it was. `monthly_calls` holds instead of the plan's own limit; 0 is no limit."""

    type: ClassVar[str] = "tenant.changed"
    actor: str
    plan: Plan | UnsetType = UNSET
    monthly_calls: int | UnsetType = UNSET
    name: Commitment | UnsetType = UNSET
    webhook_url: Commitment | UnsetType = UNSET


@register
class KillSwitchEngaged(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From here on no governed call of the tenant is allowed."""

    type: ClassVar[str] = "kill_switch.engaged"
    actor: str
    reason: Commitment | UnsetType = UNSET


@register
class KillSwitchReleased(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "kill_switch.released"
    actor: str
    reason: Commitment | UnsetType = UNSET


@register
class UsageThresholdReached(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of what the plan allows in a UTC month, so many per cent are used; once for each threshold and month."""

    type: ClassVar[str] = "usage.threshold_reached"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    month: str
    used: int
    quota: int
    percent: int


@register
class FeedbackSubmitted(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "feedback.submitted"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    feedback_id: str
    topic: Topic
    actor: str
    text: Commitment


@register
class VaultRekeyed(Event, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All secrets at rest, so many, are sealed under a new master key from here on."""

    type: ClassVar[str] = "vault.rekeyed"
    event_class: ClassVar[EventClass] = EventClass.RECORD
    secrets: int
    actor: str
