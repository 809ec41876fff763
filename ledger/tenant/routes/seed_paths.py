# SPDX-License-Identifier: Apache-2.0
"""Routes under other products' paths whose requests differ in shape from ours: each a thin function around the handler
that does the work. Like the aliases (`ledger/aliases.py`) they stay out of the OpenAPI document.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from msgspec import Meta

from ledger.tenant.routes.keys import delete_key
from ledger.web.access import Principal
from ledger.web.service import Service
from ledger.web.writes import read_json


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_id: Annotated[str, Meta(min_length=1, max_length=64)]


_revoke_decoder = msgspec.json.Decoder(RevokeRequest)


@post("/auth/keys/revoke", status_code=204, include_in_schema=False)
async def revoke_key_of_body(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[None]:
    """The key's id in the body instead of the path."""
    wanted = await read_json(request, _revoke_decoder)
    answer: Response[None] = await delete_key.fn(service, principal, wanted.key_id)
    return answer


ROUTES = (revoke_key_of_body,)
