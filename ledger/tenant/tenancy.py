# SPDX-License-Identifier: Apache-2.0
"""What the tenant layer's routes work with beside the service, put together by `ledger/app.py`."""

from dataclasses import dataclass
from typing import Any

from litestar import Request

from ledger.tenant.secrets import Secrets
from ledger.tenant.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Tenancy:
    secrets: Secrets
    tokens: Tokens


def provide_tenancy(request: Request[Any, Any, Any]) -> Tenancy:
    tenancy = request.app.state["tenancy"]
    assert isinstance(tenancy, Tenancy)
    return tenancy
