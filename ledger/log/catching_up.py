# SPDX-License-Identifier: Apache-2.0
"""From one committed state of a log to a later one that another process made.

The leaves in between are read and hashed onto the edge in memory, so the new tree extends the one known here by
construction, and its root must be that of the stored head. After a long absence the edge is loaded anew, and proved to
extend the old one.
"""

from ledger.log.errors import DamagedError
from ledger.log.fold import State, fold
from ledger.log.startup import require_edge
from ledger.log.store import Head, Store
from ledger.log.working_copy import Committed, Log
from ledger.tlog.edge import Edge
from ledger.tlog.merkle import leaf_hash

MAX_STEP = 4096
"""Leaves that are read to catch up; from here on loading the edge is cheaper."""


def caught_up(store: Store, log: Log, head: Head) -> Committed:
    """The log at `head`, which the store has now. Raises DamagedError unless that is what is known here, or an
    extension of it: what was signed cannot be unsigned, and a store that went back must not be signed for again.
    """
    before = log.committed
    if head == before.head:
        return before
    if head.size <= before.head.size:
        raise _not_an_extension(log)
    return Committed(head, _grown(store, log, head), _folded(store, log, head))


def _grown(store: Store, log: Log, head: Head) -> Edge:
    before = log.committed
    if head.size - before.head.size > MAX_STEP:
        edge = log.tree.load_edge(head.size)
        require_edge(log.origin, head, edge)
        if log.tree.root(edge, before.head.size) != before.head.root:
            raise _not_an_extension(log)
        return edge
    leaves = store.leaves(log.number, before.head.size, head.size)
    edge = before.edge.copy()
    tiles = edge.append([leaf_hash(leaf) for leaf in leaves])
    if edge.size != head.size or edge.root() != head.root:
        raise _not_an_extension(log)
    log.tree.remember(tiles)
    return edge


def _folded(store: Store, log: Log, head: Head) -> State:
    state = log.committed.state
    if head.last_governing == state.governing:
        return state
    added = ((index, leaf) for index, leaf in store.governing(log.number, state.governing + 1) if index < head.size)
    return fold(state, added)


def _not_an_extension(log: Log) -> DamagedError:
    size = log.committed.head.size
    return DamagedError(f"the stored head of {log.origin} does not extend the one of size {size} known here")
