# SPDX-License-Identifier: Apache-2.0
"""What holds for every file of the package: standard library only, no environment, no network, short files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import ledger_verify
import pytest
from ledger_verify.commands import COMMANDS

from .conftest import REPOSITORY

PACKAGE = Path(ledger_verify.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py"))
SPEAKS_HTTP = "log_http.py"  # the one file that may, and that needs a clock for its deadlines
NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "asyncio", "socketserver", "xmlrpc", "subprocess"}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module
            names.add(node.module)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imports_are_the_standard_library_and_itself(path: Path) -> None:
    found = imports(path) - {"ledger_verify"}
    assert found <= sys.stdlib_module_names
    assert path.name == SPEAKS_HTTP or not found & NETWORK


def test_network_is_loaded_for_a_url_alone() -> None:
    program = (
        "import sys, ledger_verify.cli; sys.exit(any(m in sys.modules for m in ('socket', 'http', 'urllib.request')))"
    )
    assert subprocess.run([sys.executable, "-I", "-c", program]).returncode == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_environment_and_no_clock(path: Path) -> None:
    found = set(re.findall(r"\b(environ|getenv|environb|import time|import datetime|urandom)\b", path.read_text()))
    assert found == ({"import time"} if path.name == SPEAKS_HTTP else set())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_file_begins_with_its_licence_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 350


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_syntax_is_that_of_python_3_9(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    assert not [node for node in ast.walk(tree) if type(node).__name__ in ("Match", "TryStar")]
    uses_union = any(isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) for node in ast.walk(tree))
    assert not uses_union or "from __future__ import annotations" in text


def test_version_is_stated_once_and_for_all() -> None:
    project = (REPOSITORY / "verify_cli" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{ledger_verify.__version__}"' in project
    assert "dependencies = []" in project and 'requires-python = ">=3.9"' in project


def test_public_names_exist() -> None:
    assert all(hasattr(ledger_verify, name) for name in ledger_verify.__all__)
    assert (PACKAGE / "py.typed").exists()


def test_readme_names_the_commands_and_exit_codes() -> None:
    readme = (REPOSITORY / "verify_cli" / "README.md").read_text(encoding="utf-8")
    for needle in (*(f"ledger-verify {command.name}" for command in COMMANDS), "| 3 |", "--root-key"):
        assert needle in readme
