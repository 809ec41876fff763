# SPDX-License-Identifier: Apache-2.0
"""Cases of tiles.json: paths, widths, places of subtrees, hashes of tiles, bundles."""

from hashlib import sha256

from tests.tlog.vectors.textbook import b64, numbered_tree


def tile_cases():
    yield from path_cases()
    yield from width_cases()
    yield from subtree_cases()
    yield from tile_hash_cases()
    yield from bundle_cases()


def path_cases():
    largest = (2**63 - 1) // 256
    for path, level, number, width in [
        ("tile/0/000", 0, 0, 256),
        ("tile/0/001", 0, 1, 256),
        ("tile/0/255", 0, 255, 256),
        ("tile/0/999", 0, 999, 256),
        ("tile/0/x001/000", 0, 1000, 256),
        ("tile/0/x010/000", 0, 10_000, 256),
        ("tile/0/x999/999", 0, 999_999, 256),
        ("tile/0/x001/x000/000", 0, 1_000_000, 256),
        ("tile/0/x001/x234/067", 0, 1_234_067, 256),
        ("tile/1/x123/x456/789", 1, 123_456_789, 256),
        ("tile/1/000.p/17", 1, 0, 17),
        ("tile/0/000.p/1", 0, 0, 1),
        ("tile/0/000.p/255", 0, 0, 255),
        ("tile/0/273.p/112", 0, 273, 112),
        ("tile/0/x001/x234/067.p/8", 0, 1_234_067, 8),
        ("tile/9/000", 9, 0, 256),
        ("tile/10/000.p/1", 10, 0, 1),
        ("tile/63/000.p/1", 63, 0, 1),
        ("tile/entries/000", None, 0, 256),
        ("tile/entries/x001/x234/067", None, 1_234_067, 256),
        ("tile/entries/000.p/3", None, 0, 3),
        ("tile/0/x036/x028/x797/x018/x963/967", 0, largest, 256),
    ]:
        yield {"name": path, "kind": "path", "ok": True, "path": path, "level": level, "number": number, "width": width}
    for path, why in BAD_TILE_PATHS:
        yield {"name": f"bad path {path[:60]!a}", "kind": "path", "ok": False, "why": why, "path": path}


BAD_TILE_PATHS = [
    ("", "empty"),
    ("tile", "no level"),
    ("tile/", "no level"),
    ("tile/0", "no number"),
    ("tile/0/", "no number"),
    ("/tile/0/000", "slash before"),
    ("tile/0/000/", "slash behind"),
    ("tile//000", "no level"),
    ("Tile/0/000", "capital"),
    ("tiles/0/000", "not tile"),
    ("tile/0/000\n", "newline behind"),
    (" tile/0/000", "space before"),
    ("tile/0/000 ", "space behind"),
    ("tile/0/../000", "dots"),
    ("tile/0/%300", "percent"),
    ("tile/-1/000", "negative level"),
    ("tile/+1/000", "sign"),
    ("tile/00/000", "level with a leading zero"),
    ("tile/01/000", "level with a leading zero"),
    ("tile/64/000", "level beyond 63"),
    ("tile/99/000", "level beyond 63"),
    ("tile/100/000", "level beyond 63"),
    ("tile/x/000", "level is no number"),
    ("tile/data/000", "level of another format"),
    ("tile/Entries/000", "capital"),
    ("tile/entry/000", "level is no number"),
    ("tile/0/0", "group of one digit"),
    ("tile/0/00", "group of two digits"),
    ("tile/0/0000", "group of four digits"),
    ("tile/0/1234", "group of four digits"),
    ("tile/0/-01", "negative number"),
    ("tile/0/+01", "sign"),
    ("tile/0/ 01", "space"),
    ("tile/0/1_0", "underscore"),
    ("tile/0/0x1", "hexadecimal"),
    ("tile/0/00a", "not a digit"),
    ("tile/0/x000", "last group with an x"),
    ("tile/0/x001", "last group with an x"),
    ("tile/0/x001/x234", "last group with an x"),
    ("tile/0/001/234", "first group without an x"),
    ("tile/0/001/x234/067", "first group without an x"),
    ("tile/0/x001/234/067", "middle group without an x"),
    ("tile/0/x000/000", "leading group of zeros"),
    ("tile/0/x000/001", "leading group of zeros"),
    ("tile/0/x000/x001/234", "leading group of zeros"),
    ("tile/0/x1/000", "group of one digit"),
    ("tile/0/x1000/000", "group of four digits"),
    ("tile/0/X001/000", "capital"),
    ("tile/0/xx01/000", "not a digit"),
    ("tile/0/x001//000", "empty group"),
    ("tile/0/٠٠١", "Arabic digits"),
    ("tile/٠/000", "Arabic digits"),
    ("tile/0/０００", "full-width digits"),
    ("tile/0/00²", "superscript"),
    ("tile/0/000.p/١", "Arabic digits"),
    ("tile/0/000.p", "no width"),
    ("tile/0/000.p/", "no width"),
    ("tile/0/000.p/0", "width 0"),
    ("tile/0/000.p/00", "width 0"),
    ("tile/0/000.p/01", "width with a leading zero"),
    ("tile/0/000.p/256", "a full tile has no width"),
    ("tile/0/000.p/257", "width beyond 255"),
    ("tile/0/000.p/999", "width beyond 255"),
    ("tile/0/000.p/1000", "width beyond 255"),
    ("tile/0/000.p/-1", "negative width"),
    ("tile/0/000.p/+1", "sign"),
    ("tile/0/000.p/ 1", "space"),
    ("tile/0/000.p/1/", "slash behind"),
    ("tile/0/000.p/1.p/1", "two widths"),
    ("tile/0/000.P/1", "capital"),
    ("tile/0/000p/1", "no dot"),
    ("tile/0/000/p/1", "slash for the dot"),
    ("tile/0/x001.p/1/000", "width in the middle"),
    ("tile/8/0/000", "with a tile height"),
    ("tile/0/x036/x028/x797/x018/x963/968", "no tree below 2^63 leaves has it"),
    ("tile/0/" + "x001/" * 30 + "000", "no tree below 2^63 leaves has it"),
]


