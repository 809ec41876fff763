# SPDX-License-Identifier: Apache-2.0
"""Tokens: JWTs (RFC 7519) that this service signs with Ed25519 and takes back, for members' sessions and for agents.

A token says whose it is, of which session, and at which leaf that began. Whether it still holds is asked of the fold
each time: the member or the credential is live, the session was not ended, and nothing that ends all sessions before it
stands at a later leaf. So a revocation needs no list of tokens, and bites on the very next request.

The signing key is derived from the master key. Who seals the vault under a new one ends all sessions.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from ledger.log.errors import NotFoundError, UnauthorizedError
from ledger.log.fold import State
from ledger.log.ledger import Ledger
from ledger.log.vault import Vault
from ledger.log.working_copy import Log
from ledger.tenant.state import Credential, Member, TenantState
from ledger.web.rates import Address, Rates

ACCESS_SECONDS = 15 * 60
REFRESH_SECONDS = 7 * 86_400
AGENT_SECONDS = 3600
SESSION_SECONDS = 12 * 3600
REMEMBERED = 20_000

Use = Literal["session", "access", "refresh", "agent"]
"""What a token is good for: a cookie, a script's requests, new tokens for it, an agent's requests."""

_ALGORITHMS = ["Ed25519"]


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token says. `iss` is the origin of the tenant's log, `sub` the member or the agent, `at` the leaf at which
    the session `sid` began; times are seconds since the epoch. Renewed tokens end by `until`.
    """

    iss: str
    sub: str
    use: Use
    sid: str
    at: int
    iat: int
    exp: int
    until: int
    tenant_id: str
    credential_id: str | None = None


class Tokens:
    """Signs tokens and reads them again."""

    def __init__(self, vault: Vault) -> None:
        private = Ed25519PrivateKey.from_private_bytes(vault.derive("tokens"))
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key = OKPKey.import_key(pem)
        self._header = {"alg": _ALGORITHMS[0], "kid": self._key.thumbprint()}

    def sign(self, claims: Claims) -> str:
        return jwt.encode(self._header, msgspec.to_builtins(claims), self._key, algorithms=_ALGORITHMS)

    def read(self, token: str) -> Claims:
        """What a token of ours says, which may be out of date. Raises UnauthorizedError."""
        try:
            said = jwt.decode(token, self._key, algorithms=_ALGORITHMS).claims
            return msgspec.convert(said, Claims)
        except (JoseError, msgspec.ValidationError, ValueError, TypeError):
            raise UnauthorizedError("the token is not one of this service") from None

    def public_keys(self) -> dict[str, Any]:
        """The JWK set (RFC 7517) with which others can verify tokens."""
        public = {**self._key.as_dict(private=False), "use": "sig", "alg": _ALGORITHMS[0], "kid": self._header["kid"]}
        return {"keys": [public]}


def live_member(state: State, claims: Claims, now: int) -> Member:
    """The member of a token that holds now. Raises UnauthorizedError."""
    tenant = state[TenantState]
    member = tenant.members.get(claims.sub)
    _require_time(claims, now)
    if member is None or member.status != "active":
        raise UnauthorizedError("the member is not active")
    if claims.sid in tenant.ended or claims.at <= member.sessions_from:
        raise UnauthorizedError("the session has ended")
    return member


def live_credential(state: State, claims: Claims, now: int) -> Credential:
    """The agent's credential by which a token was got that holds now. Raises UnauthorizedError."""
    tenant = state[TenantState]
    credential = tenant.credentials.get(claims.credential_id or "")
    _require_time(claims, now)
    if credential is None or credential.agent_id != claims.sub or not credential.is_live(now):
        raise UnauthorizedError("the agent's credential is not live")
    if claims.sid in tenant.ended or claims.at <= tenant.agents_from.get(claims.sub, -1):
        raise UnauthorizedError("the token was revoked")
    return credential


def _require_time(claims: Claims, now: int) -> None:
    if now >= claims.exp * 1000:
        raise UnauthorizedError("the token has expired")


class Found(NamedTuple):
    """Whose token it is."""

    log: Log
    claims: Claims
    owner: Member | Credential


class TokenResolver:
    """From tokens to their owners. That a signature is good never changes, so it is remembered; whether the token holds
    is not.
    """

    def __init__(self, ledger: Ledger, tokens: Tokens, rates: Rates) -> None:
        self._ledger = ledger
        self._tokens = tokens
        self._rates = rates
        self._read: OrderedDict[bytes, tuple[int, Claims]] = OrderedDict()

    def recall(self, token: str) -> Found | None:
        """The same for a token that was seen before, without asking the store; None for every other text."""
        known = self._read.get(_digest(token))
        log = None if known is None else self._ledger.loaded(known[0])
        return None if known is None or log is None else self._live(log, known[1])

    def resolve(self, token: str, address: Address) -> Found:
        """Raises UnauthorizedError for what is no live token of requests, RateLimitedError from an address that has
        tried too many.
        """
        self._rates.before_lookup(address)
        try:
            claims = self._tokens.read(token)
            if claims.use == "refresh":
                raise UnauthorizedError("this token gets new ones at /auth/refresh, and is good for nothing else")
            log = self._ledger.find_log(lambda record: record.origin == claims.iss)
        except (UnauthorizedError, NotFoundError) as error:
            self._rates.missed(address)
            raise UnauthorizedError(error.message) from None
        if claims.at >= log.committed.head.size:
            # Another process issued it a moment ago.
            self._ledger.catch_up(log)
        self._read[_digest(token)] = log.number, claims
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return self._live(log, claims)

    def _live(self, log: Log, claims: Claims) -> Found:
        self._ledger.require_current()
        state, now = log.committed.state, self._ledger.clock()
        owner = live_credential(state, claims, now) if claims.use == "agent" else live_member(state, claims, now)
        return Found(log, claims, owner)


def _digest(token: str) -> bytes:
    return blake2b(token.encode("utf-8", "surrogateescape"), digest_size=32).digest()
