# SPDX-License-Identifier: Apache-2.0
"""Answers of the service that are easily taken for receipts: no evidence, but known, so that a message says what to do.

Only what is no receipt is looked at, and nothing of it is believed or repeated.
"""

from __future__ import annotations

from ledger_verify.canonical import decode_utf8, parse_any_json
from ledger_verify.errors import MalformedError

_REPORT = {"accepted", "duplicates", "items", "checkpoint"}  # members of every answer to a report
_PROBLEM = {"status", "title", "detail", "code", "request_id"}  # and of every refusal


def mistaken_for_receipt(raw: bytes) -> MalformedError | None:
    """What to say of bytes that are an answer of the service and no receipt; None of all others."""
    try:
        value = parse_any_json(decode_utf8(raw, "the file"), "the file")
    except MalformedError:
        return None
    if not isinstance(value, dict):
        return None
    if set(value) >= _REPORT:
        hint = (
            "It has no receipts: report the same with ?receipts=full, or fetch /api/v1/receipts/EVENT_ID of the service"
        )
        if value.get("receipts"):
            hint = "Take each member of its receipts into a file of its own: jq -c '.receipts[0]' writes the first"
        return MalformedError("this is the answer of a service to a report, and no receipt", hint=hint)
    if set(value) >= _PROBLEM:
        return MalformedError("this is a refusal of a service, and no receipt", hint="Its detail says why")
    return None
