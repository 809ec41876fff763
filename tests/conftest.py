# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several folders use. A ledger is made once and copied, since making one takes half a second."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Service, run_ledger

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def template_ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A fresh ledger and what `ledger init --json` printed; to be copied, never used."""
    data = tmp_path_factory.mktemp("template") / "data"
    made = run_ledger("init", "--json", data=data)
    assert made.returncode == 0, made.stderr
    return data, json.loads(made.stdout)


@pytest.fixture
def fresh_ledger(template_ledger: tuple[Path, dict[str, str]], tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A data directory with a ledger that has only its first entries, and its keys."""
    source, keys = template_ledger
    return Path(shutil.copytree(source, tmp_path / "data")), keys


@pytest.fixture(scope="module")
def service(
    template_ledger: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A running service for the tests of one file; each test uses call_ids of its own."""
    source, keys = template_ledger
    data = Path(shutil.copytree(source, tmp_path_factory.mktemp("service") / "data"))
    with Service(data, keys, "--root-interval", "0.2") as running:
        yield running


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with published vectors and recorded calls, where it lies beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder with shared data is not beside the project")
    return SHARED
