# SPDX-License-Identifier: Apache-2.0
"""Signing keys: the public ones, current and past, and their replacement (CAPABILITIES L07)."""

from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from ledger.log.errors import NotFoundError
from ledger.log.fold import LogsState
from ledger.log.report import decode
from ledger.log.rotation import rotate_key
from ledger.log.working_copy import Log
from ledger.web.access import Principal
from ledger.web.doors import asked_of, provide_principal
from ledger.web.service import Service


class PublicKey(msgspec.Struct, frozen=True):
    """A signing key. `since` is the root-log index at which it took over, `current` whether it still signs."""

    purpose: str
    origin: str
    vkey: str
    since: int
    current: bool


class KeyHistory(msgspec.Struct, frozen=True):
    items: list[PublicKey]


class RotateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purpose: Literal["log", "root"] = "log"


class RotatedKey(msgspec.Struct, frozen=True):
    """A replaced key. `endorsement` is the previous key's signature over the replacement (spec/events.md)."""

    purpose: str
    origin: str
    vkey: str
    previous_vkey: str
    endorsement: str


_rotate_decoder = msgspec.json.Decoder(RotateRequest)


@get("/transparency/keys", summary="Signing keys, current and past", tags=["transparency"])
async def list_signing_keys(
    request: Request[Any, Any, Any], service: NamedDependency[Service], purpose: FromQuery[str | None] = None
) -> KeyHistory:
    """Keys of the root log, which are public; with a credential also those of the tenant's own log."""
    keys = _keys(service.ledger.root, service, "root")
    if asked_of(request).claims:
        keys += _keys((await provide_principal(request, service)).log, service, "log")
    return KeyHistory([key for key in keys if purpose in (None, key.purpose)])


@get("/transparency/keys/current", summary="Current signing key", tags=["transparency"])
async def get_signing_key(service: NamedDependency[Service], purpose: FromQuery[str] = "root") -> PublicKey:
    current = [key for key in _keys(service.ledger.root, service, "root") if key.current and purpose == "root"]
    if not current:
        raise NotFoundError(f"there is no public key for the purpose {purpose[:40]!r}; there is: root")
    return current[0]


def _keys(log: Log, service: Service, purpose: str) -> list[PublicKey]:
    history = service.ledger.root.committed.state[LogsState].vkeys[log.origin]
    return [PublicKey(purpose, log.origin, vkey, since, vkey == history[-1][1]) for since, vkey in history]


@post("/signing-keys/rotate", status_code=200, summary="Replace a signing key", tags=["transparency"])
async def rotate_signing_key(
    request: Request[Any, Any, Any], service: NamedDependency[Service], principal: NamedDependency[Principal]
) -> Response[RotatedKey]:
    """Replace the key of the tenant's log, or, for the operator, of the root log.

    Evidence made before keeps verifying under the old vkey; whoever verifies new evidence needs the new one.
    """
    wanted = decode(_rotate_decoder, await request.body() or b"{}")
    permission = "keys:rotate" if wanted.purpose == "log" else "root:rotate"
    principal.require(permission)
    log = principal.log if wanted.purpose == "log" else service.ledger.root
    event, appended = await rotate_key(service.ledger, log, principal.guard(permission), principal.actor)
    [item] = appended.items
    return Response(
        RotatedKey(wanted.purpose, event.origin, event.vkey, event.previous_vkey, event.endorsement),
        headers={"ledger-event-id": item.event_id, "ledger-leaf-index": str(item.leaf_index)},
    )
