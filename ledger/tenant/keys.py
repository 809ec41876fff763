# SPDX-License-Identifier: Apache-2.0
"""API keys: decisions about them, and the way from a presented secret to the key it stands for.

A secret is `lk_<env>_<random>`. It is shown once and stored nowhere: the vault has, under a keyed digest of it, a box
that says whose key it is. Whether that key may still act is asked of the fold every time, so a revocation bites on the
very next request.
"""

import secrets
from collections import OrderedDict
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from ledger.log import canonical
from ledger.log.entry import IdSource, format_time, format_uuid
from ledger.log.errors import ConflictError, NotFoundError, UnauthorizedError
from ledger.log.events.credentials import KeyCreated, KeyEnv, KeyRevoked, Role
from ledger.log.fold import State
from ledger.log.keystore import DataKey
from ledger.log.ledger import Ledger
from ledger.log.sealed import seal
from ledger.log.store import Secret, Store
from ledger.log.vault import Vault
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.state import Key, TenantState
from ledger.web.rates import Address, Rates

SHOWN_CHARACTERS = 8
CACHED_SECRETS = 10_000

BY_SECRET, BY_KEY = "key/", "key-prefix/"
"""What the names begin with under which the vault has a key: a digest of its secret follows, or its id."""


class NewKey(NamedTuple):
    """A key about to be made. `secret` is for its owner's eyes, once."""

    key_id: str
    secret: str
    prefix: str
    draft: Draft


class KeyOwner(msgspec.Struct, frozen=True):
    """What the vault says of a secret."""

    log_number: int
    key_id: str


def draft_key(
    vault: Vault,
    log: Log,
    data_key: DataKey,
    now: int,
    *,
    role: Role,
    env: KeyEnv,
    label: str,
    actor: str,
    expires_at: int | None = None,
) -> NewKey:
    """A new key with its secret; nothing is stored until the draft is appended."""
    key_id = format_uuid(IdSource(0).next(now))
    random = secrets.token_urlsafe(32)
    secret, prefix = f"lk_{env}_{random}", f"lk_{env}_{random[:SHOWN_CHARACTERS]}"
    sealed = seal([("/data/label", canonical.encode(label))])
    event = KeyCreated(
        key_id=key_id,
        role=role,
        env=env,
        actor=actor,
        label=sealed.commitments["/data/label"],
        expires_at=UNSET if expires_at is None else format_time(expires_at),
    )
    name, shown = _secret_name(vault, secret), _prefix_name(key_id)
    draft = Draft(
        event,
        subject=key_id,
        sealed=sealed.encrypt(data_key, log.origin.encode()),
        data_key=data_key.key_id,
        side=(
            Secret(name, vault.seal(name, msgspec.json.encode(KeyOwner(log.number, key_id)))),
            Secret(shown, vault.seal(shown, prefix.encode())),
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

    def __init__(self, ledger: Ledger, rates: Rates | None = None) -> None:
        self._ledger = ledger
        self._rates = rates or Rates()
        self._digest_key = _digest_key(ledger.vault)
        self._owners: OrderedDict[str, KeyOwner] = OrderedDict()

    def recall(self, secret: str) -> tuple[Log, Key] | None:
        """The same for a secret that was seen before, without asking the store; None for every other text."""
        owner = self._owners.get(_named(secret, self._digest_key))
        log = None if owner is None else self._ledger.loaded(owner.log_number)
        if owner is None or log is None:
            return None
        return log, self._live(log, owner)

    def resolve(self, secret: str, address: Address = None) -> tuple[Log, Key]:
        """The log and the live key of a secret. Raises UnauthorizedError for every other text, RateLimitedError from
        an address that has tried too many.
        """
        name = _named(secret, self._digest_key)
        owner = self._owners.get(name)
        if owner is None:
            self._ledger.require_current()
            self._rates.before_lookup(address)
            box = self._ledger.store.secret(name)
            if box is None:
                self._rates.missed(address)
                raise UnauthorizedError("the key is not known")
            owner = msgspec.json.decode(self._ledger.vault.open(name, box), type=KeyOwner)
            log = self._ledger.log(owner.log_number)
            if owner.key_id not in log.committed.state[TenantState].keys:
                # Its secret is in the store, so it is in the log: another process made it a moment ago.
                self._ledger.catch_up(log)
            self._owners[name] = owner
            if len(self._owners) > CACHED_SECRETS:
                self._owners.popitem(last=False)
        log = self._ledger.log(owner.log_number)
        return log, self._live(log, owner)

    def _live(self, log: Log, owner: KeyOwner) -> Key:
        self._ledger.require_current()
        return require_live(log.committed.state, owner.key_id, self._ledger.clock())


def _digest_key(vault: Vault) -> bytes:
    return vault.derive("api keys")


def _secret_name(vault: Vault, secret: str) -> str:
    return _named(secret, _digest_key(vault))


def _named(secret: str, digest_key: bytes) -> str:
    return BY_SECRET + blake2b(secret.encode("utf-8", "surrogateescape"), key=digest_key, digest_size=32).hexdigest()


def _prefix_name(key_id: str) -> str:
    return BY_KEY + key_id
