# SPDX-License-Identifier: Apache-2.0
"""Single sign-on of a tenant: what a login carries, where a browser may go back to, and client secrets at rest."""

import base64
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.log.errors import InvalidRequestError
from ledger.log.events.members import SsoConfigured
from ledger.log.fold import State
from ledger.log.store import SecretChange
from ledger.log.vault import Vault
from ledger.tenant.boxes import SsoBoxes
from ledger.tenant.id_tokens import SsoRefusedError
from ledger.tenant.oidc import Attempt, Client
from ledger.tenant.sso import (
    BY_PROVIDER,
    USED,
    ClientSecret,
    Flow,
    Flows,
    client_of,
    configure,
    is_local_path,
    secret_name,
    with_error,
)
from ledger.tenant.state import Provider, TenantState

NOW = 1_800_000_000_000
VAULT = Vault(b"m" * 32)
ISSUER, OTHER = "https://id.example.org", "https://id.example.net"


def flow(**changes: Any) -> Flow:
    right = {
        "attempt": Attempt.new(),
        "provider": "acme",
        "log_number": 1,
        "configured_at": 7,
        "redirect_uri": "https://ledger.example.org/back",
        "return_to": "/x",
        "expires_at": NOW + 600_000,
    }
    return Flow(**right | changes)


def lost(flows: Flows, sealed: str | None, state: str, provider: str = "acme", now: int = NOW) -> str:
    with pytest.raises(SsoRefusedError) as error:
        flows.open(sealed, state, provider, now)
    assert error.value.reason == "state"
    return error.value.message


# --------------------------------------------------------------------------------------------------------------- flows


def test_login_comes_back_as_it_went_and_once() -> None:
    begun, flows = flow(), Flows(VAULT)
    sealed = flows.seal(begun)
    assert flows.open(sealed, begun.attempt.state, "acme", NOW) == begun
    assert "came back before" in lost(flows, sealed, begun.attempt.state)
    assert "came back before" in lost(flows, flows.seal(begun), begun.attempt.state)


def test_cookie_shows_nothing_and_is_never_the_same() -> None:
    begun, flows = flow(), Flows(VAULT)
    sealed = [flows.seal(begun) for _ in range(2)]
    assert sealed[0] != sealed[1]
    for text in (begun.attempt.verifier, begun.attempt.nonce, begun.attempt.state, "acme"):
        assert text.encode() not in base64.urlsafe_b64decode(sealed[0])
    assert len(flows.seal(flow(return_to="/" + "a" * 999, redirect_uri="https://" + "a" * 300))) < 3500


@pytest.mark.parametrize(("now", "holds"), [(NOW + 599_999, True), (NOW + 600_000, False), (NOW + 10**9, False)])
def test_login_takes_ten_minutes_at_most(now: int, holds: bool) -> None:
    begun, flows = flow(), Flows(VAULT)
    if holds:
        assert flows.open(flows.seal(begun), begun.attempt.state, "acme", now) == begun
    else:
        assert "too long" in lost(flows, flows.seal(begun), begun.attempt.state, now=now)


def test_login_of_another_browser_provider_or_deployment_is_lost() -> None:
    begun, flows = flow(), Flows(VAULT)
    sealed, state = flows.seal(begun), begun.attempt.state
    for wrong in ("", state + "x", state[:-1], "\ud800", flow().attempt.state):
        lost(flows, sealed, wrong)
    lost(flows, sealed, state, provider="other")
    lost(flows, Flows(Vault(b"n" * 32)).seal(begun), state)
    # What is sealed for something else opens as nothing here.
    box = VAULT.seal("sso/1/acme", msgspec.json.encode(begun))
    lost(flows, base64.urlsafe_b64encode(box).decode(), state)
    assert flows.open(sealed, state, "acme", NOW) == begun


@given(st.none() | st.text(max_size=200) | st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode()))
@settings(max_examples=60, deadline=None)
def test_what_was_never_sealed_is_lost(text: str | None) -> None:
    lost(Flows(VAULT), text, "")


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_cookie_with_a_changed_byte_is_lost(place: int, change: int) -> None:
    begun, flows = flow(), Flows(VAULT)
    box = bytearray(base64.urlsafe_b64decode(flows.seal(begun)))
    box[place % len(box)] ^= change
    lost(flows, base64.urlsafe_b64encode(box).decode(), begun.attempt.state)


