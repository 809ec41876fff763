# SPDX-License-Identifier: Apache-2.0
import base64
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.tlog.edge import Edge
from ledger.tlog.errors import MalformedError
from ledger.tlog.text import MAX_INTEGER
from ledger.tlog.tiles import (
    MAX_NUMBER,
    STORED_BYTES,
    TILE_BYTES,
    TilePath,
    format_bundle,
    locate,
    parse_bundle,
    parse_path,
    stored_hash,
    tile_width,
)

tile_paths = st.builds(
    TilePath,
    st.none() | st.integers(0, 63),
    st.integers(0, 2_000_000) | st.integers(0, MAX_NUMBER),
    st.integers(1, 256),
)


# --------------------------------------------------------------------------------------------------------------- paths


@pytest.mark.vectors("tiles", "path")
def test_parse_path_agrees_with_vectors(case):
    if case["ok"]:
        tile = TilePath(case["level"], case["number"], case["width"])
        assert parse_path(case["path"]) == tile
        assert tile.format() == case["path"]
    else:
        with pytest.raises(MalformedError, match="not a tile path"):
            parse_path(case["path"])


@given(tile_paths)
def test_every_tile_path_is_read_as_it_is_written(tile):
    assert parse_path(tile.format()) == tile


def refused_or_exact(path):
    """Whether `path` is refused; when it is not, it must be the one way to write what it names."""
    try:
        tile = parse_path(path)
    except MalformedError:
        return True
    assert tile.format() == path
    assert tile.level is None or 0 <= tile.level <= 63
    assert 0 <= tile.number <= MAX_NUMBER
    assert 1 <= tile.width <= 256
    return False


@given(st.text(), st.from_regex(r"\Atile/[0-9]{1,3}/(x?[0-9]{2,4}/){0,3}x?[0-9]{2,4}(\.p/[0-9]{0,4})?\n?\Z"))
def test_parse_path_refuses_any_text_or_reads_the_one_way_to_write_it(text, near):
    refused_or_exact(near)
    assert refused_or_exact(text)


@given(st.data(), tile_paths)
def test_parse_path_takes_no_second_way_to_write_a_tile(edited, data, tile):
    path = tile.format()
    changed = data.draw(edited(path))
    assert refused_or_exact(changed) or changed == path or parse_path(changed) != tile


@pytest.mark.parametrize("path", ["tile/0/" + "x999/" * 10_000 + "999", "tile/" + "9" * 10_000 + "/000", "x" * 10**6])
def test_parse_path_refuses_long_paths(path):
    with pytest.raises(MalformedError):
        parse_path(path)


# -------------------------------------------------------------------------------------------------------------- places


@pytest.mark.vectors("tiles", "width")
def test_tile_width_agrees_with_vectors(case):
    assert tile_width(case["level"], case["number"], case["size"]) == case["width"]


@pytest.mark.vectors("tiles", "subtree")
def test_locate_agrees_with_vectors(case):
    place = case["tile_level"], case["tile_number"], case["row"], case["position"]
    assert locate(case["level"], case["index"]) == place


@given(st.integers(0, 7), st.integers(0, MAX_INTEGER))
def test_widths_of_a_level_add_up_to_its_hashes(level, size):
    hashes = size >> 8 * level
    last = hashes // 256
    assert tile_width(level, last, size) == hashes % 256
    assert tile_width(level, last + 1, size) == 0
    assert not last or tile_width(level, last - 1, size) == tile_width(level, 0, size) == 256


@given(st.integers(0, 62), st.integers(0, MAX_INTEGER))
def test_locate_names_a_tile_that_covers_the_subtree(level, index):
    tile_level, number, row, position = locate(level, index)
    assert 8 * tile_level + row == level
    assert 0 <= row < 8
    assert 0 <= position < 256 >> row
    assert number * (256 >> row) + position == index


@pytest.mark.vectors("tiles", "tile")
def test_tile_agrees_with_vectors(case, large_tiles):
    """Full tiles come from the store, partial ones from the edge of a tree of that size."""
    full, edges = large_tiles
    if case["width"] == 256:
        hashes = full[case["level"], case["number"]][:TILE_BYTES]
    else:
        edge = edges[case["size"]]
        hashes = b"".join(edge.hash(case["level"], case["number"], 0, i) for i in range(case["width"]))
        assert edge.hash(case["level"], case["number"], 0, case["width"]) is None
    assert base64.b64encode(sha256(hashes).digest()).decode() == case["sha256"]
    assert base64.b64encode(hashes[:32]).decode() == case["first_hash"]
    assert base64.b64encode(hashes[-32:]).decode() == case["last_hash"]


@pytest.fixture(scope="module")
def large_tiles(textbook):
    """All full tiles of a tree of 70,000 leaves, and its edge at the sizes of the vectors."""
    leaves = textbook.numbered_tree(70_000).leaf_hashes
    edge, full, edges = Edge(), {}, {}
    for size in (1, 255, 256, 257, 70_000):
        full |= {(tile.level, tile.number): tile.hashes for tile in edge.append(leaves[edge.size : size])}
        edges[size] = edge.copy()
    return full, edges


def test_stored_tile_holds_each_of_its_511_hashes_once(tree):
    (tile,) = Edge().append(tree.leaf_hashes[:256])
    assert len(tile.hashes) == STORED_BYTES == 16_352
    for row in range(9):
        for position in range(256 >> row):
            assert stored_hash(tile.hashes, row, position) == tree.mth(position << row, position + 1 << row)


# ------------------------------------------------------------------------------------------------------------- bundles


@pytest.mark.vectors("tiles", "bundle")
def test_bundle_agrees_with_vectors(case):
    bundle = base64.b64decode(case["bundle"])
    if case["ok"]:
        entries = [base64.b64decode(entry) for entry in case["entries"]]
        assert parse_bundle(bundle) == entries
        assert format_bundle(entries) == bundle
    else:
        with pytest.raises(MalformedError, match="cut short"):
            parse_bundle(bundle)


def test_format_bundle_is_the_published_example():
    assert format_bundle([b"one", b"two", b"three"]).hex() == "00036f6e65000374776f00057468726565"


@given(st.lists(st.binary(max_size=300)))
@example([b""])
@example([bytes(65_535), b"", bytes(65_535)])
def test_bundle_is_read_as_it_is_written(entries):
    assert parse_bundle(format_bundle(entries)) == entries


@given(st.binary() | st.lists(st.integers(0, 3), max_size=20).map(bytes))
def test_parse_bundle_refuses_any_bytes_or_reads_all_of_them(data):
    try:
        entries = parse_bundle(data)
    except MalformedError as error:
        assert "cut short" in str(error)
    else:
        assert format_bundle(entries) == data


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1), st.data())
def test_bundle_cut_inside_an_entry_is_refused(entries, data):
    bundle = format_bundle(entries)
    ends = {len(format_bundle(entries[:n])) for n in range(len(entries) + 1)}
    cut = data.draw(st.sampled_from([end for end in range(len(bundle)) if end not in ends]))
    with pytest.raises(MalformedError):
        parse_bundle(bundle[:cut])


def test_format_bundle_refuses_an_entry_beyond_two_bytes_of_length():
    with pytest.raises(OverflowError):
        format_bundle([bytes(65_536)])
