# SPDX-License-Identifier: Apache-2.0
"""A log derived again: it passes at every size, and a byte flipped in any of its files is found and named."""

from __future__ import annotations

import re
import tracemalloc
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import CannotTellError, VerificationError, trusted_keys
from ledger_verify.log import Log, verify_log
from ledger_verify.log_state import LogState

from .log_places import SIGNER, Memory, any_entries, any_log
from .textbook import Signer, leaf, mth, tile_path, tiled_log
from .world import World, build_world

KEYS = trusted_keys([SIGNER.vkey])
SIZES = [0, 1, 2, 3, 200, 255, 256, 257, 300, 511, 512, 513, 700]
LARGE = [65_535, 65_536, 65_537, 70_000]


@lru_cache(maxsize=8)
def log_of(size: int) -> dict[str, bytes]:
    return any_log(size)


def verify(files: dict[str, bytes], state: LogState | None = None, entries: str = "detect") -> Log:
    return verify_log(Memory(files), KEYS, entries, state)


@pytest.mark.parametrize("size", SIZES + LARGE)
def test_log_is_what_its_files_say(size: int) -> None:
    files = log_of(size)
    source = Memory(files)
    log = verify_log(source, KEYS)
    assert (log.checkpoint.tree_size, log.start, log.entries) == (size, 0, "any")
    assert log.signed.tier == "tamper-detecting"
    # Each file is read, and read once.
    assert sorted(source.asked) == sorted(files)
    assert log.bundles_read + log.tiles_read + 1 == len(files)


@pytest.mark.parametrize("size", [1, 256, 257, 513, 700])
def test_byte_flipped_in_any_file_is_found_and_named(size: int) -> None:
    files = log_of(size)
    for path, content in files.items():
        for at in sorted({0, 1, 2, len(content) // 2, len(content) - 1}):
            flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            with pytest.raises(VerificationError) as caught:
                verify({**files, path: flipped})
            message = str(caught.value)
            if path != "checkpoint":
                assert path in message, (path, at, message)
            if path.startswith("tile/entries/") and at > 1:
                assert re.search(r"entry \d+", message), message


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_byte_flipped_anywhere_in_a_log_of_three_levels_is_found(data: st.DataObject) -> None:
    files = log_of(65_900)
    path = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[path]) - 1))
    content = bytearray(files[path])
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError, match="checkpoint" if path == "checkpoint" else re.escape(path)):
        try:
            verify({**files, path: bytes(content)})
        except VerificationError as error:
            # A flipped checkpoint fails as a note, in words of its own.
            raise VerificationError(f"{path if path == 'checkpoint' else ''} {error}") from None


@pytest.mark.parametrize(
    ("path", "blamed"),
    [
        ("tile/entries/001", "entry 300 in tile/entries/001 was changed"),
        ("tile/0/001", "so tile/0/001 was changed"),
        ("tile/1/000.p/2", "tile/1/000.p/2"),
        ("tile/0/002.p/88", "so the tile was changed"),
        ("tile/entries/002.p/88", "entry 512 in tile/entries/002.p/88"),
    ],
)
def test_which_of_two_is_wrong_is_said(path: str, blamed: str) -> None:
    files = dict(log_of(600))
    if "entries/001" in path:
        files[path] = files[path].replace(b"entry 300", b"entry 3oo")
    elif "entries" in path:
        files[path] = files[path].replace(b"entry 512", b"entry 5l2")
    else:
        files[path] = files[path][:40] + b"\xff" + files[path][41:]
    with pytest.raises(VerificationError, match=re.escape(blamed)):
        verify(files)


def test_files_too_long_or_too_short_are_refused() -> None:
    files = log_of(600)
    for path, content in files.items():
        for other in (content[:-1], content + b"\0", content + b"\0\0", b"", content + content):
            with pytest.raises(VerificationError):
                verify({**files, path: other})


def test_missing_file_cannot_be_told() -> None:
    for path in log_of(600):
        files = {name: content for name, content in log_of(600).items() if name != path}
        with pytest.raises(CannotTellError, match=re.escape(path)):
            verify(files)


def test_partial_files_may_be_gone_once_the_full_ones_are_there() -> None:
    older, newer = log_of(300), log_of(700)
    files = {path: content for path, content in newer.items() if ".p/" not in path}
    files["tile/1/000.p/1"] = older["tile/1/000.p/1"]
    assert verify({**files, "checkpoint": older["checkpoint"]}).checkpoint.tree_size == 300


def test_rewritten_log_under_the_old_checkpoint_is_found() -> None:
    """Entries, tiles and all agree with each other; only the signature's root does not."""
    entries = any_entries(600)
    entries[77] = b"another"
    with pytest.raises(VerificationError, match="step 6: the 600 entries lead to another root hash"):
        verify({**tiled_log(SIGNER, entries), "checkpoint": log_of(600)["checkpoint"]})


def test_other_signer_is_refused_and_none_is_self_consistent() -> None:
    forged = tiled_log(Signer(SIGNER.name, b"somebody"), any_entries(5))
    with pytest.raises(VerificationError, match="step 2: none of the given keys"):
        verify(forged)
    assert verify_log(Memory(forged), trusted_keys()).signed.tier is None