def width_cases():
    for level, number, size, width in [
        (0, 0, 0, 0),
        (0, 0, 1, 1),
        (0, 0, 255, 255),
        (0, 0, 256, 256),
        (0, 1, 256, 0),
        (0, 1, 257, 1),
        (1, 0, 255, 0),
        (1, 0, 256, 1),
        (1, 0, 511, 1),
        (1, 0, 512, 2),
        (0, 272, 70_000, 256),
        (0, 273, 70_000, 112),
        (0, 274, 70_000, 0),
        (1, 0, 70_000, 256),
        (1, 1, 70_000, 17),
        (1, 2, 70_000, 0),
        (2, 0, 70_000, 1),
        (3, 0, 70_000, 0),
        (1, 0, 65_535, 255),
        (1, 0, 65_536, 256),
        (2, 0, 65_535, 0),
        (2, 0, 65_536, 1),
        (6, 0, 2**53 - 1, 31),
        (7, 0, 2**53 - 1, 0),
    ]:
        name = f"width of tile {number} of level {level} at size {size}"
        yield {"name": name, "kind": "width", "level": level, "number": number, "size": size, "width": width}


def subtree_cases():
    """Where the hash of a perfect subtree is: row 0 is the bottom row of a tile, row r has 256 / 2^r hashes."""
    for level, index, tile_level, number, row, position in [
        (0, 0, 0, 0, 0, 0),
        (0, 255, 0, 0, 0, 255),
        (0, 256, 0, 1, 0, 0),
        (1, 127, 0, 0, 1, 127),
        (1, 128, 0, 1, 1, 0),
        (7, 0, 0, 0, 7, 0),
        (7, 1, 0, 0, 7, 1),
        (7, 2, 0, 1, 7, 0),
        (8, 0, 1, 0, 0, 0),
        (8, 256, 1, 1, 0, 0),
        (9, 127, 1, 0, 1, 127),
        (15, 3, 1, 1, 7, 1),
        (16, 5, 2, 0, 0, 5),
        (3, 1_000_003, 0, 31_250, 3, 3),
    ]:
        place = {"tile_level": tile_level, "tile_number": number, "row": row, "position": position}
        yield {"name": f"subtree {index} of level {level}", "kind": "subtree", "level": level, "index": index, **place}


def tile_hash_cases():
    """A tile in a tree of leaves `leaf 0`, `leaf 1`, …, as the SHA-256 of its hashes."""
    tree = numbered_tree(70_000)
    for size, level, number, width in [
        (1, 0, 0, 1),
        (255, 0, 0, 255),
        (256, 0, 0, 256),
        (256, 1, 0, 1),
        (257, 0, 1, 1),
        (70_000, 0, 273, 112),
        (70_000, 1, 0, 256),
        (70_000, 1, 1, 17),
        (70_000, 2, 0, 1),
    ]:
        step = 256**level
        first = number * 256
        hashes = [tree.mth(step * i, step * (i + 1)) for i in range(first, first + width)]
        yield {
            "name": f"hashes of tile {number} of level {level} at size {size}",
            "kind": "tile",
            "size": size,
            "level": level,
            "number": number,
            "width": width,
            "first_hash": b64(hashes[0]),
            "last_hash": b64(hashes[-1]),
            "sha256": b64(sha256(b"".join(hashes)).digest()),
        }


def bundle_cases():
    for name, entries in [
        ("no entry", []),
        ("an empty entry", [b""]),
        ("published: three entries", [b"one", b"two", b"three"]),
        ("empty entries around another", [b"", b"x", b"", b""]),
        ("an entry of 256 bytes", [bytes(256)]),
        ("all byte values", [bytes(range(256)), b"\n"]),
    ]:
        bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
        listed = [b64(entry) for entry in entries]
        yield {"name": f"bundle: {name}", "kind": "bundle", "ok": True, "bundle": b64(bundle), "entries": listed}
    for name, bundle in [
        ("half a length", b"\0"),
        ("a length and no entry", b"\0\1"),
        ("an entry cut short", b"\0\3on"),
        ("a whole entry and half a length", b"\0\3one\0"),
        ("a length of 65535", b"\xff\xff" + bytes(65)),
        ("lengths the other way round", b"\3\0one"),
    ]:
        case = {"name": f"bundle: {name}", "kind": "bundle", "ok": False, "why": "cut short", "bundle": b64(bundle)}
        yield case
