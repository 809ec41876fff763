# SPDX-License-Identifier: Apache-2.0
"""The pin book: what a log once showed holds it to account, wherever its newer state comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import CannotTellError, VerificationError, trusted_keys
from ledger_verify.equivocation import EquivocationError, verify_equivocation, write_equivocation
from ledger_verify.log_files import LogFiles
from ledger_verify.pin_book import Pin
from ledger_verify.pins import add_shown, check_shown, shown_by_file, shown_by_log

from .conftest import Run
from .log_places import SIGNER, Memory, any_entries, any_log, write_log
from .test_consistency import answer
from .textbook import Signer, file_bytes, leaf, tiled_log
from .world import World

KEYS = trusted_keys([SIGNER.vkey])
KEY = ["--key", SIGNER.vkey]


def forked_log(size: int, index: int) -> dict[str, bytes]:
    entries = any_entries(size)
    return tiled_log(SIGNER, entries[:index] + [b"forked %d" % n for n in range(index, size)])


def pins_at(*sizes: int) -> list[Pin]:
    pins: list[Pin] = []
    for size in sizes:
        pins, _ = add_shown(pins, shown_by_log(LogFiles(Memory(any_log(size)))), KEYS)
    return pins


@given(st.lists(st.integers(1, 700), min_size=1, max_size=4), st.integers(1, 700))
@settings(max_examples=30, deadline=None)
def test_log_that_only_grew_extends_every_pin(sizes: list[int], now: int) -> None:
    now = max(now, *sizes)
    source = Memory(any_log(now))
    checked = check_shown(pins_at(*sizes), shown_by_log(LogFiles(source)), trusted_keys())
    assert checked.checkpoint.tree_size == now and len(checked.pins) == len(set(sizes))
    assert checked.signed.tier == "tamper-detecting"  # under the key that it was pinned with
    # A few tiles and no entries.
    assert len(set(source.asked)) == len(source.asked) <= 1 + 6 and not [p for p in source.asked if "entries" in p]


@given(st.integers(1, 700), st.integers(1, 700), st.data())
@settings(max_examples=40, deadline=None)
def test_forked_log_is_caught_and_the_proof_convinces_a_stranger(one: int, other: int, data: st.DataObject) -> None:
    pinned, now = sorted((one, other))
    index = data.draw(st.integers(0, now))
    shown = shown_by_log(LogFiles(Memory(forked_log(now, index))))
    if index >= pinned:
        assert check_shown(pins_at(pinned), shown, trusted_keys()).checkpoint.tree_size == now
        return
    with pytest.raises(EquivocationError) as caught:
        check_shown(pins_at(pinned), shown, trusted_keys())
    found, signed = verify_equivocation(write_equivocation(caught.value.found, KEYS.of_logs), KEYS)
    assert (found.older.tree_size, found.newer.tree_size, signed.by_log) == (pinned, now, True)


def test_any_flipped_tile_is_no_fork() -> None:
    """Hashes that do not lead to the signed root show nothing, neither consistency nor a fork."""
    files = any_log(600)
    for path in files:
        if path.startswith("tile/entries") or path == "checkpoint":
            continue
        for at in range(0, len(files[path]), 1000):
            flipped = bytearray(files[path])
            flipped[at] ^= 1
            source = Memory({**files, path: bytes(flipped)})
            try:
                check_shown(pins_at(300), shown_by_log(LogFiles(source)), KEYS)
            except EquivocationError:
                raise AssertionError(path) from None
            except VerificationError as error:
                assert "neither consistency nor a fork" in str(error)


def test_adding_holds_a_log_to_its_pins_where_it_can() -> None:
    forked = shown_by_log(LogFiles(Memory(forked_log(9, 1))))
    with pytest.raises(EquivocationError):
        add_shown(pins_at(3, 5), forked, KEYS)
    # A checkpoint alone does not show what it contradicts; the next check does.
    [alone] = shown_by_file(forked_log(9, 1)["checkpoint"])
    pins, _ = add_shown(pins_at(5), alone, KEYS)
    with pytest.raises(EquivocationError):
        check_shown(pins, shown_by_log(LogFiles(Memory(any_log(9)))), KEYS)


def test_pin_without_a_key_is_none() -> None:
    shown = shown_by_log(LogFiles(Memory(any_log(5))))
    with pytest.raises(CannotTellError, match="--key"):
        add_shown([], shown, trusted_keys())
    with pytest.raises(VerificationError, match="step 2"):
        add_shown([], shown, trusted_keys([Signer(SIGNER.name, b"somebody").vkey]))
    with pytest.raises(VerificationError, match="empty tree"):
        add_shown([], shown_by_log(LogFiles(Memory(any_log(0)))), KEYS)


def test_forgery_by_a_stranger_is_no_fork() -> None:
    strange = tiled_log(Signer(SIGNER.name, b"somebody"), [b"x"] * 9)
    with pytest.raises(VerificationError, match="step 2: none of the given keys") as caught:
        check_shown(pins_at(5), shown_by_log(LogFiles(Memory(strange))), KEYS)
    assert not isinstance(caught.value, EquivocationError)


def test_smaller_tree_than_pinned_is_refused_and_no_fork() -> None:
    for files in (any_log(4), forked_log(4, 1)):
        with pytest.raises(VerificationError, match="step 3: the log shows a smaller tree") as caught:
            check_shown(pins_at(5), shown_by_log(LogFiles(Memory(files))), KEYS)
        assert not isinstance(caught.value, EquivocationError)
    # Another pin that it does contradict decides, though.
    with pytest.raises(EquivocationError):
        check_shown(pins_at(3, 5), shown_by_log(LogFiles(Memory(forked_log(4, 1)))), KEYS)


# ------------------------------------------------------------------------------------------------- checkpoints in files


def test_checkpoint_with_the_service_s_answers() -> None:
    files = any_log(70)
    proofs = [json.dumps(answer(size, 70)).encode() for size in (5, 64)]
    [shown] = shown_by_file(files["checkpoint"], proofs)
    assert check_shown(pins_at(5, 64, 70), shown, KEYS).checkpoint.tree_size == 70
    with pytest.raises(CannotTellError, match="from=6&to=70"):
        check_shown(pins_at(5, 6), shown, KEYS)
    # What is missing of one pin hides no fork from another.
    [partly] = shown_by_file(forked_log(70, 3)["checkpoint"])
    with pytest.raises(EquivocationError):
        check_shown(pins_at(5, 70), partly, KEYS)
    # The answer of a forked service: it proves the history that it shows now.
    forked = forked_log(70, 3)
    hashes = [leaf(any_entries(70)[n] if n < 3 else b"forked %d" % n) for n in range(70)]
    for size in (5, 64):
        [shown] = shown_by_file(forked["checkpoint"], [json.dumps(answer(size, 70, hashes)).encode()])
        with pytest.raises(EquivocationError) as caught:
            check_shown(pins_at(size), shown, KEYS)
        verify_equivocation(write_equivocation(caught.value.found, KEYS.of_logs), KEYS)


def test_day_documents_are_pinned_and_prove_themselves(world: World) -> None:
    keys = trusted_keys(root=[world.root.signer.vkey])
    [first], [second] = shown_by_file(file_bytes(world.first_day())), shown_by_file(file_bytes(world.day()))
    pins, pin = add_shown([], first, keys)
    assert (pin.date, pin.checkpoint.tree_size) == ("2026-11-21", world.previous_root_size)
    assert check_shown(pins, second, keys).signed.tier == "tamper-evident"
    pins, pin = add_shown(pins, second, keys)
    assert [p.date for p in pins] == ["2026-11-21", "2026-11-22"]
    with pytest.raises(VerificationError, match="step 2: day document: step 3"):
        [broken] = shown_by_file(file_bytes({**world.day(), "inclusion_path": []}))
        add_shown([], broken, keys)


# --------------------------------------------------------------------------------------------------------- the command


def test_the_life_of_a_book(run: Run, tmp_path: Path, world: World) -> None:
    book, out = tmp_path / "book", tmp_path / "fork.json"
    pin = ["--pin", book]
    small, large = write_log(tmp_path / "small", any_log(300)), write_log(tmp_path / "large", any_log(600))
    forked = write_log(tmp_path / "forked", forked_log(500, 200))
    (tmp_path / "day.json").write_bytes(file_bytes(world.day()))
    (tmp_path / "receipt.json").write_bytes(file_bytes(world.receipt(9)))

    assert run("pin", "list", *pin).returncode == 2
    assert run("pin", "add", small, *pin).returncode == 2  # no key
    assert not book.exists()
    assert run("pin", "add", small, *pin, *KEY).returncode == 0
    assert run("pin", "add", small, tmp_path / "day.json", *pin, *KEY).returncode == 1  # no key of that log
    root_key = ["--root-key", world.root.signer.vkey]
    assert run("pin", "add", tmp_path / "day.json", *pin, *root_key).returncode == 0
    assert run("pin", "add", tmp_path / "receipt.json", *pin, "--key", world.log.signer.vkey).returncode == 0
    listed = json.loads(run("pin", "list", *pin, "--json").stdout)["results"]
    pinned = {(r["origin"], r["tree_size"], r["date"]) for r in listed}
    assert pinned == {
        (SIGNER.name, 300, None),
        (world.root.origin, world.day_entry + 1, "2026-11-22"),
        (world.log.origin, world.log_size, None),
    }

    before = book.read_bytes()
    assert run("pin", "check", large, *pin).returncode == 0
    done = run("pin", "check", forked, *pin)
    assert done.returncode == 1 and "--proof-out" in done.stdout
    done = run("pin", "check", forked, *pin, "--proof-out", out, "--json")
    [result] = json.loads(done.stdout)["results"]
    assert done.returncode == 1 and result["equivocation"]["proof"] == str(out)
    assert run("equivocation", out, *KEY).returncode == 0
    assert run("equivocation", out, "--key", world.log.signer.vkey).returncode == 1
    assert book.read_bytes() == before
    unwritable = tmp_path / "no" / "such" / "folder"
    assert run("pin", "check", forked, *pin, "--proof-out", unwritable).returncode == 1

    # Of one size and another root: adding finds it, too, and pins nothing.
    other = write_log(tmp_path / "other", forked_log(300, 299))
    out.unlink()
    assert run("pin", "add", other, *pin, *KEY, "--proof-out", out).returncode == 1
    assert run("equivocation", out, *KEY).returncode == 0 and book.read_bytes() == before
    assert run("pin", "check", write_log(tmp_path / "strange", any_log(0)), *pin).returncode == 1


@pytest.mark.parametrize(
    "command", [["pin"], ["pin", "nothing"], ["pin", "add"], ["pin", "list"], ["pin", "check", "x"]]
)
def test_wrong_usage(run: Run, command: list[str]) -> None:
    done = run(*command)
    assert done.returncode == 2 and "usage: ledger-verify" in done.stderr


def test_damaged_book_is_not_used(run: Run, tmp_path: Path) -> None:
    book, place = tmp_path / "book", write_log(tmp_path / "log", any_log(5))
    assert run("pin", "add", place, "--pin", book, *KEY).returncode == 0
    good = book.read_bytes()
    for at in (0, 60, 150, 230, len(good) - 20, len(good) - 1):
        raw = bytearray(good)
        raw[at] ^= 1
        book.write_bytes(bytes(raw))
        for command in (["list"], ["check", place], ["add", place, *KEY]):
            done = run("pin", *command, "--pin", book)
            assert done.returncode == 2 and "the pin book is unusable" in done.stderr, (at, command, done)
