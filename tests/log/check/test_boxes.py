# SPDX-License-Identifier: Apache-2.0
"""Vault and keystore: everything opens and is what its name says, nothing is missing, and nothing is nobody's."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ledger.log.check import Holdings, check_holdings
from ledger.log.check.findings import Report
from ledger.log.keys import create_signing_key
from ledger.log.keystore import Keystore
from ledger.log.ledger import pepper_name
from ledger.log.store import Secret
from ledger.log.store.keys import KeyTable, RetiredKey, SealedKey
from ledger.log.vault import Vault
from tests.log.check.conftest import changing
from tests.log.world import TENANT, World

Change = Callable[[list[Secret], Vault], list[Secret]]

KINDS = {
    "the root log's signing key": "signing/localhost/root",
    "a tenant's signing key": "signing/localhost/log",
    "the root log's pepper": "pepper/0",
    "a tenant's pepper": "pepper/1",
    "what leads to an API key": "key/",
    "the start of an API key": "key-prefix/",
}


def replaced(secrets: list[Secret], at: int, *others: Secret) -> list[Secret]:
    return [*secrets[:at], *others, *secrets[at + 1 :]]


def sealed_as(name: str, secret: bytes, vault: Vault) -> Secret:
    return Secret(name, vault.seal(name, secret))


def first(secrets: list[Secret], prefix: str) -> int:
    return next(at for at, secret in enumerate(secrets) if secret.name.startswith(prefix))


# What somebody may do to a secret, and what is said of it then.
WAYS: dict[str, tuple[Callable[[Secret, Vault], list[Secret]], str]] = {
    "flipped": (lambda s, v: [Secret(s.name, s.box[:-1] + bytes([s.box[-1] ^ 1]))], "does not open"),
    "cut short": (lambda s, v: [Secret(s.name, s.box[:10])], "does not open"),
    "taken away": (lambda s, v: [], "is missing|0 secrets lead|want 1"),
    "sealed under another key": (lambda s, v: [sealed_as(s.name, v.open(s.name, s.box), Vault(bytes(32)))], "not open"),
    "another name": (lambda s, v: [Secret(s.name + "x", s.box)], "does not open"),
    "of another kind": (
        lambda s, v: [sealed_as(s.name, b"something else", v)],
        "no private key|has 14 bytes|does not lead to a key|is not the start",
    ),
}


def problems(holdings: Holdings) -> list[Report]:
    return [report for report in check_holdings(holdings) if report.problem is not None]


def vault_problem(holdings: Holdings, change: Change) -> str:
    """What is said of the vault when its secrets are changed; the logs pass in any case."""
    changed, others = changing(holdings)
    changed.vault = lambda secrets: change(secrets, holdings.vault)
    [report] = problems(others)
    assert (report.origin, report.check, report.first_index) == ("vault", "secrets", None)
    assert report.problem is not None
    return report.problem


def test_vault_as_it_was_written_is_well(holdings: Holdings) -> None:
    assert problems(holdings) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_tampering_with_any_secret_is_named(holdings: Holdings, kind: str, way: str) -> None:
    act, words = WAYS[way]

    def change(secrets: list[Secret], vault: Vault) -> list[Secret]:
        at = first(secrets, KINDS[kind])
        return replaced(secrets, at, *act(secrets[at], vault))

    problem = vault_problem(holdings, change)
    assert any(word in problem for word in words.split("|")), problem


STRANGERS = {
    "a pepper of no log": (pepper_name(7), "nobody keeps"),
    "a name that nobody knows": ("password/root", "nobody keeps"),
    "the start of a key that does not exist": ("key-prefix/0", "there is no key"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_secret_that_belongs_to_nothing_is_named(holdings: Holdings, name: str) -> None:
    secret, words = STRANGERS[name]
    added = vault_problem(holdings, lambda secrets, vault: [*secrets, sealed_as(secret, bytes(32), vault)])
    assert words in added


def test_signing_key_that_nobody_announced_is_named(grown: World, holdings: Holdings) -> None:
    """Of a log there is, or of none: whoever put it there meant to sign with it."""
    for origin in (grown.log.origin, "localhost/log/another"):
        _, stranger = create_signing_key(origin, holdings.vault)
        added = vault_problem(holdings, lambda secrets, vault, stranger=stranger: [*secrets, stranger])
        assert "no log announced the signing key" in added
    no_vkey = sealed_as("signing/localhost/root", bytes(32), holdings.vault)
    assert "not a verifier key" in vault_problem(holdings, lambda secrets, vault: [*secrets, no_vkey])


def test_second_secret_of_a_key_is_named(holdings: Holdings) -> None:
    """It would let somebody in who was given none."""

    def change(secrets: list[Secret], vault: Vault) -> list[Secret]:
        known = secrets[first(secrets, "key/")]
        return [*secrets, sealed_as("key/" + "0" * 64, vault.open(known.name, known.box), vault)]

    assert "2 secrets lead to key" in vault_problem(holdings, change)


def test_keys_that_changed_places_are_named(holdings: Holdings) -> None:
    def change(secrets: list[Secret], vault: Vault) -> list[Secret]:
        root, tenant = (secrets[first(secrets, KINDS[kind])] for kind in list(KINDS)[:2])
        other = sealed_as(root.name, vault.open(tenant.name, tenant.box), vault)
        return replaced(secrets, first(secrets, root.name), other)

    assert "is another one" in vault_problem(holdings, change)


def test_secret_that_came_while_the_logs_were_read_may_be_of_something_newer(holdings: Holdings) -> None:
    changed, others = changing(holdings)
    asked = list[int]()

    def later(secrets: list[Secret]) -> list[Secret]:
        asked.append(len(secrets))
        return secrets if len(asked) == 1 else [*secrets, sealed_as("key-prefix/0", b"lk_all_01234567", holdings.vault)]

    changed.vault = later
    assert problems(others) == []
    assert len(asked) > 1


def test_lost_pepper_leaves_what_it_keyed_unsaid(holdings: Holdings) -> None:
    """Only the vault is blamed, not each entry whose digest nobody can derive without it."""
    without = vault_problem(holdings, lambda secrets, vault: replaced(secrets, first(secrets, pepper_name(TENANT))))
    assert pepper_name(TENANT) in without


# Data keys


class ChangedKeys:
    """A table of keys with some rows otherwise than they are."""

    def __init__(self, table: KeyTable, change: Callable[[SealedKey], SealedKey | None]) -> None:
        self._table = table
        self._change = change

    def of_bucket(self, log_number: int, bucket: bytes, day: int) -> tuple[bytes, bytes] | None:
        return self._table.of_bucket(log_number, bucket, day)

    def of_id(self, key_id: bytes) -> SealedKey | None:
        row = self._table.of_id(key_id)
        return None if row is None else self._change(row)

    def after(self, key_id: bytes) -> list[SealedKey]:
        return [changed for row in self._table.after(key_id) if (changed := self._change(row)) is not None]

    def retired(self) -> list[RetiredKey]:
        return self._table.retired()

    def insert(self, keys: object) -> None:
        raise AssertionError("a check writes nothing")

    def close(self) -> None:
        self._table.close()


@pytest.fixture
def with_keys(grown: World, holdings: Holdings) -> Iterator[Callable[..., list[tuple[str, str, int | None]]]]:
    def look(change: Callable[[SealedKey], SealedKey | None]) -> list[tuple[str, str, int | None]]:
        keystore = Keystore(ChangedKeys(grown.ledger.keystore._table, change), holdings.vault)
        return [(r.origin, r.check, r.first_index) for r in problems(replace(holdings, keystore=keystore))]

    yield look


def test_data_keys_are_named_that_do_not_open_or_are_of_no_log(grown: World, with_keys: Callable[..., object]) -> None:
    tenant = grown.log.origin
    entry = 2  # The label of the owner's key is the first sealed field there is.
    assert with_keys(lambda row: row) == []
    assert with_keys(lambda row: None) == [(tenant, "disclosures", entry)]
    assert with_keys(lambda row: row._replace(sealed=bytes(len(row.sealed)))) == [
        (tenant, "disclosures", entry),
        ("keystore", "data_keys", None),
    ]
    assert with_keys(lambda row: row._replace(log_number=7)) == [
        (tenant, "disclosures", entry),
        ("keystore", "data_keys", None),
    ]
    assert with_keys(lambda row: row._replace(log_number=0)) == [(tenant, "disclosures", entry)]


def test_unused_data_key_is_in_order(grown: World, holdings: Holdings) -> None:
    """A service that ended between making a key and writing its first entry leaves one."""
    grown.ledger.keystore.key_for(TENANT, b"nobody", 0, 0)
    grown.ledger.keystore.flush()
    assert problems(holdings) == []
