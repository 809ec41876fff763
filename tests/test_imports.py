# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, read from the syntax trees: also imports inside of functions, and those for types only.

tlog <- log <- web <- {tenant, policy, gateway, reactions, views} <- deployment, aliases, app, jobs, commands, __main__
"""

import ast
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

LAYERS = {"tenant", "policy", "gateway", "reactions", "views"}
# What may be imported from each part of the package, besides itself. `ledger` itself holds nothing.
BELOW: dict[str, set[str]] = {
    "tlog": set(),
    "log": {"tlog"},
    "web": {"tlog", "log"},
    **{layer: {"tlog", "log", "web"} for layer in LAYERS},
    "settings": set(),
}
BELOW["gateway"] |= {"policy"}
TOP = {"deployment", "aliases", "api", "app", "jobs", "commands", "__main__"}
BELOW |= {name: {*BELOW, *TOP} for name in TOP}

# Outside of the standard library.
TLOG_MAY = {"cryptography"}


def modules(package: str) -> Iterator[tuple[str, Path]]:
    folder = REPOSITORY / package.split("/")[-1] if "/" not in package else REPOSITORY / package
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name: str, path: Path) -> Iterator[tuple[str, int]]:
    """Every module that the source imports, with the line; `from a import b` counts as a and as a.b."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield base, node.lineno
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            yield "import by name", node.lineno


LEDGER = list(modules("ledger"))
VERIFIER = list(modules("verify_cli/ledger_verify"))
ALL = [pytest.param(name, path, id=name) for name, path in LEDGER]


def test_both_packages_are_found() -> None:
    names = {name for name, _ in LEDGER}
    assert {"ledger", "ledger.tlog.merkle", "ledger.log.store.sqlite", "ledger.commands", "ledger.__main__"} <= names
    assert {"ledger_verify", "ledger_verify.merkle"} <= {name for name, _ in VERIFIER}


def test_every_part_of_the_package_has_a_place_in_the_order() -> None:
    assert {name.split(".")[1] for name, _ in LEDGER if "." in name} <= set(BELOW)


@pytest.mark.parametrize(("name", "path"), ALL)
def test_module_imports_what_lies_below_it(name: str, path: Path) -> None:
    part = name.split(".")[1] if "." in name else None
    for imported, line in imports(name, path):
        if imported.split(".")[0] == "ledger" and imported != "ledger":
            target = imported.split(".")[1]
            assert part is not None, f"{path}:{line}: the package itself imports nothing of it"
            assert target == part or target in BELOW[part], f"{path}:{line}: {part} must not import {target}"
        # The commands are loaded by name, one when it is asked for; everything else can be read from the source.
        assert imported != "import by name" or name == "ledger.__main__", f"{path}:{line}"


@pytest.mark.parametrize(("name", "path"), ALL)
def test_settings_are_read_at_the_top_only(name: str, path: Path) -> None:
    part = name.split(".")[1] if "." in name else ""
    for imported, line in imports(name, path):
        if imported.startswith("ledger.settings"):
            assert part in TOP, f"{path}:{line}: settings are made at the edge and passed in"


@pytest.mark.parametrize(("name", "path"), ALL)
def test_ledger_never_imports_the_verifier(name: str, path: Path) -> None:
    for imported, line in imports(name, path):
        assert imported.split(".")[0] != "ledger_verify", f"{path}:{line}"


@pytest.mark.parametrize(("name", "path"), [pytest.param(name, path, id=name) for name, path in VERIFIER])
def test_verifier_imports_itself_and_the_standard_library_only(name: str, path: Path) -> None:
    for imported, line in imports(name, path):
        top = imported.split(".")[0]
        assert top == "ledger_verify" or top in sys.stdlib_module_names, f"{path}:{line}: {imported}"


@pytest.mark.parametrize(("name", "path"), [param for param in ALL if str(param.id).startswith("ledger.tlog")])
def test_tlog_imports_nothing_but_cryptography_and_the_standard_library(name: str, path: Path) -> None:
    for imported, line in imports(name, path):
        top = imported.split(".")[0]
        assert (
            imported == "ledger" or imported.startswith("ledger.tlog") or top in TLOG_MAY | sys.stdlib_module_names
        ), f"{path}:{line}: {imported}"


@pytest.mark.parametrize(("name", "path"), [param for param in ALL if str(param.id).startswith("ledger.tlog")])
def test_tlog_reads_nothing_and_no_clock(name: str, path: Path) -> None:
    """Pure functions: bytes in, bytes out."""
    forbidden = {"os", "io", "pathlib", "time", "datetime", "random", "secrets", "socket", "sqlite3", "subprocess"}
    for imported, line in imports(name, path):
        assert imported.split(".")[0] not in forbidden, f"{path}:{line}: {imported}"
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Name) and node.id in ("open", "print", "input")), f"{path}:{node.lineno}"


@pytest.mark.parametrize(("name", "path"), ALL)
def test_database_is_used_in_its_place_only(name: str, path: Path) -> None:
    for imported, line in imports(name, path):
        if imported.split(".")[0] in ("sqlite3", "psycopg", "psycopg_pool"):
            assert name.startswith("ledger.log.store."), f"{path}:{line}: {imported}"


@pytest.mark.parametrize(("name", "path"), ALL)
def test_no_layer_knows_which_store_it_is(name: str, path: Path) -> None:
    """Everything outside of log/store is storage-neutral but for the place where it is opened."""
    for imported, line in imports(name, path):
        if imported.startswith(("ledger.log.store.sqlite", "ledger.log.store.postgres")):
            part = name.split(".")[1]
            assert part in TOP or name.startswith("ledger.log.store."), f"{path}:{line}: {imported}"
