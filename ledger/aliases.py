# SPDX-License-Identifier: Apache-2.0
"""Second names of routes: paths of other products that clients written for those keep using (spec/coverage.csv).

An alias is the same handler, and so the same request and the same answer, under another path below /api/v1. Aliases
stay out of the OpenAPI document, which names each operation once. What needs another shape as well is a function in
`web/seed_paths.py` or `tenant/routes/seed_paths.py`.
"""

from collections.abc import Iterator
from copy import copy

from litestar.handlers import HTTPRouteHandler

from ledger.tenant.routes import keys, me, members, shares, tenants, usage
from ledger.tenant.routes import seed_paths as tenant_seed_paths
from ledger.web import erasures, exports, live, seed_paths, signing_keys, transparency

ALIASES: tuple[tuple[HTTPRouteHandler, tuple[str, ...]], ...] = (
    (keys.create_key, ("/auth/keys/create", "/auth/keys", "/api-keys")),
    (keys.list_keys, ("/auth/keys", "/api-keys")),
    (keys.delete_key, ("/auth/keys/{key_id:str}", "/api-keys/{key_id:str}")),
    (keys.validate_key, ("/auth/keys/validate", "/api-keys/validate")),
    (me.patch_me, ("/auth/profile",)),
    (members.list_members, ("/tenant/members", "/users")),
    (members.get_member, ("/tenant/members/{member_id:str}", "/users/{member_id:str}")),
    (members.create_member, ("/tenant/members", "/users", "/users/invite", "/auth/users")),
    (members.patch_member, ("/tenant/members/{member_id:str}", "/users/{member_id:str}")),
    (members.delete_member, ("/tenant/members/{member_id:str}", "/users/{member_id:str}")),
    (tenants.get_tenant_by_id, ("/auth/tenants/{tenant_id:str}",)),
    (usage.get_usage, ("/tenant/usage", "/usage/summary")),
    (live.stream_events, ("/stream/dashboard",)),
    (transparency.get_head, ("/transparency-log/size", "/transparency-log/sth")),
    (transparency.close_root, ("/transparency/compute",)),
    (transparency.post_root_verify, ("/transparency/verify-root",)),
    (signing_keys.get_signing_key, ("/transparency/key",)),
    (signing_keys.rotate_signing_key, ("/settings/rotate-signing-key",)),
    (erasures.delete_payloads, ("/settings/purge-events",)),
    (exports.post_export, ("/audit/export",)),
    (shares.create_share, ("/audit/share",)),
)


def second_names() -> Iterator[HTTPRouteHandler]:
    """The handlers under their second names, and what stands for other shapes."""
    yield from seed_paths.ROUTES
    yield from tenant_seed_paths.ROUTES
    for handler, paths in ALIASES:
        other = copy(handler)
        other.paths = set(paths)
        other.include_in_schema = False
        yield other
