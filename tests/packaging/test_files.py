# SPDX-License-Identifier: Apache-2.0
"""The files that say what this is, how it changed, and on what terms it may be used."""

import re
import tomllib
from pathlib import Path

import ledger_verify

import ledger

ROOT = Path(__file__).parents[2]


def test_licence_is_the_one_that_is_declared() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    for project in (ROOT, ROOT / "verify_cli"):
        assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def test_every_source_names_its_licence() -> None:
    sources = [*(ROOT / "ledger").rglob("*.py"), *(ROOT / "verify_cli" / "ledger_verify").rglob("*.py")]
    assert len(sources) > 60
    for source in sources:
        assert source.read_text().startswith("# SPDX-License-Identifier: Apache-2.0\n"), source


def test_changelog_has_what_comes_next() -> None:
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased" or re.fullmatch(r"\d+\.\d+\.\d+ .*", sections[0])


def test_versions_are_those_of_the_distributions() -> None:
    for project, version in ((ROOT, ledger.__version__), (ROOT / "verify_cli", ledger_verify.__version__)):
        assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"] == version
