# SPDX-License-Identifier: Apache-2.0
"""Making tenants: each gets a log of its own, with its plan and the key of its first owner, or nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from ledger.log.events.tenants import Plan, TenantChanged, TenantCreated
from ledger.log.founding import Founded, Founder
from ledger.log.ledger import Ledger
from ledger.log.submission import Part
from ledger.log.working_copy import Draft, Log
from ledger.tenant.keys import NewKey, draft_key
from ledger.tenant.secrets import Secrets
from ledger.web.writes import seal_texts


class NewTenant(NamedTuple):
    """A tenant that was just made. The secret of `owner` is for its eyes, once."""

    founded: Founded
    owner: NewKey


class Tenants:
    """Makes the tenants of a ledger."""

    def __init__(self, ledger: Ledger, secrets: Secrets) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._founder = Founder(ledger)

    async def create(self, tenant_id: str, name: str | None, plan: Plan, guard: Part) -> NewTenant:
        """Make a tenant. `guard` is the part of an operator who must still be allowed to, under the lock.

        Raises ConflictError when there is one of that id, UnavailableError when nothing was made.
        """
        owner: list[NewKey] = []

        async def first_entries(log: Log) -> Sequence[Draft]:
            ledger = self._ledger
            now = ledger.clock()
            texts = await seal_texts(ledger, log, {"name": name})
            data_key = await ledger.sealing(lambda: ledger.data_key(log, None, now))
            owner[:] = [
                draft_key(
                    self._secrets,
                    log,
                    data_key,
                    now,
                    role="owner",
                    env="all",
                    label="owner, made with the tenant",
                    actor="operator",
                )
            ]
            created = TenantCreated(tenant_id=tenant_id, actor="operator", name=texts.of("name"))
            return [
                texts.draft(created, subject=tenant_id),
                Draft(TenantChanged(actor="operator", plan=plan)),
                owner[0].draft,
            ]

        founded = await self._founder.found(tenant_id, first_entries, guard)
        return NewTenant(founded, owner[0])
