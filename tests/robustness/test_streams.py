# SPDX-License-Identifier: Apache-2.0
"""Streams of two services on one database: each shows what either commits."""

import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.ledgers import Ledger, Room
from tests.running import Service, event
from tests.web.asking import API, report
from tests.web.event_stream import Listener, listen

pytestmark = pytest.mark.only_on("postgres", why="a data directory is served by one process")

numbers = count()


@pytest.fixture(scope="module")
def pair(template_ledger: Ledger, module_room: Room) -> Iterator[list[Service]]:
    source, keys = template_ledger
    place = module_room.copy(source)
    with Service(place, keys) as first, Service(place, keys, log_name="second.stderr") as second:
        yield [first, second]


def some(service: Service, amount: int) -> list[int]:
    with service.client() as client:
        items = report(client, *(event(f"streamed-{next(numbers)}") for _ in range(amount)))["items"]
    return [item["leaf_index"] for item in items]


def test_each_shows_what_the_other_commits(pair: list[Service]) -> None:
    for shown, written in (pair, pair[::-1]):
        with listen(shown) as stream:
            # Where it begins, it may not have heard yet of what the other has just committed.
            began = stream.begin()
            last = [*some(written, 3), *some(shown, 1)][-1]
            wanted = range(began + 1, last + 1)
            assert [message.last_id for message in stream.take(len(wanted))] == list(wanted)


def test_reader_who_goes_from_one_to_the_other_misses_nothing_and_gets_nothing_twice(pair: list[Service]) -> None:
    first = pair[0].size()
    stopping = threading.Event()

    def keep_writing(service: Service) -> None:
        while not stopping.is_set():
            some(service, 1 + next(numbers) % 4)

    writers = [threading.Thread(target=keep_writing, args=(service,)) for service in pair]
    for writer in writers:
        writer.start()
    try:
        seen, last_id = list[int](), first - 1
        for turn in range(12):
            with listen(pair[turn % 2], last_event_id=str(last_id)) as stream:
                # It may be ahead of the one that is asked.
                assert stream.begin() == last_id
                seen += [message.last_id for message in stream.take(1 + 3 * turn)]
            last_id = seen[-1]
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    assert seen == list(range(first, last_id + 1))


def test_key_that_one_revokes_ends_the_streams_of_the_other(pair: list[Service]) -> None:
    here, there = pair
    made = here.create_key(role="auditor", env="all")
    with there.client() as owner, Listener(here.client(made["key"])) as stream:
        stream.begin()
        owner.delete(f"{API}/keys/{made['id']}").raise_for_status()
        revoked = time.monotonic()
        some(there, 2)
        assert [message for message in stream if message.data is not None] == []
        assert time.monotonic() - revoked < 1
