# SPDX-License-Identifier: Apache-2.0
"""Providers: the whole flow at a certified one, and what hostile ones answer."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Iterator
from itertools import repeat
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from msgspec.structs import astuple

from ledger.tenant import oidc
from ledger.tenant.id_tokens import KINDS, Identity, SsoRefusedError
from ledger.tenant.oidc import (
    MAX_BYTES,
    Attempt,
    Client,
    Metadata,
    ProviderError,
    Providers,
    refusal_of_issuer,
    refusal_of_url,
)
from tests.tenant.sso.hostile import KEYS, Hostile, Said, public, signed
from tests.tenant.sso.real import RealProvider, node_folder

BACK = "http://localhost:9/api/v1/auth/sso/acme/callback"
DISCOVERY = "/.well-known/openid-configuration"
# Characters that a form and a header must each escape.
SECRET = "s:cr%et+&=/?~"

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")


def clock() -> int:
    return time.time_ns() // 1_000_000


# ------------------------------------------------------------------------------------------------- a certified provider

METHODS = {"basic": "client_secret_basic", "post": "client_secret_post", "public": "none"}


def client_of(name: str, algorithm: str, secret: str | None) -> dict[str, Any]:
    wanted = {
        "client_id": name,
        "client_secret": secret,
        "redirect_uris": [BACK],
        "token_endpoint_auth_method": METHODS.get(name, "client_secret_basic"),
        "id_token_signed_response_alg": algorithm,
    }
    return {member: value for member, value in wanted.items() if value is not None}


CLIENTS = [
    *(client_of(name, "RS256", None if name == "public" else "a secret") for name in METHODS),
    *(client_of(f"for-{algorithm}", algorithm, SECRET) for algorithm in KINDS),
]


@pytest.fixture(scope="module")
def real() -> Iterator[RealProvider]:
    with RealProvider(node_folder(), CLIENTS) as provider:
        yield provider


def identify(real: RealProvider, client: Client, login: str = "ada", **changes: str) -> Identity:
    """Log in at the real provider; with `changes` something of what is known of the attempt is another's."""

    async def flow() -> Identity:
        providers, attempt = Providers(), Attempt.new()
        url = await providers.authorization_url(client, attempt, BACK)
        back = await asyncio.to_thread(real.log_in, url, login)
        told = dict(parse_qsl(urlsplit(back).query))
        assert back.startswith(f"{BACK}?") and told["state"] == attempt.state and told["iss"] == real.issuer
        known = Attempt(attempt.state, changes.get("nonce", attempt.nonce), changes.get("verifier", attempt.verifier))
        found = await providers.identify(client, known, told["code"], told["iss"], changes.get("back", BACK), clock)
        with pytest.raises(SsoRefusedError, match="was used"):
            await providers.identify(client, attempt, told["code"], told["iss"], BACK, clock)
        return found

    return asyncio.run(flow())


@pytest.mark.parametrize("algorithm", KINDS)
def test_login_at_a_certified_provider_with_each_algorithm(real: RealProvider, algorithm: str) -> None:
    client = Client(real.issuer, f"for-{algorithm}", SECRET)
    assert identify(real, client) == Identity("ada", "ada@example.org", "Ada")


@pytest.mark.parametrize(("name", "secret"), [("basic", "a secret"), ("public", None)])
def test_client_shows_that_it_is_the_one(real: RealProvider, name: str, secret: str | None) -> None:
    assert identify(real, Client(real.issuer, name, secret)).subject == "ada"


def test_what_the_provider_says_of_an_account_is_what_counts(real: RealProvider) -> None:
    client = Client(real.issuer, "public", None)
    assert identify(real, client, "unverified") == Identity("unverified", None, None)
    assert identify(real, client, "nameless") == Identity("nameless", None, None)


@pytest.mark.parametrize("change", [{"verifier": "x" * 43}, {"back": BACK + "s"}, {"nonce": "another"}])
def test_code_is_worth_nothing_to_another_login(real: RealProvider, change: dict[str, str]) -> None:
    with pytest.raises(SsoRefusedError):
        identify(real, Client(real.issuer, "public", None), **change)


def test_wrong_client_secret_is_told_apart_and_not_told(real: RealProvider) -> None:
    async def ask() -> Identity:
        client = Client(real.issuer, "basic", "wrong secret")
        return await Providers().identify(client, Attempt.new(), "code", real.issuer, BACK, clock)

    with pytest.raises(ProviderError, match="invalid_client") as error:
        asyncio.run(ask())
    assert "wrong secret" not in error.value.for_operator


