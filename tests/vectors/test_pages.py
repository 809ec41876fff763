# SPDX-License-Identifier: Apache-2.0
"""What the pages of the specification show are vectors, and so are checked by both implementations."""

from pathlib import Path

import pytest

from tests.vectors.make import EXAMPLE, VECTORS, with_examples

PAGES = sorted(VECTORS.parent.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_the_vectors(page: Path) -> None:
    text = page.read_text()
    assert with_examples(text) == text


def test_format_pages_have_an_example() -> None:
    with_example = {page.name for page in PAGES if EXAMPLE.search(page.read_text())}
    assert with_example >= {"entry.md", "sealed-fields.md", "receipt.md", "root-log.md", "day.md", "export.md"}
