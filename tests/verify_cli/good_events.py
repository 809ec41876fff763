# SPDX-License-Identifier: Apache-2.0
"""A good event of each type, and values that break a rule of a field, one at a time."""

from __future__ import annotations

import copy

from ledger_verify.catalogue import EVENT_TYPES

from .textbook import Signer, b64, seal, sha256
from .world import Log

LOG = Log(Signer("localhost/log/5f0c", b"tenant"))
OLD, NEW = Signer("localhost/log/x", b"old"), Signer("localhost/log/x", b"new")
TIME = "2027-01-01T00:00:00.000Z"
HASH = b64(sha256(b"hash"))
ENDORSEMENT = OLD.private.sign(f"decision-ledger key rotation v1\n{OLD.vkey}\n{NEW.vkey}\n".encode())
SEAL = seal("/data/x", "1", bytes(32))[1]
SEAL2 = seal("/data/x", "2", bytes(32))[1]

# One good event of each type, with every optional field.
DATA: dict[str, dict[str, object]] = {
    "log.genesis": {"origin": LOG.origin, "kind": "tenant", "entry_rule": "strict-jcs/v1", "vkey": LOG.signer.vkey},
    "log.created": {"as_of": 0, "origin": OLD.name, "vkey": OLD.vkey},
    "signing_key.rotated": {
        "as_of": 0,
        "origin": OLD.name,
        "vkey": NEW.vkey,
        "previous_vkey": OLD.vkey,
        "endorsement": b64(ENDORSEMENT),
    },
    "heads.committed": {"count": 1, "root": HASH},
    "day.closed": {"as_of": 0, "date": "2026-11-22", "previous": "2026-11-21"},
    "release.published": {"version": "0.1.0", "sha256": sha256(b"").hex()},
    "tenant.created": {"as_of": 0, "tenant_id": "t", "actor": "operator", "name": SEAL},
    "tenant.changed": {
        "as_of": 0,
        "actor": "member:m",
        "plan": "starter",
        "monthly_calls": 0,
        "name": SEAL,
        "webhook_url": SEAL2,
    },
    "kill_switch.engaged": {"as_of": 0, "actor": "agent:a", "reason": SEAL},
    "kill_switch.released": {"as_of": 0, "actor": "member:m", "reason": SEAL},
    "usage.threshold_reached": {"month": "2026-11", "used": 800, "quota": 1000, "percent": 80},
    "feedback.submitted": {"feedback_id": "f", "topic": "bug", "actor": "member:m", "text": SEAL},
    "vault.rekeyed": {"secrets": 0, "actor": "operator"},
    "member.invited": {
        "as_of": 0,
        "member_id": "m",
        "role": "dpo",
        "actor": "member:m0",
        "expires_at": TIME,
        "email": SEAL,
        "name": SEAL2,
    },
    "member.joined": {
        "as_of": 0,
        "member_id": "m",
        "role": "readonly",
        "how": "invitation",
        "actor": "member:m",
        "email": SEAL,
        "name": SEAL2,
    },
    "member.changed": {"as_of": 0, "member_id": "m", "actor": "key:k", "role": "ciso", "status": "suspended"},
    "member.removed": {"as_of": 0, "member_id": "m", "actor": "operator"},
    "member.profile_changed": {
        "as_of": 0,
        "member_id": "m",
        "actor": "member:m",
        "password": "changed",
        "name": SEAL,
        "logo": SEAL2,
    },
    "login.succeeded": {"member_id": "m", "session_id": "s", "method": "oidc", "expires_at": TIME},
    "login.failed": {"count": 3, "member_id": "m"},
    "session.ended": {"as_of": 0, "member_id": "m", "session_id": "s", "actor": "member:m"},
    "sso.configured": {
        "as_of": 0,
        "provider": "our-idp2",
        "issuer": "https://idp.example.com",
        "client_id": "c",
        "enabled": False,
        "role": "auditor",
        "actor": "member:m",
        "domains": ["example.com", "example.org"],
    },
    "key.created": {
        "as_of": 0,
        "key_id": "k",
        "role": "owner",
        "env": "all",
        "actor": "key:k0",
        "expires_at": TIME,
        "agents": ["a", "b"],
        "triggers": ["t"],
        "uploads": True,
        "label": SEAL,
    },
    "key.revoked": {"as_of": 0, "key_id": "k", "actor": "key:k0"},
    "agent.credential_issued": {
        "as_of": 0,
        "credential_id": "c",
        "agent_id": "a",
        "env": "staging",
        "actor": "member:m",
        "expires_at": TIME,
        "label": SEAL,
    },
    "agent.credential_revoked": {"as_of": 0, "credential_id": "c", "agent_id": "a", "actor": "member:m"},
    "token.issued": {"session_id": "s", "expires_at": TIME, "credential_id": "c"},
    "token.revoked": {"as_of": 0, "actor": "member:m", "agent": "a"},
    "share.created": {
        "as_of": 0,
        "share_id": "s",
        "actor": "member:m",
        "expires_at": TIME,
        "types": ["call.reported", "key.created"],
        "agents": ["a"],
        "envs": ["development", "production", "staging"],
        "since": TIME,
        "until": TIME,
        "label": SEAL,
    },
    "share.revoked": {"as_of": 0, "share_id": "s", "actor": "member:m"},
    "share.viewed": {"share_id": "s", "count": 1},
    "access.denied": {"actor": "key:k", "permission": "members:write", "count": 1},
    "call.reported": {
        "call_id": "c",
        "agent_id": "a",
        "tool_name": "t",
        "verdict": "would_deny",
        "mode": "observe",
        "env": "staging",
        "key_id": "k",
        "side_effect": "s",
        "decision_source": "d",
        "decision_name": "n",
        "policy_version": "p",
        "bundle_name": "b",
        "tool_args": {"amount": SEAL},
        "principal": SEAL2,
        "reason": seal("/data/x", "3", bytes(32))[1],
        "result": seal("/data/x", "4", bytes(32))[1],
    },
    "agent.manifest_reported": {
        "agent_id": "a",
        "env": "development",
        "key_id": "k",
        "policy_version": "p",
        "contracts": [{"id": "i", "mode": "enforce", "tool": "t", "type": "pre"}],
    },
    "disclosure.erased": {
        "as_of": 0,
        "ranges": [[2, 3], [5, 8]],
        "grounds": "legal_order",
        "actor": "operator",
        "pointers": ["/data/reason", "/data/tool_args/amount"],
        "legal_basis": "GDPR Art. 17(1)(e)",
    },
    "ledger.verified": {"size": 0, "root": HASH, "actor": "operator"},
    "ledger.tamper_detected": {"size": 1, "first_index": 0, "check": "leaf", "actor": "operator"},
    "evidence.exported": {
        "export_id": "e",
        "from": 3,
        "to": 7,
        "disclose": ["* /data/reason", "call.reported /data/tool_args/*"],
        "manifest": "0" * 64,
        "actor": "key:k1",
    },
}


