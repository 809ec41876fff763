# SPDX-License-Identifier: Apache-2.0
"""What is taken out of the ledger, and checked without it (CAPABILITIES C, L12)."""

import subprocess
import sys
import tempfile
from pathlib import Path

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
