# SPDX-License-Identifier: Apache-2.0
"""Events about tenants and the credentials that act for them."""

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from ledger.log.events import Governing, register
from ledger.log.sealed import Commitment

Role = Literal["owner", "auditor", "agent"]
KeyEnv = Literal["production", "staging", "development", "all"]


@register
class TenantCreated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "tenant.created"
    tenant_id: str
    actor: str


@register
class KeyCreated(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The secret is in no leaf, not even as a digest; the vault leads from it to `key_id`."""

    type: ClassVar[str] = "key.created"
    key_id: str
    role: Role
    env: KeyEnv
    actor: str
    label: Commitment
    expires_at: str | UnsetType = UNSET


@register
class KeyRevoked(Governing, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: ClassVar[str] = "key.revoked"
    key_id: str
    actor: str
