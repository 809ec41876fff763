# SPDX-License-Identifier: Apache-2.0
"""Rates: the law of the buckets under a clock that is set, and their effect at both doors of a service."""

import asyncio
import copy
import json
from functools import partial
from itertools import accumulate, count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.errors import RateLimitedError
from ledger.web.rates import EVIDENCE_BYTES, Buckets, Rates
from tests.running import event
from tests.web.asking import API, NO_SUCH_EVENT, Clock, application, asgi_client, back_door, problem_of

SECOND = 1_000_000_000
KEY = "k"

rates = st.one_of(st.integers(1, 100_000), st.floats(0.001, 100_000))
bursts = st.integers(1, 50)
pauses = st.one_of(st.integers(0, 3 * SECOND), st.sampled_from([0, 1, SECOND - 1, SECOND, SECOND + 1]))
batches = st.one_of(st.just(1), st.integers(1, 1000))
requests = st.lists(st.tuples(pauses, batches), min_size=1, max_size=60)


def wait_of(take, *arguments):
    """How many nanoseconds a refused request has to wait; 0 when it was taken."""
    try:
        take(*arguments)
    except RateLimitedError as refusal:
        assert refusal.wait > 0
        return refusal.wait
    return 0


def ask(buckets, events, holder=KEY):
    """The wait of a request with so many events, as a service asks: before it reads the body, and after."""
    wait = wait_of(buckets.take, holder)
    return wait if wait or events == 1 else wait_of(buckets.owe, holder, events - 1)


# ------------------------------------------------------------------------------------------------------------- the law


@given(rates, bursts, requests)
def test_wait_is_exact(rate, burst, asked):
    """Who is refused is taken when the wait is over and not a nanosecond earlier; Retry-After is that, rounded up."""
    clock = Clock(0)
    buckets = Buckets(rate, burst, clock)
    for pause, events in asked:
        clock.now += pause
        if wait := ask(buckets, events):
            refused_at, retry_after = clock.now, RateLimitedError("", wait).retry_after
            for later in (wait - 1, wait, (retry_after - 1) * SECOND, retry_after * SECOND):
                clock.now = refused_at + later
                # A copy with its clock, so that trying changes nothing.
                assert (ask(copy.deepcopy(buckets), events) == 0) == (later >= wait)
            clock.now = refused_at


@given(rates, bursts, requests)
def test_no_window_holds_more_than_the_burst_the_rate_and_one_batch(rate, burst, asked):
    clock = Clock(0)
    buckets = Buckets(rate, burst, clock)
    token = max(1, round(SECOND / rate))
    taken = []
    for pause, events in asked:
        clock.now += pause
        if ask(buckets, events) == 0:
            taken.append((clock.now, events))
    for first, (start, _) in enumerate(taken):
        spent = list(accumulate(events for _, events in taken[first:]))
        for (end, events), total in zip(taken[first:], spent, strict=True):
            assert (total - events + 1) * token <= burst * token + (end - start)


@given(st.integers(1, 10**9), bursts, requests)
def test_decisions_are_those_of_a_bucket_that_is_filled(token, burst, asked):
    """The textbook's bucket: a level that rises with time up to the burst, here in tokens' worth of nanoseconds."""
    clock = Clock(0)
    buckets = Buckets(SECOND / token, burst, clock)
    token = max(1, round(SECOND / (SECOND / token)))
    level = burst * token
    for pause, events in asked:
        clock.now += pause
        level = min(burst * token, level + pause)
        taken = level >= token
        assert (ask(buckets, events) == 0) == taken
        level -= events * token if taken else 0


@given(rates, bursts, st.lists(st.tuples(st.sampled_from("abc"), pauses), max_size=60))
def test_holders_do_not_touch_each_other(rate, burst, asked):
    clock = Clock(0)
    together = Buckets(rate, burst, clock)
    alone = {holder: Buckets(rate, burst, clock) for holder in "abc"}
    for holder, pause in asked:
        clock.now += pause
        assert ask(together, 1, holder) == ask(alone[holder], 1, holder)


