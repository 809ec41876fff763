# SPDX-License-Identifier: Apache-2.0
"""API keys: decisions about them, and the way from a presented secret to the key it stands for.

A secret is `lk_<env>_<random>` (tenant/secrets.py). A revocation bites on the very next request, since whether a key is
live is asked of the fold every time.
"""

from collections import OrderedDict
from typing import NamedTuple

from msgspec import UNSET

from ledger.log import canonical
from ledger.log.entry import format_time, new_id
from ledger.log.errors import ConflictError, NotFoundError, UnauthorizedError
from ledger.log.events.credentials import KeyCreated, KeyEnv, KeyRevoked, Role
from ledger.log.fold import State
from ledger.log.keystore import DataKey
from ledger.log.ledger import Ledger
from ledger.log.sealed import seal
from ledger.log.store import Secret, Store
from ledger.log.vault import Vault
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.secrets import Owner, Secrets, new_random
from ledger.tenant.state import NO_SCOPE, Key, Scope, TenantState
from ledger.web.rates import Address, Rates

SHOWN_CHARACTERS = 8
CACHED_SECRETS = 20_000

BY_SECRET, BY_KEY = "key/", "key-prefix/"
"""What the names begin with under which the vault has a key: a digest of its secret follows, or its id."""


class NewKey(NamedTuple):
    """A key about to be made. `secret` is for its owner's eyes, once."""

    key_id: str
    secret: str
    prefix: str
    draft: Draft


def draft_key(
    secrets: Secrets,
    log: Log,
    data_key: DataKey,
    now: int,
    *,
    role: Role,
    env: KeyEnv,
    label: str,
    actor: str,
    expires_at: int | None = None,
    scope: Scope = NO_SCOPE,
) -> NewKey:
    """A new key with its secret; nothing is stored until the draft is appended."""
    key_id = new_id(now)
    random = new_random()
    secret, prefix = f"lk_{env}_{random}", f"lk_{env}_{random[:SHOWN_CHARACTERS]}"
    sealed = seal([("/data/label", canonical.encode(label))])
    event = KeyCreated(
        key_id=key_id,
        role=role,
        env=env,
        actor=actor,
        label=sealed.commitments["/data/label"],
        expires_at=UNSET if expires_at is None else format_time(expires_at),
        agents=UNSET if scope.agents is None else sorted(scope.agents),
        triggers=UNSET if scope.triggers is None else sorted(scope.triggers),
        uploads=scope.uploads or UNSET,
    )
    shown = _prefix_name(key_id)
    draft = Draft(
        event,
        subject=key_id,
        sealed=sealed.encrypt(data_key, log.origin.encode()),
        data_key=data_key.key_id,
        side=(
            secrets.box("key", secret, Owner(log.number, key_id)),
            Secret(shown, secrets.vault.seal(shown, prefix.encode())),
        ),
    )
    return NewKey(key_id, secret, prefix, draft)


def revoke_key(moment: Moment, key_id: str, actor: str) -> list[Draft]:
    """Decide a revocation. Raises NotFoundError, or ConflictError when it is revoked already."""
    key = moment.state[TenantState].keys.get(key_id)
    if key is None:
        raise NotFoundError(f"there is no key {key_id[:64]}")
    if key.revoked:
        raise ConflictError(f"key {key_id} is revoked already")
    return [Draft(KeyRevoked(key_id=key_id, actor=actor), subject=key_id)]


def require_way_in(moment: Moment, key_id: str) -> None:
    """Raises ConflictError where a key is the last with which a tenant can be settled, and no owner could log in."""
    tenant = moment.state[TenantState]
    key = tenant.keys.get(key_id)
    if key is None or key.role != "owner" or key.env != "all":
        return
    others = (other for other in tenant.keys.values() if other.key_id != key_id)
    if not any(
        other.role == "owner" and other.env == "all" and other.is_live(moment.now) for other in others
    ) and not any(member.role == "owner" and member.status == "active" for member in tenant.members.values()):
        raise ConflictError("nobody else owns the tenant: make another owner first, a key or a member")


def require_live(state: State, key_id: str, now: int) -> Key:
    """The key, if it may act now. Raises UnauthorizedError."""
    key = state[TenantState].keys.get(key_id)
    if key is None or key.revoked:
        raise UnauthorizedError("the key was revoked")
    if not key.is_live(now):
        raise UnauthorizedError("the key has expired")
    return key


def shown_prefix(store: Store, vault: Vault, key_id: str) -> str:
    """The start of a key's secret, for lists."""
    name = _prefix_name(key_id)
    box = store.secret(name)
    return "" if box is None else vault.open(name, box).decode()


class KeyResolver:
    """From secrets to keys. What a secret stands for never changes, so it is remembered; whether the key is live is
    not.
    """

    def __init__(self, ledger: Ledger, secrets: Secrets, rates: Rates | None = None) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._rates = rates or Rates()
        self._owners: OrderedDict[str, Owner] = OrderedDict()

    def recall(self, secret: str) -> tuple[Log, Key] | None:
        """The same for a secret that was seen before, without asking the store; None for every other text."""
        owner = self._owners.get(self._secrets.digest(secret))
        log = None if owner is None else self._ledger.loaded(owner.log_number)
        if owner is None or log is None:
            return None
        return log, self._live(log, owner)

    def resolve(self, secret: str, address: Address = None) -> tuple[Log, Key]:
        """The log and the live key of a secret. Raises UnauthorizedError for every other text, RateLimitedError from
        an address that has tried too many.
        """
        digest = self._secrets.digest(secret)
        owner = self._owners.get(digest)
        if owner is None:
            self._ledger.require_current()
            self._rates.before_lookup(address)
            owner = self._secrets.find("key", secret)
            if owner is None:
                self._rates.missed(address)
                raise UnauthorizedError("the key is not known")
            log = self._ledger.log(owner.log_number)
            if owner.id not in log.committed.state[TenantState].keys:
                # Its secret is in the store, so it is in the log: another process made it a moment ago.
                self._ledger.catch_up(log)
            self._owners[digest] = owner
            if len(self._owners) > CACHED_SECRETS:
                self._owners.popitem(last=False)
        log = self._ledger.log(owner.log_number)
        return log, self._live(log, owner)

    def _live(self, log: Log, owner: Owner) -> Key:
        self._ledger.require_current()
        return require_live(log.committed.state, owner.id, self._ledger.clock())


def _prefix_name(key_id: str) -> str:
    return BY_KEY + key_id
