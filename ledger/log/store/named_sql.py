# SPDX-License-Identifier: Apache-2.0
"""SQL by name: a `.sql` file is a list of statements, each under a line `-- name --`."""

import re
from collections.abc import Iterator
from importlib.resources import files

_NAME = re.compile(r"^-- ([a-z_]+) --$", re.MULTILINE)


def read(filename: str) -> str:
    """The text of a file in `sql/`."""
    return files("ledger.log.store").joinpath("sql", filename).read_text()


def migrations() -> Iterator[tuple[int, str]]:
    """Version and text of each file in `sql/migrations/`, in order."""
    folder = files("ledger.log.store").joinpath("sql", "migrations")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        yield int(file.name[:4]), file.read_text()


def load(filename: str) -> dict[str, str]:
    """The statements of a file in `sql/`, by name."""
    parts = _NAME.split(read(filename))
    statements = {name: text.strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    assert len(statements) == len(parts) // 2, f"a name occurs twice in {filename}"
    return statements
