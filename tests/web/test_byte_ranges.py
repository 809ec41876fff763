# SPDX-License-Identifier: Apache-2.0
"""Parts of files: each is what was asked for, and what is removed is handed out no further."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.errors import NotFoundError
from ledger.web.byte_ranges import asked_part, read_part
from ledger.web.errors import OutOfRangeError

CONTENT = bytes(range(256)) * 4096


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_part_is_what_was_asked_for(first: int, last: int, size: int) -> None:
    def part(header: str) -> range | str | None:
        try:
            return asked_part(header, None, '"tag"', size)
        except OutOfRangeError as error:
            assert error.size == size
            return "beyond"

    inside = [place for place in range(size) if first <= place <= last]
    assert part(f"bytes={first}-{last}") == (
        None if last < first else range(size)[first : last + 1] if inside else "beyond"
    )
    assert part(f"bytes={first}-") == (range(first, size) if first < size else "beyond")
    assert part(f"bytes=-{last}") == (range(max(0, size - last), size) if last else "beyond")


def test_only_of_the_file_that_one_has_the_beginning_of() -> None:
    assert asked_part("bytes=1-2", '"tag"', '"tag"', 9) == range(1, 3)
    for other in ('"other"', 'W/"tag"', "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert asked_part("bytes=1-2", other, '"tag"', 9) is None
    assert asked_part(None, '"tag"', '"tag"', 9) is None


@pytest.mark.parametrize("part", [range(0), range(1), range(7, 300_000), range(len(CONTENT)), range(1 << 18, 1 << 19)])
def test_bytes_of_a_part(tmp_path, part):
    (tmp_path / "file").write_bytes(CONTENT)

    async def read():
        return b"".join([piece async for piece in read_part(tmp_path / "file", part)])

    assert asyncio.run(read()) == CONTENT[part.start : part.stop]


def test_what_is_removed_is_handed_out_no_further(tmp_path):
    """Although whoever has opened a file can read it to its end."""
    (tmp_path / "file").write_bytes(CONTENT)

    async def read():
        pieces = read_part(tmp_path / "file", range(len(CONTENT)))
        first = await anext(pieces)
        (tmp_path / "file").unlink()
        with pytest.raises(NotFoundError, match="removed while it was fetched"):
            await anext(pieces)
        return first

    assert 0 < len(asyncio.run(read())) < len(CONTENT)
