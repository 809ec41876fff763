# SPDX-License-Identifier: Apache-2.0
"""The way from a secret to what it stands for: keyed names, and boxes that open under their own name only."""

from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.errors import ConfigurationError
from ledger.log.vault import Vault
from ledger.tenant.secrets import KEPT, Kind, Owner, Secrets, new_random

KINDS = get_args(Kind)
OWNERS = st.builds(Owner, st.integers(0, 2**40), st.text(max_size=40))


class Store(dict[str, bytes]):
    """The vault's boxes by name, as a store answers."""

    def secret(self, name: str) -> bytes | None:
        return self.get(name)


def made(key: bytes = bytes(32), **boxes: bytes) -> tuple[Store, Secrets]:
    store = Store(boxes)
    return store, Secrets(store, Vault(key))


def keep(store: Store, secrets: Secrets, kind: Kind, secret: str, owner: Owner) -> None:
    row = secrets.box(kind, secret, owner)
    store[row.name] = row.box


@given(st.sampled_from(KINDS), st.text(max_size=80), OWNERS)
def test_secret_leads_to_its_owner_and_no_other_text_does(kind: Kind, secret: str, owner: Owner) -> None:
    store, secrets = made()
    keep(store, secrets, kind, secret, owner)
    assert secrets.find(kind, secret) == owner
    for other in (secret + "x", secret[1:] if secret else "y", secret.upper() + "!"):
        assert other == secret or secrets.find(kind, other) is None
    for stranger in KINDS:
        assert (secrets.find(stranger, secret) is None) == (stranger != kind)


@given(st.text(min_size=8, max_size=80))
def test_neither_name_nor_box_shows_the_secret_or_its_owner(secret: str) -> None:
    store, secrets = made()
    keep(store, secrets, "key", secret, Owner(7, "the-owner-s-id"))
    [(name, box)] = store.items()
    assert secret not in name and secret.encode() not in box and b"the-owner-s-id" not in box


def test_names_differ_with_the_master_key() -> None:
    names = {made(bytes([number]) * 32)[1].name("key", "one secret") for number in range(4)}
    assert len(names) == 4


def test_box_opens_under_its_own_name_only() -> None:
    store, secrets = made()
    for secret in ("a", "b"):
        keep(store, secrets, "agent", secret, Owner(1, secret))
    first, second = store
    store[first], store[second] = store[second], store[first]
    with pytest.raises(ConfigurationError):
        secrets.find("agent", "a")


def test_names_outlive_the_master_key_that_made_them() -> None:
    """What digests are keyed with is kept once there is another master key, so that no secret needs another name."""
    old_store, old = made(b"o" * 32)
    new_vault = Vault(b"n" * 32)
    kept = Vault(b"o" * 32).derive("api keys")
    after = Secrets(Store({KEPT: new_vault.seal(KEPT, kept)}), new_vault)
    for kind in KINDS:
        assert after.name(kind, "a secret") == old.name(kind, "a secret")
    assert Secrets(Store(), new_vault).name("key", "a secret") != old.name("key", "a secret")
    assert not old_store


def test_random_parts_are_long_and_never_the_same() -> None:
    drawn = [new_random() for _ in range(1000)]
    assert {len(each) for each in drawn} == {43}
    assert len(set(drawn)) == 1000
    assert all(one[:8] != other[:8] for one, other in combinations(drawn[:100], 2))
