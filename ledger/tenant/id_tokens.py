# SPDX-License-Identifier: Apache-2.0
"""ID tokens of OpenID providers (OpenID Connect Core 1.0 §3.1.3.7): what one must be before anything it says counts.

Only signatures that the provider alone can make are taken: never none, and never an HMAC, whose key would be public.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from ledger.log.errors import ForbiddenError

KINDS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "Ed25519": ("OKP", "Ed25519"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""The algorithms that are taken, with key type and curve of each."""

LEEWAY_SECONDS = 60
"""By how much the clocks of provider and service may differ."""
MAX_AGE_SECONDS = 600
"""How long ago a token may have been made: it is for the login that just asked for it."""
_MIN_RSA_BITS = 2048
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}")
# No control characters, and no halves of characters, which no text has.
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")


class SsoRefusedError(ForbiddenError):
    """Nobody is logged in. `reason` is one word for the page that the browser returns to."""

    code = "SSO_REFUSED"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


class UnknownKeyError(Exception):
    """No key of the provider is the one that a token names: perhaps the provider has a new one."""


class Identity(NamedTuple):
    """Who somebody is, as a provider says. `email` is None where it says none that is one, or does not vouch for it."""

    subject: str
    email: str | None
    name: str | None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nonce: str
    azp: str | None = None
    email: str | None = None
    email_verified: bool | str | None = None
    name: str | None = None


def verify(
    token: str,
    keys: Sequence[Mapping[str, Any]],
    algorithms: Sequence[str],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: int,
) -> Identity:
    """Who a token says somebody is. `keys` are the provider's JWKs (RFC 7517), `now` is in milliseconds.

    Raises SsoRefusedError for what is no token of this provider for this client and login, UnknownKeyError when its key
    is not among these.
    """
    algorithm, key_id = _header(token)
    if algorithm not in KINDS or algorithm not in algorithms:
        raise _refused(f"is signed with {algorithm[:20]!r}, which is not taken")
    candidates = [key for key in keys if _fits(key, algorithm, key_id)]
    if not candidates:
        raise UnknownKeyError
    claims = next((found for key in candidates if (found := _signed(token, key, algorithm)) is not None), None)
    if claims is None:
        raise _refused("is not signed by the provider")
    _require_for(claims, issuer, client_id, nonce)
    _require_time(claims, now // 1000)
    vouched = claims.email_verified is not False and str(claims.email_verified).lower() != "false"
    email = claims.email if vouched and _EMAIL.fullmatch(claims.email or "") else None
    return Identity(claims.sub, email, claims.name if _NAME.fullmatch(claims.name or "") else None)


def _header(token: str) -> tuple[str, str | None]:
    """Algorithm and key id, before anything is verified."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        raise _refused("is no signed JWT") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(key_id, str | None):
        raise _refused("has a header that is none")
    return algorithm, key_id


def _fits(key: Mapping[str, Any], algorithm: str, key_id: str | None) -> bool:
    """Whether a key may be the one: of the algorithm's type, for signatures, and of the id if one is named."""
    kind, curve = KINDS[algorithm]
    return (
        key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (key_id is None or key.get("kid") == key_id)
    )


def _signed(token: str, key: Mapping[str, Any], algorithm: str) -> _Claims | None:
    """What a token says, None where it is not signed with this key."""
    try:
        imported = import_key({name: value for name, value in key.items() if name != "d"})
        raw = imported.raw_value
        if isinstance(raw, RSAPublicKey) and raw.key_size < _MIN_RSA_BITS:
            return None
        said = jwt.decode(token, imported, algorithms=[algorithm]).claims
    except (JoseError, ValueError, TypeError):
        # Also a key that is none: another one may have signed.
        return None
    try:
        return msgspec.convert(said, _Claims)
    except msgspec.ValidationError as error:
        raise _refused(f"does not say what it must: {error}") from None


def _require_for(claims: _Claims, issuer: str, client_id: str, nonce: str) -> None:
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.iss != issuer:
        raise _refused("is of another issuer")
    if client_id not in audiences:
        raise _refused("is for another client")
    if claims.azp != client_id and (claims.azp is not None or len(audiences) > 1):
        raise _refused("was made for another client")
    if not hmac.compare_digest(claims.nonce.encode("utf-8", "surrogatepass"), nonce.encode()):
        raise _refused("is of another login")
    if not 0 < len(claims.sub) <= 255:
        raise _refused("does not say who it is about")


def _require_time(claims: _Claims, now: int) -> None:
    # In this form, since comparisons with what is no number are false.
    if not now < claims.exp + LEEWAY_SECONDS:
        raise _refused("has expired")
    if not now - MAX_AGE_SECONDS - LEEWAY_SECONDS <= claims.iat <= now + LEEWAY_SECONDS:
        raise _refused("was not made just now")


def _refused(why: str) -> SsoRefusedError:
    return SsoRefusedError("token", f"the provider's ID token {why}")
