# SPDX-License-Identifier: Apache-2.0
"""ID tokens: what is right is taken, and nothing that differs from it in a single respect."""

import base64
import hmac
import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ledger.tenant.id_tokens import KINDS, Identity, SsoRefusedError, UnknownKeyError, verify
from tests.tenant.sso.hostile import KEYS, public, signed

NOW = 1_800_000_000
ISSUER, CLIENT, NONCE = "https://id.example.org", "ledger", "n-1"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "ada",
    "aud": CLIENT,
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": NONCE,
    "email": "ada@example.org",
    "email_verified": True,
    "name": "Ada",
}
ALL = public(*(KEYS[name] for name in ("RS256", "ES256", "Ed25519")))

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")


def read(token: str, keys: list[dict[str, Any]] = ALL, algorithms: tuple[str, ...] = tuple(KINDS)) -> Identity:
    return verify(token, keys, algorithms, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now=NOW * 1000)


def refused(token: str, keys: list[dict[str, Any]] = ALL, algorithms: tuple[str, ...] = tuple(KINDS)) -> str:
    with pytest.raises((SsoRefusedError, UnknownKeyError)) as error:
        read(token, keys, algorithms)
    return str(error.value)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", KINDS)
def test_token_of_the_provider_says_who_it_is(algorithm: str) -> None:
    assert read(signed(CLAIMS, algorithm)) == Identity("ada", "ada@example.org", "Ada")
    assert read(signed(CLAIMS, algorithm, kid=None)).subject == "ada"


@pytest.mark.parametrize("algorithm", KINDS)
def test_algorithm_that_the_provider_does_not_name_is_refused(algorithm: str) -> None:
    others = tuple(name for name in KINDS if name != algorithm)
    assert "not taken" in refused(signed(CLAIMS, algorithm), algorithms=others)


def test_token_without_a_signature_is_refused() -> None:
    for header in ({"alg": "none"}, {"alg": "none", "kid": "rsa"}, {"alg": "None"}, {}, {"alg": None}, {"alg": 7}, []):
        for signature in ("", "x"):
            refused(f"{part(header)}.{part(CLAIMS)}.{signature}", algorithms=("none", *KINDS))


@pytest.mark.parametrize("form", ["pem", "jwk", "modulus"])
def test_hmac_with_what_is_public_is_refused(form: str) -> None:
    key = KEYS["RS256"]
    texts = {
        "pem": key.as_pem(private=False),
        "jwk": json.dumps(key.as_dict(private=False)).encode(),
        "modulus": str(key.as_dict(private=False)["n"]).encode(),
    }
    text = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(CLAIMS)}"
    mac = hmac.digest(texts[form], text.encode(), "sha256")
    forged = f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert "not taken" in refused(forged, algorithms=("HS256", *KINDS))
    # Even a provider that publishes such a key has no way to sign with it.
    refused(forged, keys=[{"kty": "oct", "k": part("x"), "kid": "rsa"}, *ALL], algorithms=("HS256", *KINDS))


