# SPDX-License-Identifier: Apache-2.0
"""Links that show entries to whoever has them, until they expire or are revoked: for auditors without an account.

A link ends in a secret `lsh_<random>` (tenant/secrets.py). What it shows stands in the leaf that made it and never
changes. A secret that was never one, one that has expired and one that was revoked are refused alike, so nobody learns
that there was a link.
"""

import asyncio
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from ledger.log.entry import parse_time, read_envelope
from ledger.log.errors import ConflictError, NotFoundError
from ledger.log.events import read_event
from ledger.log.events.credentials import ShareCreated, ShareRevoked
from ledger.log.ledger import Ledger
from ledger.log.store import Filter
from ledger.log.working_copy import Draft, Log, Moment
from ledger.tenant.secrets import Secrets, new_random
from ledger.tenant.state import Share, TenantState
from ledger.web.rates import Address, Rates

DAY_MS = 86_400_000
DEFAULT_DAYS, MAX_DAYS = 7, 90


class Opened(NamedTuple):
    """A live link, and the log that it shows entries of."""

    log: Log
    share: Share


def new_share_secret() -> str:
    return f"lsh_{new_random()}"


def revoke_share(moment: Moment, share_id: str, actor: str) -> list[Draft]:
    """Decide a revocation. Raises NotFoundError, or ConflictError when it is revoked already."""
    share = moment.state[TenantState].shares.get(share_id)
    if share is None:
        raise NotFoundError(f"there is no share {share_id[:64]}")
    if share.revoked:
        raise ConflictError(f"share {share_id} is revoked already")
    return [Draft(ShareRevoked(share_id=share_id, actor=actor), subject=share_id)]


async def open_share(ledger: Ledger, secrets: Secrets, rates: Rates, secret: str, address: Address) -> Opened:
    """What a secret opens now. Raises NotFoundError for whatever opens nothing, RateLimitedError from an address that
    has tried too many, or for a link that is asked too fast.
    """
    ledger.require_current()
    rates.before_lookup(address)
    found = await asyncio.to_thread(_find, ledger, secrets, secret)
    if found is None or not found.share.is_live(ledger.clock()):
        rates.missed(address)
        rates.take_stranger(address)
        raise NotFoundError("there is nothing to see here: the link is wrong, has expired, or was revoked")
    rates.take(f"share:{found.share.share_id}")
    return found


def _find(ledger: Ledger, secrets: Secrets, secret: str) -> Opened | None:
    owner = secrets.find("share", secret)
    if owner is None:
        return None
    log = ledger.log(owner.log_number)
    if owner.id not in log.committed.state[TenantState].shares:
        # Its secret is in the store, so it is in the log: another process made it a moment ago.
        ledger.catch_up(log)
    share = log.committed.state[TenantState].shares.get(owner.id)
    return None if share is None else Opened(log, share)


def created(ledger: Ledger, log: Log, share: Share) -> tuple[str, ShareCreated]:
    """When a link was made, and what its leaf says of it. Asks the store."""
    [leaf] = ledger.store.leaves(log.number, share.index, share.index + 1)
    envelope = read_envelope(leaf)
    event = read_event(envelope)
    assert isinstance(event, ShareCreated)
    return envelope.recordedat, event


def shown_by(event: ShareCreated) -> Filter:
    """Which entries a link shows."""
    return Filter(
        types=event.types or (),
        agents=event.agents or (),
        envs=event.envs or (),
        since=_moment(event.since),
        until=_moment(event.until),
    )


def _moment(time: str | UnsetType) -> int | None:
    return None if time is UNSET else parse_time(time)