# --------------------------------------------------------------------------------------------------- a hostile provider


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as provider:
        provider.describe()
        provider.answers["/jwks"] = Said(json.dumps({"keys": public(KEYS["RS256"])}).encode())
        yield provider


def metadata(issuer: str) -> Metadata:
    return asyncio.run(Providers().metadata(issuer))


def refused(issuer: str) -> str:
    with pytest.raises(ProviderError) as error:
        metadata(issuer)
    return error.value.message


def test_metadata_are_read(hostile: Hostile) -> None:
    found = metadata(hostile.issuer)
    assert found.token_endpoint == f"{hostile.issuer}/token"
    assert found.algorithms == ["RS256", "ES256", "Ed25519"]


def test_issuer_that_is_another_is_refused(hostile: Hostile) -> None:
    for other in ("https://example.net", hostile.issuer + "/", hostile.issuer.replace("127.0.0.1", "localhost"), ""):
        hostile.describe(issuer=other)
        assert "another issuer" in refused(hostile.issuer)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url",
    ["http://example.net/x", "file:///etc/passwd", "javascript:alert(1)", "//x", "", "https://u:p@x/", "https://"],
)
def test_endpoint_that_nobody_should_ask_is_refused(hostile: Hostile, name: str, url: str) -> None:
    hostile.describe(**{name: url})
    assert "endpoints" in refused(hostile.issuer)


def test_endpoints_of_this_machine_are_for_issuers_of_this_machine() -> None:
    for url in ("http://localhost/x", "http://127.0.0.1:8000/", "http://[::1]/"):
        assert refusal_of_url(url, plain=True) is None
        assert refusal_of_url(url) == "is not https"


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff", b"{", b'{"issuer":7}', b"[" * 100_000, b'{"issuer":"x"}', b"<html>"],
)
def test_answer_that_is_no_metadata_is_refused(hostile: Hostile, body: bytes) -> None:
    hostile.answers[DISCOVERY] = Said(body)
    assert "not what OpenID Connect has" in refused(hostile.issuer)


def test_metadata_with_members_of_another_kind_are_refused(hostile: Hostile) -> None:
    for name in hostile.metadata():
        hostile.describe(**{name: 7})
        refused(hostile.issuer)


def test_provider_that_signs_with_what_anybody_can_sign_with_is_refused(hostile: Hostile) -> None:
    hostile.describe(id_token_signing_alg_values_supported=["HS256", "none", "RS1"])
    assert "signs with none of" in refused(hostile.issuer)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 303, 307, 308, 400, 404, 500])
def test_redirect_and_refusal_are_not_followed(hostile: Hostile, status: int) -> None:
    right = hostile.answers[DISCOVERY].body
    hostile.answers["/elsewhere"] = Said(right)
    hostile.answers[DISCOVERY] = Said(right, status, (("location", f"{hostile.issuer}/elsewhere"),))
    assert str(status) in refused(hostile.issuer) or status == 204
    assert hostile.paths() == [DISCOVERY]


def test_endless_answer_is_left(hostile: Hostile) -> None:
    hostile.answers[DISCOVERY] = Said(repeat(b"x" * 65536))
    assert f"more than {MAX_BYTES} bytes" in refused(hostile.issuer)


def test_long_answer_is_refused_whatever_it_says(hostile: Hostile) -> None:
    right = hostile.answers[DISCOVERY].body
    assert isinstance(right, bytes)
    hostile.answers[DISCOVERY] = Said(right + b" " * (MAX_BYTES - len(right)))
    assert metadata(hostile.issuer).issuer == hostile.issuer
    hostile.answers[DISCOVERY] = Said(right + b" " * (MAX_BYTES - len(right) + 1))
    refused(hostile.issuer)


def test_compressed_answer_is_not_unpacked(hostile: Hostile) -> None:
    right = hostile.answers[DISCOVERY].body
    hostile.answers[DISCOVERY] = Said(right, headers=(("content-encoding", "gzip"),))
    # It was not asked for, so what says it is compressed is read as it came.
    assert metadata(hostile.issuer).issuer == hostile.issuer
    assert hostile.asked[0][1]["accept-encoding"] == "identity"


