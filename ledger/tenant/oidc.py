# SPDX-License-Identifier: Apache-2.0
"""OpenID providers (OpenID Connect Core 1.0 and Discovery 1.0): where they are, and the authorization code flow with
PKCE (RFC 7636).

What a provider answers is a stranger's: bounded in size and time, never followed elsewhere, taken only where its
metadata name the very issuer that was asked for, and never shown to callers.
"""

import asyncio
import base64
import hashlib
import re
import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec

from ledger.log.errors import LedgerError, UnavailableError
from ledger.tenant.id_tokens import KINDS, Identity, SsoRefusedError, UnknownKeyError, verify

MAX_BYTES = 256 * 1024
SECONDS = 10
"""How much a provider may answer, and how long it may take."""
KEPT_SECONDS = 3600
REMEMBERED = 1000

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_URL = re.compile(r"[!-~]{1,2000}")
_ERROR = re.compile(r"[a-z_]{1,40}")

_Result = TypeVar("_Result")


class ProviderError(UnavailableError):
    """A provider cannot be reached, or does not answer as OpenID Connect has it."""

    code = "SSO_PROVIDER_ERROR"


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself (Discovery 1.0 §3), as far as it matters here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False

    @property
    def algorithms(self) -> list[str]:
        """Signatures of ID tokens that the provider makes and the service takes."""
        return [name for name in KINDS if name in self.id_token_signing_alg_values_supported]


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


class Client(NamedTuple):
    """What the service is to a provider. `secret` is None for a public client."""

    issuer: str
    client_id: str
    secret: str | None


class Attempt(msgspec.Struct, frozen=True):
    """What tells one login from all others, known to nobody else until it is used."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Attempt":
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))


def refusal_of_url(url: str, *, plain: bool = False) -> str | None:
    """Why nothing is asked at an address, None when it may be. Without TLS only at this machine, where `plain`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if _URL.fullmatch(url) is None or not host:
        return "is no URL"
    if "@" in parts.netloc or parts.fragment:
        return "has a user or a fragment"
    if parts.scheme != "https" and not (plain and parts.scheme == "http" and host in _LOOPBACK):
        return "is not https"
    return None


def refusal_of_issuer(issuer: str) -> str | None:
    """Why an issuer cannot be configured, None when it can."""
    return refusal_of_url(issuer, plain=True) or ("has a query" if "?" in issuer else None)


class Providers:
    """Asks providers. What they say of themselves is kept for an hour."""

    def __init__(self) -> None:
        self._metadata = _Kept[Metadata]()
        self._keys = _Kept[list[dict[str, Any]]]()

    async def metadata(self, issuer: str, *, fresh: bool = False) -> Metadata:
        """Raises ProviderError."""

        async def discover() -> Metadata:
            found = await _ask(f"{issuer.rstrip('/')}/.well-known/openid-configuration", Metadata)
            if found.issuer != issuer:
                raise ProviderError("the provider says that it is another issuer")
            for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                # Who is reached over the net does not send us to services of this machine.
                refusal = refusal_of_url(url, plain=issuer.startswith("http:"))
                if refusal is not None:
                    raise ProviderError(f"one of the provider's endpoints {refusal}")
            if not found.algorithms:
                raise ProviderError(f"the provider signs with none of {', '.join(KINDS)}")
            return found

        return await self._metadata.get(issuer, discover, fresh)

    async def keys(self, metadata: Metadata, *, fresh: bool = False) -> list[dict[str, Any]]:
        """The provider's public keys. Raises ProviderError."""

        async def fetch() -> list[dict[str, Any]]:
            return (await _ask(metadata.jwks_uri, _KeySet)).keys

        return await self._keys.get(metadata.jwks_uri, fetch, fresh)

    async def authorization_url(self, client: Client, attempt: Attempt, redirect_uri: str) -> str:
        """Where a browser goes to log in. Raises ProviderError."""
        endpoint = (await self.metadata(client.issuer)).authorization_endpoint
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def identify(
        self, client: Client, attempt: Attempt, code: str, told: str | None, redirect_uri: str, clock: Callable[[], int]
    ) -> Identity:
        """Who came back with a code, by the ID token that it stands for. `told` is the issuer that the answer names
        (RFC 9207), None where it names none. Raises ProviderError, SsoRefusedError.
        """
        metadata = await self.metadata(client.issuer)
        if told != client.issuer and (told is not None or metadata.authorization_response_iss_parameter_supported):
            raise SsoRefusedError("issuer", "the answer is of another provider")
        token = await _exchange(client, metadata, attempt.verifier, code, redirect_uri)
        for fresh in (False, True):
            keys = await self.keys(metadata, fresh=fresh)
            try:
                return verify(
                    token,
                    keys,
                    metadata.algorithms,
                    issuer=client.issuer,
                    client_id=client.client_id,
                    nonce=attempt.nonce,
                    now=clock(),
                )
            except UnknownKeyError:
                # The provider may have a new one. Asked once more, and not again.
                continue
        raise SsoRefusedError("token", "the provider's ID token is signed with a key that is not the provider's")


