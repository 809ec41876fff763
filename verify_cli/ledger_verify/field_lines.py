# SPDX-License-Identifier: Apache-2.0
"""What the operator says of each sealed field of an export: disclosed, withheld or erased (spec/export.md, step 9).

A line holds for a run of entries that have the same fields in the same states. What it has to say follows from entries,
disclosures and governing chain, so every line is derived again; one that says less, or more, is a lie that was signed.
"""

from __future__ import annotations

from ledger_verify import shapes
from ledger_verify.canonical import decode_utf8, parse_jcs, write_jcs
from ledger_verify.errors import VerificationError, shown, step
from ledger_verify.export_files import FIELDS, DigestedFile

MAX_LINE_BYTES = 1_000_000


class FieldLines:
    """The lines of fields.jsonl, met in leaf order by the states that were found."""

    def __init__(self, file: DigestedFile) -> None:
        self._lines = file.lines(MAX_LINE_BYTES)
        self._fields: dict[str, str] = {}
        self._start = self._end = 0
        self._runs = 0

    def check(self, index: int, fields: dict[str, str]) -> None:
        """The sealed fields of the next entry: pointer → state."""
        if index == self._end and fields == self._fields:
            self._end += 1
            return
        self._finish()
        if fields:
            self._fields, self._start, self._end = fields, index, index + 1

    def end(self) -> None:
        """There are no more entries."""
        self._finish()
        if next(self._lines, None) is not None:
            with step("step 9"):
                raise VerificationError(f"{FIELDS} has too many lines", want=self._runs)

    def _finish(self) -> None:
        if self._fields:
            got = next(self._lines, None)
            with step("step 9"):
                if got is None:
                    raise VerificationError(f"{FIELDS} has too few lines", got=self._runs, want=f"over {self._runs}")
                if got != write_jcs({"fields": self._fields, "from": self._start, "to": self._end}).encode("utf-8"):
                    with step(f"entries {self._start} to {self._end - 1}"):
                        self._contradict(got)
            self._runs += 1
        self._fields = {}

    def _contradict(self, line: bytes) -> None:
        """Say what is wrong with a line that is not what it must be."""
        what = f"a line of {FIELDS}"
        members = shapes.members(parse_jcs(decode_utf8(line, what), what), ("fields", "from", "to"), what)
        said = members["fields"] if isinstance(members["fields"], dict) else {}
        for pointer in sorted(self._fields.keys() | said.keys()):
            if said.get(pointer) != self._fields.get(pointer):
                raise VerificationError(
                    f"{FIELDS} says something else of {shown(pointer)} than what is the case",
                    got=said.get(pointer, "nothing"),
                    want=self._fields.get(pointer, "nothing, there is no such field"),
                )
        raise VerificationError(
            f"{FIELDS} says it of other entries", got=[members["from"], members["to"]], want=[self._start, self._end]
        )