def test_requests_that_wait_for_their_bodies_together_run_up_one_debt():
    """All have taken their first token before any of them is counted."""
    buckets = Buckets(1, 10, Clock(0))
    for _ in range(10):
        buckets.take(KEY)
    assert [wait_of(buckets.owe, KEY, 999) > 0 for _ in range(10)] == [False] + [True] * 9


def test_looking_takes_nothing():
    buckets = Buckets(1, 1, Clock(0))
    assert [wait_of(buckets.require, KEY) for _ in range(3)] == [0, 0, 0]
    assert wait_of(buckets.take, KEY) == 0
    assert [wait_of(buckets.require, KEY) for _ in range(3)] == [SECOND] * 3


@pytest.mark.parametrize(("rate", "at_once"), [(5, 50), (0.5, 5), (0.01, 1)])
def test_burst_is_ten_seconds_worth_where_none_is_given(rate, at_once):
    buckets = Buckets(rate, clock=Clock(0))
    taken = sum(1 for _ in range(100) if wait_of(buckets.take, KEY) == 0)
    assert taken == at_once


@given(st.integers(1, 50), st.lists(st.integers(0, 200), max_size=300))
def test_memory_is_bounded_and_who_was_just_here_is_not_forgotten(remembered, holders):
    clock = Clock(0)
    buckets = Buckets(1, 1, clock, remembered=remembered)
    last_seen = {}
    for now, holder in zip(count(), map(str, holders), strict=False):
        known = holder in last_seen and len({h for h, at in last_seen.items() if at > last_seen[holder]}) < remembered
        refused = wait_of(buckets.take, holder) > 0
        assert refused or not known
        last_seen[holder] = now
        assert len(buckets) <= 2 * remembered


# -------------------------------------------------------------------------------------------------- whose bucket it is


def test_rate_of_nothing_is_no_limit():
    rates = Rates()
    for _ in range(1000):
        rates.take(KEY)
        rates.take_batch(KEY, 1000)
        rates.take_stranger(("192.0.2.1", 1))
        rates.before_lookup(("192.0.2.1", 1))
        rates.missed(("192.0.2.1", 1))
    assert wait_of(rates.take, KEY) == 0


def test_operator_has_no_bucket():
    rates = Rates(1, 1, clock=Clock(0))
    assert [wait_of(rates.take, None) for _ in range(3)] == [0, 0, 0]
    assert wait_of(rates.take_batch, None, 1000) == 0


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_address_is_that_of_a_network(one, other, shared):
    rates = Rates(stranger_rate=0.1, clock=Clock(0))
    rates.take_stranger((one, 1))
    assert (wait_of(rates.take_stranger, (other, 2)) > 0) == shared


def test_wrong_secrets_close_the_lookup_for_their_address_only():
    rates = Rates(stranger_rate=0.1, clock=Clock(0))
    here, there = ("192.0.2.1", 1), ("192.0.2.2", 1)
    rates.before_lookup(here)
    rates.missed(here)
    assert wait_of(rates.before_lookup, here) == 10 * SECOND
    assert wait_of(rates.before_lookup, there) == 0
    # Requests without any credential do not close it.
    assert wait_of(rates.take_stranger, there) == 0
    assert wait_of(rates.take_stranger, there) == 10 * SECOND
    assert wait_of(rates.before_lookup, there) == 0


# ----------------------------------------------------------------------------------------------------------- both doors


def ask_service(place, asking, **settings):
    """What `asking` gives by the front of a fresh application, and what it gives by Litestar's router alone. It gets a
    function that makes a client of a key.
    """

    async def run():
        async with application(place, **settings) as app:
            front = await asking(partial(asgi_client, app))
        async with application(place, **settings) as app:
            router = await asking(partial(asgi_client, back_door(app)))
        return [front, router]

    return asyncio.run(run())


def refusal_of(answer):
    problem = problem_of(answer, 429, "RATE_LIMITED")
    assert int(answer.headers["retry-after"]) == problem["retry_after"]
    assert 0 <= problem["retry_after"] * 1000 - problem["retry_after_ms"] < 1000
    return problem["retry_after"]