async def _exchange(client: Client, metadata: Metadata, verifier: str, code: str, redirect_uri: str) -> str:
    """The ID token for a code (RFC 6749 §4.1.3)."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    headers = {}
    methods = metadata.token_endpoint_auth_methods_supported
    if client.secret is None:
        form["client_id"] = client.client_id
    elif "client_secret_basic" in methods:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif "client_secret_post" in methods:
        form |= {"client_id": client.client_id, "client_secret": client.secret}
    else:
        raise ProviderError("the provider takes no client secret")
    return (await _ask(metadata.token_endpoint, _Tokens, form, headers)).id_token


async def _ask(
    url: str, shape: type[_Result], form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> _Result:
    """A JSON document of a provider: fetched, or the answer to a form. Redirects are not followed."""
    # Compressed, a short answer could be a long one.
    sent = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
    method = "GET" if form is None else "POST"
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(verify=_tls(), follow_redirects=False) as client,
            client.stream(method, url, headers=sent, data=form) as answer,
        ):
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ProviderError(f"the provider's answer has more than {MAX_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise ProviderError("the provider cannot be reached", cause=repr(error)) from error
    if form is not None and answer.status_code in (400, 401, 403):
        raise _refusal(bytes(body))
    if answer.status_code != 200:
        raise ProviderError(f"the provider answered with status {answer.status_code}")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError("the provider's answer is not what OpenID Connect has there", cause=error) from None


def _refusal(body: bytes) -> LedgerError:
    """Why a provider gives no token for a code."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        error = ""
    if error == "invalid_grant":
        return SsoRefusedError("code", "the provider does not take the code: it was used, or is too old")
    told = error if _ERROR.fullmatch(error) else "no error that is known"
    return ProviderError(f"the provider refuses this service as its client: {told}")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading all certificates takes longer than most requests.
    return ssl.create_default_context()


def _challenge(verifier: str) -> str:
    """The S256 code challenge (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class _Kept(Generic[_Result]):
    """What was fetched, for a while. Who asks while it is being fetched waits for the same; a failure is not kept."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[asyncio.Future[_Result], float]] = OrderedDict()

    async def get(self, name: str, fetch: Callable[[], Awaitable[_Result]], fresh: bool) -> _Result:
        future, until = self._found.get(name, (None, 0.0))
        if future is None or until < time.monotonic() or (fresh and future.done()):
            future = asyncio.ensure_future(fetch())
            self._found[name] = future, time.monotonic() + KEPT_SECONDS
            if len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        try:
            # Whoever leaves, the others wait on.
            return await asyncio.shield(future)
        except LedgerError:
            if self._found.get(name, (None, 0.0))[0] is future:
                del self._found[name]
            raise