NAMES = [
    ("key.created", "agents"),
    ("key.created", "triggers"),
    ("share.created", "types"),
    ("share.created", "agents"),
]
NO_NAMES = [
    [],
    ["b", "a"],
    ["a", "a"],
    [""],
    ["a", 1],
    ["\u00e9"],
    ["x" * 201],
    [f"{number:03}" for number in range(201)],
]
ROLES = [("member.invited", "role"), ("member.joined", "role"), ("member.changed", "role"), ("sso.configured", "role")]
NO_MONTHS = ["2026", "2026-00", "2026-13", "2026-1", "26-01", "2026-011", "2026-01-01", "2026-01\n"]
NO_PROVIDERS = ["-a", "A", "a_b", "a b", "\u00e9", "a" * 41]
NO_ACTORS = [
    "someone", "Operator", "operator:", "key", "key:", "member:", "agent:", "role:x", " key:x", "key:\u00e9",
    *[f"{kind}:{'x' * 191}" for kind in ("key", "member", "agent")],
]  # fmt: skip

WRONG: list[tuple[str, str, object]] = [
    *[(kind, name, value) for kind, name in [*NAMES, ("sso.configured", "domains")] for value in NO_NAMES],
    *[("share.created", "envs", value) for value in (*NO_NAMES, ["all"], ["staging", "production"])],
    *[(kind, name, value) for kind, name in ROLES for value in ("agent", "admin", "Owner")],
    *[("usage.threshold_reached", "month", value) for value in NO_MONTHS],
    *[("sso.configured", "provider", value) for value in NO_PROVIDERS],
    *[("kill_switch.engaged", "actor", value) for value in NO_ACTORS],
    *[(kind, "count", 0) for kind in ("login.failed", "share.viewed", "access.denied")],
    *[("usage.threshold_reached", name, -1) for name in ("used", "quota", "percent")],
    *[("share.created", name, "2027-01-01") for name in ("since", "until", "expires_at")],
    *[(kind, "expires_at", "2027-02-30T00:00:00.000Z") for kind in ("member.invited", "agent.credential_issued")],
    *[(kind, "expires_at", "tomorrow") for kind in ("login.succeeded", "token.issued")],
    ("tenant.changed", "plan", "trial"),
    ("tenant.changed", "monthly_calls", -1),
    ("feedback.submitted", "topic", "praise"),
    ("member.joined", "how", "asked"),
    ("member.changed", "status", "removed"),
    ("member.profile_changed", "password", "secret"),
    ("login.succeeded", "method", "saml"),
    ("agent.credential_issued", "env", "all"),
    ("key.created", "uploads", 1),
    ("sso.configured", "enabled", "yes"),
    ("sso.configured", "issuer", ""),
    ("vault.rekeyed", "secrets", -1),
    ("access.denied", "permission", "x" * 201),
    # One of several, and no other.
    ("token.issued", "credential_id", ...),
    ("token.issued", "member_id", "m"),
    ("token.revoked", "agent", ...),
    ("token.revoked", "session_id", "s"),
    ("token.revoked", "member_id", "m"),
    # Sealed, each in another field.
    ("member.invited", "name", SEAL),
    ("member.profile_changed", "logo", SEAL),
    ("tenant.changed", "webhook_url", SEAL),
]
"""Type, field and value; `...` takes the field away."""


def event(kind: str, /, **changes: object) -> dict[str, object]:
    data = copy.deepcopy(DATA[kind])
    data.update({name: value for name, value in changes.items() if value is not ...})
    for name in [name for name, value in changes.items() if value is ...]:
        del data[name]
    subject = EVENT_TYPES[kind, 1].subject
    return LOG.envelope(kind, data, None if subject is None else str(data.get(subject)))
