# SPDX-License-Identifier: Apache-2.0
"""Receipts of every age: with the write, under a committed head, up to a daily root; all verify from the outside."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_verify import VerificationError, trusted_keys, verify_receipt

from ledger.log.keys import create_signing_key
from ledger.log.receipts import covering_head, disclosures_of, heads_line, tlog_proof
from ledger.log.report import Reporter, draft_report, read_report
from ledger.log.rotation import rotate_key
from ledger.log.submission import Part
from ledger.tlog.note import parse_vkey
from ledger.tlog.proof import parse_tlog_proof, verify_tlog_proof
from tests.log import formats
from tests.log.world import DAY, NOON, World
from tests.running import run_verifier

SIZE = 530
# What happened after so many entries: a commitment, a closed day, or a commitment on the next day.
COMMITTED, CLOSED = [100, 256, 300, 520], [200, 400]


@pytest.fixture(scope="module")
def grown(open_world: Callable[..., World]) -> Iterator[World]:
    """600 entries, four commitments between, two days closed; the last entries are covered by nothing yet."""
    with open_world() as world:
        for size in sorted(COMMITTED + CLOSED):
            world.fill(size)
            if size in CLOSED:
                world.close_day()
                world.wake_at(world.clock() + DAY)
            else:
                world.commit_heads()
        world.fill(SIZE)
        yield world


def covered_by(index: int) -> tuple[int | None, str | None]:
    """Size of the head that a receipt should stand under, and the date it should lead to."""
    for number, size in enumerate(CLOSED):
        if index < size:
            return size, f"2026-03-0{1 + number}"
    return next((size for size in COMMITTED if index < size), None), None


def test_every_entry_has_the_strongest_receipt_there_is(grown: World) -> None:
    for index in {*range(0, SIZE, 37), *(size + d for size in COMMITTED + CLOSED for d in (-1, 0)), SIZE - 1}:
        receipt = verify_receipt(grown.receipt(index), grown.keys)
        size, date = covered_by(index)
        assert receipt.leaf_index == index
        assert receipt.checkpoint.tree_size == (size or SIZE)
        assert (receipt.root is None, receipt.signed.tier) == (
            size is None,
            "tamper-detecting" if size is None else "tamper-evident",
        )
        assert (None if receipt.day is None else receipt.day.date) == date


def test_fresh_receipts_of_every_age_of_the_log_verify(open_world: Callable[..., World]) -> None:
    with open_world() as world:
        for i in range(12):
            [item] = world.report(f"call-{i}").items
            receipt = verify_receipt(world.fresh_receipt(item.leaf_index), world.keys)
            assert (receipt.leaf_index, receipt.checkpoint.tree_size) == (item.leaf_index, world.size)
            assert receipt.root is None and receipt.day is None and receipt.disclosures == []


def test_log_may_grow_while_a_receipt_is_made(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head is then of a larger tree than there was when somebody asked."""
    with open_world() as world:
        world.fill(20)
        world.grow_before_heads_are_looked_up(600, monkeypatch)
        receipt = verify_receipt(world.receipt(19), world.keys)
        assert (receipt.leaf_index, receipt.checkpoint.tree_size) == (19, 600)


def test_receipt_needs_the_key_of_its_log(grown: World) -> None:
    """Another key of the same name is no key of the log."""
    log, root = (create_signing_key(log.origin, grown.ledger.vault)[0].vkey.format() for log in (grown.log, grown.root))
    for index in (0, 450, SIZE - 1):
        with pytest.raises(VerificationError, match="step 5"):
            verify_receipt(grown.receipt(index), trusted_keys([log], [grown.vkey(grown.root)]))
    for index in (0, 450):
        with pytest.raises(VerificationError, match="step 7"):
            verify_receipt(grown.receipt(index), trusted_keys([grown.vkey(grown.log)], [root]))


def test_command_says_how_strong_a_receipt_is(grown: World, tmp_path: Path) -> None:
    keys = ["--key", grown.vkey(grown.log), "--root-key", grown.vkey(grown.root)]
    for index, tier in ((5, "tamper-evident"), (450, "tamper-evident"), (SIZE - 1, "tamper-detecting")):
        file = tmp_path / f"{index}.json"
        file.write_bytes(grown.receipt(index))
        verified = run_verifier("receipt", "--json", *keys, str(file))
        assert verified.returncode == 0
        assert json.loads(verified.stdout)["tier"] == tier


def test_receipt_is_the_same_until_something_new_covers_it(grown: World) -> None:
    assert grown.receipt(7) == grown.receipt(7)
    assert grown.receipt(450) == grown.receipt(450)


def test_heads_line_is_that_of_the_page(grown: World) -> None:
    note = grown.log.committed.head.checkpoint
    assert heads_line(grown.log.origin, note) == formats.heads_line(grown.log.origin, note)


def test_covering_head_is_the_first_day_else_the_first_commitment(grown: World) -> None:
    for index in range(SIZE):
        found = covering_head(grown.ledger, grown.log, index)
        size, date = covered_by(index)
        assert (None if found is None else found[0].size) == size
        assert (None if found is None or found[1] is None else found[1].date) == date


