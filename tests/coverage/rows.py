# SPDX-License-Identifier: Apache-2.0
"""The rows of spec/coverage.csv, and where our service has the path that a row names."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parents[2] / "spec" / "coverage.csv"
STATUSES = ("live", "moved", "declined", "open")
NO_PATH = ("-", "(unspecified)")
"""What stands for the path of a behaviour, and of an operation whose path its document does not give."""
OUTSIDE = ("/health", "/ready", "/status", "/metrics", "/openapi.json", "/docs", "/redoc", "/llms.txt", "/scim/v2")
"""What does not lie below /api/v1, here as there."""

_NAME = re.compile(r"\{(\w+)\}|:(\w+)")


class Row(NamedTuple):
    """An operation, or a behaviour of all, that a seed document promises, and what became of it."""

    seed: str
    row: str
    method: str
    path: str
    status: str
    note: str

    @property
    def id(self) -> str:
        return f"{self.seed}-{self.row}"

    @property
    def has_path(self) -> bool:
        return self.path not in NO_PATH

    @property
    def template(self) -> str:
        """The path at our service, names still in it."""
        if self.path.startswith("/api/v1/") or self.path.startswith(OUTSIDE):
            return self.path
        return "/api" + self.path if self.path.startswith("/v1/") else "/api/v1" + self.path

    def filled(self, names: dict[str, object]) -> str:
        """The path with values in the place of its names, in their order in the path."""
        values = iter(names.items())

        def fill(match: re.Match[str]) -> str:
            name, value = next(values)
            assert name in match.groups(), f"{self.path} has {match[0]} where {name} was given"
            return str(value)

        path = _NAME.sub(fill, self.template)
        assert next(values, None) is None, f"{self.path} has fewer names than {list(names)}"
        return path


def rows() -> list[Row]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        assert next(lines) == list(Row._fields)
        return [Row(*line) for line in lines]
