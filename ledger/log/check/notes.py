# SPDX-License-Identifier: Apache-2.0
"""The newest self-check of each log, as the service remembers it, against the log it speaks of.

A remark is no evidence: it saves asking again. But somebody reads it, so what it says must be what the log says.
"""

import re
from collections.abc import Mapping

import msgspec

from ledger.log.check.findings import MismatchError
from ledger.log.check.trail import Trail
from ledger.log.entry import parse_time
from ledger.log.events.logs import LedgerVerified
from ledger.log.store import Store
from ledger.log.tree import TileCache, Tree
from ledger.tlog.text import format_base64

_PREFIX = "check/"
_NAME = re.compile(r"check/(0|[1-9][0-9]{0,8})")


class CheckResult(msgspec.Struct, frozen=True):
    """Result of a self-check of the tenant's log up to `tree_size`."""

    ok: bool
    tree_size: int
    root_hash: str
    checked_at: str
    problem: str | None
    first_index: int | None


_decoder = msgspec.json.Decoder(CheckResult)
_encoder = msgspec.json.Encoder()


def note_name(log_number: int) -> str:
    return f"{_PREFIX}{log_number}"


def write_note(result: CheckResult) -> str:
    return _encoder.encode(result).decode()


def read_note(text: str) -> CheckResult:
    """Raises msgspec.MsgspecError."""
    try:
        return _decoder.decode(text)
    except (RecursionError, UnicodeError):
        raise msgspec.DecodeError("nested too deeply, or no text") from None


def stray_note(notes: Mapping[str, str], trails: Mapping[int, Trail]) -> str | None:
    """The name of a note that is about a log that does not exist, if there is one."""
    for name in notes:
        match = _NAME.fullmatch(name)
        if name.startswith(_PREFIX) and (match is None or int(match[1]) not in trails):
            return name
    return None


def check_note(store: Store, trail: Trail, text: str) -> None:
    """Raises MismatchError. The trail has passed."""
    try:
        result = read_note(text)
        parse_time(result.checked_at)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MismatchError("notes", None, f"the note is not the result of a self-check: {error}") from None
    if write_note(result) != text or result.ok != (result.problem is None) or result.tree_size < 0:
        raise MismatchError("notes", None, "the note is not what a self-check writes")
    if result.tree_size > trail.size:
        # A running service may have checked more meanwhile.
        if result.tree_size > store.head(trail.record.number).size:
            raise MismatchError("notes", None, f"the note is about {result.tree_size} entries, there are {trail.size}")
        return
    tree = Tree(store, trail.record.number, TileCache())
    if result.ok and result.root_hash != format_base64(tree.root(trail.edge, result.tree_size)):
        raise MismatchError("notes", None, f"the log had another root at size {result.tree_size} than the note says")
    # The entry follows the note, so it may be missing; but it does not say anything else.
    said = [verdict for verdict in trail.verdicts if verdict.size == result.tree_size]
    if said and isinstance(said[-1], LedgerVerified) != result.ok:
        raise MismatchError("notes", None, "the note says otherwise than the entry about the same self-check")