def test_reopened_ledger_gives_the_same_receipts(open_world: Callable[..., World]) -> None:
    with open_world() as world:
        world.fill(300)
        world.commit_heads()
        world.close_day()
        before = [world.receipt(index, disclose=True) for index in range(0, 300, 50)]
        with world.reopened() as reopened:
            assert [reopened.receipt(index, disclose=True) for index in range(0, 300, 50)] == before


# Disclosures


def test_disclosed_and_withheld_receipts_have_the_same_entry_and_proof(grown: World) -> None:
    for index in (10, SIZE - 1):
        withheld, disclosed = (json.loads(grown.receipt(index, disclose=disclose)) for disclose in (False, True))
        assert withheld.pop("disclosures") == [] and len(disclosed.pop("disclosures")) == 3
        assert withheld == disclosed
        fields = verify_receipt(grown.receipt(index, disclose=True), grown.keys).disclosures
        assert {field.pointer: json.loads(field.value) for field in fields} == {
            "/data/principal": {"user_id": "ada"},
            "/data/tool_args/amount": 98.7,
            "/data/tool_args/recipient": "GB123",
        }


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["amount", "to"]), JSON_VALUES, max_size=5), JSON_VALUES)
def test_any_sealed_value_verifies_from_the_outside(grown_now: World, arguments: dict[str, Any], result: Any) -> None:
    """Whatever the service seals the verifier can open: names of every kind, numbers of every size."""
    payload = {"tool_args": arguments, "result": result, "reason": "r"}
    [item] = grown_now.report(f"call-{grown_now.size}", payload=payload).items
    receipt = verify_receipt(grown_now.receipt(item.leaf_index, disclose=True), grown_now.keys)
    shown = {field.pointer: json.loads(field.value) for field in receipt.disclosures}
    assert shown.pop("/data/reason") == "r"
    assert shown.pop("/data/result", None) == result
    whole = shown.pop("/data/tool_args", None)
    by_member = {pointer.removeprefix("/data/tool_args/"): value for pointer, value in shown.items()}
    assert (by_member if whole is None else whole) == arguments


@pytest.fixture(scope="module")
def grown_now(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as world:
        yield world


# As deep as a service takes it.
DEEP = 100
SPELLED = [
    "1e400",
    "-1E-999",
    "1" * 5000,
    "0.1" + "0" * 400,
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    '"\\u0000"',
]


@pytest.mark.parametrize("text", SPELLED, ids=lambda text: text[:12])
def test_any_strict_json_can_be_sealed_and_opened(world: World, text: str) -> None:
    """spec/sealed-fields.md: any JSON value without repeated names, lone surrogates, NaN and infinities."""
    body = json.dumps({"call_id": "a", "agent_id": "a", "tool_name": "t", "verdict": "allow", "mode": "enforce"})
    report = f'{{"events":[{body[:-1]},"payload":{{"result":{text}}}}}]}}'
    drafts = draft_report(world.ledger, world.log, read_report(report.encode()), Reporter(key_id="k", env=None), NOON)
    [item] = world.append(*drafts).items
    [field] = verify_receipt(world.receipt(item.leaf_index, disclose=True), world.keys).disclosures
    assert field.value == text


def test_entry_without_sealed_fields_has_no_disclosures(grown: World) -> None:
    assert disclosures_of(grown.ledger, grown.log, 0) == []
    assert [json.loads(grown.receipt(0, disclose=True))["disclosures"]] == [[]]


# The same evidence as a tlog-proof


def test_tlog_proof_is_the_same_evidence(grown: World) -> None:
    leaves = grown.leaves()
    for index in (0, 255, 256, SIZE - 1):
        proof = parse_tlog_proof(tlog_proof(grown.log, index, leaves[index]).format())
        checkpoint = verify_tlog_proof(proof, leaves[index], [parse_vkey(grown.vkey(grown.log))])
        assert (checkpoint.size, checkpoint.root) == (SIZE, grown.log.committed.head.root)
        assert (proof.index, proof.extra) == (index, leaves[index])


# After a change of keys


def test_old_receipts_hold_under_the_old_key_and_new_ones_under_the_new(open_world: Callable[..., World]) -> None:
    with open_world() as world:
        world.report("a")
        before, old = world.fresh_receipt(3), world.keys
        for log in (world.log, world.root):
            world.run(rotate_key(world.ledger, log, Part(world.log, lambda moment: [])))
        world.report("b")
        after, new = world.fresh_receipt(world.size - 1), world.keys
        assert verify_receipt(before, old).signed.by_log and verify_receipt(after, new).signed.by_log
        for receipt, keys in ((before, new), (after, old)):
            with pytest.raises(VerificationError):
                verify_receipt(receipt, keys)
        world.commit_heads()
        world.close_day()
        assert verify_receipt(world.receipt(3), world.keys).signed.tier == "tamper-evident"
        assert world.problems() == []
