# SPDX-License-Identifier: Apache-2.0
"""The service's parsers, each held against the verifier's where that has one for the same thing."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.commands.backup_command import FORMAT, MANIFEST, read_manifest
from ledger.commands.import_command import _events
from ledger.log import canonical
from ledger.log.check.notes import read_note
from ledger.log.entry import parse_time, parse_uuid
from ledger.log.errors import ConfigurationError, InvalidRequestError, MalformedRequestError
from ledger.log.events.calls import CallReported
from ledger.log.evidence import KnownKeys, verify_day, verify_receipt
from ledger.log.keys import read_signing_key
from ledger.log.leaf import InvalidEntryError, LeafReader, read_leaf
from ledger.log.report import read_report
from ledger.log.rules import read_foreign_leaf
from ledger.log.sealed import read_foreign_disclosure
from ledger.log.vault import read_master_key
from ledger.settings import Settings
from ledger.tlog import checkpoint, note, proof, tiles
from ledger.tlog.errors import MalformedError
from ledger.tlog.text import format_base64, parse_base64, parse_decimal, parse_hash
from ledger.web.asked import Asked, AskedReader
from ledger.web.cursors import Cursor, read_cursor
from ledger.web.front import read_query
from ledger.web.times import read_moment
from tests.fuzz import seeds, verifier_targets
from tests.fuzz.target import Parser, RefusedError, Target, accepting, text

MALFORMED = (MalformedError,)
REQUEST = (MalformedRequestError, InvalidRequestError)
VKEYS = [note.parse_vkey(vkey) for vkey in seeds.vectors("receipts")["vkeys"].values()]
KEYS = KnownKeys(VKEYS[1].name, {vkey.name: [vkey] for vkey in VKEYS})
READER = LeafReader.of(CallReported)
CALLS = tuple(leaf for leaf in seeds.of("entries", "entry") if b'"type":"call.reported"' in leaf)
ZEROS = note.SigningKey("x", Ed25519PrivateKey.from_private_bytes(bytes(32)))
_FOLDER = TemporaryDirectory(prefix="ledger-fuzz-")
NOW = 1_767_225_600_000


def _uuid(given: str) -> int:
    value = parse_uuid(given)
    if value is None:
        raise RefusedError("not a UUIDv7")
    return value


def _headers(data: bytes) -> Asked:
    """The lines of a head, as a server hands them over."""
    pairs = (line.partition(b":") for line in data.split(b"\n"))
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    return AskedReader(["X-API-Key"]).read("GET", headers, ("x", 1))


def _settings(given: str) -> Settings:
    """A setting from the environment: the two that are more than a number, and how they are shown."""
    settings = Settings(Path("x"), database_url=given, keystore_url=given, master_key=given)
    assert given not in settings.where or "@" not in given
    read_master_key(settings.master_key_file, settings.master_key)
    return settings


def _together(data: bytes) -> list[Any]:
    """Leaves of one type, a line each, read together: what is accepted is what `read_leaf` says of each."""
    leaves = data.split(b"\n")
    together = READER.read(leaves) if READER is not None else None
    if together is None:
        raise RefusedError("each has to be looked at")
    for entry, leaf in zip(together.entries, leaves, strict=True):
        envelope, event = read_leaf(leaf)
        assert (entry.id, entry.source, entry.recordedat) == (envelope.id, envelope.source, envelope.recordedat)
        assert (entry.subject, entry.time, entry.type) == (envelope.subject, envelope.time, envelope.type)
        assert canonical.encode(entry.data) == canonical.encode(event) == bytes(envelope.data)
    return together.entries


def _manifest(data: bytes) -> Any:
    """The manifest of a backup, which is read from its folder."""
    (Path(_FOLDER.name) / MANIFEST).write_bytes(data)
    return read_manifest(Path(_FOLDER.name))


def _again_report(data: bytes) -> None:
    """A body that was read can be read again as it was understood."""
    report = read_report(data)
    assert read_report(msgspec.json.encode(report)) == report


def _query(data: bytes) -> dict[str, str]:
    return read_query(data)


def _leaf(read: Any) -> bytes:
    envelope, _ = read
    return bytes(envelope.data)


TARGETS = (
    Target("decimal", Parser(text(parse_decimal), MALFORMED), (b"0", b"7", b"42", b"9223372036854775807", b"042"),
           lambda value: str(value).encode(), verifier_targets.DECIMAL),
    Target("base64", Parser(text(parse_base64), MALFORMED),
           (*seeds.of("merkle", "hash"), b"", b"AA==", b"AAE=", b"AB=="),
           lambda value: format_base64(value).encode(), verifier_targets.BASE64),
    Target("hash", Parser(text(parse_hash), MALFORMED), seeds.of("merkle", "hash"),
           lambda value: format_base64(value).encode(), verifier_targets.HASH),
    Target("vkey", Parser(text(note.parse_vkey), MALFORMED), seeds.vkeys(), lambda vkey: vkey.format().encode(),
           verifier_targets.VKEY),
    Target("note", Parser(text(note.split_note), MALFORMED), seeds.of("notes", "note"), None, verifier_targets.NOTE),
    Target("checkpoint", Parser(text(checkpoint.read_checkpoint), MALFORMED), seeds.of("checkpoints", "note"), None,
           verifier_targets.CHECKPOINT),
    Target("checkpoint_text", Parser(text(checkpoint.parse_checkpoint), MALFORMED),
           tuple(seed.partition(b"\n\n")[0] + b"\n" for seed in seeds.of("checkpoints", "note")),
           lambda value: value.format().encode()),
    Target("proof", Parser(text(proof.parse_tlog_proof), MALFORMED), seeds.of("tlog_proofs", "proof"),
           lambda value: value.format().encode()),
    Target("tile_path", Parser(text(tiles.parse_path), MALFORMED), seeds.of("tiles", "path"),
           lambda path: path.format().encode()),
    Target("bundle", Parser(tiles.parse_bundle, MALFORMED), seeds.bundles(), tiles.format_bundle),
    Target("strict_json", Parser(canonical.read_strict, REQUEST), seeds.of("entries", "entry"), None,
           verifier_targets.STRICT_JSON),
    Target("duplicates", Parser(canonical.refuse_duplicates, REQUEST), seeds.sealed_values(), None,
           verifier_targets.ANY_JSON),
    Target("nesting", Parser(canonical.nesting, ()), seeds.sealed_values()),
    Target("report", Parser(_again_report, REQUEST), seeds.reports()),
    Target("leaf", Parser(read_foreign_leaf, (InvalidEntryError,)), seeds.entries(), None,
           verifier_targets.KNOWN_ENTRY),
    Target("leaves", Parser(_together, (RefusedError,)), (*CALLS, b"\n".join(CALLS[:3]), CALLS[0] + b"\n" + CALLS[0])),
    Target("disclosure", Parser(text(read_foreign_disclosure), (ValueError,)), seeds.disclosures(), None,
           verifier_targets.DISCLOSURE),
    Target("receipt", Parser(accepting(lambda data: verify_receipt(KEYS, data)), (RefusedError,)),
           seeds.of("receipts", "file"), None, verifier_targets.RECEIPT),
    Target("day", Parser(accepting(lambda data: verify_day(KEYS, data)), (RefusedError,)), seeds.of("days", "file"),
           None, verifier_targets.DAY),
    Target("uuid", Parser(text(_uuid), (RefusedError,)), (b"01a20000-0000-7000-8000-000000000000",), None,
           verifier_targets.UUID),
    Target("time", Parser(text(parse_time), (ValueError,)), (b"2026-03-01T12:00:00.000Z", b"2024-02-29T23:59:59.999Z"),
           None, verifier_targets.TIME),
    Target("moment", Parser(text(lambda given: read_moment(given, ["query", "since"], NOW)), REQUEST),
           (b"1h", b"30d", b"2026-03-01T12:00:00Z", b"2026-03-01 12:00:00.123456+14:00", b"0001-01-01T00:00:00+23:59")),
    Target("cursor", Parser(text(lambda given: read_cursor(given, ["query", "cursor"])), REQUEST),
           (Cursor(10, 3).format().encode(), Cursor(1 << 30, 0).format().encode(), b"WzEsMSxbW1tb"),
           lambda cursor: cursor.format().encode()),
    Target("query", Parser(_query, ()), (b"a=1&b=%C3%A9&a=2", b"receipts=full", b"limit=1;x", b"&&=%")),
    Target("headers", Parser(_headers, ()),
           (b"authorization: Bearer lk_all_x\ncontent-length: 12\nx-request-id: a-b\naccept: */*",
            b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nx-api-key: y\nx-tenant-id: z")),
    Target("settings", Parser(text(_settings), (ConfigurationError,)),
           (b"postgresql://me:secret@db.example.com:5432/ledger?sslmode=require", b"postgresql://[::1]/x", b"host=db",
            b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", b"postgresql://[:1]/x")),
    Target("backup", Parser(_manifest, (ConfigurationError,)),
           (b'{"format":"%b","program":"x","created":"x","contents":{"logs":[],"rest":"x"}}' % FORMAT.encode(),)),
    Target("check_note", Parser(text(read_note), (msgspec.MsgspecError,)),
           (b'{"ok":true,"tree_size":3,"root_hash":"x","checked_at":"2026-03-01T12:00:00.000Z","problem":null,'
            b'"first_index":null}',)),
    Target("signing_key", Parser(lambda data: read_signing_key("x", ZEROS.vkey.format(), data), (ConfigurationError,)),
           (bytes(32), b"")),
    Target("import", Parser(lambda data: list(_events(io.BytesIO(data))), REQUEST),
           (b'{"trajectory_id":"t","step":1,"agent_id":"a","tool_name":"x","arguments":{},"result_excerpt":"y"}\n',
            *(line + b"\n" for line in seeds.reports()))),
)  # fmt: skip
