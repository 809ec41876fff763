# SPDX-License-Identifier: Apache-2.0
"""The conditions between fields of one event (spec/events.md), one function for each type that has any.

They are asked when each field by itself holds what it may.
"""

from __future__ import annotations

from typing import Callable

from ledger_verify import catalogue, ed25519, shapes
from ledger_verify.encodings import decode_base64
from ledger_verify.errors import MalformedError, VerificationError
from ledger_verify.note import parse_vkey


def _announced_key(data: dict[str, object]) -> None:
    for name in ("vkey", "previous_vkey"):
        if name in data and parse_vkey(str(data[name])).name != data["origin"]:
            raise MalformedError(f"/data/{name} has another name than the origin", got=data[name], want=data["origin"])


def _genesis(data: dict[str, object]) -> None:
    _announced_key(data)
    if (data["kind"] == "root") != ("max_commit_delay" in data):
        raise MalformedError("max_commit_delay belongs in the genesis of the root log and nowhere else")


def _rotation(data: dict[str, object]) -> None:
    _announced_key(data)
    if data["vkey"] == data["previous_vkey"]:
        raise MalformedError("a key is replaced by itself", got=data["vkey"])
    statement = f"decision-ledger key rotation v1\n{data['previous_vkey']}\n{data['vkey']}\n".encode()
    previous = parse_vkey(str(data["previous_vkey"]))
    endorsement = decode_base64(str(data["endorsement"]), "/data/endorsement")
    if not ed25519.verify(previous.public_key, statement, endorsement):
        raise VerificationError("the previous key did not endorse the new one")


def _closed_day(data: dict[str, object]) -> None:
    if "previous" in data and str(data["previous"]) >= str(data["date"]):
        raise MalformedError("the date is not later than the one before (D1)", got=data["date"], want=data["previous"])


def _exported(data: dict[str, object]) -> None:
    start, end = shapes.integer(data["from"], "/data/from"), shapes.integer(data["to"], "/data/to")
    if start >= end:
        raise MalformedError("an export of no entries", got=end, want=f"over {start}")


def _exactly_one(*names: str) -> Callable[[dict[str, object]], None]:
    def check(data: dict[str, object]) -> None:
        given = [name for name in names if name in data]
        if len(given) != 1:
            raise MalformedError("the event is not about exactly one", got=", ".join(given), want=" or ".join(names))

    return check


BETWEEN_FIELDS: dict[str, Callable[[dict[str, object]], None]] = {
    catalogue.GENESIS: _genesis,
    "log.created": _announced_key,
    "signing_key.rotated": _rotation,
    catalogue.DAY: _closed_day,
    catalogue.EXPORTED: _exported,
    catalogue.TOKEN_ISSUED: _exactly_one("member_id", "credential_id"),
    catalogue.TOKEN_REVOKED: _exactly_one("session_id", "member_id", "agent"),
}
