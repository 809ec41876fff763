# SPDX-License-Identifier: Apache-2.0
"""The closed catalogue of event types (spec/events.md).

Each known (type, version) says which fields its `data` has besides `v`, what each may hold, and what `subject` repeats.
What a field may hold is the name of a rule in `field_rules`; two of the rules stand for sealed values:

    sealed              a commitment, and nothing else
    sealed_arguments    an object with a commitment for each member, or one commitment for the whole (sealed-fields.md)

A type or version that is not here is not known. Its proofs can still be checked, its fields cannot.
"""

from __future__ import annotations

from typing import NamedTuple


class EventType(NamedTuple):
    """The fields of one version of a type, each with the name of its rule."""

    event_class: str  # governing, record or call
    subject: str | None  # the field that `subject` repeats; None where an event has no subject
    required: dict[str, str]
    optional: dict[str, str]

    @property
    def governing(self) -> bool:
        """Folded into state. Governing events but the genesis carry `as_of` (entry.md, E4)."""
        return self.event_class == "governing"


SEALED_RULES = frozenset(("sealed", "sealed_arguments"))
GENESIS = "log.genesis"
HEADS = "heads.committed"
DAY = "day.closed"
ERASED = "disclosure.erased"
CREATED = "log.created"
ROTATED = "signing_key.rotated"
EXPORTED = "evidence.exported"

TOKEN_ISSUED = "token.issued"
TOKEN_REVOKED = "token.revoked"

_AS_OF = {"as_of": "integer"}
_BY = {**_AS_OF, "actor": "actor"}

