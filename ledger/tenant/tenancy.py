# SPDX-License-Identifier: Apache-2.0
"""What the tenant layer's routes work with beside the service, put together by `ledger/app.py`."""

from dataclasses import dataclass
from typing import Any

from litestar import Request

from ledger.log.ledger import Ledger
from ledger.tenant.activity import Activities
from ledger.tenant.logins import Logins
from ledger.tenant.oidc import Providers
from ledger.tenant.passwords import Cost, Passwords
from ledger.tenant.people import People
from ledger.tenant.secrets import Secrets
from ledger.tenant.sso import Flows
from ledger.tenant.tallies import Tallies
from ledger.tenant.tenants import Tenants
from ledger.tenant.tokens import Tokens
from ledger.tenant.usage import Usage


@dataclass(frozen=True, slots=True)
class Tenancy:
    secrets: Secrets
    tokens: Tokens
    people: People
    passwords: Passwords
    logins: Logins
    tallies: Tallies
    providers: Providers
    flows: Flows
    tenants: Tenants
    usage: Usage
    activities: Activities
    first: int

    @classmethod
    def of(cls, ledger: Ledger, cost: Cost, first: int, attempts: int) -> "Tenancy":
        """`first` is the number of the first tenant's log; `attempts` to log in are taken from one address in five
        minutes.
        """
        secrets = Secrets(ledger.store, ledger.vault)
        people, passwords, tallies = People(ledger.store, secrets), Passwords(cost), Tallies(ledger)
        logins = Logins(ledger, people, passwords, tallies, first, attempts)
        providers, flows = Providers(), Flows(ledger.vault)
        tenants, usage, activities = Tenants(ledger, secrets), Usage(ledger), Activities(ledger)
        return cls(
            secrets,
            Tokens(ledger.vault),
            people,
            passwords,
            logins,
            tallies,
            providers,
            flows,
            tenants,
            usage,
            activities,
            first,
        )


def provide_tenancy(request: Request[Any, Any, Any]) -> Tenancy:
    tenancy = request.app.state["tenancy"]
    assert isinstance(tenancy, Tenancy)
    return tenancy
