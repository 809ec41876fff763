# SPDX-License-Identifier: Apache-2.0
"""Both distributions as wheels, installed in a fresh environment and used far from the sources."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import httpx
import pytest

from tests.running import environment, event

ROOT = Path(__file__).parents[2]
PROJECTS = {"decision_ledger": ROOT, "ledger_verify": ROOT / "verify_cli"}


def _run(*command: str | Path, cwd: Path, **extra: str) -> str:
    clean = {name: value for name, value in environment(**extra).items() if not name.startswith("PYTHON")}
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=clean)
    assert result.returncode == 0, (command, result.stdout[-2000:], result.stderr[-2000:])
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each project, by the name of its distribution."""
    folder = tmp_path_factory.mktemp("wheels")

    def build(project: Path) -> None:
        _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, project, cwd=folder)

    with ThreadPoolExecutor() as pool:
        list(pool.map(build, PROJECTS.values()))
    found = {path.name.split("-")[0]: path for path in folder.iterdir()}
    assert set(found) == set(PROJECTS)
    return found


@pytest.fixture(scope="module")
def programs(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the two wheels and what they ask for."""
    folder = tmp_path_factory.mktemp("environment")
    # A pip of its own is a quarter of the work, and does the same as the one that is here.
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    pip = (sys.executable, "-m", "pip", "--python", folder / "venv")
    _run(*pip, "install", "--no-compile", *wheels.values(), cwd=folder)
    return folder / "venv" / "bin"


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def test_wheel_has_what_the_program_reads(wheels: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(wheels["decision_ledger"]).namelist())
    sources = (ROOT / "ledger").rglob("*")
    wanted = {str(path.relative_to(ROOT)) for path in sources if path.suffix in (".py", ".sql", ".typed")}
    assert {"ledger/log/store/sql/sqlite.sql", "ledger/log/store/sql/sqlite_schema.sql", "ledger/py.typed"} <= wanted
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_wheel_of_the_verifier_is_the_package_alone(wheels: dict[str, Path]) -> None:
    names = zipfile.ZipFile(wheels["ledger_verify"]).namelist()
    package = {name for name in names if ".dist-info/" not in name}
    assert "ledger_verify/py.typed" in package
    assert {name.split("/")[0] for name in package} == {"ledger_verify"}
    metadata = _metadata(wheels["ledger_verify"])
    assert metadata.get_all("Requires-Dist") is None
    assert metadata["Requires-Python"] == ">=3.9"


@pytest.mark.parametrize("name", PROJECTS)
def test_wheel_says_what_it_is(wheels: dict[str, Path], name: str) -> None:
    metadata = _metadata(wheels[name])
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Summary"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["Version"])
    assert metadata["Description-Content-Type"] == "text/markdown"


@pytest.fixture
def story(programs: Path, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], str]]:
    """An empty folder in which the installed programs have made a ledger and serve it: folder, keys, address."""
    keys = json.loads(_run(programs / "ledger", "init", "--json", cwd=tmp_path))
    command = [programs / "ledger", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert " on http" in line, line + process.stderr.read()
        yield tmp_path, keys, line.rsplit(" on ", 1)[1].strip()
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_installed_programs_from_init_to_verified_receipt(
    programs: Path, story: tuple[Path, dict[str, str], str]
) -> None:
    folder, keys, url = story
    command = ("keys", "create", "--env", "production", "--label", "an agent")
    key = _run(programs / "ledger", *command, cwd=folder).strip()
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, verify=False) as client:
        answer = client.post("/api/v1/events", json={"events": [event("installed")]}).raise_for_status().json()
        _run(programs / "ledger", "root", "close", cwd=folder)
        receipt = client.get(f"/api/v1/receipts/{answer['items'][0]['event_id']}").raise_for_status()
    (folder / "receipt.json").write_bytes(receipt.content)
    trust = ("--key", keys["log_vkey"], "--root-key", keys["root_vkey"])
    verified = _run(programs / "ledger-verify", "receipt", "receipt.json", *trust, cwd=folder)
    assert verified.startswith("OK  receipt.json  tamper-evident")
    _run(programs / "ledger", "export", "--out", "evidence", cwd=folder)
    assert "tamper-evident" in _run(programs / "ledger-verify", "export", "evidence", *trust, cwd=folder)
    assert _run(programs / "ledger", "check", "--replay", cwd=folder).count("ok ") == 2
    assert os.listdir(folder / "ledger-data")


def test_installed_service_has_its_documentation(story: tuple[Path, dict[str, str], str]) -> None:
    """The pages and every script and style sheet that they name, none of them from elsewhere."""
    _, _, url = story
    with httpx.Client(base_url=url, verify=False) as client:
        for path in ("/docs", "/redoc"):
            page = client.get(path).raise_for_status().text
            assets = re.findall(r"""(?:src|href)=["']?([^"' >]+\.(?:js|css|png))""", page)
            assert assets, page[:500]
            for asset in assets:
                assert not asset.startswith(("http:", "https:", "//")), asset
                assert len(client.get(asset).raise_for_status().content) > 100, asset
        assert client.get("/openapi.json").raise_for_status().json()["openapi"].startswith("3.")
