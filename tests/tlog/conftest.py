# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: the textbook, the vector files, and edits that break texts.

`textbook` is a module of the folder vectors: a second implementation, straight from the RFC's recursion.
"""

import json
from pathlib import Path

import pytest
from hypothesis import strategies as st

import tests.tlog.vectors.textbook as textbook_module

HERE = Path(__file__).parent
NASTY = ["", *"\n\r\0 +-=/_01x٣\u00a0\ud800", "\n\n", ".p/", "— "]


def pytest_configure(config):
    config.addinivalue_line("markers", "vectors(file, *kinds): run once for each case of spec/vectors/<file>.json")


def pytest_generate_tests(metafunc):
    for marker in metafunc.definition.iter_markers("vectors"):
        name, *kinds = marker.args
        text = (HERE.parents[1] / "spec" / "vectors" / f"{name}.json").read_text(encoding="ascii")
        cases = [case for case in json.loads(text)["cases"] if not kinds or case["kind"] in kinds]
        assert cases, f"no such vectors: {marker.args}"
        metafunc.parametrize("case", cases, ids=[case["name"] for case in cases])


@pytest.fixture(scope="session")
def textbook():
    return textbook_module


@pytest.fixture(scope="session")
def tree(textbook):
    """The trees over `leaf 0`, `leaf 1`, … up to 600 leaves."""
    return textbook.numbered_tree(600)


@pytest.fixture(scope="session")
def edited():
    """Strategy: the text after one to three edits, each of which replaces a few characters."""

    def strategy(text):
        piece = st.sampled_from(NASTY) | st.text(max_size=3)
        edit = st.tuples(st.integers(0, len(text)), st.sampled_from([0, 0, 1, 1, 2, 5, 44]), piece)

        def apply(edits):
            result = text
            for start, length, new in edits:
                result = result[:start] + new + result[start + length :]
            return result

        return st.lists(edit, min_size=1, max_size=3).map(apply)

    return strategy
