# SPDX-License-Identifier: Apache-2.0
"""The vectors of our own formats, which the service's tests read too: receipts, days, exports, entries, disclosures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledger_verify import VerificationError
from ledger_verify.day import verify_day_file
from ledger_verify.disclosure import check_disclosures
from ledger_verify.entry import parse_entry
from ledger_verify.export import verify_export
from ledger_verify.outcomes import receipt_outcome
from ledger_verify.receipt import verify_receipt
from ledger_verify.trust import TrustedKeys, trusted_keys

from .conftest import REPOSITORY

Case = dict[str, Any]


def cases(name: str) -> list[Any]:
    content = json.loads((REPOSITORY / "spec" / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    vkeys = content.get("vkeys", {})
    keys = trusted_keys([vkeys["log"]], [vkeys["root"]]) if vkeys else None
    return [pytest.param(case, keys, id=case["name"]) for case in content["cases"]]


def agree(case: Case, check: Callable[[], Any]) -> Any:
    if case["ok"]:
        return check()
    with pytest.raises(VerificationError):
        check()
    return None


@pytest.mark.parametrize(("case", "keys"), cases("receipts"))
def test_receipt(case: Case, keys: TrustedKeys) -> None:
    found = agree(case, lambda: verify_receipt(case["file"].encode(), keys))
    assert found is None or receipt_outcome("file", found).tier == case["tier"]


@pytest.mark.parametrize(("case", "keys"), cases("days"))
def test_day(case: Case, keys: TrustedKeys) -> None:
    found = agree(case, lambda: verify_day_file(case["file"].encode(), keys))
    assert found is None or found.date in case["file"]


@pytest.mark.parametrize(("case", "keys"), cases("exports"))
def test_export(case: Case, keys: TrustedKeys, tmp_path: Path) -> None:
    for name, text in case["files"].items():
        (tmp_path / name).write_bytes(text.encode())
    found = agree(case, lambda: verify_export(str(tmp_path), keys))
    assert found is None or (found.root is not None and found.erased == case["erased"])


@pytest.mark.parametrize(("case", "keys"), cases("entries"))
def test_entry(case: Case, keys: None) -> None:
    found = agree(case, lambda: parse_entry(case["entry"]))
    assert found is None or found.type in case["entry"]


@pytest.mark.parametrize(("case", "keys"), cases("disclosures"))
def test_disclosures(case: Case, keys: None) -> None:
    found = agree(case, lambda: check_disclosures(case["disclosures"], parse_entry(case["entry"])))
    assert found is None or len(found) == len(case["disclosures"])