def test_answer_that_does_not_come_to_an_end_in_time_is_left(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "SECONDS", 0.2)

    def slowly() -> Iterator[bytes]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            yield b" "

    monkeypatch.setattr(oidc, "MAX_BYTES", 1 << 40)
    hostile.answers[DISCOVERY] = Said(slowly())
    began = time.monotonic()
    assert "cannot be reached" in refused(hostile.issuer)
    assert time.monotonic() - began < 10


def test_nobody_there_is_told_without_saying_more() -> None:
    with Hostile() as gone:
        issuer = gone.issuer
    assert refused(issuer) == "the provider cannot be reached"
    assert refused("https://[::1]:1/x") == "the provider cannot be reached"


def test_what_is_known_is_not_asked_again_and_failures_are(hostile: Hostile) -> None:
    async def ask() -> None:
        providers = Providers()
        hostile.answers[DISCOVERY] = Said(b"", 503)
        for _ in range(2):
            with pytest.raises(ProviderError):
                await providers.metadata(hostile.issuer)
        assert len(hostile.asked) == 2
        hostile.describe()
        found = await asyncio.gather(*(providers.metadata(hostile.issuer) for _ in range(20)))
        assert len(hostile.asked) == 3 and len(set(map(id, found))) == 1
        await providers.metadata(hostile.issuer, fresh=True)
        assert len(hostile.asked) == 4

    asyncio.run(ask())


# -------------------------------------------------------------------------------------------------------------- tokens

ATTEMPT = Attempt("state", "nonce", "verifier")
CLIENT_ID, WEIRD_SECRET = "a client", "p:ä/ +"


def come_back(hostile: Hostile, secret: str | None = None) -> Identity:
    async def ask() -> Identity:
        return await Providers().identify(Client(hostile.issuer, CLIENT_ID, secret), ATTEMPT, "c-1", None, BACK, clock)

    return asyncio.run(ask())


def claims(hostile: Hostile, **changes: Any) -> dict[str, Any]:
    now = clock() // 1000
    right = {"iss": hostile.issuer, "sub": "ada", "aud": CLIENT_ID, "exp": now + 60, "iat": now, "nonce": "nonce"}
    return right | changes


def give(hostile: Hostile, token: Any) -> None:
    hostile.answers["/token"] = Said(json.dumps({"id_token": token, "access_token": "x"}).encode())


def test_browser_is_sent_with_a_challenge_and_no_secret(hostile: Hostile) -> None:
    hostile.describe(authorization_endpoint=f"{hostile.issuer}/auth?tenant=1")

    async def ask() -> str:
        return await Providers().authorization_url(Client(hostile.issuer, CLIENT_ID, "hidden"), ATTEMPT, BACK)

    url = asyncio.run(ask())
    told = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).decode().rstrip("=")
    assert told["code_challenge"] == digest and told["code_challenge_method"] == "S256"
    assert (told["tenant"], told["redirect_uri"], told["response_type"]) == ("1", BACK, "code")
    assert (told["state"], told["nonce"], told["client_id"]) == ("state", "nonce", CLIENT_ID)
    assert "openid" in told["scope"].split()
    assert "verifier" not in url and "hidden" not in url


def test_attempts_differ_in_everything() -> None:
    drawn = [value for _ in range(50) for value in astuple(Attempt.new())]
    assert len(set(drawn)) == 150
    assert all(len(value) >= 43 for value in drawn)


@pytest.mark.parametrize("methods", [["client_secret_basic"], ["client_secret_post"], None, ["private_key_jwt"]])
@pytest.mark.parametrize("secret", [WEIRD_SECRET, None])
def test_client_secret_goes_where_the_provider_wants_it(
    hostile: Hostile, methods: list[str] | None, secret: str | None
) -> None:
    if methods is not None:
        hostile.describe(token_endpoint_auth_methods_supported=methods)
    give(hostile, signed(claims(hostile)))
    if methods == ["private_key_jwt"] and secret is not None:
        with pytest.raises(ProviderError, match="takes no client secret"):
            come_back(hostile, secret)
        assert "/token" not in hostile.paths()
        return
    assert come_back(hostile, secret).subject == "ada"
    [(headers, body)] = [(headers, body) for path, headers, body in hostile.asked if path == "/token"]
    form = dict(parse_qsl(body.decode()))
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == ("c-1", "verifier", BACK)
    if secret is None:
        assert form["client_id"] == CLIENT_ID and "client_secret" not in form and "authorization" not in headers
    elif methods == ["client_secret_post"]:
        assert (form["client_id"], form["client_secret"]) == (CLIENT_ID, secret) and "authorization" not in headers
    else:
        assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"a+client:p%3A%C3%A4%2F+%2B"
        assert "client_secret" not in form


