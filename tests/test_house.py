# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that no linter knows: length, licence, docstrings, names, and nothing left unfinished."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MAX_LINES = 500
KINDS = {".py", ".sql", ".md", ".sh"}
SKIPPED = {"node_modules", "__pycache__", "build", "dist"}
# Names that say nothing of what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "stuff", "base", "tools"}
# Put together, so that this file does not hold what it forbids.
UNFINISHED = re.compile("|".join(["NotImplemented" + "Error", r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b"]))
HOME = re.compile("/" + r"(?:home/\w|Users/\w|work/(?:main|shared))")


def project_files() -> list[Path]:
    """All files of the project, tracked or not, without what is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    else:
        # An unpacked source distribution has no git.
        names = [path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*") if path.is_file()]
    return sorted(
        name
        for name in names
        if (REPOSITORY / name).is_file()
        and not SKIPPED & set(name.parts)
        and not any(part.startswith(".") and part != ".ci" for part in name.parts)
    )


FILES = project_files()
TEXTS = [name for name in FILES if name.suffix in KINDS or name.parts[0] == ".ci"]
PYTHON = [name for name in FILES if name.suffix == ".py"]
PRODUCT = [name for name in PYTHON if name.parts[0] in ("ledger", "verify_cli")]


def read(name: Path) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_project_is_found() -> None:
    assert {"ledger", "verify_cli", "tests"} <= {name.parts[0] for name in PYTHON}
    assert Path("tests/test_house.py") in PYTHON and Path("README.md") in TEXTS
    assert len(PRODUCT) > 50


@pytest.mark.parametrize("name", TEXTS, ids=str)
def test_file_is_not_too_long(name: Path) -> None:
    assert len(read(name).splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", PYTHON, ids=str)
def test_python_file_begins_with_its_licence(name: Path) -> None:
    first = read(name).split("\n", 2)[:2]
    if first == [""]:
        # An empty file only makes its folder a package.
        assert name.name == "__init__.py"
        return
    assert "# SPDX-License-Identifier: Apache-2.0" in (first[1:] if first[0].startswith("#!") else first[:1])


@pytest.mark.parametrize("name", PRODUCT, ids=str)
def test_module_says_what_it_is(name: Path) -> None:
    docstring = ast.get_docstring(ast.parse(read(name)))
    assert docstring and len(docstring) > 20


@pytest.mark.parametrize("name", FILES, ids=str)
def test_name_says_something(name: Path) -> None:
    for part in (*name.parts[:-1], name.name.split(".")[0]):
        assert part.lower() not in EMPTY_NAMES


@pytest.mark.parametrize("name", PRODUCT, ids=str)
def test_nothing_is_left_unfinished(name: Path) -> None:
    found = UNFINISHED.search(read(name))
    assert found is None, found


@pytest.mark.parametrize("name", PRODUCT, ids=str)
def test_no_function_has_a_body_of_nothing(name: Path) -> None:
    """A body of `...` or of a docstring alone is for protocols, and for what a decorator fills."""
    for owner in ast.walk(ast.parse(read(name))):
        if isinstance(owner, ast.ClassDef) and any("Protocol" in ast.dump(base) for base in owner.bases):
            continue
        body = getattr(owner, "body", [])
        for node in body if isinstance(body, list) else []:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.decorator_list:
                does = [part for part in node.body if not _is_constant(part)]
                assert does, f"{name}:{node.lineno}: {node.name}"


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize("name", TEXTS, ids=str)
def test_no_path_of_somebodys_machine(name: Path) -> None:
    found = HOME.search(read(name))
    assert found is None, found


@pytest.mark.parametrize("name", TEXTS, ids=str)
def test_text_ends_with_one_newline_and_has_no_carriage_return(name: Path) -> None:
    text = (REPOSITORY / name).read_bytes()
    assert b"\r" not in text and not text.endswith(b"\n\n")
    assert text.endswith(b"\n") or not text


@pytest.mark.parametrize("name", [name for name in PYTHON if name.name.startswith("test_")], ids=str)
def test_test_file_has_tests_that_assert(name: Path) -> None:
    """Each test can fail: it asserts, expects an exception, or calls something that does."""
    tree = ast.parse(read(name))
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert tests
    for node in tests:
        calls = [n for n in ast.walk(node) if isinstance(n, (ast.Assert, ast.Call))]
        assert calls, f"{name}:{node.lineno}: {node.name} can not fail"
