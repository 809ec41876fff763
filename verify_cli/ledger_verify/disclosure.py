# SPDX-License-Identifier: Apache-2.0
"""Disclosures of sealed fields (spec/sealed-fields.md; the digest rule of RFC 9901 §4.2.3).

A leaf holds `{"$sealed":"…"}` where a value would stand. Whoever was given the value and its salt can show both:

    D = base64url( ["<43 characters of salt>","/data/tool_args/amount",4200] )      "$sealed" = base64url( SHA-256( D ) )

The pointer is inside D, so a disclosure cannot be moved to another field; the salt hides a value that could be guessed.
A field with a commitment and no disclosure is withheld: nothing can be said of its value, not even that it still exists.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, encode_utf8, parse_any_json
from ledger_verify.encodings import decode_base64url, encode_base64url
from ledger_verify.entry import Entry
from ledger_verify.errors import MalformedError, VerificationError

SALT_BYTES = 32
_WHITE_SPACE = " \t\n\r"


class Disclosure(NamedTuple):
    """A value that fits the commitment in the leaf."""

    pointer: str
    value: str  # JSON text, byte for byte as the service received it
    digest: str


def parse_disclosure(encoded: str, what: str) -> Disclosure:
    """The three elements of `D`, in the one spelling that the format allows (S1)."""
    raw = decode_base64url(encoded, what)
    text = decode_utf8(raw, what)
    elements = parse_any_json(text, what)
    if not isinstance(elements, list) or len(elements) != 3:
        raise MalformedError(f"{what} is not an array of three elements", got=shapes.kind_of(elements))
    salt = shapes.string(elements[0], f"{what}: its salt")
    decode_base64url(salt, f"{what}: its salt", SALT_BYTES)
    pointer = shapes.string(elements[1], f"{what}: its pointer")
    # There is no white space but inside the value, and no escape in the pointer, so the text before the value is known.
    # That also gives the value's own text, which must not be parsed and written again.
    prefix = f'["{salt}","{pointer}",'
    value = text[len(prefix) : -1]
    if not text.startswith(prefix) or not text.endswith("]") or value != value.strip(_WHITE_SPACE):
        raise MalformedError(f"{what} has white space or escapes outside its value", got=text, want=prefix)
    digest = encode_base64url(hashlib.sha256(encoded.encode("ascii")).digest())
    return Disclosure(pointer, value, digest)


def check_disclosures(encoded: object, entry: Entry, what: str = "disclosures") -> list[Disclosure]:
    """The disclosures of one entry, each leading to its commitment (S1, S2), in ascending order (S4)."""
    disclosures: list[Disclosure] = []
    previous = b""
    for position, item in enumerate(shapes.array(encoded, what)):
        name = f"{what}[{position}]"
        disclosure = parse_disclosure(shapes.string(item, name), name)
        committed = entry.commitments.get(disclosure.pointer)
        if committed is None:
            raise VerificationError(f"{name} leads to no commitment (S2)", got=disclosure.pointer)
        if committed != disclosure.digest:
            raise VerificationError(
                f"{name} does not fit its commitment (S2) at {disclosure.pointer}",
                got=disclosure.digest,
                want=committed,
                hint="The value or its salt was changed, or it belongs to another entry",
            )
        pointer_bytes = encode_utf8(disclosure.pointer, name)
        if disclosures and pointer_bytes <= previous:
            raise VerificationError(f"{name} is out of order or repeated (S4)", got=disclosure.pointer)
        previous = pointer_bytes
        disclosures.append(disclosure)
    return disclosures


def field_states(entry: Entry, disclosures: list[Disclosure]) -> dict[str, dict[str, str]]:
    """For each sealed field by pointer: disclosed with its value's JSON text, or withheld."""
    values = {disclosure.pointer: disclosure.value for disclosure in disclosures}
    return {
        pointer: {"state": "disclosed", "value": values[pointer]} if pointer in values else {"state": "withheld"}
        for pointer in sorted(entry.commitments)
    }
