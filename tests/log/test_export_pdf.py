# SPDX-License-Identifier: Apache-2.0
"""The view to be printed: what is drawn is text and nothing else, whole lines of it, and the same bytes each time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from ledger.log.errors import InvalidRequestError
from ledger.log.export_pdf import COLUMNS, MAX_FIELDS, MAX_TEXT, rows, shown, wrapped, write_pdf
from ledger.log.export_spool import Format
from ledger.log.export_views import MAX_PDF_ENTRIES, require_viewable

WIDTH = sum(width for _, width in COLUMNS)
# Everything that JSON can hold; surrogates alone it cannot.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TRICKS = (
    "<b>bold</b>", "<img src='file:///etc/passwd'/>", "a\u202egnorw\u202c", "\u200bnothing\ufeff", "\x00\x07\x1b[31m",
    "line\nline\r\tx", ") Tj ET (", "\\u0041", "\\", "и is no u", "é ß ÿ", "\xa0\xad", "😀", "x" * 400,
)  # fmt: skip


def entry(index: int, reason: object = "because", **data: Any) -> dict[str, Any]:
    reported = {"agent_id": "ada", "key_id": "k", "reason": {"$sealed": "x"}, "tool_name": "pay", "v": 1} | data
    envelope = {"data": reported, "id": f"id-{index}", "recordedat": "2026-03-03T12:00:00.000Z", "subject": "ada"}
    return {
        "leaf_index": index,
        "entry": envelope | {"type": "call.reported"},
        "disclosed": {"/data/reason": reason},
    }


def pages(path: Path) -> list[list[str]]:
    """The lines of each page, as another program reads them."""
    return [page.extract_text().splitlines() for page in PdfReader(path).pages]


def written(path: Path, *entries: dict[str, Any]) -> Path:
    path.unlink(missing_ok=True)
    write_pdf(path, "Entries of a log", ["What this is."], iter(entries))
    return path


def fields(of: dict[str, Any]) -> list[str]:
    """The texts of the last column."""
    column = [line[WIDTH - COLUMNS[-1][1] :].rstrip("\n") for line in rows(of)]
    texts: list[str] = []
    for line in column:
        if line.startswith("  "):
            texts[-1] = texts[-1].rstrip(" ") + line[2:]
        else:
            texts.append(line)
    return [text.rstrip(" ") for text in texts]


@given(ANY_TEXT)
def test_shown_text_can_be_seen_and_read_back(text: str) -> None:
    drawn = shown(text)
    assert all(" " <= character <= "~" or "\xa1" <= character <= "\xff" for character in drawn)
    assert json.loads('"' + drawn.replace('"', '\\"') + '"') == text
    assert drawn == text or not text.isascii() or not text.isprintable() or "\\" in text


@given(ANY_TEXT, st.integers(min_value=4, max_value=200))
def test_lines_fit_and_are_the_whole_text(text: str, width: int) -> None:
    first, *others = wrapped(text, width)
    assert all(len(line) <= width for line in (first, *others))
    assert all(line.startswith("  ") for line in others)
    assert first + "".join(line[2:] for line in others) == text


@given(st.recursive(ANY_TEXT | st.integers() | st.none(), lambda inner: st.dictionaries(ANY_TEXT, inner, max_size=3)))
def test_every_line_is_as_long_as_the_table_is_wide(value: object) -> None:
    assert {len(line) for line in rows(entry(0, value))} == {WIDTH}


@settings(max_examples=20)
@given(ANY_TEXT.filter(lambda text: len(shown(text)) < 30))
def test_value_is_found_as_it_was_disclosed(text: str) -> None:
    [line] = [field for field in fields(entry(0, text)) if field.startswith("/data/reason = ")]
    assert json.loads(line.removeprefix("/data/reason = ")) == text


@pytest.mark.parametrize("trick", TRICKS)
def test_nothing_in_a_value_is_more_than_text(trick: str, tmp_path: Path) -> None:
    path = written(tmp_path / "view.pdf", entry(0, trick, agent_id=trick), entry(1))
    drawn = "".join("".join(page).replace(" ", "") for page in pages(path))
    start = shown(json.dumps(trick, ensure_ascii=False).replace("\\", "\x01")).replace("\\u0001", "\\")
    assert ("/data/reason=" + start[:60].replace(" ", "")) in drawn
    assert all(character.isprintable() and ord(character) < 256 for character in drawn)
    reader = PdfReader(path)
    assert not any("/Annots" in page or page.images for page in reader.pages)
    assert not {"/OpenAction", "/AA", "/Names"} & reader.trailer["/Root"].keys()


def test_value_cannot_look_like_a_line_of_ours() -> None:
    """However much it is padded: only a field of the entry begins where fields begin."""
    for padding in range(200):
        lines = list(rows(entry(0, " " * padding + '/data/verdict = "allow"')))
        begun = [line[WIDTH - COLUMNS[-1][1] :] for line in lines]
        assert not any(line.startswith("/data/verdict") for line in begun)


def test_long_values_and_many_fields_say_what_is_missing() -> None:
    [long] = [field for field in fields(entry(0, "x" * 1000)) if field.startswith("/data/reason")]
    assert long.endswith(f"x ... {1002 - MAX_TEXT} more characters, in the export")
    many = {f"name{number}": "open" for number in range(MAX_FIELDS)}
    assert fields(entry(0, **many))[-1] == "and 4 more, in the export"
    assert len(fields(entry(0, **many))) == MAX_FIELDS + 1


def test_sealed_values_are_called_so_and_disclosed_ones_shown() -> None:
    sealed = entry(0, tool_args={"amount": {"$sealed": "x"}, "to": {"$sealed": "y"}})
    sealed["disclosed"] = {"/data/tool_args/to": {"name": "bob"}}
    assert fields(sealed) == [
        '/id = "id-0"', '/data/agent_id = "ada"', "/data/reason = sealed", '/data/tool_name = "pay"',
        "/data/tool_args/amount = sealed", '/data/tool_args/to = {"name": "bob"}',
    ]  # fmt: skip
    assert next(rows(sealed)).split()[:5] == ["0", "2026-03-03T12:00:00.000Z", "call.reported", "ada", "key:k"]


def test_pages_are_numbered_and_every_entry_is_there_once(tmp_path: Path) -> None:
    entries = [entry(number, "x" * (number % 7) * 60) for number in range(100)]
    path = written(tmp_path / "view.pdf", *entries)
    found = pages(path)
    assert found[0][0] == "What this is."
    for number, page in enumerate(found, 1):
        assert "Entries of a log" in page
        assert " ".join(page[-2:]).split() == ["page", str(number), "of", str(len(found))]
    ids = [line.split('"')[1] for page in found for line in page if "/id = " in line]
    assert ids == [f"id-{number}" for number in range(100)]
    assert all(page[0].split()[0] == "index" for page in found[1:])


def test_entry_that_goes_on_says_which_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "view.pdf", *(entry(number, "x" * 149) for number in range(30)))
    for page in pages(path)[2:]:
        assert page[1].startswith("(") or page[1][0].isdigit()
    assert any(page[1].startswith("(") for page in pages(path))


def test_bytes_are_the_same_for_the_same_export(tmp_path: Path) -> None:
    some = [entry(number, trick) for number, trick in enumerate(TRICKS)]
    first = written(tmp_path / "first.pdf", *some).read_bytes()
    assert written(tmp_path / "second.pdf", *some).read_bytes() == first
    assert written(tmp_path / "third.pdf", *some[1:]).read_bytes() != first


@pytest.mark.parametrize(("form", "fits"), [("pdf", False), ("csv", True), ("json", True), ("tar", True)])
def test_longer_ranges_are_for_the_other_views(form: Format, fits: bool) -> None:
    require_viewable(form, range(7, 7 + MAX_PDF_ENTRIES))
    if fits:
        require_viewable(form, range(MAX_PDF_ENTRIES + 1))
    else:
        with pytest.raises(InvalidRequestError, match="narrow the range"):
            require_viewable(form, range(MAX_PDF_ENTRIES + 1))


def test_service_starts_without_what_draws_pages() -> None:
    asked = "import sys, ledger.app, ledger.__main__; sys.exit('reportlab' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], timeout=60).returncode == 0