EVENT_TYPES: dict[tuple[str, int], EventType] = {
    (GENESIS, 1): EventType(
        "governing",
        "origin",
        {"origin": "origin", "kind": "log_kind", "entry_rule": "entry_rule", "vkey": "vkey"},
        {"max_commit_delay": "integer"},
    ),
    (CREATED, 1): EventType("governing", "origin", {**_AS_OF, "origin": "origin", "vkey": "vkey"}, {}),
    (ROTATED, 1): EventType(
        "governing",
        "origin",
        {**_AS_OF, "origin": "origin", "vkey": "vkey", "previous_vkey": "vkey", "endorsement": "signature"},
        {"actor": "actor"},
    ),
    (ERASED, 1): EventType(
        "governing",
        None,
        {**_AS_OF, "ranges": "ranges", "grounds": "grounds", "actor": "actor"},
        {"pointers": "pointers", "legal_basis": "text"},
    ),
    (HEADS, 1): EventType("record", None, {"count": "count", "root": "hash"}, {}),
    (DAY, 1): EventType("governing", "date", {**_AS_OF, "date": "date"}, {"previous": "date"}),
    ("release.published", 1): EventType("record", "version", {"version": "text", "sha256": "hex_digest"}, {}),
    ("tenant.created", 1): EventType("governing", "tenant_id", {**_BY, "tenant_id": "text"}, {"name": "sealed"}),
    ("tenant.changed", 1): EventType(
        "governing",
        None,
        _BY,
        {"plan": "plan", "monthly_calls": "integer", "name": "sealed", "webhook_url": "sealed"},
    ),
    ("kill_switch.engaged", 1): EventType("governing", None, _BY, {"reason": "sealed"}),
    ("kill_switch.released", 1): EventType("governing", None, _BY, {"reason": "sealed"}),
    ("usage.threshold_reached", 1): EventType(
        "record", None, {"month": "month", "used": "integer", "quota": "integer", "percent": "integer"}, {}
    ),
    ("feedback.submitted", 1): EventType(
        "record", "feedback_id", {"feedback_id": "text", "topic": "topic", "actor": "actor", "text": "sealed"}, {}
    ),
    ("vault.rekeyed", 1): EventType("record", None, {"secrets": "integer", "actor": "actor"}, {}),
    ("member.invited", 1): EventType(
        "governing",
        "member_id",
        {**_BY, "member_id": "text", "role": "member_role", "expires_at": "time", "email": "sealed"},
        {"name": "sealed"},
    ),
    ("member.joined", 1): EventType(
        "governing",
        "member_id",
        {**_BY, "member_id": "text", "role": "member_role", "how": "how"},
        {"email": "sealed", "name": "sealed"},
    ),
    ("member.changed", 1): EventType(
        "governing", "member_id", {**_BY, "member_id": "text"}, {"role": "member_role", "status": "status"}
    ),
    ("member.removed", 1): EventType("governing", "member_id", {**_BY, "member_id": "text"}, {}),
    ("member.profile_changed", 1): EventType(
        "governing",
        "member_id",
        {**_BY, "member_id": "text"},
        {"password": "password", "name": "sealed", "logo": "sealed"},
    ),
    ("login.succeeded", 1): EventType(
        "record", "member_id", {"member_id": "text", "session_id": "text", "method": "method", "expires_at": "time"}, {}
    ),
    ("login.failed", 1): EventType("record", None, {"count": "count"}, {"member_id": "text"}),
    ("session.ended", 1): EventType("governing", "member_id", {**_BY, "member_id": "text", "session_id": "text"}, {}),
    ("sso.configured", 1): EventType(
        "governing",
        "provider",
        {
            **_BY,
            "provider": "provider",
            "issuer": "text",
            "client_id": "text",
            "enabled": "boolean",
            "role": "member_role",
        },
        {"domains": "names"},
    ),
    ("key.created", 1): EventType(
        "governing",
        "key_id",
        {**_BY, "key_id": "text", "role": "role", "env": "key_env", "label": "sealed"},
        {"expires_at": "time", "agents": "names", "triggers": "names", "uploads": "boolean"},
    ),
    ("key.revoked", 1): EventType("governing", "key_id", {**_BY, "key_id": "text"}, {}),
    ("agent.credential_issued", 1): EventType(
        "governing",
        "credential_id",
        {**_BY, "credential_id": "text", "agent_id": "text", "env": "env"},
        {"expires_at": "time", "label": "sealed"},
    ),
    ("agent.credential_revoked", 1): EventType(
        "governing", "credential_id", {**_BY, "credential_id": "text", "agent_id": "text"}, {}
    ),
    (TOKEN_ISSUED, 1): EventType(
        "record",
        "session_id",
        {"session_id": "text", "expires_at": "time"},
        {"member_id": "text", "credential_id": "text"},
    ),
    (TOKEN_REVOKED, 1): EventType("governing", None, _BY, {"session_id": "text", "member_id": "text", "agent": "text"}),
    ("share.created", 1): EventType(
        "governing",
        "share_id",
        {**_BY, "share_id": "text", "expires_at": "time"},
        {
            "types": "names",
            "agents": "names",
            "envs": "envs",
            "since": "time",
            "until": "time",
            "label": "sealed",
        },
    ),
    ("share.revoked", 1): EventType("governing", "share_id", {**_BY, "share_id": "text"}, {}),
    ("share.viewed", 1): EventType("record", "share_id", {"share_id": "text", "count": "count"}, {}),
    ("access.denied", 1): EventType("record", None, {"actor": "actor", "permission": "text", "count": "count"}, {}),
    ("call.reported", 1): EventType(
        "call",
        "agent_id",
        {
            "call_id": "text",
            "agent_id": "text",
            "tool_name": "text",
            "verdict": "verdict",
            "mode": "mode",
            "env": "env",
            "key_id": "text",
        },
        {
            "side_effect": "text",
            "decision_source": "text",
            "decision_name": "text",
            "policy_version": "text",
            "bundle_name": "text",
            "tool_args": "sealed_arguments",
            "principal": "sealed",
            "reason": "sealed",
            "result": "sealed",
        },
    ),
    ("agent.manifest_reported", 1): EventType(
        "record",
        "agent_id",
        {"agent_id": "text", "env": "env", "key_id": "text", "policy_version": "text", "contracts": "contracts"},
        {},
    ),
    ("ledger.verified", 1): EventType("record", None, {"size": "integer", "root": "hash", "actor": "actor"}, {}),
    (EXPORTED, 1): EventType(
        "record",
        "export_id",
        {
            "export_id": "text",
            "from": "integer",
            "to": "integer",
            "disclose": "rules",
            "manifest": "hex_digest",
            "actor": "actor",
        },
        {},
    ),
    ("ledger.tamper_detected", 1): EventType(
        "record", None, {"size": "integer", "first_index": "integer", "check": "text", "actor": "actor"}, {}
    ),
}


def find(event_type: str, version: int) -> EventType | None:
    """The type of that name and version, or None if it is not known."""
    return EVENT_TYPES.get((event_type, version))
