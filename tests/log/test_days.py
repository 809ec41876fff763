# SPDX-License-Identifier: Apache-2.0
"""Day documents: what a regulator pins, checked from the outside, and each led to from the day before."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ledger_verify import VerificationError, trusted_keys, verify_day_file
from ledger_verify.merkle import verify_consistency, verify_inclusion

from ledger.log.canonical import encode, read_strict
from ledger.log.days import day_document
from ledger.log.keys import create_signing_key
from tests.log.world import DAY, NOON, World
from tests.running import run_verifier
from tests.tlog.vectors import textbook

DATES = [f"2026-03-0{day}" for day in range(1, 6)]


@pytest.fixture(scope="module")
def days(open_world: Callable[..., World]) -> Iterator[World]:
    """Five closed days: one quiet, one with more entries than a tile."""
    with open_world() as world:
        for number, date in enumerate(DATES):
            world.wake_at(NOON + number * DAY)
            if number != 2:
                world.report(*(f"{date}-{i}" for i in range(300 if number == 3 else 3)))
                world.commit_heads()
            world.close_day()
        yield world


def documents(world: World) -> dict[str, dict[str, Any]]:
    return {date: json.loads(world.close_day(date).text()) for date in DATES}


def test_every_document_verifies_and_names_its_date(days: World) -> None:
    for date in DATES:
        day = verify_day_file(days.close_day(date).text(), days.keys)
        assert (day.date, day.signed.tier) == (date, "tamper-evident")


def test_document_is_strict_jcs_and_one_newline(days: World) -> None:
    for date in DATES:
        text = days.close_day(date).text()
        assert text.endswith(b"}\n") and encode(read_strict(text[:-1])) == text[:-1]
        assert set(json.loads(text)) == {
            *("checkpoint", "consistency_path", "date", "entry", "entry_index", "format", "heads", "inclusion_path"),
            "previous_checkpoint",
        }


def test_each_day_names_the_day_before_and_extends_it(days: World) -> None:
    found = documents(days)
    first = found[DATES[0]]
    assert first["previous_checkpoint"] is None and first["consistency_path"] == []
    assert "previous" not in json.loads(first["entry"])["data"]
    for before, date in pairwise(DATES):
        earlier, later = found[before], found[date]
        assert json.loads(later["entry"])["data"]["previous"] == before
        assert later["previous_checkpoint"] == earlier["checkpoint"]
        a, b = (verify_day_file(days.close_day(d).text(), days.keys).checkpoint for d in (before, date))
        tree = textbook.Tree([textbook.leaf(leaf) for leaf in days.leaves(days.root)])
        assert later["consistency_path"] == [textbook.b64(h) for h in tree.consistency(a.tree_size, b.tree_size)]
        verify_consistency(
            a.tree_size, b.tree_size, tree.consistency(a.tree_size, b.tree_size), a.root_hash, b.root_hash
        )


def test_any_two_days_are_consistent(days: World) -> None:
    checkpoints = [verify_day_file(days.close_day(date).text(), days.keys).checkpoint for date in DATES]
    edge = days.root.committed.edge
    for i, old in enumerate(checkpoints):
        for new in checkpoints[i:]:
            path = days.root.tree.consistency_path(edge, old.tree_size, new.tree_size)
            verify_consistency(old.tree_size, new.tree_size, path, old.root_hash, new.root_hash)


def test_document_proves_two_neighbours(days: World) -> None:
    leaves = days.leaves(days.root)
    for day in days.ledger.store.days():
        document = day_document(days.ledger, day)
        checkpoint = verify_day_file(document.text(), days.keys).checkpoint
        tree = textbook.Tree([textbook.leaf(leaf) for leaf in leaves])
        for index, entry, path in (
            (day.entry_index - 1, document.heads.entry, document.heads.inclusion_path),
            (day.entry_index, document.entry, document.inclusion_path),
        ):
            assert entry.encode() == leaves[index]
            assert path == [textbook.b64(value) for value in tree.inclusion(index, checkpoint.tree_size)]
            verify_inclusion(
                index,
                checkpoint.tree_size,
                textbook.leaf(leaves[index]),
                tree.inclusion(index, checkpoint.tree_size),
                checkpoint.root_hash,
            )


def test_documents_stay_the_same_when_the_log_grows_and_is_opened_again(open_world: Callable[..., World]) -> None:
    with open_world() as world:
        kept = {}
        for number, date in enumerate(DATES[:3]):
            world.wake_at(NOON + number * DAY)
            kept[date] = world.close_day().text()
            world.report(*(f"{date}-{i}" for i in range(5)))
            world.commit_heads()
        for i in range(260):
            world.report(f"more-{i}")
            world.commit_heads()
        with world.reopened() as reopened:
            assert {date: reopened.close_day(date).text() for date in kept} == kept
            assert reopened.root.committed.head.size > 256


def test_command_takes_a_document_and_refuses_a_forged_one(days: World, tmp_path: Path) -> None:
    text = days.close_day(DATES[1]).text()
    file, key = tmp_path / "day.json", ["--root-key", days.vkey(days.root)]
    file.write_bytes(text)
    assert run_verifier("root", str(file), *key).returncode == 0
    assert run_verifier("root", str(file)).returncode == 3, "self-consistent only"
    file.write_bytes(text.replace(b"2026-03-02", b"2026-03-03"))
    assert run_verifier("root", str(file), *key).returncode == 1


def test_document_needs_the_key_of_the_root_log(days: World) -> None:
    stranger, _ = create_signing_key(days.root.origin, days.ledger.vault)
    with pytest.raises(VerificationError, match="step 5"):
        verify_day_file(days.close_day(DATES[0]).text(), trusted_keys(root=[stranger.vkey.format()]))


@pytest.mark.parametrize(
    "name", ["checkpoint", "previous_checkpoint", "entry", "heads", "inclusion_path", "consistency_path"]
)
def test_member_of_another_day_does_not_fit(days: World, name: str) -> None:
    found = documents(days)
    for date in DATES[1:]:
        for other in DATES:
            mixed = found[date] | {name: found[other][name]}
            if mixed == found[date]:
                continue
            with pytest.raises(VerificationError):
                verify_day_file(encode(mixed) + b"\n", days.keys)
