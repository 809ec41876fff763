# SPDX-License-Identifier: Apache-2.0
"""Whole exports. Their parts are read one under the other, so what a part's own target refuses may mean more here.

`verifier_export` is given an archive as it is. `verifier_export_signed` is given files of one, which the operator then
signs: digests, sizes and states of fields are right again, and what is changed meets the step that has to refuse it.
What is accepted all the same must hold the log's own entries, and no disclosure of anything else.
"""

import atexit
import json
import tempfile
from pathlib import Path
from typing import Any

from ledger_verify import ed25519
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError
from ledger_verify.export import Export, verify_export
from ledger_verify.trust import trusted_keys

from tests.fuzz.target import Parser, Target
from tests.verify_cli.exports import EXPORT_FILES, archive, json_lines, read_manifest, sign_manifest
from tests.verify_cli.small_export import build_small_world, write_small_export

ERRORS = (VerificationError, CannotTellError)

_scratch = tempfile.TemporaryDirectory(prefix="ledger-fuzz-")
atexit.register(_scratch.cleanup)
WORLD = build_small_world()
KEYS = trusted_keys(**WORLD.keys)
FOLDER = write_small_export(WORLD, Path(_scratch.name) / "export")
ARCHIVE = archive(FOLDER, FOLDER.with_name("seed.tar")).read_bytes()
MANIFEST = {name: value for name, value in read_manifest(FOLDER).items() if name != "files"}
FILES = {name: (FOLDER / name).read_text(encoding="utf-8") for name in EXPORT_FILES}


def _archive(data: bytes) -> Export:
    path = FOLDER.with_name("export.tar")
    path.write_bytes(data)
    return verify_export(str(path), KEYS)


def _signed(data: bytes) -> Export:
    """Files, or members of the manifest, that are not given are those of the good export."""
    given = _changes(data)
    for name in EXPORT_FILES:
        content = given.get(name, FILES[name])
        (FOLDER / name).write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else b"")
    changes = given.get("manifest")
    manifest = MANIFEST | (changes if isinstance(changes, dict) else {})
    _sign(manifest, states="fields.jsonl" not in given)
    # The thousandth signature by one key costs seconds, which make the next ones cheaper: here each is the first.
    ed25519._key.cache_clear()
    export = verify_export(str(FOLDER), KEYS)
    true = "".join(entry + "\n" for entry in WORLD.log.entries[export.start : export.end])
    assert (FOLDER / "entries.jsonl").read_text(encoding="utf-8") == true
    shown = {(line["index"], text) for line in json_lines(FOLDER / "disclosures.jsonl") for text in line["disclosures"]}
    assert shown <= {(index, text) for index, texts in WORLD.log.disclosures.items() for text in texts}
    return export


def _sign(manifest: dict[str, Any], states: bool) -> None:
    try:
        sign_manifest(FOLDER, WORLD.log, manifest, states=states)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if not states:
            raise MalformedError("nobody could sign this") from error
        _sign(manifest, states=False)  # where no state can be derived, what was said of the good fields stays


def _changes(data: bytes) -> dict[str, Any]:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not the files of an export") from error
    if not isinstance(given, dict):
        raise MalformedError("not the files of an export")
    return given


# One file each, or all edits would be edits of the longest; single lines are JSON, and changed within.
SEEDS = (
    b"{}",
    *(json.dumps({name: text}).encode() for name, text in FILES.items()),
    *(json.dumps({"manifest": {name: value}}).encode() for name, value in MANIFEST.items()),
    *(json.dumps({"keys.jsonl": line}).encode() for line in FILES["keys.jsonl"].splitlines(keepends=True)),
)

TARGETS = (
    # Nothing but the very bytes is accepted, so there is but one thing that can be written again.
    Target("verifier_export", Parser(_archive, ERRORS), (ARCHIVE,), lambda export: ARCHIVE),
    Target("verifier_export_signed", Parser(_signed, ERRORS), SEEDS),
)
