# SPDX-License-Identifier: Apache-2.0
"""Hashes of passwords: what they are made of, and whose they are."""

import asyncio
import threading
import unicodedata

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tenant.passwords import Cost, Passwords

CHEAP = Cost(64, 1)
TEXTS = st.text(min_size=1, max_size=40)


@pytest.fixture(scope="module")
def passwords():
    made = Passwords(CHEAP)
    yield made
    made.close()


def hashed(passwords, password):
    return asyncio.run(passwords.hash(password))


def matches(passwords, kept, password):
    return asyncio.run(passwords.verify(kept, password))


@settings(deadline=None, max_examples=50)
@given(TEXTS, TEXTS)
def test_hash_is_of_this_password_and_of_no_other(passwords, password, other):
    kept = hashed(passwords, password)
    assert matches(passwords, kept, password)
    assert matches(passwords, kept, other) == (
        unicodedata.normalize("NFC", password) == unicodedata.normalize("NFC", other)
    )
    assert kept != hashed(passwords, password)


@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_form_of_the_characters_does_not_matter(passwords, text):
    kept = hashed(passwords, unicodedata.normalize("NFD", text))
    assert matches(passwords, kept, unicodedata.normalize("NFC", text))


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_nobody_has_no_password(passwords, text):
    assert not matches(passwords, None, text)


@pytest.mark.parametrize("kept", ["", "x", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA", "$2b$12$" + "a" * 53])
def test_what_is_no_hash_of_ours_matches_nothing(passwords, kept):
    for password in ("", "x", kept):
        assert not matches(passwords, kept, password)


def test_text_that_is_no_unicode_is_a_password_like_others(passwords):
    kept = hashed(passwords, "\ud800 half a character")
    assert matches(passwords, kept, "\ud800 half a character")
    assert not matches(passwords, kept, "? half a character")


@pytest.mark.parametrize("cost", [CHEAP, Cost(128, 2)])
def test_hash_says_what_it_cost(cost):
    passwords = Passwords(cost)
    parameters = extract_parameters(hashed(passwords, "x"))
    passwords.close()
    assert (parameters.type, parameters.version) == (Type.ID, 0x13)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (cost.memory, cost.passes, 1)
    assert parameters.salt_len >= 16 and parameters.hash_len >= 32


def test_default_cost_is_that_of_the_standard():
    """RFC 9106 §4, the second recommended option, with one lane."""
    assert Cost() == Cost(64 << 10, 3)


def test_hash_of_an_older_cost_still_matches(passwords):
    older = Passwords(Cost(256, 2))
    kept = hashed(older, "from before")
    older.close()
    assert matches(passwords, kept, "from before") and not matches(passwords, kept, "other")


def test_passwords_are_hashed_in_threads_of_their_own(passwords):
    """The event loop goes on meanwhile."""
    names = asyncio.run(passwords._run(lambda: threading.current_thread().name))
    assert names.startswith("ledger-passwords")
