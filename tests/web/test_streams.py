# SPDX-License-Identifier: Apache-2.0
"""Who follows logs: news reach those whom they concern, room is bounded, and nobody is remembered who has gone."""

import asyncio
import gc
import threading
from types import SimpleNamespace

import pytest

from ledger.log.errors import UnavailableError
from ledger.web.streams import Streams


def log(number):
    return SimpleNamespace(number=number)


def streams(most=8):
    sequencer = SimpleNamespace(on_commit=None)
    made = Streams(sequencer, most, 15)
    assert sequencer.on_commit == made.told
    return made


async def has_news(follower):
    """Whether there are news before long."""
    before = asyncio.get_running_loop().time()
    await follower.wait(0.3)
    return asyncio.get_running_loop().time() - before < 0.25


def test_news_are_for_those_who_follow_that_log():
    async def run():
        every = streams()
        one, same, other = every.follow(log(1)), every.follow(log(1)), every.follow(log(2))
        # From the writer's thread, as it is.
        teller = threading.Thread(target=every.told, args=(log(1),))
        teller.start()
        heard = await asyncio.gather(*map(has_news, (one, same, other)))
        teller.join()
        return heard, await asyncio.gather(*map(has_news, (one, same, other)))

    assert asyncio.run(run()) == ([True, True, False], [False, False, False])


def test_many_news_are_passed_on_together():
    async def run():
        every = streams()
        follower = every.follow(log(1))
        times = 0
        for _ in range(20):
            for _ in range(50):
                every.told(log(1))
            await asyncio.sleep(0)
            times += follower.news.is_set()
            follower.news.clear()
        return times, await has_news(follower)

    times, later = asyncio.run(run())
    assert times <= 1 and (times or later)


def test_nobody_is_told_where_nobody_follows():
    every = streams()
    every.told(log(1))

    async def run():
        every.leave(every.follow(log(1)))
        every.told(log(1))
        return len(every)

    assert asyncio.run(run()) == 0


def test_room_is_bounded_and_is_free_again_when_somebody_goes():
    async def run():
        every = streams(2)
        kept, leaving = every.follow(log(1)), every.follow(log(2))
        with pytest.raises(UnavailableError, match="2 streams are open"):
            every.follow(log(3))
        every.leave(leaving)
        every.leave(leaving)
        forgotten = every.follow(log(3))
        with pytest.raises(UnavailableError):
            every.follow(log(3))
        # As when its connection broke before it began.
        del forgotten
        gc.collect()
        every.follow(log(4))
        return kept

    assert asyncio.run(run()).log.number == 1


def test_end_is_for_all_and_for_good():
    async def run():
        every = streams()
        followers = [every.follow(log(number)) for number in range(3)]
        every.end()
        assert every.ended
        with pytest.raises(UnavailableError, match="shutting down"):
            every.follow(log(1))
        return await asyncio.gather(*map(has_news, followers))

    assert asyncio.run(run()) == [True, True, True]


def test_what_many_ask_for_at_once_is_read_once():
    async def run():
        every, reads, go_on = streams(), [], threading.Event()

        def read():
            reads.append(1)
            go_on.wait(10)
            return len(reads)

        waiting = [asyncio.ensure_future(every.read("place", read)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go_on.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        return [str(each) for each in found[1:]], await every.read("place", read)

    assert asyncio.run(run()) == (["1"] * 4, 2)


def test_error_of_a_read_is_everybody_s():
    async def run():
        every = streams()

        def read():
            raise UnavailableError("no")

        return await asyncio.gather(*(every.read("place", read) for _ in range(3)), return_exceptions=True)

    assert [type(error) for error in asyncio.run(run())] == [UnavailableError] * 3
