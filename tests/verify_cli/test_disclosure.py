# SPDX-License-Identifier: Apache-2.0
"""Disclosures fit their commitments, or they are refused (sealed-fields.md, S1 to S5)."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError
from ledger_verify.disclosure import check_disclosures, field_states, parse_disclosure
from ledger_verify.entry import Entry, parse_entry

from .textbook import Signer, b64url, jcs, seal
from .world import Log, World

SALT = b64url(bytes(range(32)))
POINTER = "/data/reason"


def encoded(text: str | bytes) -> str:
    return (
        urlsafe_b64encode(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        .decode()
        .rstrip("=")
    )


def entry_with(**commitments: dict[str, str]) -> Entry:
    log = Log(Signer("localhost/log/a", b"a"))
    return parse_entry(jcs(log.envelope("call.decided", commitments)))


@pytest.mark.parametrize(
    "value",
    [
        "1",
        "-0",
        "1e400",
        "9" * 5000,
        '"é\\n\\u00e9"',
        "null",
        "true",
        '{"b" : 1,\t"a":[ 2.50 ]}',
        "[" * 400 + "]" * 400,
    ],
)
def test_any_json_value_is_given_back_byte_for_byte(value: str) -> None:
    disclosure, commitment = seal(POINTER, value, bytes(range(32)))
    [found] = check_disclosures([disclosure], entry_with(reason=commitment))
    assert (found.pointer, found.value, found.digest) == (POINTER, value, commitment["$sealed"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "{}",
        f'["{SALT}","{POINTER}"]',
        f'["{SALT}","{POINTER}",1,2]',
        f'["{SALT}",1,1]',
        f'[1,"{POINTER}",1]',
        f'["{SALT[:-1]}","{POINTER}",1]',
        f'["{SALT}A","{POINTER}",1]',
        f'["{SALT[:-1]}9","{POINTER}",1]',
        f'["{SALT}=","{POINTER}",1]',
        f'[ "{SALT}","{POINTER}",1]',
        f'["{SALT}" ,"{POINTER}",1]',
        f'["{SALT}","{POINTER}", 1]',
        f'["{SALT}","{POINTER}",1 ]',
        f'["{SALT}","{POINTER}",1]\n',
        f' ["{SALT}","{POINTER}",1]',
        f'["{SALT}","\\/data/reason",1]',
        f'["{SALT}","/data/re\\u0061son",1]',
        f'["{SALT}","{POINTER}",NaN]',
        f'["{SALT}","{POINTER}",-Infinity]',
        f'["{SALT}","{POINTER}",01]',
        f'["{SALT}","{POINTER}",{{"a":1,"a":1}}]',
        f'["{SALT}","{POINTER}",{{"a":1,"\\u0061":1}}]',
        f'["{SALT}","{POINTER}","\\ud800"]',
        f'["{SALT}","{POINTER}","\ud800"]',
        f'["{SALT}","{POINTER}","\x01"]',
        f'["{SALT}","{POINTER}",{"[" * 600}{"]" * 600}]',
        f'["{SALT}","{POINTER}",{"[" * 100_000}',
        b'["\xff"]',
    ],
)
def test_malformed_disclosure_is_refused_although_it_was_committed(text: str | bytes) -> None:
    disclosure = encoded(text)
    commitment = {"$sealed": b64url(hashlib.sha256(disclosure.encode()).digest())}
    with pytest.raises(VerificationError):
        check_disclosures([disclosure], entry_with(reason=commitment))


def test_another_spelling_of_the_base64_is_refused() -> None:
    disclosure, commitment = seal(POINTER, "12", bytes(32))
    for other in (disclosure + "=", disclosure + "\n", disclosure[:-1], disclosure.replace("_", "/"), disclosure + "A"):
        if other != disclosure:
            with pytest.raises(VerificationError):
                check_disclosures([other], entry_with(reason=commitment))


def test_pointer_must_lead_to_a_commitment() -> None:
    commitment = seal("/data/other", "1", bytes(32))[1]
    for pointer in ("/data/other", "/data", "", "/data/reason/$sealed", "data/reason", "/data/reason/"):
        disclosure = seal(pointer, "1", bytes(32))[0]
        with pytest.raises(VerificationError, match="S2"):
            check_disclosures([disclosure], entry_with(reason=commitment))


def test_value_salt_and_place_are_bound() -> None:
    good, commitment = seal(POINTER, "1", bytes(32))
    entry = entry_with(reason=commitment)
    assert check_disclosures([good], entry)
    for other in (
        seal(POINTER, "2", bytes(32)),
        seal(POINTER, "1", bytes(31) + b"\x01"),
        seal(POINTER, "1.0", bytes(32)),
    ):
        with pytest.raises(VerificationError, match="S2"):
            check_disclosures([other[0]], entry)
    with pytest.raises(VerificationError, match="S2"):
        check_disclosures([good], entry_with(principal=commitment))


def test_order_and_repeats(world: World) -> None:
    entry = parse_entry(world.log.entries[9])
    disclosures: list[object] = list(world.log.disclosures[9])
    assert len(check_disclosures(disclosures, entry)) == 3
    for wrong in (disclosures[::-1], disclosures[:1] * 2, [disclosures[1], disclosures[0]]):
        with pytest.raises(VerificationError, match="S4"):
            check_disclosures(wrong, entry)


def test_disclosures_of_another_entry_are_refused(world: World) -> None:
    with pytest.raises(VerificationError, match="S2"):
        check_disclosures(list(world.log.disclosures[10]), parse_entry(world.log.entries[9]))


def test_field_states(world: World) -> None:
    entry = parse_entry(world.log.entries[9])
    some = check_disclosures([world.log.disclosures[9][1]], entry)
    assert field_states(entry, some) == {
        "/data/reason": {"state": "withheld"},
        "/data/tool_args/amount": {"state": "disclosed", "value": "1.50"},
        "/data/tool_args/note": {"state": "withheld"},
    }


@pytest.mark.parametrize("disclosures", [None, {}, "x", [1], [None], [["x"]]])
def test_disclosures_are_an_array_of_strings(disclosures: object, world: World) -> None:
    with pytest.raises(VerificationError):
        check_disclosures(disclosures, parse_entry(world.log.entries[9]))


@given(st.binary(max_size=80))
@settings(deadline=None)
def test_any_bytes_are_refused_with_our_error(raw: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_disclosure(encoded(raw), "it")


@given(st.text(max_size=40))
def test_any_text_is_refused_with_our_error(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_disclosure(text, "it")
