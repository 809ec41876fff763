# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several folders use. A ledger is made once and copied, since making one takes half a second."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers import STORES, Ledger, Room
from tests.postgres import Postgres, external_server, shared_folder, shared_server
from tests.running import CHEAP_LOGINS, Service, run_ledger

TESTS = Path(__file__).parent
SHARED = TESTS.parents[1] / "shared"
SLOWEST_FIRST = ("bench", "robustness", "packaging", "commands", "web", "log")
"""Folders of tests in the order in which their files are handed out: what comes last had better be short."""

_SERVER = pytest.StashKey[Path]()
_RUN = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=STORES, action="append", help="run the tests on this store only (repeatable)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever depends on a store runs on each."""
    if "store_kind" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only_on")
        wanted = metafunc.config.getoption("--store") or STORES
        kinds = [kind for kind in wanted if only is None or kind == only.args[0]]
        if metafunc.definition.get_closest_marker("any_store"):
            kinds = kinds[:1]
        metafunc.parametrize("store_kind", kinds, indirect=True, scope="module")


def pytest_configure(config: pytest.Config) -> None:
    """All processes of a run share one PostgreSQL, in a folder that the first of them makes and removes."""
    config.addinivalue_line("markers", "only_on(store, why): the test is about this store alone")
    config.addinivalue_line("markers", "any_store(why): the test is not about the store, and runs on one")
    worker = getattr(config, "workerinput", None)
    config.stash[_RUN] = run = ExitStack()
    config.stash[_SERVER] = Path(worker["postgres"]) if worker else run.enter_context(shared_folder())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where that folder is."""
    node.workerinput["postgres"] = str(node.config.stash[_SERVER])


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_RUN].close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are processors: tests wait for clocks, disks and ends of programs. None leaves it to the
    variable that xdist reads.
    """
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Else processes stand idle in the end, while one is still busy with a slow file."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return SLOWEST_FIRST.index(folder) if folder in SLOWEST_FIRST else len(SLOWEST_FIRST)

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests start programs many hundred times, also where Python was told to leave no bytecode beside the sources:
    each module is compiled once in a run, into a folder of the run.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))
        yield


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


@pytest.fixture(scope="module")
def store_kind(request: pytest.FixtureRequest) -> str:
    """The kind of store. Whatever depends on it runs once on each, or where the marker `only_on` says."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def make_room(
    request: pytest.FixtureRequest, store_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Room]:
    server = request.getfixturevalue("postgres") if store_kind == "postgres" else None
    return lambda: Room(tmp_path_factory.mktemp("room"), server)


@pytest.fixture
def room(make_room: Callable[[], Room]) -> Iterator[Room]:
    """Places for ledgers of one test."""
    place = make_room()
    yield place
    place.clear()


@pytest.fixture(scope="module")
def module_room(make_room: Callable[[], Room]) -> Iterator[Room]:
    """Places for ledgers of the tests of one file."""
    place = make_room()
    yield place
    place.clear()


@pytest.fixture(scope="session")
def templates() -> dict[tuple[str, str], Any]:
    """Ledgers to copy, by maker and kind of store. The tests of a file use both kinds, so that a fixture would be made
    again and again.
    """
    return {}


@pytest.fixture(scope="module")
def template_ledger(make_room: Callable[[], Room], store_kind: str, templates: dict[tuple[str, str], Any]) -> Ledger:
    """A fresh ledger and what `ledger init --json` printed; to be copied, never used."""
    if ("init", store_kind) not in templates:
        place = make_room().new()
        made = run_ledger("init", "--json", data=place)
        assert made.returncode == 0, made.stderr
        templates["init", store_kind] = place, json.loads(made.stdout)
    ledger: Ledger = templates["init", store_kind]
    return ledger


@pytest.fixture
def fresh_ledger(template_ledger: Ledger, room: Room) -> Ledger:
    """A ledger that has only its first entries, and its keys."""
    source, keys = template_ledger
    return room.copy(source), keys


@pytest.fixture(scope="module")
def service(template_ledger: Ledger, module_room: Room) -> Iterator[Service]:
    """A running service for the tests of one file; each test uses call_ids of its own."""
    source, keys = template_ledger
    # Tests of one file ask faster than callers do, and all from one address.
    flags = ("--root-interval", "0.2", "--stranger-rate", "0", *CHEAP_LOGINS)
    with Service(module_room.copy(source), keys, *flags) as running:
        yield running


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with published vectors and recorded calls, where it lies beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder with shared data is not beside the project")
    return SHARED