def test_used_ones_are_forgotten_only_when_they_are_many() -> None:
    flows, first = Flows(VAULT), flow()
    flows.open(flows.seal(first), first.attempt.state, "acme", NOW)
    for _ in range(50):
        begun = flow()
        flows.open(flows.seal(begun), begun.attempt.state, "acme", NOW)
    lost(flows, flows.seal(first), first.attempt.state)
    assert USED > 600 * 20


# --------------------------------------------------------------------------------------------------------------- paths


@given(st.text(alphabet="/\\.:@?#%&=ab \t\n\r\x00é", max_size=12).map(lambda text: "/" + text) | st.text(max_size=12))
@settings(max_examples=500)
def test_local_path_leads_nowhere_else(path: str) -> None:
    """As Python reads it, and as a browser does, which takes a backslash for a slash and drops tabs and newlines."""
    if is_local_path(path):
        read = path.replace("\\", "/").translate({9: None, 10: None, 13: None})
        for each in (path, read, with_error(path, "x")):
            assert each.startswith("/")
            assert urlsplit(urljoin("https://here.example/a/b", each)).netloc == "here.example"
            assert each.isascii() and each.isprintable() and " " not in each


def test_paths_of_pages_are_local() -> None:
    for path in ("/", "/console", "/console/logs?x=1&y=a%2Fb", "/a//b", "/api/v1/auth/me", "/a:b@c"):
        assert is_local_path(path)
    assert with_error("/a", "x y&z") == "/a?sso_error=x+y%26z"
    assert with_error("/a?b=c", "x") == "/a?b=c&sso_error=x"


# ------------------------------------------------------------------------------------------------------- configuration


def event(issuer: str = ISSUER, client_id: str = "c") -> SsoConfigured:
    return SsoConfigured(
        as_of=1, provider="acme", issuer=issuer, client_id=client_id, enabled=True, role="readonly", actor="operator"
    )


def provider(issuer: str = ISSUER, client_id: str = "c") -> Provider:
    return Provider("acme", issuer, client_id, True, "readonly", (), 3)


class Boxes(dict[str, bytes]):
    """The vault's boxes, as drafts change them."""

    secret = dict[str, bytes].get

    def take(self, *side: object) -> None:
        for row in side:
            assert isinstance(row, SecretChange)
            if row.box is None:
                self.pop(row.name, None)
            else:
                self[row.name] = row.box


def test_client_secret_goes_to_the_client_and_issuer_it_was_given_for_and_to_no_other() -> None:
    boxes = Boxes()
    boxes.take(*configure(VAULT, 1, None, event(), "hidden").side)
    assert client_of(boxes, VAULT, 1, provider()) == Client(ISSUER, "c", "hidden")
    for other in (provider(OTHER), provider(client_id="d")):
        assert client_of(boxes, VAULT, 1, other).secret is None
    assert client_of(boxes, VAULT, 2, provider()).secret is None
    assert configure(VAULT, 1, provider(), event(), UNSET).side == ()
    for changed in (event(OTHER), event(client_id="d")):
        with pytest.raises(InvalidRequestError):
            configure(VAULT, 1, provider(), changed, UNSET)
    boxes.take(*configure(VAULT, 1, provider(), event(), None).side)
    assert not boxes


# --------------------------------------------------------------------------------------------------------- the boxes

STATES = {0: State(0, {}), 1: State(9, {TenantState: TenantState().apply(3, event())})}
KEPT = {secret_name(1, "acme"): msgspec.json.encode(ClientSecret(ISSUER, "c", "hidden"))}


def problems(boxes: dict[str, bytes], old: dict[str, bytes] | None = None) -> list[str]:
    return list(SsoBoxes().problems(boxes, boxes if old is None else old, STATES))


def test_boxes_of_providers_are_in_order_with_a_secret_or_without() -> None:
    assert problems(KEPT) == problems({}) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"hidden", b"\xff", b'{"issuer":1,"client_id":"c","secret":"x"}'])
def test_box_of_another_kind_is_named(content: bytes) -> None:
    [problem] = problems({name: content for name in KEPT})
    assert "is not what a provider knows a client by" in problem


@pytest.mark.parametrize("name", ["1/other", "2/acme", "0/acme", "acme", "1/acme/x"])
def test_box_that_leads_nowhere_is_named_unless_it_is_newer_than_the_logs(name: str) -> None:
    boxes = KEPT | {BY_PROVIDER + name: KEPT[secret_name(1, "acme")]}
    [problem] = problems(boxes)
    assert "there is no provider" in problem
    assert problems(boxes, old=KEPT) == []
