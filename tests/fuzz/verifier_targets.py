# SPDX-License-Identifier: Apache-2.0
"""The verifier's parsers. Each of them has the one kind of error, whatever it is given."""

import json

from ledger_verify import (
    canonical,
    checkpoint,
    claims,
    consistency,
    cosignature,
    disclosure,
    encodings,
    note,
    policy,
    shapes,
    tiles,
)
from ledger_verify.canonical import decode_utf8
from ledger_verify.day import Day, verify_day_file
from ledger_verify.encodings import encode_base64, encode_base64url
from ledger_verify.entry import Entry, parse_entry
from ledger_verify.errors import MalformedError, VerificationError
from ledger_verify.manifest import Manifest, parse_manifest
from ledger_verify.receipt import Receipt, verify_receipt
from ledger_verify.trust import trusted_keys

from tests.fuzz import seeds
from tests.fuzz.target import IncomparableError, Parser, Target, text

ERRORS = (VerificationError,)
KEYS = trusted_keys([seeds.vectors("receipts")["vkeys"]["log"]], [seeds.vectors("receipts")["vkeys"]["root"]])


def _known_entry(data: bytes) -> Entry:
    """An entry of a type that the catalogue knows, which is all that the service reads."""
    entry = parse_entry(decode_utf8(data, "the entry"))
    if entry.known is None:
        raise MalformedError("not a type of the catalogue")
    return entry


def _any_json(data: bytes) -> object:
    """As for sealed values, whose nesting has a bound of its own that bodies do not have."""
    if data.count(b"[") + data.count(b"{") > canonical.MAX_VALUE_DEPTH:
        raise IncomparableError
    return canonical.parse_any_json(decode_utf8(data, "it"), "it")


def _receipt(data: bytes) -> Receipt:
    return verify_receipt(data, KEYS)


def _day(data: bytes) -> Day:
    return verify_day_file(data, KEYS)


def _manifest(data: bytes) -> Manifest:
    return parse_manifest(data)


DECIMAL = Parser(text(lambda given: encodings.parse_decimal(given, "it")), ERRORS)
BASE64 = Parser(text(lambda given: encodings.decode_base64(given, "it")), ERRORS)
HASH = Parser(text(lambda given: shapes.hash_bytes(given, "it")), ERRORS)
TIME = Parser(text(lambda given: encodings.check_time(given, "it")), ERRORS)
UUID = Parser(text(lambda given: encodings.check_uuid7(given, "it")), ERRORS)
VKEY = Parser(text(note.parse_vkey), ERRORS)
NOTE = Parser(text(note.parse_note), ERRORS)
CHECKPOINT = Parser(text(checkpoint.parse_checkpoint), ERRORS)
STRICT_JSON = Parser(lambda data: canonical.parse_jcs(decode_utf8(data, "it"), "it"), ERRORS)
ANY_JSON = Parser(_any_json, ERRORS)
KNOWN_ENTRY = Parser(_known_entry, ERRORS)
DISCLOSURE = Parser(text(lambda given: disclosure.parse_disclosure(given, "it")), ERRORS)
RECEIPT = Parser(_receipt, ERRORS)
DAY = Parser(_day, ERRORS)

TILE = tiles.Tile(0, 0, 3)
POLICY = b"".join([
    b"# who must have seen a checkpoint\n",
    *(b"log %b\n" % vkey for vkey in seeds.vkeys()[-1:]),
    b"quorum none\n",
])  # fmt: skip
HASH_TEXT = encode_base64(bytes(32))
CONSISTENCY = json.dumps({
    "origin": "example.com/log/a", "from": 2, "to": 3, "root1": HASH_TEXT, "root2": HASH_TEXT,
    "consistency_path": [HASH_TEXT, HASH_TEXT],
}).encode()  # fmt: skip
CLAIMS = json.dumps({
    "format": "ledger-claims/v1",
    "claims": [
        {"name": "a", "never": {"type": "call.reported", "verdict": ["allow", "warn"], "agent_id": "x"}},
        {"name": "b", "always": {"key_id": {"same": "k"}, "/data/reason": {"exists": True}},
         "earlier": {"type": "key.created", "key_id": {"same": "k"}}, "at_least": 1, "distinct": "role"},
        {"name": "c", "count": {"/data/tool_args/amount": {"at_least": 5, "at_most": 9}, "subject": {"same": "s"}},
         "is": 3, "between": {"after": {"type": "key.created", "subject": {"same": "s"}}, "before": 17}},
    ],
}).encode()  # fmt: skip

TARGETS = (
    Target("verifier_base64url", Parser(text(lambda given: encodings.decode_base64url(given, "it")), ERRORS),
           (*seeds.disclosures(), b"", b"AA", b"_-8"), lambda raw: encode_base64url(raw).encode()),
    Target("verifier_base64", BASE64, seeds.of("merkle", "hash"), lambda raw: encode_base64(raw).encode()),
    Target("verifier_date", Parser(text(lambda given: encodings.check_date(given, "it")), ERRORS),
           (b"2026-02-28", b"2024-02-29", b"1900-02-29", b"0001-01-01")),
    Target("verifier_vkey", VKEY, seeds.vkeys()),
    Target("verifier_note", NOTE, seeds.of("notes", "note")),
    Target("verifier_checkpoint", CHECKPOINT, seeds.of("checkpoints", "note")),
    Target("verifier_strict_json", STRICT_JSON, seeds.of("entries", "entry"),
           lambda value: canonical.write_jcs(value).encode()),
    Target("verifier_any_json", Parser(lambda data: canonical.parse_any_json(decode_utf8(data, "it"), "it"), ERRORS),
           seeds.sealed_values()),
    Target("verifier_entry", Parser(lambda data: parse_entry(decode_utf8(data, "it")), ERRORS),
           seeds.entries(), lambda entry: entry.text.encode()),
    Target("verifier_disclosure", DISCLOSURE, seeds.disclosures()),
    Target("verifier_receipt", RECEIPT, seeds.of("receipts", "file")),
    Target("verifier_day", DAY, seeds.of("days", "file")),
    Target("verifier_manifest", Parser(_manifest, ERRORS), seeds.manifests()),
    Target("verifier_policy", Parser(policy.parse_policy, ERRORS), (POLICY, b"quorum none\n")),
    Target("verifier_cosigner", Parser(text(cosignature.parse_cosigner), ERRORS), seeds.vkeys()),
    Target("verifier_claims", Parser(claims.parse_claims, ERRORS), (CLAIMS,)),
    Target("verifier_consistency", Parser(consistency.parse_consistency_proof, ERRORS), (CONSISTENCY,)),
    Target("verifier_json", Parser(lambda data: canonical.parse_json(data, "it"), ERRORS), (CONSISTENCY,)),
    Target("verifier_tile", Parser(lambda data: tiles.parse_tile(data, TILE), ERRORS), (bytes(96), bytes(64), b"")),
    Target("verifier_bundle", Parser(lambda data: tiles.parse_bundle(data, TILE), ERRORS),
           (*seeds.bundles(), b"\0\0" * 3, b"\0\1a" * 3)),
)  # fmt: skip
