# SPDX-License-Identifier: Apache-2.0
"""Server-sent events as a browser reads them (WHATWG, HTML §9.2.6), over a real connection."""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

import httpx

from tests.running import Service
from tests.web.asking import API

PATH = f"{API}/events/stream"
EVENT_STREAM = "text/event-stream"
WAIT_SECONDS = 20


class Message(NamedTuple):
    """What is dispatched at the end of a block of lines: `data` is None for one that has none, and so is no event."""

    last_id: int
    data: Any
    comment: bool


class Listener:
    """An open stream. Iterating gives all blocks as they come, and ends when the service ends the stream."""

    def __init__(self, client: httpx.Client, path: str = PATH, headers: dict[str, str] | None = None, **query: Any):
        self._client = client
        self._opened = client.stream("GET", path, params=query, headers=headers or {}, timeout=WAIT_SECONDS)
        self.retry: int | None = None

    def __enter__(self) -> "Listener":
        self.answer = self._opened.__enter__()
        if self.answer.status_code != 200:
            self.answer.read()
        self._blocks = self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, traceback)

    def __iter__(self) -> Iterator[Message]:
        return self._blocks

    def _read(self) -> Iterator[Message]:
        last_id, data, comment = -1, [], False
        for line in self.answer.iter_lines():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                yield Message(last_id, json.loads("\n".join(data)) if data else None, comment)
                data, comment = [], False
            elif not name:
                comment = True
            elif name == "id":
                last_id = int(value)
            elif name == "data":
                data.append(value)
            else:
                assert name == "retry"
                self.retry = int(value)

    def begin(self) -> int:
        """The id that a stream begins with: from behind it on, it follows."""
        first = next(self._blocks)
        assert first.data is None and not first.comment
        return first.last_id

    def events(self) -> Iterator[Message]:
        """The blocks that are events."""
        return (message for message in self._blocks if message.data is not None)

    def take(self, count: int) -> list[Message]:
        """The next so many events."""
        found = self.events()
        return [next(found) for _ in range(count)]


def listen(service: Service, key: str | None = None, **options: Any) -> Listener:
    """A stream on a connection of its own."""
    return Listener(service.client(key), **options)
