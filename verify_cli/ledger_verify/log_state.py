# SPDX-License-Identifier: Apache-2.0
"""What a verified run over a log leaves behind, so that the next one reads only what is new (spec/log.md, "State").

The right edge has every hash that is needed to go on appending. It is the reader's own file, written after success only,
and still it is checked when it is read: the edge has the shape that the size demands and folds to the root hash.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ledger_verify import shapes
from ledger_verify.canonical import parse_jcs_file, write_jcs
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.encodings import encode_base64
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError
from ledger_verify.files import read_file, write_file
from ledger_verify.sequence import ANY, LEDGER, MAX_GOVERNING
from ledger_verify.tiles import WIDTH, RightEdge, edge_widths

FORMAT = "ledger-log-state/v1"
_MEMBERS = ("checkpoint", "edge", "entries", "format", "governing", "last_id")


class LogState(NamedTuple):
    """A log up to a checkpoint. `last_id` and `governing` are what a sequence of our entries remembers."""

    checkpoint: Checkpoint
    edge: RightEdge
    entries: str
    last_id: str
    governing: list[int]


def read_state(path: str) -> LogState | None:
    """The state in a file, or None if there is no such file yet."""
    if not os.path.lexists(path):
        return None
    try:
        return _parse(read_file(path, what="the state"))
    except VerificationError as error:
        raise CannotTellError(
            f"the state is unusable: {error}. Remove {path} to read the log from its beginning"
        ) from None


def write_state(path: str, state: LogState) -> None:
    value = {
        "checkpoint": state.checkpoint.text,
        "edge": [[encode_base64(value) for value in row] for row in state.edge.rows],
        "entries": state.entries,
        "format": FORMAT,
        "governing": state.governing,
        "last_id": state.last_id,
    }
    write_file(path, write_jcs(value).encode("utf-8") + b"\n", "the state")


def _parse(raw: bytes) -> LogState:
    state = shapes.members(parse_jcs_file(raw, "the state"), _MEMBERS, "the state")
    shapes.exactly(state["format"], FORMAT, "format")
    checkpoint = parse_checkpoint(shapes.string(state["checkpoint"], "checkpoint"), extensions=True)
    rows = [
        shapes.hashes(row, f"edge[{level}]", WIDTH - 1) for level, row in enumerate(shapes.array(state["edge"], "edge"))
    ]
    widths = edge_widths(checkpoint.tree_size)
    if [len(row) for row in rows] != widths:
        raise MalformedError(
            "edge is not that of the checkpoint's tree size", got=[len(row) for row in rows], want=widths
        )
    edge = RightEdge(rows)
    if edge.root() != checkpoint.root_hash:
        raise VerificationError("edge leads to another root hash", got=edge.root(), want=checkpoint.root_hash)
    entries = shapes.string(state["entries"], "entries")
    if entries not in (LEDGER, ANY):
        raise MalformedError("entries has no known value", got=entries, want=f"{LEDGER} or {ANY}")
    governing = [shapes.integer(index, "governing") for index in shapes.array(state["governing"], "governing")]
    if len(governing) > MAX_GOVERNING:
        raise MalformedError("governing is too long", got=len(governing), want=f"at most {MAX_GOVERNING}")
    return LogState(checkpoint, edge, entries, shapes.string(state["last_id"], "last_id"), governing)
