# SPDX-License-Identifier: Apache-2.0
"""What is taken out of the ledger, and checked without it (CAPABILITIES C, L12)."""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from pypdf import PdfReader

from tests.coverage.cases import Ask, Cases
from tests.web.asking import API

CASES = Cases()
show = CASES.show


@show("004-046")
def verifier_is_one_file_without_dependencies(ask: Ask) -> None:
    """Run apart from every installed package, it accepts a receipt and refuses a forged one."""
    world = ask.world
    receipt = world.receipt(world.reported()["event_id"])
    vkey = world.owner.get(f"{API}/receipts/key").json()["log_vkey"]
    with tempfile.TemporaryDirectory() as folder:
        program, file = Path(folder, "ledger-verify.pyz"), Path(folder, "receipt.json")
        program.write_bytes(world.nobody.get("/ledger-verify.pyz").content)
        codes = []
        for evidence in (receipt, receipt.replace(b"send_money", b"send_honey")):
            file.write_bytes(evidence)
            command = [sys.executable, "-I", "-S", str(program), "receipt", str(file), "--key", vkey]
            codes.append(subprocess.run(command, capture_output=True, timeout=60).returncode)
    assert codes == [0, 1]


# -------------------------------------------------------------------------------------------------------- exports (C01)


@show("000-039", "000-062")
def log_is_exported_as_json_and_csv(ask: Ask) -> None:
    world, item = ask.world, ask.world.reported()
    whole = {"from": item["leaf_index"], "to": item["leaf_index"] + 1}
    for form in ("json", "csv"):
        wanted = whole | {"format": form}
        asked = ask(at=f"POST {API}/audit/exports", json=wanted)
        assert item["event_id"] in world.export(asked, f"view.{form}").text


@show("003-044", "003-045")
def log_is_exported_as_csv_and_pdf(ask: Ask) -> None:
    """What is wanted is said in the query or in the body; the answer names where it can be fetched once it is made."""
    world, item = ask.world, ask.world.reported()
    wanted = {"from": item["leaf_index"], "to": item["leaf_index"] + 1}
    of = "params" if ask.row.method == "GET" else "json"
    table = world.export(ask(**{of: wanted | {"format": "csv"}}), "view.csv")
    page = world.export(ask(**{of: wanted | {"format": "pdf"}}), "view.pdf")
    assert table.headers["content-type"].startswith("text/csv") and item["event_id"] in table.text
    assert page.headers["content-type"] == "application/pdf" and item["event_id"] in printed(page)


@show("003-218")
def view_says_of_which_export_it_is(ask: Ask) -> None:
    world, item = ask.world, ask.world.reported()
    for form, text in (("csv", lambda answer: answer.text), ("pdf", printed)):
        asked = world.owner.post(f"{API}/audit/exports", json={"from": item["leaf_index"], "format": form})
        view = text(world.export(asked, f"view.{form}"))
        manifest = world.owner.get(asked.headers["location"]).json()["manifest"]
        assert manifest in view and "not evidence" in view


def printed(answer: httpx.Response) -> str:
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
