# SPDX-License-Identifier: Apache-2.0
"""Listings: every filter, in pages, against the filter in plain words."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log.store import Filter, Page, Row, Store
from ledger.log.store.sqlite import SEARCH_SPAN
from tests.log.store.rows import NOW, add, make, row

ENVS = ["staging", "production", "production", None]
AGENTS, TOOLS, VERDICTS = ["ada", "bob", None], ["send", "read"], ["allow", "deny"]


@pytest.fixture(scope="module")
def filled(kind: Any) -> Iterator[Store]:
    store = kind.new()
    make(store)
    rows = [
        row(
            i,
            type="call.reported" if i % 5 else "key.created",
            agent_id=AGENTS[i % 3],
            tool_name=TOOLS[i % 2],
            verdict=VERDICTS[i // 7 % 2],
            mode="enforce",
            env=ENVS[i % 4],
            key_id=f"key-{i % 3}",
        )
        for i in range(1, 120)
    ]
    add(store, *rows)
    yield store
    store.close()


FILTERS = st.builds(
    Filter,
    types=st.sampled_from([(), ("call.reported",), ("key.created", "call.reported"), ("none",)]),
    agents=st.sampled_from([(), ("ada",), ("ada", "bob"), ("none",)]),
    envs=st.sampled_from([(), ("staging",), ("staging", "production"), ("development",)]),
    key_id=st.sampled_from([None, "key-1", "key-9"]),
    tool_name=st.sampled_from([None, "send"]),
    verdict=st.sampled_from([None, "deny"]),
    mode=st.sampled_from([None, "enforce", "observe"]),
    only_env=st.sampled_from([None, "staging"]),
    since=st.none() | st.integers(NOW, NOW + 120),
    until=st.none() | st.integers(NOW, NOW + 120),
    text=st.sampled_from([None, "leaf 1", "LEAF", "%", "9"]),
)


def fits(wanted: Filter, r: Row) -> bool:
    """The filter in plain words."""
    same = all(getattr(wanted, name) in (None, getattr(r, name)) for name in ("key_id", "tool_name", "verdict", "mode"))
    return (
        same
        and (not wanted.types or r.type in wanted.types)
        and (not wanted.agents or r.agent_id in wanted.agents)
        and (not wanted.envs or r.env in wanted.envs)
        and (wanted.only_env is None or r.env in (None, wanted.only_env))
        and (wanted.since is None or r.recorded_at >= wanted.since)
        and (wanted.until is None or r.recorded_at < wanted.until)
        and (wanted.text is None or wanted.text.encode() in r.leaf)
    )


@settings(max_examples=150)
@given(FILTERS, st.integers(1, 60))
def test_pages_of_a_search_are_all_that_fit_newest_first(filled: Store, wanted: Filter, limit: int) -> None:
    expected = [r.leaf_index for r in filled.rows(1, 0, 120) if fits(wanted, r)][::-1]
    found: list[int] = []
    below: int | None = 120
    while below is not None:
        page = filled.search(1, wanted, below, limit)
        assert len(page.entries) <= limit and (page.below is None or page.below < below)
        found += [index for index, _ in page.entries]
        below = page.below
    assert found == expected


@settings(max_examples=150)
@given(FILTERS, st.integers(0, 130), st.integers(0, 130), st.integers(1, 60))
def test_search_onward_is_all_that_fits_in_order(
    filled: Store, wanted: Filter, start: int, stop: int, limit: int
) -> None:
    expected = [r.leaf_index for r in filled.rows(1, start, stop) if fits(wanted, r)]
    found: list[int] = []
    following = start
    while following < stop:
        onward = filled.search_onward(1, wanted, following, stop, limit)
        assert len(onward.entries) <= limit and following < onward.following <= stop
        assert all(following <= index < onward.following for index, _ in onward.entries)
        found += [index for index, _ in onward.entries]
        following = onward.following
    assert found == expected


def test_search_onward_goes_no_further_than_a_listing(filled: Store) -> None:
    assert filled.search_onward(1, Filter(types=["none"]), 5, 10 * SEARCH_SPAN, 10).following == 5 + SEARCH_SPAN


def test_search_looks_at_one_log_below_an_index(filled: Store) -> None:
    assert filled.search(0, Filter(), 99, 10) == Page([(0, b"leaf 0")], None)
    assert [index for index, _ in filled.search(1, Filter(), 10, 3).entries] == [9, 8, 7]
    assert filled.search(1, Filter(), 0, 3) == Page([], None)
    assert SEARCH_SPAN > 1000