def test_answer_says_which_provider_it_is_of(hostile: Hostile) -> None:
    give(hostile, signed(claims(hostile)))

    async def ask(told: str | None) -> Identity:
        return await Providers().identify(Client(hostile.issuer, CLIENT_ID, None), ATTEMPT, "c-1", told, BACK, clock)

    assert asyncio.run(ask(hostile.issuer)) == asyncio.run(ask(None))
    hostile.describe(authorization_response_iss_parameter_supported=True)
    assert asyncio.run(ask(hostile.issuer)).subject == "ada"
    for told in (None, "https://example.net", ""):
        with pytest.raises(SsoRefusedError, match="another provider"):
            asyncio.run(ask(told))
    hostile.describe()
    with pytest.raises(SsoRefusedError, match="another provider"):
        asyncio.run(ask("https://example.net"))


def test_new_key_is_fetched_once(hostile: Hostile) -> None:
    async def ask() -> None:
        providers, client = Providers(), Client(hostile.issuer, CLIENT_ID, None)
        give(hostile, signed(claims(hostile)))
        await providers.identify(client, ATTEMPT, "c-1", None, BACK, clock)
        await providers.identify(client, ATTEMPT, "c-1", None, BACK, clock)
        assert hostile.paths().count("/jwks") == 1
        give(hostile, signed(claims(hostile), "ES256"))
        with pytest.raises(SsoRefusedError, match="not the provider's"):
            await providers.identify(client, ATTEMPT, "c-1", None, BACK, clock)
        assert hostile.paths().count("/jwks") == 2
        hostile.answers["/jwks"] = Said(json.dumps({"keys": public(KEYS["ES256"])}).encode())
        assert (await providers.identify(client, ATTEMPT, "c-1", None, BACK, clock)).subject == "ada"
        assert hostile.paths().count("/jwks") == 3

    asyncio.run(ask())


@pytest.mark.parametrize("token", [None, 7, "", "x", "a.b.c", "x" * 1000, {"a": 1}])
def test_what_is_no_id_token_is_refused(hostile: Hostile, token: Any) -> None:
    give(hostile, token)
    with pytest.raises((ProviderError, SsoRefusedError)):
        come_back(hostile)


@pytest.mark.parametrize("change", [{"iss": "https://example.net"}, {"aud": "other"}, {"nonce": "other"}, {"exp": 1}])
def test_token_that_is_wrong_is_refused(hostile: Hostile, change: dict[str, Any]) -> None:
    give(hostile, signed(claims(hostile, **change)))
    with pytest.raises(SsoRefusedError):
        come_back(hostile)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 9999, b'{"error":"<script>"}', b'{"error":7}'])
def test_refusal_in_words_of_its_own_is_not_repeated(hostile: Hostile, body: bytes) -> None:
    hostile.answers["/token"] = Said(body, 400)
    with pytest.raises(ProviderError, match="no error that is known"):
        come_back(hostile)


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        ("https://id.example.org", None),
        ("https://id.example.org:8443/realms/x", None),
        ("http://127.0.0.1:3000", None),
        ("http://localhost", None),
        ("http://[::1]:9/x", None),
        ("http://id.example.org", "is not https"),
        ("http://127.0.0.1.example.org", "is not https"),
        ("http://localhost.example.org", "is not https"),
        ("ftp://localhost", "is not https"),
        ("https://id.example.org?x=1", "has a query"),
        ("https://id.example.org#x", "has a user or a fragment"),
        ("https://a@id.example.org", "has a user or a fragment"),
        ("https://id.example.org:x", "is no URL"),
        ("https://[x", "is no URL"),
        ("https:///x", "is no URL"),
        ("https://a b", "is no URL"),
        ("https://ä.org", "is no URL"),
        ("x", "is no URL"),
        ("", "is no URL"),
    ],
)
def test_issuer_is_an_address_of_https_or_of_this_machine(issuer: str, why: str | None) -> None:
    assert refusal_of_issuer(issuer) == why
