# SPDX-License-Identifier: Apache-2.0
"""What a check finds: the first wrong place of a log, or of what is kept beside the logs."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int], None]
"""Told how many more entries have been looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be. `check` names the rule, `index` the entry, where one is to blame."""

    check: str
    index: int | None
    text: str


class MismatchError(Exception):
    """Ends a check at its first finding."""

    def __init__(self, check: str, index: int | None, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(check, index, text)


@dataclass(frozen=True, slots=True)
class Report:
    """Result of checking a log of `size` entries. `problem` is None when all is well.

    Also of the "vault" and of the "keystore", when something is wrong with them; those have no entries.
    """

    origin: str
    size: int
    root: bytes
    problem: str | None = None
    check: str = ""
    first_index: int | None = None

    @classmethod
    def of(cls, origin: str, size: int, root: bytes, finding: Finding | None) -> "Report":
        if finding is None:
            return cls(origin, size, root)
        return cls(origin, size, root, finding.text, finding.check, finding.index)
