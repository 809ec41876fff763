# SPDX-License-Identifier: Apache-2.0
"""Routes under other products' paths whose requests differ in shape from ours: each a thin function around the handler
that does the work. Like the aliases (`ledger/aliases.py`) they stay out of the OpenAPI document.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from ledger.log.errors import NotFoundError
from ledger.tenant.routes.keys import delete_key
from ledger.tenant.routes.sso import ProviderAnswer, put_config
from ledger.tenant.routes.switch import SwitchAnswer, engage_kill_switch, get_kill_switch, release_kill_switch
from ledger.tenant.routes.tenants import NewTenantAnswer, create_or_change_tenant
from ledger.tenant.tenancy import Tenancy
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.writes import read_json


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_id: Annotated[str, Meta(min_length=1, max_length=64)]


_revoke_decoder = msgspec.json.Decoder(RevokeRequest)


@post("/auth/keys/revoke", status_code=204, include_in_schema=False)
async def revoke_key_of_body(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[None]:
    """The key's id in the body instead of the path."""
    wanted = await read_json(request, _revoke_decoder)
    answer: Response[None] = await delete_key.fn(service, principal, tenancy, wanted.key_id)
    return answer


@post("/auth/sso/config", status_code=200, include_in_schema=False)
async def post_sso_config(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[ProviderAnswer]:
    """By POST instead of PUT."""
    answer: Response[ProviderAnswer] = await put_config.fn(request, service, principal)
    return answer


@post("/auth/tenants", status_code=201, include_in_schema=False)
async def create_or_change_tenant_of(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenancy: NamedDependency[Tenancy],
) -> Response[NewTenantAnswer]:
    """Makes a tenant, or changes the one that is there."""
    return await create_or_change_tenant(request, service, principal, tenancy)


@get("/decision/kill-switch/{tenant_id:str}", include_in_schema=False)
async def get_kill_switch_of(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenant_id: FromPath[str]
) -> SwitchAnswer:
    """The tenant in the path, which can only be one's own."""
    _require_own(principal, tenant_id)
    answer: SwitchAnswer = await get_kill_switch.fn(service, principal)
    return answer


@post("/decision/kill-switch/{tenant_id:str}", status_code=200, include_in_schema=False)
async def engage_kill_switch_of(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    tenant_id: FromPath[str],
) -> Response[SwitchAnswer]:
    _require_own(principal, tenant_id)
    answer: Response[SwitchAnswer] = await engage_kill_switch.fn(request, service, principal)
    return answer


@delete("/decision/kill-switch/{tenant_id:str}", status_code=200, include_in_schema=False)
async def release_kill_switch_of(
    service: NamedDependency[Service], principal: NamedDependency[Principal], tenant_id: FromPath[str]
) -> Response[SwitchAnswer]:
    _require_own(principal, tenant_id)
    answer: Response[SwitchAnswer] = await release_kill_switch.fn(service, principal)
    return answer


def _require_own(principal: Principal, tenant_id: str) -> None:
    """Raises NotFoundError for another tenant, which need not exist."""
    if tenant_id != principal.log.record.tenant_id:
        raise NotFoundError(f"there is no tenant {tenant_id[:64]}")


ROUTES = (
    revoke_key_of_body,
    create_or_change_tenant_of,
    post_sso_config,
    get_kill_switch_of,
    engage_kill_switch_of,
    release_kill_switch_of,
)
