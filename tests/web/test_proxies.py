# SPDX-License-Identifier: Apache-2.0
"""Whose address a request has behind proxies: the law, and that the rates of both doors follow it."""

import asyncio
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.errors import ConfigurationError
from ledger.web.proxies import Proxies
from tests.running import Service
from tests.web.asking import API, application, asgi_client
from tests.web.wire import Wire, request

OURS = Proxies(["10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"])

proxies = st.sampled_from(["10.0.0.1", "10.255.0.9", "192.0.2.7", "2001:db8:1::5"])
others = st.one_of(
    st.ip_addresses(network="203.0.113.0/24").map(str),
    st.ip_addresses(network="2001:db8:2::/48").map(str),
    st.just("192.0.2.8"),
)
lies = st.one_of(proxies, others, st.text(alphabet="0123456789abcdef.:[], x", max_size=20))
forms = st.sampled_from(["{}", " {} ", "\t{}"])


def headers(callers, cut=()):
    """X-Forwarded-For with these callers, in several lines where it is cut, among other headers."""
    lines = [[]]
    for place, caller in enumerate(callers):
        lines[-1].append(caller)
        if place in cut:
            lines.append([])
    fields = [(b"x-forwarded-for", ",".join(line).encode("latin-1")) for line in lines if line]
    return [(b"host", b"ledger.test"), *fields, (b"forwarded", b"for=198.51.100.1")]


def dressed(address, form):
    """An address as some proxy might write it."""
    kind = ip_address(address)
    ported = f"[{address}]:4711" if kind.version == 6 else f"{address}:4711"
    mapped = address if kind.version == 6 else f"::ffff:{address}"
    return {0: address, 1: ported, 2: mapped, 3: f"[{address}]" if kind.version == 6 else address}[form]


@given(st.lists(lies, max_size=4), others, st.lists(proxies, max_size=4), proxies, st.data())
def test_client_is_who_called_the_first_of_the_proxies_behind_it(said, client, chain, peer, data):
    """Whatever the client says of itself."""
    written = [dressed(address, data.draw(st.integers(0, 3))) for address in (client, *chain)]
    callers = [*said, *(data.draw(forms).format(address) for address in written)]
    cut = data.draw(st.sets(st.integers(0, len(callers))))
    found = OURS.client((peer, 50000), headers(callers, cut))
    assert ip_address(found[0]) == ip_address(client)


@given(st.lists(lies, max_size=4), others, st.integers(1, 65535))
def test_nobody_else_is_believed(said, peer, port):
    assert OURS.client((peer, port), headers(said)) == (peer, port)
    assert Proxies().client((peer, port), headers(said)) == (peer, port)
    assert OURS.client(None, headers(said)) is None


@given(st.lists(proxies, max_size=4), proxies, st.sampled_from(["", "unknown", "_hidden", "10.0.0", "1.2.3.4.5"]))
def test_search_ends_at_what_is_no_address(chain, peer, nonsense):
    callers = ["203.0.113.1", nonsense, *chain]
    assert OURS.client((peer, 1), headers(callers))[0] == [*chain, peer][0]


@given(st.lists(proxies, min_size=1, max_size=4), proxies)
def test_where_all_are_proxies_it_is_the_first(chain, peer):
    assert OURS.client((peer, 1), headers(chain))[0] == chain[0]


@pytest.mark.parametrize("wrong", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "::1/129"])
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="named by its address or its network"):
        Proxies([wrong])


HOT = f"{API}/receipts/01a20000-0000-7000-8000-000000000000"


@pytest.mark.any_store("the store is not asked")
@pytest.mark.parametrize("path", [HOT, f"{API}/keys"], ids=["hot", "other"])
def test_both_doors_count_strangers_by_the_address_behind_the_proxy(fresh_ledger, path):
    place, _ = fresh_ledger

    async def ask(peer, caller):
        async with (
            application(place, proxies=("127.0.0.0/8",), stranger_rate=0.001) as app,
            asgi_client(app, remote=peer) as client,
        ):
            said = [("203.0.113.1", caller(number)) for number in range(3)]
            answers = [await client.get(path, headers={"x-forwarded-for": ", ".join(pair)}) for pair in said]
            return [answer.status_code for answer in answers]

    def one(number):
        return "198.51.100.1"

    def another(number):
        return f"198.51.100.{number}"

    assert asyncio.run(ask("127.0.0.1", one)) == [401, 429, 429]
    assert asyncio.run(ask("127.0.0.1", another)) == [401, 401, 401]
    # Who is no proxy counts by his own address, whatever he says.
    assert asyncio.run(ask("192.0.2.1", another)) == [401, 429, 429]


@pytest.mark.any_store("the store is not asked")
@pytest.mark.parametrize("path", [HOT, f"{API}/keys"], ids=["hot", "other"])
@pytest.mark.parametrize("flags", [(), ("--proxy", "127.0.0.1")], ids=["undeclared", "declared"])
def test_service_believes_only_proxies_that_were_declared(fresh_ledger, path, flags):
    """The server itself would believe whatever comes from this machine."""
    place, keys = fresh_ledger
    with Service(place, keys, "--stranger-rate", "0.001", *flags) as service, Wire(service) as wire:
        statuses = []
        for caller in range(3):
            wire.send(request(target=path, x_forwarded_for=f"198.51.100.{caller}"))
            statuses.append(wire.answer().status)
    assert statuses == ([401, 401, 401] if flags else [401, 429, 429])