def test_extension_lines_of_other_logs_are_left_unread() -> None:
    assert verify(tiled_log(SIGNER, any_entries(3), "anything\n")).checkpoint.tree_size == 3


# --------------------------------------------------------------------------------------------------------------- state


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SIZES), st.sampled_from(SIZES))
def test_a_later_run_reads_only_what_is_new(one: int, other: int) -> None:
    old, new = sorted((one, other))
    state = verify(log_of(old)).state
    source = Memory(log_of(new))
    log = verify_log(source, KEYS, state=state)
    whole = verify(log_of(new))
    assert log.start == old
    assert log.state.edge.rows == whole.state.edge.rows and log.state.checkpoint == whole.state.checkpoint
    first = old // 256 if old < new else 10**6
    bundles = [tile_path("entries", n, min(256, new - n * 256)) for n in range(first, -(-new // 256))]
    assert [path for path in source.asked if "entries" in path] == bundles


@pytest.mark.parametrize(("old", "new"), [(1, 2), (200, 256), (256, 300), (300, 700), (257, 513)])
def test_a_log_that_does_not_extend_what_it_showed_is_found(old: int, new: int) -> None:
    state = verify(log_of(old)).state
    for altered in {0, old // 2, old - 1}:
        entries = any_entries(new)
        entries[altered] = b"another"
        with pytest.raises(VerificationError, match=r"step [46]: "):
            verify(tiled_log(SIGNER, entries), state)


def test_a_smaller_or_another_log_is_not_the_one_of_the_state() -> None:
    state = verify(log_of(300)).state
    with pytest.raises(VerificationError, match="step 3: the log is smaller"):
        verify(log_of(299), state)
    with pytest.raises(VerificationError, match="step 3: another root hash for size 300"):
        verify(tiled_log(SIGNER, [b"x", *any_entries(300)[1:]]), state)
    other = Signer("example.com/other", b"other")
    with pytest.raises(VerificationError, match="step 3: the state is of another log"):
        verify_log(Memory(tiled_log(other, any_entries(300))), trusted_keys([other.vkey]), state=state)


# ------------------------------------------------------------------------------------------------- entries of our logs


@pytest.fixture(scope="module")
def long_world() -> World:
    return build_world(calls=300)


def our_log(world: World, entries: list[bytes] | None = None) -> dict[str, bytes]:
    return tiled_log(world.log.signer, entries or [entry.encode() for entry in world.log.entries])


def test_our_entries_are_checked_as_such(long_world: World) -> None:
    keys = trusted_keys([long_world.log.signer.vkey])
    for wanted, said in (("detect", "ledger"), ("ledger", "ledger"), ("any", "any")):
        assert verify_log(Memory(our_log(long_world)), keys, wanted).entries == said
    root = tiled_log(long_world.root.signer, [entry.encode() for entry in long_world.root.entries])
    log = verify_log(Memory(root), trusted_keys(root=[long_world.root.signer.vkey]))
    assert (log.entries, log.signed.tier) == ("ledger", "tamper-evident")


def test_entries_out_of_order_are_found_though_every_hash_fits(long_world: World) -> None:
    """The operator signs whatever he likes; the rules for entries hold against him as well."""
    keys = trusted_keys([long_world.log.signer.vkey])
    good = [entry.encode() for entry in long_world.log.entries]
    state = verify_log(Memory(our_log(long_world, good[:100])), keys).state
    for at in (1, 99, 150, 256, 300):
        entries = [*good]
        entries[at], entries[at + 1] = entries[at + 1], entries[at]
        with pytest.raises(VerificationError, match=f"step 4: entry ({at}|{at + 1}) of tile/entries"):
            verify_log(Memory(our_log(long_world, entries)), keys)
        if at > 100:
            with pytest.raises(VerificationError, match="step 4: "):
                verify_log(Memory(our_log(long_world, entries)), keys, state=state)
        assert verify_log(Memory(our_log(long_world, entries)), keys, "any").entries == "any"
    with pytest.raises(VerificationError, match="step 4: entry 120 of"):
        verify_log(Memory(our_log(long_world, [*good[:120], b"not json", *good[121:]])), keys)


def test_what_was_not_checked_before_is_not_said_to_be_now(long_world: World) -> None:
    keys = trusted_keys([long_world.log.signer.vkey])
    state = verify_log(Memory(our_log(long_world)), keys, "any").state
    assert verify_log(Memory(our_log(long_world)), keys, "detect", state).entries == "any"
    with pytest.raises(CannotTellError, match="did not check the entries"):
        verify_log(Memory(our_log(long_world)), keys, "ledger", state)


def test_somebody_else_s_log_is_none_of_ours() -> None:
    with pytest.raises(VerificationError, match=r"step 4: entry 0 of tile/entries/000\.p/5"):
        verify(log_of(5) if 5 in SIZES else any_log(5), entries="ledger")


def test_memory_does_not_grow_with_the_log() -> None:
    peaks = []
    for size in (3_000, 65_900):
        source = Memory(log_of(size))
        tracemalloc.start()
        edge = verify_log(source, KEYS).state.edge
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1_000_000, peaks
    assert [len(row) for row in edge.rows] == [108, 1, 1]
    assert edge.root() == mth([leaf(entry) for entry in any_entries(65_900)])
