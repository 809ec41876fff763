# SPDX-License-Identifier: Apache-2.0
"""Many texts match together exactly when each of them does."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.log.entry import format_time, format_uuid
from ledger.log.lines import HASHES, IDS, TIMES, all_match
from tests.log.world import NOON

ID = format_uuid(NOON << 80 | 7 << 76 | 2 << 62)
FORMS = {"id": (IDS, ID), "time": (TIMES, format_time(NOON)), "hash": (HASHES, "A" * 43)}


def one_by_one(pattern: re.Pattern[str], texts: list[str]) -> bool:
    """The form without its line break and its repetition, of each text for itself."""
    form = re.compile(pattern.pattern.removeprefix("(?:").removesuffix("\\n)*"))
    return all(form.fullmatch(text) for text in texts)


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
@example(data=None)
def test_many_match_when_each_does(name: str, data: st.DataObject | None) -> None:
    pattern, good = FORMS[name]
    if data is None:
        # Three lines in two texts, of the length of three.
        texts = [f"{good}\n{good}", "", good]
    else:
        broken = st.builds(
            lambda at, char: good[:at] + char + good[at + 1 :],
            st.integers(0, len(good) - 1),
            st.sampled_from(["", "\n", "a", "B", "0", "9", "-", "Z", "_", "٣", f"\n{good}"]),
        )
        texts = data.draw(st.lists(st.just(good) | broken, max_size=5))
    assert all_match(pattern, len(good), texts) == one_by_one(pattern, texts)
