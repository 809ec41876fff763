# SPDX-License-Identifier: Apache-2.0
"""Receipts as an attacker or a bad disk leaves them: each byte and value changed, spliced, cut off, or none at all.

With both keys given nothing but the very bytes of the receipt may pass, and nothing but our error may come out.
"""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import TrustedKeys, VerificationError, trusted_keys, verify_receipt

from .test_receipt import NO_KEYS, refused
from .test_vectors import vectors
from .textbook import file_bytes
from .world import World, build_world


def mutations(raw: bytes, rng: random.Random) -> list[bytes]:
    """At each place: another byte, two flipped bits, one byte more, one byte less, cut off."""
    result = []
    for i in range(len(raw)):
        other = bytes([raw[i] ^ rng.randrange(1, 256)])
        result.append(raw[:i] + other + raw[i + 1 :])
        result.append(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :])
        result.append(raw[:i] + bytes([rng.randrange(256)]) + raw[i:])
        result.append(raw[:i] + raw[i + 1 :])
        result.append(raw[:i])
    result += [raw + bytes([byte]) for byte in range(256)]
    return [mutation for mutation in result if mutation != raw]


@pytest.mark.parametrize("day", [False, True])
def test_every_changed_byte_is_refused(day: bool, world: World, keys: TrustedKeys) -> None:
    raw = file_bytes(world.receipt(9, day=day))
    assert verify_receipt(raw, keys).signed.tier == "tamper-evident"
    for mutation in mutations(raw, random.Random(9)):
        with pytest.raises(VerificationError):
            verify_receipt(mutation, keys)


@pytest.mark.parametrize("name", [case["name"] for case in vectors("receipts")["cases"] if case["ok"]])
def test_every_changed_byte_of_the_services_receipts_is_refused(name: str) -> None:
    """Receipts that the service wrote (spec/vectors/receipts.json), not the textbook."""
    content = vectors("receipts")
    trusted = trusted_keys([content["vkeys"]["log"]], [content["vkeys"]["root"]])
    [raw] = [case["file"].encode() for case in content["cases"] if case["name"] == name]
    assert verify_receipt(raw, trusted).signed.by_log
    for i in range(len(raw)):
        refused(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :], trusted)


def test_every_changed_member_is_refused(world: World, keys: TrustedKeys) -> None:
    """Not bytes but values, written again as strict JCS, so that only the later steps can object."""
    rng = random.Random(1)
    good = world.receipt(9)

    def leaves(value: object, path: tuple[object, ...]) -> list[tuple[object, ...]]:
        if isinstance(value, dict):
            return [path] + [x for name in value for x in leaves(value[name], (*path, name))]
        if isinstance(value, list):
            return [path] + [x for i, item in enumerate(value) for x in leaves(item, (*path, i))]
        return [path]

    for path in leaves(good, ())[1:]:
        for replacement in (None, 0, 1, "", "x", [], {}, True, 2**53 - 1, "nudge"):
            document = copy.deepcopy(good)
            holder: object = document
            for name in path[:-1]:
                holder = holder[name]  # type: ignore[index]
            old = holder[path[-1]]  # type: ignore[index]
            new: object = replacement
            if replacement == "nudge" and isinstance(old, str) and old:
                at = rng.randrange(len(old))
                new = old[:at] + chr(ord(old[at]) ^ 1) + old[at + 1 :]
            elif replacement == "nudge" and isinstance(old, int):
                new = old + 1
            if (new == old and type(new) is type(old)) or (path == ("daily_root",) and new is None):
                continue
            if path == ("disclosures",) and new == []:
                continue
            holder[path[-1]] = new  # type: ignore[index]
            assert refused(document, keys)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_refused_with_our_error(raw: bytes) -> None:
    assert refused(raw, NO_KEYS)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_spliced_receipts_are_refused_with_our_error(data: st.DataObject) -> None:
    raw = SPLICE
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    spliced = raw[:start] + data.draw(st.binary(max_size=8)) + raw[end:]
    if spliced != raw:
        assert refused(spliced, KEYS)


_WORLD = build_world(8)
SPLICE = file_bytes(_WORLD.receipt(5))
KEYS = trusted_keys(**_WORLD.keys)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\xff\n",
        b"\xef\xbb\xbf{}\n",
        b"[" * 1_000_000,
        b'{"a":' * 100_000 + b"\n",
        b"9" * 1_000_000 + b"\n",
        b'"' + b"\\" * 100_001 + b'"\n',
        b"\0" * 100,
    ],
)
def test_hostile_bytes_are_refused(raw: bytes) -> None:
    assert refused(raw, NO_KEYS)
