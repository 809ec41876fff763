# SPDX-License-Identifier: Apache-2.0
"""Who asks too fast: token buckets, one per API key and one per address that shows no live key.

A bucket holds `burst` tokens and gets `rate` a second. A request is taken while its bucket holds a whole token, and
costs one; a batch of n events costs n. What a batch costs beyond the tokens at hand is a debt that later seconds pay
before the next request is taken. So a batch larger than the burst is possible, and the tokens spent in any time t are
at most `burst + rate·t` and one batch more.

All that is kept of a bucket is the instant at which it is full again, in nanoseconds of a clock that never goes back
(the generic cell rate algorithm, ITU-T I.371). From it the time to wait is known exactly: if none comes between, a
request sent so much later is taken, and one sent a nanosecond earlier is not. Retry-After says it in whole seconds,
rounded up.

Buckets belong to a process: several processes on one database each give a key the whole rate.
"""

import ipaddress
import time
from collections.abc import Callable

from ledger.log.errors import RateLimitedError

REMEMBERED = 20_000
"""Buckets that are surely remembered; at most twice as many are held, some 200 bytes each."""
BURST_SECONDS = 10
"""A burst is what comes together in so many seconds, where nothing else was asked for."""
EVIDENCE_BYTES = 1 << 16
"""Evidence that anybody may have verified costs a token for so many bytes."""
_SECOND = 1_000_000_000

Address = tuple[str, int] | None
"""Host and port of a caller; None at the operator's socket."""


class Buckets:
    """Buckets of one size for many holders. Who was never seen has a full one, and who was long not seen, too."""

    def __init__(
        self,
        rate: float,
        burst: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        remembered: int = REMEMBERED,
    ) -> None:
        self._token = max(1, round(_SECOND / rate))
        self._depth = (burst or max(1, round(rate * BURST_SECONDS))) * self._token
        self._clock = clock
        # When each bucket is full again. The younger half becomes the older one when it has grown to its size, so
        # forgetting costs nothing per request, and nobody is forgotten before `remembered` others have come.
        self._full: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._remembered = remembered

    def take(self, holder: str) -> None:
        """Take one token. Raises RateLimitedError when there is none, and takes nothing then."""
        now = self._clock()
        full = self._full.get(holder)
        if full is None:
            full = self._recall(holder)
        full = (full if full > now else now) + self._token
        if full - now > self._depth:
            raise _too_fast(full - now - self._depth)
        self._full[holder] = full

    def owe(self, holder: str, tokens: int) -> None:
        """Pay the rest of a request that has taken its first token; what is not there becomes a debt.

        Raises RateLimitedError when there is a debt already: requests that wait for their bodies at the same time
        cannot each run up one.
        """
        now = self._clock()
        full = max(self._recall(holder), now)
        if full - now > self._depth:
            raise _too_fast(full + self._token - now - self._depth)
        self._full[holder] = full + tokens * self._token

    def require(self, holder: str) -> None:
        """Raises RateLimitedError when `take` would; takes nothing."""
        now = self._clock()
        wait = max(self._recall(holder), now) + self._token - now - self._depth
        if wait > 0:
            raise _too_fast(wait)

    def __len__(self) -> int:
        return len(self._full) + len(self._older)

    def _recall(self, holder: str) -> int:
        full = self._full.get(holder)
        if full is not None:
            return full
        if len(self._full) >= self._remembered:
            self._older, self._full = self._full, {}
        return self._older.get(holder, 0)


class Rates:
    """What a service limits. A rate of 0 is no limit.

    Wrong credentials cost twice: like every request without a live one they cost the address a token, and beyond that
    a miss costs it one of those that secrets never seen here need in order to be looked up at all. So guessing is slow
    whatever the answers say, and keys that are in use keep working from an address that guesses.
    """

    def __init__(
        self,
        rate: float = 0,
        burst: int = 0,
        stranger_rate: float = 0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._keys = Buckets(rate, burst, clock) if rate else None
        self._strangers = Buckets(stranger_rate, clock=clock) if stranger_rate else None
        self._misses = Buckets(stranger_rate, clock=clock) if stranger_rate else None
        self._evidence = Buckets(stranger_rate, clock=clock) if stranger_rate else None

    def take(self, key_id: str | None) -> None:
        """A request of a live key; None is the operator, who has no limit. Raises RateLimitedError."""
        if self._keys is not None and key_id is not None:
            self._keys.take(key_id)

    def take_batch(self, key_id: str | None, events: int) -> None:
        """The events of a request that `take` has let in, once they are counted. Raises RateLimitedError."""
        if events > 1 and self._keys is not None and key_id is not None:
            self._keys.owe(key_id, events - 1)

    def take_stranger(self, address: Address) -> None:
        """A request without a live credential. Raises RateLimitedError."""
        if self._strangers is not None:
            self._strangers.take(network_of(address))

    def take_evidence(self, address: Address) -> None:
        """Evidence that anybody may have verified. Raises RateLimitedError."""
        if self._evidence is not None:
            self._evidence.take(network_of(address))

    def take_evidence_bytes(self, address: Address, size: int) -> None:
        """The bytes of evidence that `take_evidence` has let in: reading them takes its time. Raises
        RateLimitedError.
        """
        if self._evidence is not None:
            self._evidence.owe(network_of(address), size // EVIDENCE_BYTES)

    def before_lookup(self, address: Address) -> None:
        """Before a secret never seen here is looked up. Raises RateLimitedError."""
        if self._misses is not None:
            self._misses.require(network_of(address))

    def missed(self, address: Address) -> None:
        """A secret that was looked up is nobody's."""
        if self._misses is not None:
            self._misses.owe(network_of(address), 1)


def network_of(address: Address) -> str:
    """Whose bucket it is: an IPv4 address, or the /64 of an IPv6 one, of which everybody has 2^64."""
    host = "" if address is None else address[0]
    if ":" not in host:
        return host
    try:
        return ipaddress.IPv6Address(host.partition("%")[0]).exploded[:19]
    except ValueError:
        return host


def _too_fast(wait: int) -> RateLimitedError:
    return RateLimitedError("too many requests from you: send the next one when `retry_after` is over", wait)
