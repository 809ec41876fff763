# SPDX-License-Identifier: Apache-2.0
"""Somebody outside who keeps every answer, and follows the logs leaf by leaf with nothing but `ledger_verify`.

Whatever was given out must fit into one history: each head is that of a prefix of one sequence of leaves, so there are
never two roots for one size; each acknowledged event is the leaf that its receipt names, and no call is in the log
twice. Leaves are read once; that the log still has the earlier ones follows from the root of the newest signed head.
"""

import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint, signed_by
from ledger_verify.errors import VerificationError
from ledger_verify.receipt import Receipt, verify_receipt
from ledger_verify.trust import TrustedKeys, trusted_keys

from tests.history import History
from tests.robustness.outside import Acknowledged, Patient, check_heads
from tests.running import Service, eventually

WIDTH = 256
SIGNATURES = 10
"""Receipts of a check whose signatures are verified, too: that takes the verifier some milliseconds each."""
PROOFS = 5
"""Heads of a check for which the service is asked for a consistency proof."""


@dataclass
class Findings:
    """What a check found. `problems` is empty when the service kept its word."""

    acknowledged: int = 0
    lost: int = 0
    duplicates: int = 0
    forks: int = 0
    heads: int = 0
    problems: list[str] = field(default_factory=list)


class Outsider:
    """Trusts the keys that `ledger init` printed, and nothing else. Threads may hand in what they were given."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.keys = trusted_keys([keys["log_vkey"]], [keys["root_vkey"]])
        origin = keys["log_vkey"].split("+")[0]
        self._log = _Followed(f"/log/{origin.rsplit('/', 1)[1]}", TrustedKeys(self.keys.log))
        self._root = _Followed("/root", TrustedKeys(self.keys.root))
        self._logs = {origin: self._log, keys["root_vkey"].split("+")[0]: self._root}
        self._lock = threading.Lock()
        self._new: list[Acknowledged] = []
        self._acknowledged: list[tuple[Acknowledged, bytes]] = []

    def acknowledge(self, events: list[Acknowledged]) -> None:
        with self._lock:
            self._new += events

    def see(self, note: str) -> None:
        """Keep a checkpoint that somebody was shown."""
        checkpoint = parse_checkpoint(note)
        with self._lock:
            self._logs[checkpoint.origin].history.keep(checkpoint)

    def check(self, service: Service, chance: random.Random) -> Findings:
        """Look at what was given out since the last time, against the logs as this service shows them now."""
        with self._lock:
            new, self._new = self._new, []
        problems = []
        signed = set(chance.sample(range(len(new)), min(SIGNATURES, len(new))))
        for number, one in enumerate(new):
            try:
                receipt = self._verified(one, self.keys if number in signed else TrustedKeys())
            except VerificationError as error:
                problems.append(f"receipt of {one.call_id}: {error}")
            else:
                self._acknowledged.append((one, receipt.entry.leaf_hash))
        with service.client(transport=Patient()) as client:
            for log in self._logs.values():
                try:
                    log.follow(client, self._lock)
                except (VerificationError, httpx.HTTPError, AssertionError) as error:
                    problems.append(f"{log.path}: {error!r}")
            problems += self._asked_proofs(client, chance)
            problems += self._asked_receipts(client, new, chance)
        findings = self._judge()
        findings.problems = problems + findings.problems
        return findings

    def _verified(self, one: Acknowledged, keys: TrustedKeys) -> Receipt:
        receipt = verify_receipt(one.receipt, keys)
        said = receipt.entry.data["call_id"], receipt.entry.id, receipt.leaf_index
        if said != (one.call_id, one.event_id, one.leaf_index):
            raise VerificationError("the receipt is of another event than the answer", got=said)
        with self._lock:
            self._log.history.keep(receipt.checkpoint)
            if receipt.root is not None:
                self._root.history.keep(receipt.root.checkpoint)
        return receipt

    def _asked_proofs(self, client: httpx.Client, chance: random.Random) -> list[str]:
        """The service's own proofs that earlier heads are prefixes of the present one."""
        with self._lock:
            heads = list(self._log.history.heads.items())
        chosen = chance.sample(heads, min(PROOFS, len(heads)))
        return check_heads(client, {(size, root): f"size {size}" for size, root in chosen})

    def _asked_receipts(self, client: httpx.Client, new: list[Acknowledged], chance: random.Random) -> list[str]:
        """A receipt can be had again, and may lead up to the root log by now."""
        problems = []
        for one in chance.sample(new, min(2, len(new))):
            answer = client.get(f"/api/v1/receipts/{one.event_id}")
            try:
                answer.raise_for_status()
                self._verified(one._replace(receipt=answer.content), self.keys)
            except (VerificationError, httpx.HTTPError) as error:
                problems.append(f"receipt of {one.call_id}, asked for again: {error!r}")
        return problems

    def _judge(self) -> Findings:
        findings = Findings(len(self._acknowledged), heads=sum(len(log.history.heads) for log in self._logs.values()))
        for one, digest in self._acknowledged:
            if not self._log.history.has(one.leaf_index, digest):
                findings.lost += 1
                findings.problems.append(f"{one.call_id} is not the leaf {one.leaf_index}")
        for call_id, count in self._log.history.calls.items():
            if count > 1:
                findings.duplicates += count - 1
                findings.problems.append(f"{call_id} is in the log {count} times")
        for log in self._logs.values():
            forks = log.history.forks()
            findings.forks += len(forks)
            findings.problems += forks
        return findings


class _Followed:
    """A log at its path, and what is known of it."""

    def __init__(self, path: str, keys: TrustedKeys) -> None:
        self.path = path
        self.history = History(path)
        self._keys = keys

    def follow(self, client: httpx.Client, lock: threading.Lock) -> None:
        """Read on up to the present head. Raises VerificationError, and AssertionError when it lacks a head that was
        given.
        """
        with lock:
            newest = max(self.history.heads, default=0)

        def caught_up() -> Checkpoint | None:
            found = parse_checkpoint(client.get(f"{self.path}/checkpoint").raise_for_status().text)
            return found if found.tree_size >= newest else None

        present = eventually(caught_up, f"the head of size {newest} that was given, at {client.base_url}{self.path}", 5)
        signed_by(present, self._keys.log or self._keys.root, "key")
        with lock:
            self.history.keep(present)
        self.history.read(self._leaves(client, present.tree_size))

    def _leaves(self, client: httpx.Client, size: int) -> Iterator[bytes]:
        """Leaves from the first unknown one up to `size`, from entry bundles (C2SP tlog-tiles)."""
        start = self.history.size
        for number in range(start // WIDTH, -(-size // WIDTH)):
            width = min(WIDTH, size - number * WIDTH)
            name = "".join(f"x{part:03}/" for part in (number // 1000,) if part) + f"{number % 1000:03}"
            partial = "" if width == WIDTH else f".p/{width}"
            bundle = client.get(f"{self.path}/tile/entries/{name}{partial}").raise_for_status().content
            for index in range(number * WIDTH, number * WIDTH + width):
                length = int.from_bytes(bundle[:2])
                leaf, bundle = bundle[2 : 2 + length], bundle[2 + length :]
                if index >= start:
                    yield leaf
