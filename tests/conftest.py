# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several folders use. A ledger is made once and copied, since making one takes half a second."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Postgres, external_server, shared_folder, shared_server
from tests.running import Service, run_ledger

SHARED = Path(__file__).parents[2] / "shared"
_SERVER = pytest.StashKey[Path]()
_RUN = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """All processes of a run share one PostgreSQL, in a folder that the first of them makes and removes."""
    worker = getattr(config, "workerinput", None)
    config.stash[_RUN] = run = ExitStack()
    config.stash[_SERVER] = Path(worker["postgres"]) if worker else run.enter_context(shared_folder())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where that folder is."""
    node.workerinput["postgres"] = str(node.config.stash[_SERVER])


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_RUN].close()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A PostgreSQL for databases of one's own: of the run, or the one that LEDGER_TEST_DATABASE_URL names."""
    prefix = f"ledger_test_{secrets.token_hex(4)}_"
    if address := os.environ.get("LEDGER_TEST_DATABASE_URL"):
        opened = external_server(address, prefix)
    else:
        opened = shared_server(request.config.stash[_SERVER], prefix)
    with opened as server:
        yield server


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
    # Tests of one file ask faster than callers do, and all from one address.
    with Service(data, keys, "--root-interval", "0.2", "--stranger-rate", "0") as running:
        yield running


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with published vectors and recorded calls, where it lies beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder with shared data is not beside the project")
    return SHARED
