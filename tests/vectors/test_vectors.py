# SPDX-License-Identifier: Apache-2.0
"""The service agrees with the vectors of our formats. The verifier's tests read the same files."""

import json
from typing import Any

import pytest

from ledger.log.evidence import KnownKeys, verify_day, verify_receipt
from ledger.log.leaf import InvalidEntryError, read_leaf
from ledger.log.sealed import digest_of, read_disclosure
from ledger.tlog.note import parse_vkey
from tests.vectors.make import VECTORS


def cases(name: str) -> list[Any]:
    content = json.loads((VECTORS / f"{name}.json").read_text())
    return [pytest.param(case, content.get("vkeys"), id=case["name"]) for case in content["cases"]]


def known(vkeys: dict[str, str]) -> KnownKeys:
    keys = [parse_vkey(text) for text in vkeys.values()]
    return KnownKeys(parse_vkey(vkeys["root"]).name, {key.name: [key] for key in keys})


@pytest.mark.parametrize(("case", "vkeys"), cases("receipts"))
def test_receipt_vector(case: dict[str, Any], vkeys: dict[str, str]) -> None:
    assert (verify_receipt(known(vkeys), case["file"].encode()) is None) == case["ok"]


@pytest.mark.parametrize(("case", "vkeys"), cases("days"))
def test_day_vector(case: dict[str, Any], vkeys: dict[str, str]) -> None:
    assert (verify_day(known(vkeys), case["file"].encode()) is None) == case["ok"]


@pytest.mark.parametrize(("case", "vkeys"), cases("entries"))
def test_entry_vector(case: dict[str, Any], vkeys: None) -> None:
    if case["ok"]:
        envelope, event = read_leaf(case["entry"].encode())
        assert event.type == envelope.type
    else:
        with pytest.raises(InvalidEntryError):
            read_leaf(case["entry"].encode())


@pytest.mark.parametrize("case", [param.values[0] for param in cases("disclosures") if param.values[0]["ok"]])
def test_disclosure_vector_leads_to_its_commitment(case: dict[str, Any]) -> None:
    for text in case["disclosures"]:
        value = json.loads(case["entry"])
        for step in read_disclosure(text).pointer.split("/")[1:]:
            value = value[step]
        assert value == {"$sealed": digest_of(text)}
