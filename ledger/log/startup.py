# SPDX-License-Identifier: Apache-2.0
"""What is looked at before a ledger signs on: a few hashes and signatures a log, O(log n), so that a start stays quick.

A log is refused whose stored tiles, head, signature, commitments and days do not belong together, since whatever is
signed on top of them would not extend what was signed before. `ledger check` derives everything instead, and says what
is wrong where.

Once is enough: what is held in memory afterwards grows by this process's own commits only, and a log that another
process has grown is loaded, and its edge looked at, again.
"""

from collections.abc import Sequence

import structlog

from ledger.log.errors import ConfigurationError, DamagedError
from ledger.log.fold import LogsState
from ledger.log.store import ROOT_LOG, UNFINISHED, CommittedHead, Head, Store
from ledger.log.working_copy import Log
from ledger.tlog.checkpoint import open_checkpoint, read_checkpoint
from ledger.tlog.edge import Edge
from ledger.tlog.errors import TlogError
from ledger.tlog.note import VerifierKey, parse_vkey

_log = structlog.get_logger("ledger.startup")

CLOCK_TOLERANCE = 5.0
"""Seconds the clock may be behind the newest entry before it is worth a warning. Entries keep their order in any
case: their ids never go back.
"""


def require_finished(store: Store) -> None:
    """Raises ConfigurationError for a copy that was cut short."""
    if store.note(UNFINISHED):
        raise ConfigurationError(
            "this database holds a copy of a ledger that was cut short, and no ledger: drop it, make an empty one, and "
            "run `ledger restore` or `ledger copy` again"
        )


def require_edge(origin: str, head: Head, edge: Edge) -> None:
    """Raises DamagedError unless an edge loaded from stored tiles has the root of the head."""
    if edge.root() != head.root:
        raise DamagedError(f"the stored tree of {origin} does not have the root of its head: run `ledger check`")


def require_signed(origin: str, head: Head, key: VerifierKey) -> None:
    """Raises DamagedError unless the head's checkpoint is that head, signed by this key."""
    try:
        checkpoint = open_checkpoint(head.checkpoint, [key])
    except TlogError as error:
        raise DamagedError(f"the head of {origin} does not open: {error}; run `ledger check`") from error
    if (checkpoint.origin, checkpoint.size, checkpoint.root) != (origin, head.size, head.root):
        raise DamagedError(f"the checkpoint of {origin} is not that of its head: run `ledger check`")


def newest_commitment(store: Store, log_number: int) -> CommittedHead | None:
    """The newest head of a log that the root log committed. To be read before the log's own head: while another
    process writes, that one may be behind a commitment that is read later.
    """
    size = store.committed_sizes().get(log_number)
    return None if size is None else store.covering_head(log_number, size - 1)


def check_before_signing(store: Store, log: Log, logs: LogsState, committed: CommittedHead | None, now: int) -> None:
    """Look at a log that was just loaded. `logs` is the root log's state, `committed` the newest commitment as of
    before. Raises DamagedError.
    """
    keys = [parse_vkey(vkey) for _, vkey in logs.vkeys[log.origin]]
    head, edge = log.committed.head, log.committed.edge
    require_edge(log.origin, head, edge)
    require_signed(log.origin, head, keys[-1])
    if committed is not None:
        _require_prefix(log, keys, committed.checkpoint, "head that the root log committed")
    if log.number == ROOT_LOG and (last := log.committed.state[LogsState].last_day) is not None:
        day = store.day(last)
        if day is None:
            raise DamagedError(f"the log closed {last}, but the day is not stored: run `ledger check`")
        _require_prefix(log, keys, day.checkpoint, f"checkpoint of {last}")
    newest = head.last_id >> 80
    if now < newest - CLOCK_TOLERANCE * 1000:
        _log.warning("clock_is_behind", log=log.origin, seconds=round((newest - now) / 1000), next="check the clock")


def _require_prefix(log: Log, keys: Sequence[VerifierKey], note: str, what: str) -> None:
    """A stored checkpoint must be one that the log had."""
    try:
        size = read_checkpoint(note).size
    except TlogError as error:
        raise DamagedError(f"the {what} of {log.origin} is no checkpoint: {error}; run `ledger check`") from error
    if size > log.committed.head.size:
        raise DamagedError(f"{log.origin} has {log.committed.head.size} entries, its {what} {size}: run `ledger check`")
    _require_head(log, keys, note, size, log.tree.root(log.committed.edge, size), what)


def _require_head(log: Log, keys: Sequence[VerifierKey], note: str, size: int, root: bytes, what: str) -> None:
    try:
        checkpoint = open_checkpoint(note, keys)
    except TlogError as error:
        raise DamagedError(f"the {what} of {log.origin} does not open: {error}; run `ledger check`") from error
    if (checkpoint.origin, checkpoint.size, checkpoint.root) != (log.origin, size, root):
        raise DamagedError(f"the {what} of {log.origin} is not one of its tree: run `ledger check`")
