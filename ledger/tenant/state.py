# SPDX-License-Identifier: Apache-2.0
"""What a tenant's log says about who may act."""

from dataclasses import dataclass, field, replace

from msgspec import UNSET
from rpds import HashTrieMap

from ledger.log.entry import parse_time
from ledger.log.events import Event
from ledger.log.events.tenants import KeyCreated, KeyEnv, KeyRevoked, Role, TenantCreated


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `index` is the leaf that made it; times are milliseconds since the epoch."""

    key_id: str
    role: Role
    env: KeyEnv
    index: int
    expires_at: int | None
    revoked: bool = False

    def is_live(self, now: int) -> bool:
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class TenantState:
    tenant_id: str | None = None
    keys: "HashTrieMap[str, Key]" = field(default_factory=HashTrieMap)

    def apply(self, index: int, event: Event) -> "TenantState":
        match event:
            case TenantCreated():
                return replace(self, tenant_id=event.tenant_id)
            case KeyCreated():
                expires_at = None if event.expires_at is UNSET else parse_time(event.expires_at)
                key = Key(event.key_id, event.role, event.env, index, expires_at)
                return replace(self, keys=self.keys.insert(key.key_id, key))
            case KeyRevoked():
                key = replace(self.keys[event.key_id], revoked=True)
                return replace(self, keys=self.keys.insert(key.key_id, key))
        return self
