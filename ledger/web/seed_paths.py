# SPDX-License-Identifier: Apache-2.0
"""Routes under other products' paths whose requests differ in shape from ours: each a thin function around the handler
that does the work. Like the aliases (`ledger/aliases.py`) they stay out of the OpenAPI document.
"""

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ledger.log.check.notes import CheckResult
from ledger.log.errors import NotFoundError
from ledger.web import transparency
from ledger.web.access import Principal
from ledger.web.health import reaches_database
from ledger.web.service import Service
from ledger.web.transparency import InclusionProof


class DeepReadiness(msgspec.Struct, frozen=True):
    """`probes` says of each part that the service stands on whether it works."""

    ready: bool
    reason: str | None
    probes: dict[str, bool]


@get("/transparency-log/proof/{leaf_index:str}", include_in_schema=False)
async def get_proof_of_leaf(
    service: NamedDependency[Service],
    principal: NamedDependency[Principal],
    leaf_index: FromPath[str],
    tree_size: Annotated[int | None, QueryParameter(ge=1)] = None,
) -> InclusionProof:
    """The index in the path instead of the query."""
    if not (leaf_index.isascii() and leaf_index.isdigit()):
        raise NotFoundError(f"there is no leaf {leaf_index[:40]}")
    # No log has so many entries that its indexes have twenty digits.
    proof: InclusionProof = await transparency.get_inclusion.fn(service, principal, int(leaf_index[:20]), tree_size)
    return proof


@get("/audit/logs/verify", include_in_schema=False)
async def get_chain_check(service: NamedDependency[Service], principal: NamedDependency[Principal]) -> CheckResult:
    """A self-check for callers who ask for one by GET. That it ran is on record, as ever."""
    result: CheckResult = await transparency.run_check.fn(service, principal)
    return result


@get("/system/health", include_in_schema=False)
async def get_deep_readiness(service: NamedDependency[Service]) -> Response[DeepReadiness]:
    """Readiness with what it follows from. 503 while the service does not accept writes."""
    reason = service.ready()
    probes = {"database": reaches_database(service), "writer": service.ledger.sequencer.halted is None}
    return Response(DeepReadiness(reason is None, reason, probes), status_code=200 if reason is None else 503)


ROUTES = (get_proof_of_leaf, get_chain_check, get_deep_readiness)
