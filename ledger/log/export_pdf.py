# SPDX-License-Identifier: Apache-2.0
"""A view of an export to be read and printed: a table in one fixed-width font, a line of text after the other.

What agents wrote is only ever drawn as text. Characters are those of Latin-1 that one sees; every other one is written
as JSON writes it, \\u202e, so that nothing is hidden, turned around, or looks like something else. Where a text goes on
in a next line it is indented: nothing in it can look like a line of ours.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

MAX_TEXT = 150
"""Characters of a value."""
MAX_FIELDS = 30
"""Fields of an entry."""

COLUMNS = (("index", 9), ("recorded", 25), ("type", 26), ("of", 26), ("verdict", 12), ("actor", 26), ("fields", 76))
"""Names, and widths in characters; a column's last one stays free."""

_SIZE = landscape(A4)
_MARGIN, _FONT_SIZE, _LEADING = 30.0, 6.5, 8.0
_LINE = sum(width for _, width in COLUMNS)
_LINES = int((_SIZE[1] - 2 * _MARGIN) / _LEADING) - 4
"""Lines of the table on a page, or of what stands before it."""
_IN_COLUMNS = ("actor", "key_id", "v", "verdict")
_UNSEEN = re.compile("[^ -~\u00a1-\u00ac\u00ae-\u00ff]")


def write_pdf(path: Path, title: str, about: Sequence[str], entries: Iterator[dict[str, Any]]) -> None:
    """Write a new file of A4 pages: `about` on the first one, `title` on every one. Its bytes follow from these."""
    with path.open("xb") as file:
        # Invariant: without times and ids of the moment.
        canvas = Canvas(file, pagesize=_SIZE, pageCompression=1, invariant=1)
        canvas.setTitle(title)
        pages = _Pages(canvas, shown(title))
        pages.write([line for text in about for line in (*wrapped(shown(text), _LINE), "")])
        pages.turn()
        pages.head = _row([name for name, _ in COLUMNS])
        for entry in entries:
            pages.write(list(rows(entry)), f"({entry['leaf_index']})")
        pages.finish()


class _Pages:
    """Lines on pages. How many pages there are is drawn on all of them when it is known."""

    def __init__(self, canvas: Canvas, title: str) -> None:
        self.head = ""
        self._canvas = canvas
        self._title = title
        self._lines: list[str] = []
        self._rules: list[int] = []

    def write(self, lines: Sequence[str], again: str = "") -> None:
        """Add what belongs together, below a thin rule; where it goes on on a next page that begins with `again`."""
        self._rules.append(len(self._lines))
        for line in lines:
            if len(self._lines) == _LINES:
                self.turn()
                line = again + line[len(again) :]
            self._lines.append(line)

    def finish(self) -> None:
        self.turn()
        count = self._canvas.getPageNumber() - 1
        self._canvas.beginForm("pages")
        self._draw([f"{count}"], _LINE - 6, _LINES + 3)
        self._canvas.endForm()
        self._canvas.save()

    def turn(self) -> None:
        self._draw([self.head], 0, 0)
        self._draw(self._lines, 0, 1)
        self._canvas.setLineWidth(0.2)
        for line in self._rules:
            height = _SIZE[1] - _MARGIN - (line + 0.25) * _LEADING
            self._canvas.line(_MARGIN, height, _SIZE[0] - _MARGIN, height)
        number = f"page {self._canvas.getPageNumber()} of".rjust(20)
        self._draw([self._title[: _LINE - 30]], 0, _LINES + 3)
        self._draw([number], _LINE - 27, _LINES + 3)
        self._canvas.doForm("pages")
        self._canvas.showPage()
        self._lines, self._rules = [], []

    def _draw(self, lines: Sequence[str], column: int, line: int) -> None:
        text = self._canvas.beginText()
        text.setFont("Courier", _FONT_SIZE, _LEADING)
        for number, words in enumerate(lines, line):
            # Blanks would be drawn, too, one at a time, and most of a table is blank.
            drawn = words.strip()
            left = _MARGIN + (column + len(words) - len(words.lstrip())) * _FONT_SIZE * 0.6
            text.setTextOrigin(left, _SIZE[1] - _MARGIN - number * _LEADING)
            text.textOut(drawn)
        self._canvas.drawText(text)


def rows(entry: dict[str, Any]) -> Iterator[str]:
    """The lines of an entry."""
    envelope = entry["entry"]
    data = envelope["data"]
    actor = data.get("actor") or (f"key:{data['key_id']}" if "key_id" in data else "")
    of = envelope.get("subject") or data.get("agent_id", "")
    texts = (str(entry["leaf_index"]), envelope["recordedat"], envelope["type"], of, data.get("verdict", ""), actor)
    cells = [wrapped(shown(text), width - 1) for text, (_, width) in zip(texts, COLUMNS, strict=False)]
    fields = [_field(*field) for field in _fields(entry)]
    if len(fields) > MAX_FIELDS:
        fields[MAX_FIELDS:] = [f"and {len(fields) - MAX_FIELDS} more, in the export"]
    cells.append([line for field in fields for line in wrapped(field, COLUMNS[-1][1] - 1)])
    return map(_row, zip_longest(*cells, fillvalue=""))


def shown(text: str) -> str:
    """A text as it is drawn, in which a backslash always begins an escape."""
    return _seen(text.replace("\\", "\\\\"))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, all but the first one indented; without the indents they are the text."""
    return [text[:width], *("  " + text[at : at + width - 2] for at in range(width, len(text), width - 2))]


def _row(cells: Sequence[str]) -> str:
    return "".join(cell.ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=True))


def _field(pointer: str, value: str) -> str:
    cut = "" if len(value) <= MAX_TEXT else f" ... {len(value) - MAX_TEXT} more characters, in the export"
    return f"{shown(pointer)} = {_seen(value[:MAX_TEXT])}{cut}"


def _fields(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Pointers and JSON texts of what no column has."""
    envelope = entry["entry"]
    for name in ("id", "time"):
        if name in envelope:
            yield f"/{name}", _json(envelope[name])
    data = {name: value for name, value in envelope["data"].items() if name not in _IN_COLUMNS}
    yield from _members("/data", data, entry["disclosed"])


def _members(above: str, members: dict[str, Any], disclosed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in members.items():
        pointer = f"{above}/{name}"
        if pointer in disclosed:
            yield pointer, _json(disclosed[pointer])
        elif isinstance(value, dict) and "$sealed" in value:
            yield pointer, "sealed"
        elif isinstance(value, dict):
            yield from _members(pointer, value, disclosed)
        else:
            yield pointer, _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _seen(text: str) -> str:
    # JSON's own escapes: of a character beyond the basic plane they are two.
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
