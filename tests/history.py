# SPDX-License-Identifier: Apache-2.0
"""One log as somebody outside knows it: its leaves as they were read, and every head that anybody was ever given.

All of it must fit together: each head is the root of a prefix of one sequence of leaves, and no size has two roots.
Nothing here knows the ledger; the hashes are `ledger_verify`'s.
"""

import json
from collections import Counter
from collections.abc import Iterable

from ledger_verify.checkpoint import Checkpoint
from ledger_verify.merkle import CompactRange, leaf_hash


class History:
    """`heads` is every head that was given, by size; `calls` counts the reports of each call_id."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heads: dict[int, bytes] = {}
        self.calls: Counter[str] = Counter()
        self._tree = CompactRange()
        self._roots = [self._tree.root()]
        self._leaves: list[bytes] = []
        self._forks: list[str] = []

    @property
    def size(self) -> int:
        """How many leaves were read."""
        return len(self._leaves)

    def keep(self, checkpoint: Checkpoint) -> None:
        """A head that somebody was given."""
        size, root = checkpoint.tree_size, checkpoint.root_hash
        if self.heads.setdefault(size, root) != root:
            self._forks.append(f"{self.name}: two heads of size {size}")

    def read(self, leaves: Iterable[bytes]) -> None:
        """The next leaves of the log."""
        for leaf in leaves:
            self._leaves.append(leaf_hash(leaf))
            self._tree.append(self._leaves[-1])
            self._roots.append(self._tree.root())
            event = json.loads(leaf)
            if event["type"] == "call.reported":
                self.calls[event["data"]["call_id"]] += 1

    def has(self, index: int, digest: bytes) -> bool:
        """Whether the leaf at `index` has this hash."""
        return index < self.size and self._leaves[index] == digest

    def forks(self) -> list[str]:
        """Heads that contradict each other, or the leaves."""
        wrong = [size for size, root in self.heads.items() if size <= self.size and self._roots[size] != root]
        return self._forks + [f"{self.name}: the head of size {size} is not that of the leaves" for size in wrong]
