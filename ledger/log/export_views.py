# SPDX-License-Identifier: Apache-2.0
"""Views of an export for people and their spreadsheets: not evidence, and they say so, with the digest of what is."""

import csv
import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

from ledger.log.errors import InvalidRequestError
from ledger.log.events.logs import EvidenceExported
from ledger.log.export import Exported, Manifest
from ledger.log.export_spool import Format

COLUMNS = (
    "leaf_index",
    "recordedat",
    "time",
    "type",
    "id",
    "subject",
    "agent_id",
    "tool_name",
    "verdict",
    "mode",
    "env",
    "data",
    "disclosed",
    "leaf_hash",
)
_IN_DATA = ("agent_id", "tool_name", "verdict", "mode", "env")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MAX_PDF_ENTRIES = 20_000
"""A pdf is read by people and put together in memory; the other views have no limit."""


def require_viewable(form: Format, exported: range) -> None:
    """Raises InvalidRequestError for a range that is too long for such a view."""
    if form == "pdf" and len(exported) > MAX_PDF_ENTRIES:
        raise InvalidRequestError.at(
            ["from", "to"], f"a pdf shows at most {MAX_PDF_ENTRIES} entries, not {len(exported)}: narrow the range"
        )


def write_view(
    folder: Path, form: Literal["csv", "json", "pdf"], exported: Exported, export_id: str, path: Path
) -> None:
    """Write a view of an export's folder to a new file."""
    if form == "pdf":
        _write_pdf(path, folder, exported, export_id)
        return
    with path.open("x", encoding="utf-8", newline="") as file:
        (_write_csv if form == "csv" else _write_json)(file, folder, exported)


def _write_csv(file: TextIO, folder: Path, exported: Exported) -> None:
    file.write(f"# {_said_of(exported.manifest, exported.sha256)}\r\n")
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for entry in _entries(folder, exported.manifest.start):
        data = entry["entry"]["data"]
        cells: dict[str, object] = {name: entry["entry"].get(name, "") for name in COLUMNS[1:6]}
        cells |= {name: data.get(name, "") for name in _IN_DATA}
        cells |= {"leaf_index": entry["leaf_index"], "leaf_hash": entry["leaf_hash"]}
        cells |= {"data": _json(data), "disclosed": _json(entry["disclosed"]) if entry["disclosed"] else ""}
        rows.writerow([_harmless(cells[name]) for name in COLUMNS])


def _write_json(file: TextIO, folder: Path, exported: Exported) -> None:
    manifest = exported.manifest
    head = {
        "format": "ledger-view/v1",
        "view_of": exported.sha256,
        "note": _said_of(manifest, exported.sha256),
        "origin": manifest.origin,
        "from": manifest.start,
        "to": manifest.stop,
    }
    file.write(_json(head)[:-1] + ',"entries":[')
    for number, entry in enumerate(_entries(folder, manifest.start)):
        file.write((",\n" if number else "\n") + _json(entry))
    file.write("\n]}\n")


def _write_pdf(path: Path, folder: Path, exported: Exported, export_id: str) -> None:
    # Only here: whoever makes no pdf need not wait for what draws one, when the service starts.
    from ledger.log.export_pdf import write_pdf

    manifest = exported.manifest
    title = f"Entries {manifest.start} to {manifest.stop - 1} of {manifest.origin}, export {export_id}"
    about = [
        title,
        _said_of(manifest, exported.sha256) + ".",
        "To verify that: python3 ledger-verify.pyz export export.tar --key VKEY --root-key VKEY",
        "Take verifier and keys from somewhere you trust, and compare the digest of ledger-export/manifest.note.",
        f"The log records this export as {EvidenceExported.type} with the subject {export_id}, and that digest.",
        "Long values are shown in part; the export has the whole. Where a value was not disclosed it says: sealed.",
        "Characters that are not of Latin-1, or cannot be seen, are written as in JSON: a backslash, u, four digits.",
    ]
    write_pdf(path, title, about, _entries(folder, manifest.start))


def _said_of(manifest: Manifest, sha256: str) -> str:
    return (
        f"A view of entries {manifest.start} to {manifest.stop - 1} of {manifest.origin}, not evidence: that is the "
        f"export whose manifest.note has the SHA-256 {sha256}"
    )


def _entries(folder: Path, start: int) -> Iterator[dict[str, Any]]:
    """The entries of a folder with what is disclosed of them, by pointer."""
    with (folder / "entries.jsonl").open("rb") as entries, (folder / "disclosures.jsonl").open("rb") as disclosures:
        shown = _next_disclosures(disclosures.readline())
        for index, line in enumerate(entries, start):
            disclosed: dict[str, Any] = {}
            if shown is not None and shown["index"] == index:
                disclosed = dict(_disclosed(text) for text in shown["disclosures"])
                shown = _next_disclosures(disclosures.readline())
            yield {
                "leaf_index": index,
                "leaf_hash": hashlib.sha256(b"\0" + line[:-1]).hexdigest(),
                "entry": json.loads(line),
                "disclosed": disclosed,
            }


def _next_disclosures(line: bytes) -> dict[str, Any] | None:
    return json.loads(line) if line else None


def _disclosed(text: str) -> tuple[str, Any]:
    _, pointer, value = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return pointer, value


def _harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