def test_key_is_limited_at_both_doors_and_others_are_not(fresh_ledger):
    place, keys = fresh_ledger

    async def ask_thrice(client_of):
        async with client_of(keys["owner_key"]) as client:
            created = (await client.post(f"{API}/keys", json={"env": "all", "label": "other"})).json()
            answers = [await client.post(f"{API}/events", content=b"{}") for _ in range(3)]
        async with client_of(created["key"]) as other:
            return answers, await other.get(f"{API}/receipts/{NO_SUCH_EVENT}")

    for answers, other in ask_service(place, ask_thrice, rate=0.01, burst=3):
        assert [answer.status_code for answer in answers] == [422, 422, 429]
        assert refusal_of(answers[2]) in (99, 100)
        assert other.status_code == 404


def test_batch_costs_its_events_and_may_exceed_the_burst(fresh_ledger):
    place, keys = fresh_ledger

    async def report_twice(client_of):
        events = [event(f"batch-{number}") for number in range(500)]
        async with client_of(keys["owner_key"]) as client:
            taken = await client.post(f"{API}/events", json={"events": events})
            return taken, await client.get(f"{API}/transparency/head")

    for taken, refused in ask_service(place, report_twice, rate=1, burst=10):
        assert taken.status_code == 200
        assert refusal_of(refused) in (490, 491)


def test_wrong_keys_are_slowed_and_keys_in_use_are_not(fresh_ledger):
    """An address that tries keys is soon refused unseen, even with a right one; a key in use there goes on working."""
    place, keys = fresh_ledger

    async def guess(client_of):
        async with client_of(keys["owner_key"]) as owner:
            created = (await owner.post(f"{API}/keys", json={"env": "all", "label": "new"})).json()
            async with client_of() as guesser:
                wrong = [
                    await guesser.get(f"{API}/receipts/{NO_SUCH_EVENT}", headers={"x-api-key": f"lk_all_{number}"})
                    for number in range(3)
                ]
            in_use = await owner.get(f"{API}/transparency/head")
        async with client_of(created["key"]) as new:
            unseen = await new.get(f"{API}/transparency/head")
        async with client_of(created["key"], remote="192.0.2.7") as new:
            elsewhere = await new.get(f"{API}/transparency/head")
        return wrong, in_use, unseen, elsewhere

    for wrong, in_use, unseen, elsewhere in ask_service(place, guess, stranger_rate=0.2):
        assert [answer.status_code for answer in wrong] == [401, 401, 429]
        assert refusal_of(wrong[2]) in (4, 5)
        assert in_use.status_code == 200
        refusal_of(unseen)
        assert elsewhere.status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/events", "/log/x/t/lk_all_wrong/checkpoint"])
def test_no_live_key_costs_the_address(fresh_ledger, path):
    async def ask(client_of):
        async with client_of() as nobody:
            return [(await nobody.get(path)).status_code for _ in range(4)]

    assert ask_service(fresh_ledger[0], ask, stranger_rate=0.3) == [[401, 401, 401, 429]] * 2


def test_validating_keys_is_guessing(fresh_ledger):
    place, keys = fresh_ledger

    async def validate(client_of):
        async with client_of(keys["owner_key"]) as owner:
            return [await owner.post(f"{API}/keys/validate", json={"key": f"lk_all_{n}"}) for n in range(3)]

    for answers in ask_service(place, validate, stranger_rate=0.2):
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[1].json() == {"valid": False}


@pytest.mark.parametrize("path", [f"{API}/receipts/verify", f"{API}/transparency/roots/verify"])
def test_evidence_to_verify_costs_by_its_size(fresh_ledger, path):
    async def verify(client_of):
        async with client_of() as nobody:
            return [await nobody.post(path, content=b"[" * (3 * EVIDENCE_BYTES)) for _ in range(3)]

    for answers in ask_service(fresh_ledger[0], verify, stranger_rate=0.1):
        assert [answer.status_code for answer in answers] == [200, 429, 429]
        assert json.loads(answers[0].content)["verified"] is False
        assert refusal_of(answers[1]) in (39, 40)


def test_what_is_public_costs_nothing(fresh_ledger):
    async def read(client_of):
        async with client_of() as nobody:
            paths = ["/health", "/ready", "/status", "/root/checkpoint", f"{API}/transparency/roots"]
            return {(await nobody.get(path)).status_code for path in paths * 3}

    assert ask_service(fresh_ledger[0], read, stranger_rate=0.1) == [{200}, {200}]
