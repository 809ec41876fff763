# SPDX-License-Identifier: Apache-2.0
"""Clients that report events until they are told to stop, and that do not give up: what is not acknowledged is sent
again, with the same call_ids, to whichever process answers.

They know the protocol's promises: an answer is 200, or 503 with a Retry-After and a code, and an event that is sent
again is a duplicate with its whole batch, or new with its whole batch.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.robustness.following import Outsider
from tests.robustness.outside import PAUSE_SECONDS, acknowledged_in
from tests.running import Service, event

PATIENCE_SECONDS = 60


@dataclass
class Load:
    """What the clients of one round did."""

    services: Sequence[Service]
    key: str
    outsider: Outsider
    name: str
    clients: int
    chance: random.Random
    acknowledged: int = 0
    unanswered: int = 0
    """Events to which at least once there was no answer at all."""
    written_before: int = 0
    """Events that were sent again and had been written already."""
    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run_client, args=(number, random.Random(self.chance.random())))
            for number in range(self.clients)
        ]
        self._threads.append(threading.Thread(target=self._watch))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        assert self._begun.wait(PATIENCE_SECONDS), f"nothing was acknowledged: {self.statuses} {self.problems}"

    def finish(self) -> None:
        """Wait until everything that was sent is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(headers=headers, timeout=PATIENCE_SECONDS, verify=False)

    def _run_client(self, client_number: int, chance: random.Random) -> None:
        number = 0
        with self._client() as client:
            while not self._stop.is_set():
                count = chance.choice((1, 1, 1, 2, 5, 20))
                call_ids = [f"{self.name}-c{client_number}-{number + place}" for place in range(count)]
                number += count
                self._report(client, [event(call_id) for call_id in call_ids], client_number + number)

    def _report(self, client: httpx.Client, events: list[dict[str, Any]], turn: int) -> None:
        """Report until it is acknowledged."""
        deadline, tries, unanswered = time.monotonic() + PATIENCE_SECONDS, 0, 0
        while time.monotonic() < deadline:
            service = self.services[(turn + tries) % len(self.services)]
            tries += 1
            try:
                url = f"{service.url}/api/v1/events"
                answer = client.post(url, params={"receipts": "full"}, json={"events": events})
            except httpx.TransportError:
                unanswered = len(events)
            else:
                if self._take(answer, events, tries):
                    break
            time.sleep(PAUSE_SECONDS)
        else:
            self.problems.append(f"{events[0]['call_id']} was not acknowledged within {PATIENCE_SECONDS} s")
        with self._lock:
            self.unanswered += unanswered

    def _take(self, answer: httpx.Response, events: list[dict[str, Any]], tries: int) -> bool:
        """Whether the answer is the last one."""
        with self._lock:
            self.statuses[answer.status_code] += 1
            if answer.status_code == 503:
                if answer.json()["code"] != "LEDGER_UNAVAILABLE" or int(answer.headers["retry-after"]) < 1:
                    self.problems.append(f"a 503 without its due: {answer.headers} {answer.text}")
                return False
            if answer.status_code != 200:
                self.problems.append(f"{events[0]['call_id']}: {answer.status_code} {answer.text}")
                return True
            duplicates = answer.json()["duplicates"]
            if duplicates not in (0, len(events)) or (duplicates and tries == 1):
                self.problems.append(f"{duplicates} of {len(events)} were there already, at try {tries}")
            self.acknowledged += len(events)
            self.written_before += duplicates
        self.outsider.see(answer.json()["checkpoint"])
        self.outsider.acknowledge(acknowledged_in(answer))
        self._begun.set()
        return True

    def _watch(self) -> None:
        """Keep the heads that anybody can see, from every process."""
        with self._client() as client:
            while not self._stop.wait(PAUSE_SECONDS):
                for service in self.services:
                    for path in ("/api/v1/transparency/checkpoint", "/root/checkpoint"):
                        try:
                            answer = client.get(service.url + path)
                        except httpx.TransportError:
                            continue
                        if answer.status_code == 200:
                            self.outsider.see(answer.text)
                        elif answer.status_code != 503:
                            self.problems.append(f"{path}: {answer.status_code} {answer.text}")
