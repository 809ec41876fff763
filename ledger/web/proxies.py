# SPDX-License-Identifier: Apache-2.0
"""Whose address a request has that came by way of proxies.

A proxy puts the address of whoever called it behind those that X-Forwarded-For has already. So that header is true from
its right end as far as proxies of our own wrote it, and left of that it says what anybody wants. Where the other end of
the connection is no proxy of ours, all of it does.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ledger.log.errors import ConfigurationError
from ledger.web.rates import Address

_HEADER = b"x-forwarded-for"

_IP = IPv4Address | IPv6Address


class Proxies:
    """The proxies that are believed: those whose addresses lie in one of these networks."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Networks as in `10.1.0.0/16`; an address alone is one of itself. Raises ConfigurationError."""
        try:
            self._networks = [ip_network(network) for network in networks]
        except ValueError as error:
            raise ConfigurationError(f"a proxy is named by its address or its network: {error}") from None

    def client(self, peer: Address, headers: Iterable[tuple[bytes, bytes]]) -> Address:
        """Who asks by a connection whose other end is `peer`: the last one to call a proxy of ours who is none himself.

        Where all are proxies it is the first of them. What is no address ends the search, with the one who sent it.
        """
        if not self._networks or peer is None:
            return peer
        nearest = _parsed(peer[0])
        if nearest is None or not self._has(nearest):
            return peer
        for caller in reversed(_forwarded(headers)):
            found = _parsed(caller)
            if found is None:
                break
            nearest = found
            if not self._has(found):
                break
        # The port is the proxy's own, and nobody's business.
        return str(nearest), 0

    def _has(self, address: _IP) -> bool:
        return any(address in network for network in self._networks)


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> Sequence[str]:
    """All that X-Forwarded-For says; several headers of the name are one list (RFC 9110 §5.3)."""
    lines = [value.decode("latin-1") for name, value in headers if name == _HEADER]
    return ",".join(lines).split(",") if lines else ()


def _parsed(text: str) -> _IP | None:
    """An address, with or without a port; of an IPv4 one in the dress of IPv6 what is inside."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
