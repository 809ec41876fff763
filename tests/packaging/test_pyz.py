# SPDX-License-Identifier: Apache-2.0
"""`ledger-verify.pyz` is one and the same file wherever it comes from, and needs nothing but Python."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tests.commands.outcomes import done, post
from tests.running import Service, environment, run_ledger


def test_pyz_is_the_same_everywhere(service: Service, tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "ledger_verify.bundle", str(tmp_path / "again.pyz")], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    written = (service.data / "ledger-verify.pyz").read_bytes()
    assert (tmp_path / "again.pyz").read_bytes() == written
    with service.client("", verify=False) as client:
        served = client.get("/ledger-verify.pyz").raise_for_status()
        assert served.content == written
        published = client.get("/root/tile/entries/000.p/3").raise_for_status().content
    done(run_ledger("export", "--out", str(tmp_path / "evidence"), data=service.settings))
    assert (tmp_path / "evidence" / "ledger-verify.pyz").read_bytes() == written
    # The root log announces the digest, so that whoever has the file can compare.
    assert hashlib.sha256(written).hexdigest().encode() in published


def test_pyz_verifies_on_a_bare_python(service: Service, tmp_path: Path) -> None:
    """Isolated, without site packages, without the sources in sight."""
    key = service.create_key()["key"]
    [item] = post(service, key, "bare")
    with service.client(verify=False) as client:
        (tmp_path / "receipt.json").write_bytes(client.get(f"/api/v1/receipts/{item['event_id']}").content)
    pyz = str(service.data / "ledger-verify.pyz")
    command = [sys.executable, "-I", "-S", pyz, "receipt", "receipt.json", "--json", "--key", service.keys["log_vkey"]]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert result.returncode == 0, result.stdout + result.stderr
    [found] = json.loads(result.stdout)["results"]
    assert (found["leaf_index"], found["type"]) == (item["leaf_index"], "call.reported")