WRONG: dict[str, list[Any]] = {
    "iss": ["https://id.example.com", ISSUER + "/", ISSUER.upper(), "", None, 7],
    "aud": ["other", [], ["other"], [CLIENT, "other"], None, {"a": CLIENT}, CLIENT + " "],
    "azp": ["other", ""],
    "exp": [NOW - 61, 0, -1, None, "soon", float("nan"), True],
    "iat": [NOW + 61, NOW - 661, 0, None, "now", float("nan"), float("inf"), True],
    "nonce": ["n-2", "", None, 1, "\ud800"],
    "sub": ["", "x" * 256, None, 7],
    "email": [7, ["ada@example.org"]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_token_with_a_wrong_claim_is_refused(name: str, value: Any) -> None:
    refused(signed(CLAIMS | {name: value}))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nonce", "sub"])
def test_token_without_a_claim_is_refused(name: str) -> None:
    refused(signed({other: value for other, value in CLAIMS.items() if other != name}))


def test_token_for_several_clients_says_for_whom_it_was_made() -> None:
    assert read(signed(CLAIMS | {"aud": ["other", CLIENT], "azp": CLIENT})).subject == "ada"


@given(exp=st.integers(NOW - 1000, NOW + 1000), iat=st.integers(NOW - 1000, NOW + 1000))
@settings(max_examples=60, deadline=None)
def test_token_is_taken_just_after_it_was_made_and_before_it_expires(exp: int, iat: int) -> None:
    token = signed(CLAIMS | {"exp": exp, "iat": iat}, "Ed25519")
    if exp + 60 > NOW and NOW - 660 <= iat <= NOW + 60:
        assert read(token).subject == "ada"
    else:
        refused(token)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_token_with_another_character_anywhere_is_refused(data: st.DataObject) -> None:
    token = signed(CLAIMS, "Ed25519")
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([c for c in "AZaz09-_." if c != token[place]]))
    changed = token[:place] + other + token[place + 1 :]
    # The last character of the signature has bits that mean nothing.
    if place < len(token) - 1:
        refused(changed)


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
@settings(max_examples=60, deadline=None)
def test_what_is_no_token_is_refused(text: str) -> None:
    refused(text)
    refused(f"{part({'alg': 'RS256', 'kid': 'rsa'})}.{text}")


def test_key_of_somebody_else_is_refused() -> None:
    others = {
        "RS256": RSAKey.generate_key(2048),
        "ES256": ECKey.generate_key("P-256"),
        "Ed25519": OKPKey.generate_key(),
    }
    for algorithm, key in others.items():
        assert "not signed" in refused(signed(CLAIMS, algorithm, key, kid=KEYS[algorithm].kid))
        # Nor does it help to send the key along, or to say where it is.
        own = key.as_dict(private=False)
        refused(signed(CLAIMS, algorithm, key, kid=KEYS[algorithm].kid, jwk=own))
        refused(signed(CLAIMS, algorithm, key, kid=KEYS[algorithm].kid, jku="https://example.net/jwks"))


def test_token_with_an_unknown_key_asks_for_newer_ones() -> None:
    with pytest.raises(UnknownKeyError):
        read(signed(CLAIMS, kid="newer"))
    with pytest.raises(UnknownKeyError):
        read(signed(CLAIMS), keys=[])


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "EC"}, {"kid": "other"}])
def test_key_for_something_else_is_not_used(change: dict[str, str]) -> None:
    refused(signed(CLAIMS), keys=[public(KEYS["RS256"])[0] | change])


@pytest.mark.parametrize("broken", [{"n": "AAAA"}, {"n": 7}, {"n": None}, {"e": ""}, {"n": "!"}, {"key_ops": ["sign"]}])
def test_key_that_is_none_is_passed_over(broken: dict[str, Any]) -> None:
    key = public(KEYS["RS256"])[0]
    refused(signed(CLAIMS), keys=[key | broken])
    assert read(signed(CLAIMS), keys=[key | broken, key]).subject == "ada"


def test_short_rsa_key_is_not_trusted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = RSAKey.generate_key(1024, {"kid": "short"})
        assert "not signed" in refused(signed(CLAIMS, "RS256", short), keys=public(short))


@pytest.mark.parametrize("verified", [False, "false", "False"])
def test_address_that_the_provider_does_not_vouch_for_is_none(verified: Any) -> None:
    assert read(signed(CLAIMS | {"email_verified": verified})).email is None


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@x", "a b@example.org", "a@example.org\n", "\u212a@example.org", "a@b@c", "\ud800@x"],
)
def test_address_that_is_none_counts_for_nothing(email: str) -> None:
    assert read(signed(CLAIMS | {"email": email})).email is None


@pytest.mark.parametrize("name", ["", "A\nda", "\ud800", "x" * 201])
def test_name_that_is_none_counts_for_nothing(name: str) -> None:
    assert read(signed(CLAIMS | {"name": name})).name is None


def test_email_and_name_may_be_missing() -> None:
    bare = {name: value for name, value in CLAIMS.items() if name not in ("email", "email_verified", "name")}
    assert read(signed(bare)) == Identity("ada", None, None)
    assert read(signed(bare | {"email": "a@b.c"})).email == "a@b.c"
